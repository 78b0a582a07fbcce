//! What every verb works with.

use cni::{Attachment, Code, Error, NetConf};
use devices::{Device, DeviceId, Roots};
use kernel::link::Link;
use kernel::{Lock, Netns, Socket};

use crate::journal::{Entry, Journal};
use crate::record::Record;
use crate::wanted::{Sought, link_device};

/// The node: its journal, its devices, its namespace.
#[derive(Debug)]
pub struct Desk {
    /// The journal.
    pub journal: Journal,
    /// Where devices are read from.
    pub roots: Roots,
    /// The node's namespace.
    pub home: Netns,
    /// A socket in it.
    pub host: Socket,
    /// Which boot this is.
    pub boot: String,
    /// What the locks are taken for.
    pub who: String,
}

/// Everything in a journal.
#[derive(Debug, Default)]
pub struct Survey {
    /// The whole records, each with its device.
    pub records: Vec<(DeviceId, Record)>,
    /// The damaged ones, and what is wrong with them.
    pub damaged: Vec<(DeviceId, String)>,
}

impl Desk {
    /// Opens it all. `who` is told to processes that wait for a lock in vain.
    pub fn open(conf: &NetConf, who: String) -> Result<Self, Error> {
        Ok(Self {
            journal: Journal::of(conf)?,
            roots: Roots::system(),
            home: Netns::own()?,
            host: Socket::open()?,
            boot: kernel::boot_id()?,
            who,
        })
    }

    /// Locks a device.
    pub fn lock(&self, id: &DeviceId) -> Result<Lock, Error> {
        self.journal.lock(id, &self.who)
    }

    /// Everything in the journal; damaged records are told on stderr.
    pub fn survey(&self) -> Result<Survey, Error> {
        let survey = self.stock()?;
        for (_, why) in &survey.damaged {
            cni::warn(format_args!("the journal is damaged: {why}"));
        }
        Ok(survey)
    }

    /// The same without a word.
    pub fn stock(&self) -> Result<Survey, Error> {
        let mut survey = Survey::default();
        for id in self.journal.list()? {
            match self.journal.read(&id)? {
                Entry::Nothing => {}
                Entry::Whole(record) => survey.records.push((id, *record)),
                Entry::Damaged(why) => survey.damaged.push((id, why)),
            }
        }
        Ok(survey)
    }

    /// The records of an attachment: one, unless an ADD was killed and the next one of the attachment
    /// had another device.
    pub fn of(&self, attachment: &Attachment) -> Result<Vec<(DeviceId, Record)>, Error> {
        let mut all = self.survey()?.records;
        all.retain(|(_, record)| record.owner.is(attachment));
        Ok(all)
    }
}

/// True when a container has a device of this name, so that it is not on the node, but was.
pub fn is_lent(conf: &NetConf, sought: &Sought) -> Result<bool, Error> {
    let journal = Journal::of(conf)?;
    for id in journal.list()? {
        if let Entry::Whole(record) = journal.read(&id)?
            && sought.means(&id, &record)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The device of a network interface of the node, or the interface itself as one.
pub fn device_of(roots: &Roots, link: &Link) -> Result<Device, Error> {
    // A virtual link is no device's, and where sysfs shows another namespace than ours, a name in it is
    // somebody else's.
    if link.kind.is_empty()
        && let Some(device) = or_none(roots.device_of_link(&link.name))?
        && device.netdevs.iter().any(|own| own.index == link.index && own.name == link.name)
    {
        return Ok(device);
    }
    link_device(link)
}

/// Without what sysfs does not have.
fn or_none(found: Result<Option<Device>, Error>) -> Result<Option<Device>, Error> {
    match found {
        Err(e) if e.code == Code::CONFIG => Ok(None),
        other => other,
    }
}
