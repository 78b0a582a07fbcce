//! Configurations that make no sense, and servers that do not.

use std::net::{Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use testkit::Pod;

use crate::dhcp::ground::Ground;

#[test]
fn families_that_there_are_not_are_named() {
    let ground = Ground::new();
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let before = node.snapshot();
    for (value, words) in [
        (json!([]), ["ipam.families", "[]"]),
        (json!(["ipv5"]), ["ipam.families[0]", "ipv5"]),
        (json!(["ipv4", "ipv6", "ipv4"]), ["ipam.families[2]", "twice"]),
    ] {
        let mut conf = ground.conf();
        conf["ipam"]["families"] = value;
        node.add(&conf, &pod, "eth0").fails().is(7, &words);
        node.status(&conf).fails().is(7, &words);
        assert_eq!(pod.links(), ["lo"]);
        node.del(&node.unheard(&conf, &pod)).ok();
    }
    assert!(before.difference(&node.snapshot()).is_empty());
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// An association with this address and these lifetimes.
fn association(id: u32, address: Ipv6Addr, preferred: u32, valid: u32) -> Vec<u8> {
    let times = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
    let inner = option(5, &[&address.octets()[..], &times].concat());
    option(3, &[&id.to_be_bytes()[..], &[0; 8], &inner].concat())
}

/// A server that answers every question with garbage, until it is told to end.
fn rogue(socket: &UdpSocket, end: &AtomicBool) {
    let mut question = [0; 1500];
    let good: Ipv6Addr = "fd00:5::66".parse().unwrap();
    let mut round = 0;
    while !end.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        // The client's DUID is the first option.
        let client = question[4..length.min(26)].to_vec();
        let server = option(2, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]);
        let whole = [&client[..], &server].concat();
        let of = |more: &[u8]| [&whole[..], more].concat();
        let bodies: &[(u8, Vec<u8>)] = &[
            (2, Vec::new()),
            (2, client.clone()),
            (2, [&client[..], &option(2, &[]), &association(1, good, 60, 60)].concat()),
            (2, [&option(1, &[0, 4, 1]), &server[..], &association(1, good, 60, 60)].concat()),
            (2, of(&association(2, good, 60, 60))),
            (2, of(&association(1, good, 90, 60))),
            (2, of(&association(1, good, 0, 0))),
            (2, of(&association(1, Ipv6Addr::UNSPECIFIED, 60, 60))),
            (2, of(&association(1, "ff02::1".parse().unwrap(), 60, 60))),
            (2, of(&association(1, "fe80::1".parse().unwrap(), 60, 60))),
            (2, of(&association(1, "::10.5.0.7".parse().unwrap(), 60, 60))),
            (2, of(&option(3, &[0, 0, 0, 1]))),
            (2, of(&[0, 3, 255, 255, 0])),
            (2, of(&option(13, &[0]))),
            (2, of(&option(17, &[0]))),
            (2, of(&option(13, b"\0\x02none \x1b[31mleft"))),
            (2, of(&[0, 24, 0, 3, 200, 1, 1])),
            // What was not asked for: a reply without rapid commit, and what a server gets.
            (7, of(&association(1, good, 60, 60))),
            (1, of(&association(1, good, 60, 60))),
            (13, of(&association(1, good, 60, 60))),
            (2, of(&association(1, good, 90, 60))),
        ];
        for _ in 0..4 {
            let (kind, body) = &bodies[round % bodies.len()];
            round += 1;
            let answer = [&[*kind], &question[1..4], &body[..]].concat();
            let _ = socket.send_to(&answer, from);
            let _ = socket.send_to(&answer[..answer.len() / 2], from);
        }
    }
}

#[test]
fn a_server_that_answers_garbage_is_named_and_harms_nobody() {
    let ground = Ground::with_ipv6();
    let daemon =
        ground.daemon_with(&ground.socket(), &["-resendtimeout", "5s", "-resendmax", "100ms"]);
    let socket = ground.listen6();
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| rogue(&socket, &end));
        let pod = Pod::new();
        let error = ground.node.add(&ground.conf_of(&["ipv6"]), &pod, "eth0");
        end.store(true, Ordering::Relaxed);
        error.fails().is(11, &["no DHCPv6 lease", "was not taken"]);
        assert!(!error.to_string().contains('\u{1b}'));
        assert_eq!(pod.links(), ["lo"]);
    });
    assert!(ground.leases().is_empty());
    ground.node.status(&ground.conf()).ok();
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
}
