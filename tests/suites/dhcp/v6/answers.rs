//! A server that answers what a test wants answered, and what becomes of the rest.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use testkit::Pod;

use super::link::unprepared;
use crate::agent::ground::until;
use crate::conf::with;
use crate::dhcp::ground::{Ground, tells};

const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;

/// The server.
struct Server {
    socket: UdpSocket,
    /// How long its address is lent.
    seconds: u32,
    /// What it has been asked, and by whom.
    asked: Mutex<Vec<(u8, Ipv6Addr)>>,
    ends: AtomicBool,
}

impl Server {
    fn of(ground: &Ground) -> Self {
        Self {
            socket: ground.listen6(),
            seconds: 60,
            asked: Mutex::default(),
            ends: AtomicBool::new(false),
        }
    }

    /// Runs `job` beside the server, which answers those messages that it is to answer.
    fn during<T>(
        &self,
        answers: impl Fn(u8, Ipv6Addr) -> bool + Sync,
        job: impl FnOnce() -> T,
    ) -> T {
        self.ends.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !self.ends.load(Ordering::Relaxed) {
                    self.serve(&answers);
                }
            });
            let _end = End(&self.ends);
            job()
        })
    }

    /// fd00:5::66 is everybody's, and is to be renewed after a second.
    fn serve(&self, answers: impl Fn(u8, Ipv6Addr) -> bool) {
        let mut question = [0; 1500];
        let Ok((length, SocketAddr::V6(from))) = self.socket.recv_from(&mut question) else {
            return;
        };
        let (kind, client) = (question[0], &question[4..length.min(26)]);
        self.asked.lock().unwrap().push((kind, *from.ip()));
        if !answers(kind, *from.ip()) {
            return;
        }
        let address = [
            &[0, 5, 0, 24][..],
            &"fd00:5::66".parse::<Ipv6Addr>().unwrap().octets(),
            &[self.seconds.to_be_bytes(); 2].concat(),
        ]
        .concat();
        let association =
            [&[0, 3, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 50][..], &address].concat();
        let server = [0, 2, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
        let said = if kind == SOLICIT { ADVERTISE } else { REPLY };
        let head = [said, question[1], question[2], question[3]];
        let answer = [&head[..], client, &server, &association].concat();
        self.socket.send_to(&answer, from).unwrap();
    }

    fn has_heard(&self, kind: u8) {
        until("the server is asked", || {
            let asked = self.asked.lock().unwrap();
            if asked.iter().any(|(is, _)| *is == kind) { Ok(()) } else { Err(asked.clone()) }
        });
    }
}

/// Ends the server when the job ends, also where it fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_lease_whose_renewal_is_unanswered_is_given_back_all_the_same() {
    let ground = Ground::with_ipv6();
    let daemon = ground.daemon_with(&ground.socket(), &["-timeout", "300s"]);
    let (node, pod, server) = (&ground.node, Pod::new(), Server::of(&ground));
    server.during(
        |kind, _| kind != RENEW,
        || {
            let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
            assert_eq!(attached.addresses(), ["fd00:5::66/128"]);
            server.has_heard(RENEW);
            node.del(&attached).ok();
            server.has_heard(RELEASE);
        },
    );
    assert!(ground.leases().is_empty(), "{}", daemon.log());
}

#[test]
fn a_silent_server_is_what_an_add_names_when_the_interface_has_its_address() {
    let ground = Ground::with_ipv6();
    let _daemon = ground.daemon_with(&ground.socket(), &["-resendtimeout", "5s"]);
    let (pod, server) = (unprepared(&ground), Server::of(&ground));
    pod.set_sysctl("net/ipv6/conf/eth0/accept_dad", "1");
    let conf = with(ground.conf_of(&["ipv6"]), json!({"type": "dhcp"}));
    let error = server.during(|_, _| false, || ground.node.add(&conf, &pod, "eth0").fails());
    server.has_heard(SOLICIT);
    error.is(11, &["no DHCPv6 lease", "no server has answered"]);
}

#[test]
fn a_question_is_asked_on_from_the_address_that_the_interface_has_by_then() {
    let ground = Ground::with_ipv6();
    let _daemon = ground.daemon();
    let (node, pod, server) = (&ground.node, unprepared(&ground), Server::of(&ground));
    let conf = with(ground.conf_of(&["ipv6"]), json!({"type": "dhcp"}));
    let old = Mutex::new(None);
    let answers = |_, from| *old.lock().unwrap().get_or_insert(from) != from;
    server.during(answers, || {
        std::thread::scope(|scope| {
            let add = scope.spawn(|| node.attach(&conf, &pod));
            server.has_heard(SOLICIT);
            pod.batch(
                "link set eth0 down\nlink set eth0 address 02:11:22:33:44:55\nlink set eth0 up\n",
            );
            assert_eq!(add.join().unwrap().addresses(), ["fd00:5::66/128"]);
        });
    });
    let asked = server.asked.lock().unwrap();
    assert!(
        asked.iter().any(|(kind, from)| *kind == REQUEST && Some(*from) != *old.lock().unwrap())
    );
}

#[test]
fn an_address_that_went_with_the_link_comes_back_with_the_next_renewal() {
    let ground = Ground::with_ipv6();
    let _daemon = ground.daemon();
    let (node, pod, server) = (&ground.node, Pod::new(), Server::of(&ground));
    server.during(
        |_, _| true,
        || {
            let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
            pod.batch("link set eth0 down\nlink set eth0 up\n");
            until("the address is back", || {
                let found = pod.addresses("eth0");
                if found == attached.addresses() { Ok(()) } else { Err(found) }
            });
            node.check(&attached).ok();
            node.del(&attached).ok();
        },
    );
}

#[test]
fn an_add_that_fails_gives_back_only_what_it_was_granted() {
    let ground = Ground::with_ipv6();
    let daemon = ground.daemon_with(&ground.socket(), &["-resendtimeout", "1500ms"]);
    let (node, pod, server) = (&ground.node, unprepared(&ground), Server::of(&ground));
    pod.set_sysctl("net/ipv6/conf/eth0/accept_dad", "0");
    server.during(
        |_, _| true,
        || {
            let of = |families| with(ground.conf_of(families), json!({"type": "dhcp"}));
            let attached = node.attach(&of(&["ipv6"]), &pod);
            let again = node.add(&of(&["ipv6", "ipv4"]), &pod, "eth0");
            again.fails().is(11, &["ipam.families, IPv4", "no DHCP lease"]);
            node.check(&attached).ok();
            assert_eq!(ground.leases().len(), 1, "{}", daemon.log());
        },
    );
    assert!(server.asked.lock().unwrap().iter().all(|(kind, _)| *kind != RELEASE));
}

#[test]
fn a_lost_lease_keeps_no_namespace_alive_that_cannot_ask_for_another() {
    let ground = Ground::with_ipv6();
    let daemon = ground.daemon_with(&ground.socket(), &["-timeout", "300s"]);
    let sockets = || std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count();
    let (node, pod) = (&ground.node, Pod::new());
    let server = Server { seconds: 3, ..Server::of(&ground) };
    let idle = sockets();
    let attached = server.during(|_, _| true, || node.attach(&ground.conf_of(&["ipv6"]), &pod));
    pod.set_sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    tells(&daemon, "it has expired", 0);
    until("nothing is open any more", || {
        let open = sockets();
        if open == idle { Ok(()) } else { Err((open, daemon.log())) }
    });
    node.del(&attached).ok();
}
