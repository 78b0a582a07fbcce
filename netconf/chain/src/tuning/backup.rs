//! What an attachment changed, as it was before: `CONTAINER_IFNAME.json` in the directory of backups. The
//! reference has the first members, under the same names; either reads the other's.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use attach::ends::Ends;
use cni::{Attachment, Code, Error, Json};
use kernel::link::{self, Link};
use kernel::{MacAddr, Netns, Socket, durable, regular, sysctl};
use serde::{Deserialize, Serialize};

use super::config::Config;

/// A file of backups larger than this is none of ours.
const LARGEST: u64 = 1 << 20;

/// What was before; `None` where nothing was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Backup {
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<MacAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promisc: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allmulti: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_q_len: Option<u32>,
    /// Sysctls below `net`, slashed, in the order in which they are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sysctls: Vec<Sysctl>,
    /// Whose; the reference does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A sysctl's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Sysctl {
    path: String,
    value: String,
}

/// Whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
    /// `CNI_NETNS`.
    pub netns: PathBuf,
    /// That namespace's [`cookie`](Netns::cookie).
    pub cookie: u64,
    /// The interface's index there.
    pub index: u32,
}

/// The file of an attachment.
pub fn path(directory: &Path, attachment: &Attachment) -> PathBuf {
    directory.join(format!("{}_{}.json", attachment.container, attachment.ifname))
}

/// Forgets. It is fine when there is nothing, or what cannot be a backup.
pub fn remove(path: &Path) -> Result<(), Error> {
    match durable::discard(path) {
        Err(e) if !is_nowhere(&e) && e.kind() != io::ErrorKind::IsADirectory => {
            Err(failed("remove", path, &e))
        }
        _ => Ok(()),
    }
}

