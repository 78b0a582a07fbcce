//! The daemon as a service: its files, signals, flags and neighbours.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::json;
use testkit::Pod;

use super::ground::{Ground, Process};
use crate::agent::ground::until;

#[test]
fn sigterm_removes_socket_and_pidfile_and_leaves_the_leases() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let pidfile = ground.file("dhcp.pid");
    let mut daemon =
        ground.daemon_with(&ground.socket(), &["--pidfile", pidfile.to_str().unwrap()]);
    // It is written when the daemon is sure of its socket.
    until("the pidfile", || {
        let text = fs::read_to_string(&pidfile).unwrap_or_default();
        if text == daemon.id().to_string() { Ok(()) } else { Err(text) }
    });
    let attached = ground.node.attach(&ground.conf(), &Pod::new());
    assert!(daemon.stop(), "{}", daemon.log());
    assert!(!pidfile.exists() && !ground.socket().exists());
    assert_eq!(ground.leases().len(), 1);
    drop(attached);
}

#[test]
fn a_pidfile_that_is_none_is_named() {
    let ground = Ground::new();
    let pipe = ground.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut daemon = ground.unready(&ground.socket(), &["-pidfile", pipe.to_str().unwrap()]);
    assert_eq!(daemon.end(), Some(1));
    assert!(daemon.log().contains("-pidfile") && daemon.log().contains("FIFO"), "{}", daemon.log());
    assert!(!ground.socket().exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_living_daemons_is_not() {
    let ground = Ground::new();
    let mut daemon = ground.daemon();
    // The same leases.
    let mut second = ground.unready(&ground.socket(), &[]);
    assert_eq!(second.end(), Some(1));
    assert!(second.log().contains("another daemon"), "{}", second.log());
    // Other leases, the same socket.
    let state = ground.file("other");
    let mut third = ground.unready(&ground.socket(), &["-state", state.to_str().unwrap()]);
    assert_eq!(third.end(), Some(1));
    assert!(third.log().contains("another daemon answers"), "{}", third.log());
    ground.node.status(&ground.conf()).ok();
    daemon.kill();
    assert!(ground.socket().exists());
    let _daemon = ground.daemon();
    ground.node.status(&ground.conf()).ok();
}

#[test]
fn two_daemons_serve_two_sockets() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _first = ground.daemon();
    let other = ground.file("other.sock");
    let _second = ground.daemon_with(&other, &[]);
    let mut conf = ground.conf();
    conf["name"] = json!("other");
    conf["ipam"]["daemonSocketPath"] = json!(other);
    let (node, pods) = (&ground.node, [Pod::new(), Pod::new()]);
    let attached = [node.attach(&ground.conf(), &pods[0]), node.attach(&conf, &pods[1])];
    assert_eq!(ground.leases().len(), 1);
    assert_eq!(fs::read_dir(ground.file("other")).unwrap().count(), 2, "a lock and a lease");
    for attached in &attached {
        node.check(attached).ok();
        node.del(attached).ok();
    }
}

#[test]
fn a_host_prefix_is_put_before_the_containers_paths() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    // The root of this very process.
    let daemon = ground.daemon_with(&ground.socket(), &["-hostprefix", "/proc/self/root"]);
    let pod = Pod::new();
    let attached = ground.node.attach(&ground.conf(), &pod);
    let recorded = ground.leases()[0]["netns"].as_str().unwrap().to_owned();
    assert_eq!(recorded, format!("/proc/self/root{}", pod.path()), "{}", daemon.log());
    ground.node.del(&attached).ok();
}

#[test]
fn a_socket_that_is_handed_over_is_used_and_left() {
    let ground = Ground::new();
    let socket = ground.file("handed.sock");
    let script = "import os, socket, sys\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.bind(sys.argv[1])\n\
        s.listen()\n\
        os.dup2(s.fileno(), 3)\n\
        os.set_inheritable(3, True)\n\
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n\
        os.execv(sys.argv[2], [sys.argv[2], 'daemon', '-state', sys.argv[3]])\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(&socket).arg(ground.node.plugins().join("dhcp"));
    command.arg(ground.file("leases"));
    let mut daemon = Process::start(&ground.node, &mut command, ground.file("handed.log"));
    let mut conf = ground.conf();
    conf["ipam"]["daemonSocketPath"] = json!(socket);
    until("it answers", || {
        let status = ground.node.status(&conf);
        if status.succeeded() { Ok(()) } else { Err(daemon.log()) }
    });
    assert!(daemon.stop(), "{}", daemon.log());
    assert!(socket.exists(), "the socket is systemd's");
}

#[test]
fn garbage_on_the_socket_is_answered_and_harms_nobody() {
    let ground = Ground::new();
    let daemon = ground.daemon();
    let long = vec![b'x'; 9 << 20];
    let unknown = br#"{"verb": "sing"}"#.to_vec();
    let silent: Vec<_> =
        (0..600).filter_map(|_| UnixStream::connect(ground.socket()).ok()).collect();
    for garbage in [b"\n".to_vec(), b"{}\n".to_vec(), [unknown, vec![b'\n']].concat(), long] {
        let mut stream = UnixStream::connect(ground.socket()).unwrap();
        // It may hang up before all is said.
        let _ = stream.write_all(&garbage);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.contains("does not understand"), "{answer}");
    }
    ground.node.status(&ground.conf()).ok();
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
    drop(silent);
}

#[test]
fn wrong_flags_are_named() {
    let ground = Ground::new();
    for (flag, word) in [("-timeout=soon", "soon"), ("-pidfile=x", "absolute"), ("-x", "-x")] {
        let mut daemon = ground.unready(&ground.file("none.sock"), &[flag]);
        assert_eq!(daemon.end(), Some(2));
        assert!(daemon.log().contains(word) && daemon.log().contains("usage"), "{}", daemon.log());
    }
}
