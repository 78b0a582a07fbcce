//! The plugins that are connected.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};

use cni::{Code, Error};

use super::events::Events;
use crate::talk::{Answer, LONGEST_LINE, Request};

/// More are not served at once: of those that say nothing the first ones have to go.
const MOST: usize = 512;

/// Connections by number.
pub struct Clients {
    listener: UnixListener,
    all: BTreeMap<u64, Client>,
    next: u64,
}

struct Client {
    stream: UnixStream,
    line: Vec<u8>,
    /// It has asked, and waits for the answer.
    waits: bool,
}

impl Clients {
    /// Nobody yet.
    pub fn new(listener: UnixListener) -> Self {
        Self { listener, all: BTreeMap::new(), next: 0 }
    }

    /// Lets everybody in who wants. Others have to wait, when that is refused: for descriptors.
    pub fn accept(&mut self, events: &Events) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Somebody who has gone already.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.next += 1;
            let number = self.next;
            if stream
                .set_nonblocking(true)
                .and_then(|()| events.add_client(&stream, number))
                .is_err()
            {
                continue;
            }
            self.all.insert(number, Client { stream, line: Vec::new(), waits: false });
            if self.all.len() > MOST {
                let silent = self.all.iter().find(|(_, client)| !client.waits);
                if let Some(number) = silent.map(|(number, _)| *number) {
                    self.all.remove(&number);
                }
            }
        }
    }

    /// What a client asks, once it has asked all of it. Who asks something else is told so.
    pub fn read(&mut self, number: u64) -> Option<Request> {
        let client = self.all.get_mut(&number)?;
        let mut bytes = [0; 4096];
        let ended = loop {
            match client.stream.read(&mut bytes) {
                Ok(0) => break true,
                Ok(length) => client.line.extend(bytes.iter().take(length)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break true,
            }
            if client.line.len() > LONGEST_LINE {
                break false;
            }
        };
        if client.waits {
            // It has said what it had to say; all that it can do is go.
            if ended {
                self.all.remove(&number);
            }
            return None;
        }
        let line = client.line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_whole = line.len() < client.line.len();
        if !is_whole && client.line.len() <= LONGEST_LINE {
            if ended {
                self.all.remove(&number);
            }
            return None;
        }
        let understood = if is_whole {
            serde_json::from_slice(line).map_err(|e| e.to_string())
        } else {
            Err(format!("a request of more than {LONGEST_LINE} bytes"))
        };
        match understood {
            // Who asks for a lease and is gone already has no use for one.
            Ok(Request::Add(_)) if ended => {
                self.all.remove(&number);
                None
            }
            Ok(request) => {
                client.waits = true;
                Some(request)
            }
            Err(why) => {
                let error =
                    Error::new(Code::DECODE, format!("the daemon does not understand: {why}"));
                self.answer(number, error);
                None
            }
        }
    }

    /// Answers a client and lets it go.
    pub fn answer(&mut self, number: u64, answer: impl Into<Answer>) {
        let Some(mut client) = self.all.remove(&number) else { return };
        if let Ok(mut line) = serde_json::to_vec(&answer.into()) {
            line.push(b'\n');
            // It fits the socket's buffer; who is gone needs no answer.
            let _ = client.stream.write_all(&line);
        }
    }

    /// True when a client is not there any more.
    pub fn is_gone(&self, number: u64) -> bool {
        !self.all.contains_key(&number)
    }
}