/// True where no file can be, and so none was written.
fn is_nowhere(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(e.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
}

fn failed(what: &str, path: &Path, e: &io::Error) -> Error {
    Error::new(Code::IO, format!("dataDir: {what} {}: {e}", path.display()))
}

impl Backup {
    /// Reads what the configuration will change. Of what an earlier ADD in the same namespace changed, and
    /// nobody brought back, the older state counts.
    pub fn take(conf: &Config, ends: &Ends<'_>, link: &Link) -> Result<Self, Error> {
        let attachment = &ends.call.attachment;
        let settings = &conf.settings;
        let sysctls = ends.netns.enter(|| {
            let mut all = Vec::new();
            for wanted in &conf.sysctls {
                let path = wanted.key.path(&link.name);
                match sysctl::read(&path) {
                    Ok(value) => all.push(Sysctl { path, value }),
                    Err(e) if e.errno() == libc::ENOENT => return Err(e),
                    // One that can only be written has nothing to bring back.
                    Err(_) => {}
                }
            }
            Ok(all)
        })?;
        let mut now = Self {
            mac: link.mac.filter(|_| settings.mac.is_some()),
            promisc: settings.promiscuous.then_some(link.promiscuous),
            mtu: settings.mtu.map(|_| link.mtu),
            allmulti: settings.all_multicast.map(|_| link.all_multicast),
            tx_q_len: settings.tx_queue_length.map(|_| link.tx_queue_length),
            sysctls,
            owner: Some(Owner {
                network: attachment.network.to_string(),
                container: attachment.container.to_string(),
                ifname: attachment.ifname.to_string(),
                netns: ends.netns.path().to_owned(),
                cookie: ends.netns.cookie()?,
                index: link.index,
            }),
        };
        if let Some(older) = Self::read(&path(&conf.directory, attachment))? {
            now.defer_to(older);
        }
        Ok(now)
    }

    fn defer_to(&mut self, older: Self) {
        let (Some(own), Some(its)) = (&self.owner, &older.owner) else { return };
        if (&own.network, own.cookie) != (&its.network, its.cookie) {
            return;
        }
        // Of an interface that is another one by now its sysctls are, too.
        let same = own.index == its.index;
        let ifname = own.ifname.clone();
        if same {
            self.mac = older.mac.or(self.mac);
            self.promisc = older.promisc.or(self.promisc);
            self.mtu = older.mtu.or(self.mtu);
            self.allmulti = older.allmulti.or(self.allmulti);
            self.tx_q_len = older.tx_q_len.or(self.tx_q_len);
        }
        let still = |s: &Sysctl| same || !s.path.split('/').any(|part| part == ifname);
        let kept: Vec<Sysctl> = older.sysctls.into_iter().filter(still).collect();
        self.sysctls.retain(|s| kept.iter().all(|k| k.path != s.path));
        self.sysctls.splice(0..0, kept);
    }

    /// Reads a file; `None` where there is none, or one that nobody could have written.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let mut bytes = Vec::new();
        let read = regular::open(File::options().read(true), path)
            .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(e) if is_nowhere(&e) => return Ok(None),
            Err(e) => return Err(failed("read", path, &e)),
        }
        // Torn or foreign: nothing can be made of it.
        Ok(Json::parse(&bytes, "a backup").and_then(|tree| tree.decode()).ok())
    }

    /// Writes the file, whole or not at all. It need not outlive the boot, as no container does.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        kernel::fault::point("make the directory of backups")
            .and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(directory))
            .map_err(|e| failed("make the directory", directory, &e))?;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(Code::INTERNAL, format!("a backup: {e}")))?;
        durable::replace(path, &text).map_err(|e| failed("write", path, &e))
    }

    /// False when it is told to be of another attachment.
    pub fn may_be_of(&self, attachment: &Attachment) -> bool {
        let Attachment { network, container, ifname } = attachment;
        self.owner.as_ref().is_none_or(|owner| {
            owner.network == network.as_str()
                && owner.container == container.as_str()
                && owner.ifname == ifname.as_str()
        })
    }

    /// Brings everything back that is still there. The first trouble that may pass is an error; what
    /// the kernel will never take is warned of.
    pub fn restore(&self, netns: &Netns, socket: &Socket) -> Result<(), Error> {
        let Some(owner) = &self.owner else { return Ok(()) };
        if netns.cookie()? != owner.cookie {
            return Ok(());
        }
        let mut errors = Vec::new();
        netns.enter(|| {
            for Sysctl { path, value } in self.sysctls.iter().rev() {
                // One that was not changed may be one that cannot be.
                if sysctl::read(path).is_ok_and(|now| now == *value) {
                    continue;
                }
                errors.extend(passing(sysctl::write(path, &format!("{value}\n"))));
            }
            Ok(())
        })?;
        errors.extend(self.restore_link(socket, &owner.ifname, Some(owner.index))?);
        Error::all(errors)
    }

    /// Brings the interface's attributes back.
    pub fn restore_link(
        &self,
        socket: &Socket,
        ifname: &str,
        index: Option<u32>,
    ) -> Result<Vec<Error>, Error> {
        let found = link::get(socket, ifname)?;
        let Some(link) = found.filter(|link| index.is_none_or(|index| index == link.index)) else {
            return Ok(Vec::new());
        };
        let (at, name) = (link.index, link.name.as_str());
        let mut requests = Vec::new();
        requests.extend(self.tx_q_len.map(|n| link::set_tx_queue_length(at, name, n)));
        requests.extend(self.allmulti.map(|on| link::set_all_multicast(at, name, on)));
        requests.extend(self.mtu.filter(|n| *n != 0).map(|n| link::set_mtu(at, name, n)));
        requests.extend(self.promisc.map(|on| link::set_promiscuous(at, name, on)));
        requests.extend(self.mac.map(|mac| link::set_mac(at, name, mac)));
        Ok(socket.run_all(&requests).into_iter().filter_map(passing).collect())
    }
}

/// An error that may pass; one that will not is warned of.
fn passing(outcome: kernel::Result<()>) -> Option<Error> {
    let error = outcome.err()?;
    if error.is_gone() {
        return None;
    }
    match error.errno() {
        libc::EPERM | libc::EACCES | libc::EROFS | libc::EINVAL | libc::EOPNOTSUPP => {
            cni::warn(format_args!("tuning: not as it was before: {error}"));
            None
        }
        _ => Some(error.into()),
    }
}
