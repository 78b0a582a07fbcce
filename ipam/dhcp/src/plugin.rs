//! The plugin: asks the daemon, and says what it answers.

mod conf;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use cni::{AddResult, Call, Code, Error, GcCall, Plugin, StatusCall};

use crate::lease::Lease;
use crate::talk::{Answer, Holder, LONGEST_LINE, Request, Wanted};
use conf::Conf;

/// The address manager `dhcp`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dhcp;

impl Plugin for Dhcp {
    const NAME: &'static str = "dhcp";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let conf = Conf::read(&call.conf)?;
        let wanted = Wanted {
            holder: Holder::from(&call.attachment),
            netns: call.netns()?.to_owned(),
            provide: conf.provide(&call.args)?,
            request: conf.request()?,
            priority: conf.priority()?,
        };
        let priority = wanted.priority;
        let lease = lease(ask(&conf.socket(), &Request::Add(wanted))?)?;
        Ok(lease.result(priority))
    }

    /// The lease is given back. Where no daemon is there, nobody can: the server takes it back when it
    /// has expired, and a daemon that comes back finds the interface gone. So that is no failure,
    /// which would hold up what else the attachment has.
    fn del(&self, call: &Call) -> Result<(), Error> {
        let socket = Conf::socket_of(&call.conf);
        match ask(&socket, &Request::Del(Holder::from(&call.attachment))) {
            Ok(Answer::Error { code, msg, details }) => {
                Err(Error { code: Code(code), msg, details })
            }
            Ok(_) => Ok(()),
            Err(e) => {
                cni::warn(format_args!(
                    "dhcp: the lease of {} is left to expire: {e}",
                    call.attachment
                ));
                Ok(())
            }
        }
    }

    /// The daemon holds a lease, and it is the one that the previous result tells. Code 103.
    fn check(&self, call: &Call) -> Result<(), Error> {
        let conf = Conf::read(&call.conf)?;
        let holder = Holder::from(&call.attachment);
        let lease = lease(ask(&conf.socket(), &Request::Check(holder))?)?;
        let told = call.prev_result.iter().flat_map(|result| &result.ips);
        let told: Vec<_> = told.filter(|ip| ip.address.is_ipv4()).map(|ip| ip.address).collect();
        if told.contains(&lease.cidr()) {
            return Ok(());
        }
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        let told = if told.is_empty() { "no IPv4 address".to_owned() } else { told.join(", ") };
        Err(Error::new(
            Code::CHECK,
            format!(
                "the lease of {} is {}, and prevResult has {told}",
                call.attachment,
                lease.cidr()
            ),
        )
        .details("the server has given another address since the ADD"))
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        let Some(valid) = &call.valid else { return Ok(()) };
        let socket = Conf::socket_of(&call.conf);
        let keep = valid.iter().map(|(c, i)| (c.to_string(), i.to_string())).collect();
        let request = Request::Gc { network: call.conf.network.to_string(), keep };
        match ask(&socket, &request)? {
            Answer::Error { code, msg, details } => Err(Error { code: Code(code), msg, details }),
            _ => Ok(()),
        }
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        let conf = Conf::read(&call.conf)?;
        conf.provide("")?;
        conf.request()?;
        conf.priority()?;
        match ask(&conf.socket(), &Request::Status) {
            Ok(Answer::Done) => Ok(()),
            Ok(other) => {
                Err(Error::new(Code::NOT_AVAILABLE, format!("the daemon answered {other:?}")))
            }
            Err(e) => Err(Error { code: Code::NOT_AVAILABLE, ..e }),
        }
    }
}

fn lease(answer: Answer) -> Result<Lease, Error> {
    match answer {
        Answer::Lease(lease) => Ok(lease),
        Answer::Error { code, msg, details } => Err(Error { code: Code(code), msg, details }),
        Answer::Done => Err(Error::new(Code::DECODE, "the daemon answered without a lease")),
    }
}

/// How long the daemon is given to answer what needs no server. One that hangs must not hold up the
/// removal of a container.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the daemon. Code 11 when it is not there, or hangs.
fn ask(socket: &Path, request: &Request) -> Result<Answer, Error> {
    let failed = |what: &str, e: io::Error| {
        Error::new(Code::TRY_AGAIN, format!("{what} the dhcp daemon at {}: {e}", socket.display()))
            .details("start it with `dhcp daemon`; ipam.daemonSocketPath says where it listens")
    };
    kernel::fault::point("ask the dhcp daemon").map_err(|e| failed("asking", e))?;
    let mut stream = UnixStream::connect(socket).map_err(|e| failed("connecting to", e))?;
    if !matches!(request, Request::Add(_)) {
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(|e| failed("asking", e))?;
    }
    let silent = |e: io::Error| match e.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::other(format!("not a word within {} seconds", PATIENCE.as_secs()))
        }
        _ => e,
    };
    let mut line = serde_json::to_vec(request).map_err(|e| failed("asking", e.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|e| failed("asking", silent(e)))?;
    let mut answer = Vec::new();
    BufReader::new(stream)
        .take(LONGEST_LINE as u64)
        .read_until(b'\n', &mut answer)
        .map_err(|e| failed("hearing", silent(e)))?;
    if answer.last() != Some(&b'\n') {
        return Err(failed("hearing", io::Error::other("it ended before it had answered")));
    }
    serde_json::from_slice(&answer).map_err(|e| {
        Error { details: String::new(), ..failed("understanding", e.into()) }.details(
            "plugin and daemon have to be of the same kind: is that the reference's daemon?",
        )
    })
}
