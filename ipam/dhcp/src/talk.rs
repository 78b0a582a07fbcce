//! What plugin and daemon say to each other: one line of JSON each way per connection.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::lease::{Family, Lease};

/// Where the daemon listens when nothing else is said.
pub const SOCKET: &str = "/run/cni/dhcp.sock";

/// A longer line is not read to its end. GC lists every attachment of the node, with some 80 bytes
/// each.
pub const LONGEST_LINE: usize = 8 << 20;

/// What is asked of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// A lease for an attachment.
    Add(Wanted),
    /// The lease that an attachment has.
    Check(Holder),
    /// The leases of an attachment, of both families, are not needed any more.
    Del(Holder),
    /// One that an ADD has just been granted is not needed, because the rest of it failed. What a later
    /// ADD has is left alone.
    Undo {
        /// Who holds it.
        holder: Holder,
        /// As in [`Answer::Granted`].
        born: u64,
    },
    /// No lease of the network is needed any more but those of these containers' interfaces.
    Gc {
        /// The network.
        network: String,
        /// Container and interface.
        keep: BTreeSet<(String, String)>,
    },
    /// Whether anybody is there.
    Status,
}

/// Who has a lease: an attachment, for one of the families.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Holder {
    /// The network.
    pub network: String,
    /// The container.
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
    /// What the lease is of.
    #[serde(default, skip_serializing_if = "Family::is_default")]
    pub family: Family,
}

impl Holder {
    /// The same attachment, for this family.
    #[must_use]
    pub fn of(&self, family: Family) -> Self {
        Self { family, ..self.clone() }
    }
}

impl From<&cni::Attachment> for Holder {
    fn from(attachment: &cni::Attachment) -> Self {
        Self {
            network: attachment.network.to_string(),
            container: attachment.container.to_string(),
            ifname: attachment.ifname.to_string(),
            family: Family::default(),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)?;
        match self.family {
            Family::Ipv4 => Ok(()),
            // No interface's name has a blank.
            Family::Ipv6 => write!(f, " ({})", self.family),
        }
    }
}

/// The lease that an attachment wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Who wants it.
    pub holder: Holder,
    /// The container's namespace, as the runtime names it.
    pub netns: PathBuf,
    /// The options of DHCP to send, by code.
    pub provide: BTreeMap<u8, Vec<u8>>,
    /// The codes of the options of DHCP to ask for.
    pub request: BTreeSet<u8>,
    /// The metric of the routes; 0 leaves it to the kernel.
    pub priority: u32,
}

/// The daemon's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The lease asked for, which was there.
    Lease(Lease),
    /// The lease asked for, which is there because it was asked for.
    Granted {
        /// The lease.
        lease: Lease,
        /// Tells it from others that the holder has had or will have.
        born: u64,
    },
    /// It is done.
    Done,
    /// It could not be done.
    Error {
        /// The CNI code.
        code: u32,
        /// One line.
        msg: String,
        /// The rest.
        details: String,
    },
}

impl From<cni::Error> for Answer {
    fn from(error: cni::Error) -> Self {
        Self::Error { code: error.code.0, msg: error.msg, details: error.details }
    }
}
