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
