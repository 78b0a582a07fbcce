//! Configurations that make no sense, and servers that do not.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::Pod;

use super::ground::Ground;

#[test]
fn wrong_options_are_named_and_nothing_is_left() {
    let ground = Ground::new();
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let before = node.snapshot();
    for (key, value, words) in [
        (
            "provide",
            json!([{"option": "hostname", "value": "x"}]),
            ["provide[0].option", "hostname"],
        ),
        ("provide", json!([{"option": "53", "value": "x"}]), ["provide[0].option", "53"]),
        ("provide", json!([{"option": "12", "value": "x".repeat(256)}]), ["provide[0]", "256"]),
        ("request", json!([{"option": "4711"}]), ["request[0].option", "4711"]),
        ("priority", json!(-1), ["ipam.priority", "-1"]),
    ] {
        let mut conf = ground.conf();
        conf["ipam"][key] = value;
        node.add(&conf, &pod, "eth0").fails().is(7, &words);
        node.status(&conf).fails().is(7, &words);
        assert_eq!(pod.links(), ["lo"]);
        node.del(&node.unheard(&conf, &pod)).ok();
    }
    // More than a packet holds: the interface tells how much that is.
    let mut conf = ground.conf();
    let many: Vec<_> =
        (128..140).map(|n| json!({"option": n.to_string(), "value": "x".repeat(255)})).collect();
    conf["ipam"]["provide"] = json!(many);
    node.add(&conf, &pod, "eth0").fails().is(7, &["ipam.provide", "3060 bytes", "1500"]);
    assert_eq!(pod.links(), ["lo"]);
    assert!(before.difference(&node.snapshot()).is_empty());
}

/// A server that answers every question with garbage, until it is told to end.
fn rogue(socket: &UdpSocket, end: &AtomicBool) {
    let mut question = [0; 1500];
    let mut round = 0_usize;
    while !end.load(Ordering::Relaxed) {
        let Ok((length, _)) = socket.recv_from(&mut question) else { continue };
        let mut answer = question[..240.min(length)].to_vec();
        answer[0] = 2;
        answer[16..20].copy_from_slice(&[10, 5, 0, 66]);
        let least = [1, 4, 255, 255, 255, 0, 54, 4, 10, 5, 0, 66, 51, 4, 0, 0, 0, 60];
        let options: &[&[u8]] = &[
            &[53, 1, 2],
            &[53, 1, 2, 1, 4, 255, 0, 255, 0],
            &[53, 1, 2, 1, 200, 255],
            &[53, 1, 2, 54, 4, 10, 5, 0, 66, 51, 4, 0, 0, 0, 0, 1, 4, 255, 255, 255, 0],
            &[53, 0, 255],
            &[],
            &[52, 1, 3, 53, 1, 2],
            &[53, 1, 2, 119, 2, 192, 0, 80, 1, 1, 152, 0, 151, 0],
            &[53, 1, 6, 54, 4, 10, 5, 0, 66],
            &[[53, 1, 5].as_slice(), &least].concat(),
        ];
        answer.extend(options[round % options.len()]);
        round += 1;
        let _ = socket.send_to(&answer, "255.255.255.255:68");
        let _ = socket.send_to(&answer[..answer.len() / 2], "255.255.255.255:68");
    }
}

#[test]
fn a_server_that_answers_garbage_is_named_and_harms_nobody() {
    let ground = Ground::new();
    let daemon =
        ground.daemon_with(&ground.socket(), &["-resendtimeout", "5s", "-resendmax", "100ms"]);
    let socket = ground.outside.enter(|| UdpSocket::bind("0.0.0.0:67").unwrap());
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    ground.outside.run(&["ip", "route", "add", "255.255.255.255/32", "dev", "up1"]);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| rogue(&socket, &end));
        let pod = Pod::new();
        let error = ground.node.add(&ground.conf(), &pod, "eth0");
        end.store(true, Ordering::Relaxed);
        error.fails().is(11, &["no DHCP lease", "was not taken"]);
        assert_eq!(pod.links(), ["lo"]);
    });
    ground.node.status(&ground.conf()).ok();
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
}
