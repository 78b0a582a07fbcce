//! The plugin: asks the daemon, and says what it answers.

mod conf;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use cni::{AddResult, Call, Code, Error, GcCall, Plugin, StatusCall};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::lease::{Family, Lease};
use crate::talk::{Answer, Holder, LONGEST_LINE, Request, Wanted};
use conf::Conf;

/// The address manager `dhcp`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dhcp;

impl Plugin for Dhcp {
    const NAME: &'static str = "dhcp";

    /// All families are asked for at once, and all have to be had: else the others are given back.
    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let conf = Conf::read(&call.conf)?;
        let families = conf.families()?;
        let wanted = Wanted {
            holder: Holder::from(&call.attachment),
            netns: call.netns()?.to_owned(),
            provide: conf.provide(&call.args)?,
            request: conf.request()?,
            priority: conf.priority()?,
        };
        let (socket, priority) = (conf.socket(), wanted.priority);
        let [family] = families[..] else { return both(&socket, &wanted, &families) };
        let wanted = Wanted { holder: wanted.holder.of(family), ..wanted };
        Ok(lease(family, ask(&socket, &Request::Add(wanted))?)?.result(priority))
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

    /// The daemon holds a lease of each family, and they are those that the previous result tells. Code
    /// 103.
    fn check(&self, call: &Call) -> Result<(), Error> {
        let conf = Conf::read(&call.conf)?;
        for family in conf.families()? {
            let holder = Holder::from(&call.attachment).of(family);
            let lease = lease(family, ask(&conf.socket(), &Request::Check(holder))?)?;
            compare(call, &lease)?;
        }
        Ok(())
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
        conf.families()?;
        match ask(&conf.socket(), &Request::Status) {
            Ok(Answer::Done) => Ok(()),
            Ok(other) => {
                Err(Error::new(Code::NOT_AVAILABLE, format!("the daemon answered {other:?}")))
            }
            Err(e) => Err(Error { code: Code::NOT_AVAILABLE, ..e }),
        }
    }
}

/// The leases of several families, which the daemon looks for at the same time.
fn both(socket: &Path, wanted: &Wanted, families: &[Family]) -> Result<AddResult, Error> {
    let mut questions = Questions { socket, of: &wanted.holder, open: Vec::new(), new: Vec::new() };
    let all = questions.ask(wanted, families).and_then(|()| questions.answers());
    let mut leases = all.inspect_err(|_| questions.take_back())?;
    // As the configuration has them.
    leases.sort_by_key(|lease| families.iter().position(|family| *family == lease.family()));
    let mut all = AddResult::default();
    for lease in leases {
        let one = lease.result(wanted.priority);
        all.ips.extend(one.ips);
        all.routes.extend(one.routes);
        all.dns.nameservers.extend(one.dns.nameservers);
        if all.dns.domain.is_empty() {
            all.dns.domain = one.dns.domain;
        }
        for name in one.dns.search {
            if !all.dns.search.contains(&name) {
                all.dns.search.push(name);
            }
        }
    }
    Ok(all)
}

/// What the daemon is asked at once.
struct Questions<'a> {
    socket: &'a Path,
    of: &'a Holder,
    /// Those without an answer.
    open: Vec<(Family, Question<'a>)>,
    /// What there is only because it was asked for.
    new: Vec<(Family, u64)>,
}

impl Questions<'_> {
    fn ask(&mut self, wanted: &Wanted, families: &[Family]) -> Result<(), Error> {
        for family in families {
            let wanted = Wanted { holder: wanted.holder.of(*family), ..wanted.clone() };
            self.open.push((*family, Question::ask(self.socket, &Request::Add(wanted))?));
        }
        Ok(())
    }

    /// All leases, or the first error: nobody waits for one when another cannot be had.
    fn answers(&mut self) -> Result<Vec<Lease>, Error> {
        let mut leases = Vec::new();
        while !self.open.is_empty() {
            let mut fds: Vec<_> = self
                .open
                .iter()
                .map(|(_, question)| PollFd::new(question.stream.as_fd(), PollFlags::POLLIN))
                .collect();
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                waited => waited.map_err(|e| failed("hearing", self.socket, &e.into()))?,
            };
            let ready = fds.iter().position(|fd| fd.any().unwrap_or(true));
            let Some(ready) = ready else { continue };
            let (family, question) = self.open.swap_remove(ready);
            leases.push(
                self.lease(family, question.answer()).map_err(|e| Error {
                    msg: format!("ipam.families, {family}: {}", e.msg),
                    ..e
                })?,
            );
        }
        Ok(leases)
    }

    fn lease(&mut self, family: Family, answer: Result<Answer, Error>) -> Result<Lease, Error> {
        let answer = answer?;
        if let Answer::Granted { born, .. } = answer {
            self.new.push((family, born));
        }
        lease(family, answer)
    }

    /// Leaves the daemon as it was found. Where it does not answer, the DEL that follows a failed ADD does
    /// the rest.
    fn take_back(&mut self) {
        for (family, question) in std::mem::take(&mut self.open) {
            if let Ok(Answer::Granted { born, .. }) = question.withdraw() {
                self.new.push((family, born));
            }
        }
        for (family, born) in &self.new {
            let holder = self.of.of(*family);
            let _ = ask(self.socket, &Request::Undo { holder, born: *born });
        }
    }
}

