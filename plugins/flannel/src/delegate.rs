//! Whom the attachment is delegated to: to our own `bridge` and `ptp` in this process, to others by
//! executing them.

use cni::{AddResult, Call, Error, GcCall, Json, NetConf, PluginPath, StatusCall, delegate};

/// The plugin that attaches.
pub enum Delegate {
    Bridge,
    Ptp,
    Executed(String),
}

impl Delegate {
    /// The one that the delegate's configuration names. Code 7 for a path.
    pub fn of(conf: &NetConf, path: &PluginPath) -> Result<Self, Error> {
        let kind = conf.tree().get("type").and_then(Json::as_str).unwrap_or_default();
        if kind.contains('/') {
            let value = format_args!("{kind:?}");
            return Err(Error::config("delegate.type", value, "names a path, not a plugin"));
        }
        Ok(match kind {
            "bridge" if delegate::is_own(kind, path) => Self::Bridge,
            "ptp" if delegate::is_own(kind, path) => Self::Ptp,
            other => Self::Executed(other.to_owned()),
        })
    }

    pub fn add(&self, call: &Call) -> Result<AddResult, Error> {
        match self {
            Self::Bridge => attach::bridge::add(call),
            Self::Ptp => attach::ptp::add(call),
            Self::Executed(kind) => delegate::add(kind, call),
        }
    }

    pub fn del(&self, call: &Call) -> Result<(), Error> {
        match self {
            Self::Bridge => attach::bridge::del(call),
            Self::Ptp => attach::ptp::del(call),
            Self::Executed(kind) => delegate::del(kind, call),
        }
    }

    pub fn check(&self, call: &Call) -> Result<(), Error> {
        match self {
            Self::Bridge => attach::bridge::check(call),
            Self::Ptp => attach::ptp::check(call),
            Self::Executed(kind) => delegate::check(kind, call),
        }
    }

    pub fn gc(&self, call: &GcCall) -> Result<(), Error> {
        match self {
            Self::Bridge => attach::bridge::gc(call),
            Self::Ptp => attach::ptp::gc(call),
            Self::Executed(kind) => delegate::gc(kind, call),
        }
    }

    pub fn status(&self, call: &StatusCall) -> Result<(), Error> {
        match self {
            Self::Bridge => attach::bridge::status(call),
            Self::Ptp => attach::ptp::status(call),
            Self::Executed(kind) => delegate::status(kind, call),
        }
    }
}
