//! The verbs.

use cni::{AddResult, Call, Code, Error, GcCall, NetConf, Plugin, StatusCall};

use crate::Wanted;

/// What tells `sriov` from `host-device`.
pub trait Kind {
    /// The plugin's `type`.
    const NAME: &'static str;

    /// Reads the options, finds the device and refuses what this plugin does not give away. Nothing is
    /// changed.
    fn wanted(&self, call: &Call) -> Result<Wanted, Error>;

    /// Says whether the configuration could serve: code 50 when not.
    fn status(&self, conf: &NetConf) -> Result<(), Error>;
}

/// The plugin of a kind.
#[derive(Debug)]
pub struct Handover<K>(pub K);

impl<K: Kind> Plugin for Handover<K> {
    const NAME: &'static str = K::NAME;

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let _ = self.0.wanted(call)?;
        Err(Error::new(Code::IO, "to be written"))
    }

    fn del(&self, _call: &Call) -> Result<(), Error> {
        Err(Error::new(Code::IO, "to be written"))
    }

    fn check(&self, _call: &Call) -> Result<(), Error> {
        Err(Error::new(Code::IO, "to be written"))
    }

    fn gc(&self, _call: &GcCall) -> Result<(), Error> {
        Err(Error::new(Code::IO, "to be written"))
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        self.0.status(&call.conf)
    }
}
