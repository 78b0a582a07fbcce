//! What the physical function decides about a VF: set, read back, compared, and set back.

use attach::finding::Findings;
use cni::{Code, Error};
use kernel::link::{Vf, VfLinkState, VfVlan};
use kernel::{MacAddr, Socket};
use serde::{Deserialize, Serialize};

use crate::OnUnsupported;

/// What is asked for, each `None` where the VF is to be left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VfWanted {
    /// `vlan`, `vlanQoS`, `vlanProto`
    pub vlan: Option<VfVlan>,
    /// `mac`: its administrative address.
    pub mac: Option<MacAddr>,
    /// `min_tx_rate` in Mbit/s; the other bound stays.
    pub min_rate: Option<u32>,
    /// `max_tx_rate` in Mbit/s; the other bound stays.
    pub max_rate: Option<u32>,
    /// `spoofchk`
    pub spoof_check: Option<bool>,
    /// `trust`
    pub trust: Option<bool>,
    /// `link_state`
    pub link_state: Option<VfLinkState>,
    /// `queryRss`
    pub query_rss: Option<bool>,
}

/// A VF as its physical function is asked about it.
#[derive(Debug)]
pub struct Handle<'a> {
    /// A socket in the PF's namespace.
    pub socket: &'a Socket,
    /// The PF's interface.
    pub pf: &'a str,
    /// Its index.
    pub pf_index: u32,
    /// The VF's number.
    pub vf: u32,
}

impl Handle<'_> {
    /// The VF as it is now. `None` where the PF keeps no list of its VFs (paravirtual ones). Code 7 when
    /// the list lacks this one.
    pub fn read(&self) -> Result<Option<Vf>, Error> {
        let _ = self;
        Err(Error::new(Code::IO, "to be written"))
    }

    /// Sets what is wanted and differs from `original`, one after the other, each read back. The error
    /// names the setting, the VF and the kernel's reason; what was set before stays set, and
    /// [`restore`](Self::restore) takes it back.
    pub fn apply(
        &self,
        original: &Vf,
        wanted: &VfWanted,
        unsupported: OnUnsupported,
    ) -> Result<(), Error> {
        let _ = (self, original, wanted, unsupported);
        Err(Error::new(Code::IO, "to be written"))
    }

    /// Sets back, of all that was wanted, what is not as in `original`, each read back. Goes on after
    /// errors.
    pub fn restore(&self, original: &Vf, wanted: &VfWanted) -> Vec<Error> {
        let _ = (self, original, wanted);
        Vec::new()
    }

    /// Adds a finding for each setting that is not as wanted.
    pub fn compare(&self, wanted: &VfWanted, findings: &mut Findings) -> Result<(), Error> {
        let _ = (self, wanted, findings);
        Ok(())
    }
}