/// Compares a lease with the previous result.
fn compare(call: &Call, lease: &Lease) -> Result<(), Error> {
    let family = lease.family();
    let told = call.prev_result.iter().flat_map(|result| &result.ips).map(|ip| ip.address);
    let told: Vec<_> =
        told.filter(|address| address.is_ipv6() == (family == Family::Ipv6)).collect();
    if told.contains(&lease.cidr()) {
        return Ok(());
    }
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let told = if told.is_empty() { format!("no {family} address") } else { told.join(", ") };
    Err(Error::new(
        Code::CHECK,
        format!("the lease of {} is {}, and prevResult has {told}", call.attachment, lease.cidr()),
    )
    .details("the server has given another address since the ADD"))
}

fn lease(family: Family, answer: Answer) -> Result<Lease, Error> {
    match answer {
        Answer::Lease(lease) | Answer::Granted { lease, .. } if lease.family() == family => {
            Ok(lease)
        }
        Answer::Lease(lease) | Answer::Granted { lease, .. } => {
            Err(Error::new(Code::DECODE, format!("the daemon knows no {family}: it gave {lease}"))
                .details("plugin and daemon have to be of the same version"))
        }
        Answer::Error { code, msg, details } => Err(Error { code: Code(code), msg, details }),
        Answer::Done => Err(Error::new(Code::DECODE, "the daemon answered without a lease")),
    }
}

/// How long the daemon is given to answer what needs no server. One that hangs must not hold up the
/// removal of a container.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the daemon. Code 11 when it is not there, or hangs.
fn ask(socket: &Path, request: &Request) -> Result<Answer, Error> {
    Question::ask(socket, request)?.answer()
}

/// What the daemon was asked. Who lets it go takes it back.
struct Question<'a> {
    socket: &'a Path,
    stream: UnixStream,
}

impl<'a> Question<'a> {
    fn ask(socket: &'a Path, request: &Request) -> Result<Self, Error> {
        let asking = |e: io::Error| failed("asking", socket, &e);
        kernel::fault::point("ask the dhcp daemon").map_err(asking)?;
        let mut stream =
            UnixStream::connect(socket).map_err(|e| failed("connecting to", socket, &e))?;
        if !matches!(request, Request::Add(_)) {
            stream
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
                .map_err(asking)?;
        }
        let mut line = serde_json::to_vec(request).map_err(|e| asking(e.into()))?;
        line.push(b'\n');
        stream.write_all(&line).map_err(|e| asking(silent(e)))?;
        Ok(Self { socket, stream })
    }

    /// Tells the daemon that nobody waits any more, and hears whether it had answered before.
    fn withdraw(self) -> Result<Answer, Error> {
        self.stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| self.stream.shutdown(Shutdown::Write))
            .map_err(|e| failed("telling", self.socket, &e))?;
        self.answer()
    }

    fn answer(self) -> Result<Answer, Error> {
        let hearing = |e: io::Error| failed("hearing", self.socket, &e);
        let mut answer = Vec::new();
        BufReader::new(self.stream)
            .take(LONGEST_LINE as u64)
            .read_until(b'\n', &mut answer)
            .map_err(|e| hearing(silent(e)))?;
        if answer.last() != Some(&b'\n') {
            return Err(hearing(io::Error::other("it ended before it had answered")));
        }
        serde_json::from_slice(&answer).map_err(|e| {
            let error = failed("understanding", self.socket, &e.into());
            Error { details: String::new(), ..error }.details(
                "plugin and daemon have to be of the same kind: is that the reference's daemon?",
            )
        })
    }
}

fn failed(what: &str, socket: &Path, e: &io::Error) -> Error {
    Error::new(Code::TRY_AGAIN, format!("{what} the dhcp daemon at {}: {e}", socket.display()))
        .details("start it with `dhcp daemon`; ipam.daemonSocketPath says where it listens")
}

fn silent(e: io::Error) -> io::Error {
    match e.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::other(format!("not a word within {} seconds", PATIENCE.as_secs()))
        }
        _ => e,
    }
}
