//! The verbs.

use cni::{AddResult, Call, Error, GcCall, NetConf, Plugin, StatusCall};

use crate::journal::Journal;
use crate::{Sought, Wanted, add, check, del};

/// What tells `sriov` from `host-device`.
pub trait Kind {
    /// The plugin's `type`.
    const NAME: &'static str;

    /// What the configuration calls the device, without looking anything up: a device that another
    /// container has is not on the node. Code 7 when two of its names contradict each other.
    fn sought(&self, call: &Call) -> Result<Sought, Error>;

    /// Reads the options, finds the device and refuses what this plugin does not give away. Nothing is
    /// changed. What both plugins refuse is refused afterwards: see [`Handover`].
    fn wanted(&self, call: &Call) -> Result<Wanted, Error>;

    /// Says whether the configuration could serve: code 50 when not, 7 for options that ADD would refuse.
    fn status(&self, conf: &NetConf) -> Result<(), Error>;
}

/// The plugin of a kind. ADD refuses, whatever the kind says: a device without a network driver and
/// without one of VFIO's or UIO's, a group that VFIO would refuse, a device that the node lives by.
#[derive(Debug)]
pub struct Handover<K>(pub K);

impl<K: Kind> Plugin for Handover<K> {
    const NAME: &'static str = K::NAME;

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        add::add(&self.0, call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        del::del(&self.0, call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        check::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        del::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        self.0.status(&call.conf)?;
        Journal::of(&call.conf)
            .and_then(|journal| journal.try_writing())
            .map_err(attach::ability::unavailable)?;
        attach::ability::ask_ipam(call)
    }
}
