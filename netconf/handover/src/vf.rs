//! What the physical function decides about a VF: set, read back, compared, and set back.

mod address;
mod handle;
mod refusal;
mod step;
mod trunk;

use kernel::MacAddr;
use kernel::link::{VfLinkState, VfVlan};
use serde::{Deserialize, Serialize};

pub use address::Own;
pub use handle::Handle;
pub use trunk::VfTrunk;

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
    /// `trunk`
    pub trunk: Option<VfTrunk>,
}

impl VfWanted {
    /// True when the VF is to be left as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same without the address, which [`Handle::take_mac`] sets on both sides.
    #[must_use]
    pub fn without_mac(&self) -> Self {
        Self { mac: None, ..self.clone() }
    }
}
