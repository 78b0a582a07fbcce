//! `portmap`: ports of the node that lead into containers, judged by traffic and by `nft`.

mod conditions;
mod conflicts;
mod faults;
mod iptables;
mod lifecycle;
mod reach;
mod stale;

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Attachment, Netns, Node, Pod};

use crate::conf::{DUAL, bridge, ptp, with};

/// How long a packet that should arrive may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one is waited for that should not.
const MOMENT: Duration = Duration::from_millis(700);

/// A container with ports: what the first plugin made, and what portmap did.
struct Published {
    base: Attachment,
    ports: Attachment,
}

impl Published {
    fn ip(&self, v6: bool) -> String {
        self.base.ips().into_iter().find(|ip| ip.contains(':') == v6).expect("an address")
    }

    /// DEL of both, in the order of a runtime.
    #[track_caller]
    fn remove(&self, node: &Node) {
        node.del(&self.ports).ok();
        node.del(&self.base).ok();
    }
}

fn tcp(host: u16, container: u16) -> Value {
    json!({"hostPort": host, "containerPort": container, "protocol": "tcp"})
}

fn udp(host: u16, container: u16) -> Value {
    json!({"hostPort": host, "containerPort": container, "protocol": "udp"})
}

/// A network whose containers the world can speak with. (A container's own packet comes back to
/// its port of a bridge where bridged packets pass netfilter.)
fn bridged(node: &Node) -> Value {
    let more = json!({"isDefaultGateway": true, "ipMasq": true, "hairpinMode": true});
    with(bridge(node, DUAL), more)
}

fn routed(node: &Node) -> Value {
    with(ptp(node, DUAL), json!({"ipMasq": true}))
}

/// portmap's configuration behind another plugin.
fn portmap(mappings: &[Value]) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "portmap",
        "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings": mappings},
    })
}

#[track_caller]
fn publish(node: &Node, pod: &Pod, base: &Value, own: &Value) -> Published {
    let base = node.attach(base, pod);
    let ports = map(node, pod, &base, own);
    Published { base, ports }
}

#[track_caller]
fn map(node: &Node, pod: &Pod, base: &Attachment, own: &Value) -> Attachment {
    let chained = with(own.clone(), json!({"prevResult": base.result}));
    let ports = node.attach_as(&chained, pod, &base.ifname);
    assert_eq!(ports.result, base.result, "the result goes on as it came");
    ports
}

/// Tries again while an error is `passing`.
fn patiently<T>(passing: io::ErrorKind, attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(e) if e.kind() == passing && start.elapsed() < PATIENCE => {}
            done => return done,
        }
    }
}

/// Binds; a child of another test may hold the last socket there until it becomes a program.
fn free<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    patiently(io::ErrorKind::AddrInUse, bind)
}

/// Connects; for a moment after a bridge came up, it may have no address yet to ask for IPv6
/// neighbours by.
fn reached<T>(connect: impl Fn() -> io::Result<T>) -> io::Result<T> {
    patiently(io::ErrorKind::HostUnreachable, connect)
}

/// Connects to `dial` from a namespace and tells as whom `server` sees it at `listen`.
fn connect(from: &Netns, dial: &str, server: &Netns, listen: &str) -> io::Result<IpAddr> {
    let (dial, listen): (SocketAddr, SocketAddr) =
        (dial.parse().expect("an endpoint"), listen.parse().expect("an endpoint"));
    let listener = free(|| server.enter(|| TcpListener::bind(listen)))?;
    let mut client = reached(|| from.enter(|| TcpStream::connect_timeout(&dial, PATIENCE)))?;
    listener.set_nonblocking(true)?;
    // The handshake is done, so the connection waits here if it came here.
    let (mut accepted, peer) = listener.accept()?;
    accepted.set_nonblocking(false)?;
    for stream in [&client, &accepted] {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    let mut echo = [0; 5];
    client.write_all(b"hello")?;
    accepted.read_exact(&mut echo)?;
    accepted.write_all(&echo)?;
    client.read_exact(&mut echo)?;
    Ok(peer.ip())
}

/// Whether nobody answers at an endpoint.
fn is_closed(from: &Netns, dial: &str) -> bool {
    let dial: SocketAddr = dial.parse().expect("an endpoint");
    from.enter(|| TcpStream::connect_timeout(&dial, MOMENT)).is_err()
}

/// A socket of a client that keeps its port.
fn client(from: &Netns, to: &str) -> UdpSocket {
    let to: SocketAddr = to.parse().expect("an endpoint");
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = from.enter(|| UdpSocket::bind(SocketAddr::new(any, 0))).expect("a socket");
    socket.connect(to).expect("a route");
    socket
}

/// Sends a datagram to whoever is at the other end, and tells as whom `server` sees it at `listen`;
/// the answer must come back.
fn exchange(client: &UdpSocket, server: &Netns, listen: &str) -> io::Result<IpAddr> {
    let listen: SocketAddr = listen.parse().expect("an endpoint");
    let server = free(|| server.enter(|| UdpSocket::bind(listen)))?;
    server.set_read_timeout(Some(PATIENCE))?;
    client.set_read_timeout(Some(PATIENCE))?;
    // An error that an earlier datagram met is told once.
    drop(client.take_error());
    if client.send(b"hello").is_err() {
        client.send(b"hello")?;
    }
    let interrupted = io::ErrorKind::Interrupted;
    let (_, peer) = patiently(interrupted, || server.recv_from(&mut [0; 5]))?;
    server.send_to(b"hello", peer)?;
    patiently(interrupted, || client.recv(&mut [0; 5]))?;
    Ok(peer.ip())
}

/// What nft has of ours, without what changes by itself.
fn of_ports(node: &Node) -> Vec<String> {
    let snapshot = node.snapshot();
    let lines = snapshot.section("nft").iter();
    lines.filter(|line| line.contains("\"podwire-ports\"")).cloned().collect()
}

/// `ADDRESS:PORT`, as both families write it.
fn at(address: &str, port: u16) -> String {
    SocketAddr::new(address.parse().expect("an address"), port).to_string()
}
