//! The system's message bus, for one call after another.
//!
//! A plugin has four methods to call, with two texts each. The libraries for D-Bus bring an
//! executor or a C library; what is used of the protocol fits in two small files.

use std::env;
use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use kernel::fault;

use super::message::{self, Call, Content, FIXED};

/// Where the bus is, unless `DBUS_SYSTEM_BUS_ADDRESS` says otherwise.
const ADDRESS: &str = "unix:path=/run/dbus/system_bus_socket";
/// How long an answer may take. firewalld loads its rules before it answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// No answer to any of our calls comes near this many bytes.
const LONGEST: usize = 1 << 20;
/// No line of the authentication does, either.
const LONGEST_LINE: usize = 1024;

#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Answer {
    Boolean(bool),
    Other,
    /// An error's text, or its name where it has none.
    Refused {
        text: String,
    },
}

impl Bus {
    /// The bus; `None` when nobody listens there.
    pub(super) fn connect() -> io::Result<Option<Self>> {
        fault::point("D-Bus")?;
        let addresses = env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|_| ADDRESS.to_owned());
        let Some(stream) = addresses.split(';').find_map(reach) else { return Ok(None) };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bus = Self { stream, serial: 0 };
        bus.authenticate()?;
        bus.call(&Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            arguments: &[],
        })?;
        Ok(Some(bus))
    }

    /// EXTERNAL, without a name: the socket tells the bus who we are.
    fn authenticate(&mut self) -> io::Result<()> {
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\n")?;
        loop {
            let line = self.line()?;
            if line.starts_with("OK ") {
                return self.stream.write_all(b"BEGIN\r\n");
            }
            if line.trim() != "DATA" {
                return Err(io::Error::other(format!("the bus says {:?}", line.trim())));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
            if line.len() > LONGEST_LINE {
                return Err(io::Error::other("the bus does not speak D-Bus"));
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Calls and waits for the answer.
    pub(super) fn call(&mut self, call: &Call<'_>) -> io::Result<Answer> {
        self.serial = self.serial.wrapping_add(1).max(1);
        self.stream.write_all(&call.encode(self.serial))?;
        loop {
            let message = self.receive()?;
            let Some(reply) = message::decode(&message) else { continue };
            if reply.serial != self.serial {
                continue;
            }
            return Ok(match reply.content {
                Content::Boolean(value) => Answer::Boolean(value),
                Content::Other => Answer::Other,
                Content::Error(name, text) if text.is_empty() => Answer::Refused { text: name },
                Content::Error(_, text) => Answer::Refused { text },
            });
        }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut fixed = [0; FIXED];
        self.stream.read_exact(&mut fixed)?;
        let whole = message::whole(&fixed).filter(|length| *length <= LONGEST);
        let whole = whole.ok_or_else(|| io::Error::other("the bus sends what is no message"))?;
        let mut message = fixed.to_vec();
        message.resize(whole.max(FIXED), 0);
        if let Some(rest) = message.get_mut(FIXED..) {
            self.stream.read_exact(rest)?;
        }
        Ok(message)
    }
}

/// Connects to one address, of those that are sockets of this machine.
fn reach(address: &str) -> Option<UnixStream> {
    let keys = address.strip_prefix("unix:")?;
    let key =
        |name: &str| keys.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let address = match (key("path"), key("abstract")) {
        (Some(path), _) => SocketAddr::from_pathname(path),
        (None, Some(name)) => SocketAddr::from_abstract_name(name),
        (None, None) => return None,
    };
    UnixStream::connect_addr(&address.ok()?).ok()
}
