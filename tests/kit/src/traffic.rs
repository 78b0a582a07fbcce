//! Packets between namespaces, and who they seem to come from.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::Netns;

/// How long a packet that should arrive may take: long enough for a machine under load.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server saw of its client.
pub type Seen = io::Result<IpAddr>;

/// Whether `to` answers a ping from `from`. It may take its time.
pub fn ping(from: &Netns, to: &str) -> bool {
    from.try_run(&["ping", "-n", "-q", "-c", "1", "-w", "10", to]).is_ok()
}

/// Whether `to` stays silent when `from` pings it: the opposite of [`ping`], and quicker to tell.
pub fn silent(from: &Netns, to: &str) -> bool {
    from.try_run(&["ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "0.6", to]).is_err()
}

/// Connects from `from` to a server in `to` at `address`, echoes some bytes, and tells which address
/// the server saw.
pub fn tcp(from: &Netns, to: &Netns, address: &str) -> Seen {
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    // Sockets stay in the namespace where they were opened; the kernel shakes hands without accept().
    let listener = to.enter(|| TcpListener::bind(SocketAddr::new(address, 0)))?;
    let port = listener.local_addr()?;
    let mut client = from.enter(|| TcpStream::connect_timeout(&port, PATIENCE))?;
    let (mut server, peer) = listener.accept()?;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    let mut echo = [0; 5];
    client.write_all(b"hello")?;
    server.read_exact(&mut echo)?;
    server.write_all(&echo)?;
    client.read_exact(&mut echo)?;
    Ok(peer.ip())
}

/// Sends a datagram from `from` to a server in `to` at `address`, awaits its answer, and tells which
/// address the server saw.
pub fn udp(from: &Netns, to: &Netns, address: &str) -> Seen {
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let server = to.enter(|| UdpSocket::bind(SocketAddr::new(address, 0)))?;
    let client = from.enter(|| UdpSocket::bind(SocketAddr::new(any, 0)))?;
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    client.connect(server.local_addr()?)?;
    client.send(b"hello")?;
    let mut echo = [0; 5];
    let (_, peer) = server.recv_from(&mut echo)?;
    server.send_to(&echo, peer)?;
    client.recv(&mut echo)?;
    Ok(peer.ip())
}

/// Whether a packet of `size` bytes, IP header included, gets from `from` to `to` unfragmented and an
/// answer of the same size back.
pub fn fits(from: &Netns, to: &str, size: u32) -> bool {
    unfragmented(from, to, size, &["-c", "1", "-w", "10"]).is_ok()
}

/// Whether one of `size` bytes is refused: by the sender itself, or by a router that says so and is
/// heard a little later.
pub fn too_big(from: &Netns, to: &str, size: u32) -> bool {
    let refusal = ["message too long", "Message too long", "Frag needed", "Packet too big"];
    for _ in 0..10 {
        match unfragmented(from, to, size, &["-c", "1", "-W", "0.1"]) {
            Ok(_) => return false,
            Err(why) if refusal.iter().any(|word| why.contains(word)) => return true,
            Err(_) => {}
        }
    }
    false
}

fn unfragmented(from: &Netns, to: &str, size: u32, more: &[&str]) -> Result<String, String> {
    let headers = if to.contains(':') { 48 } else { 28 };
    let payload = (size - headers).to_string();
    from.try_run(&[&["ping", "-n", "-M", "do", "-s", &payload], more, &[to]].concat())
}

/// Sends `length` bytes from `from` to a server in `to` at `address` over TCP, and tells whether it
/// received just these.
pub fn transfer(from: &Netns, to: &Netns, address: &str, length: usize) -> io::Result<bool> {
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    let listener = to.enter(|| TcpListener::bind(SocketAddr::new(address, 0)))?;
    let server = listener.local_addr()?;
    let client = from.enter(|| TcpStream::connect_timeout(&server, PATIENCE))?;
    let (mut receiver, _) = listener.accept()?;
    receiver.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let sent = noise(length);
    let mut received = Vec::with_capacity(length);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut client = client;
            client.write_all(&sent)
        });
        receiver.read_to_end(&mut received)?;
        sender.join().expect("the sender")
    })?;
    Ok(received == sent)
}

/// Bytes that repeat nowhere, so that a missing or doubled piece shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        // xorshift64, Marsaglia 2003
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(step).take(length / 8 + 1).flatten().collect();
    bytes.truncate(length);
    bytes
}
