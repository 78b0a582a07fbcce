//! Asking the address manager: a first version that answers in-process only.

use std::net::IpAddr;

use cni::{AddResult, Call, Code, Error, GcCall, NetConf, Plugin, PluginPath, StatusCall};
use serde::Deserialize;

use crate::{HostLocal, Static};

/// The address manager that a config names.
#[derive(Clone, Copy, Debug)]
pub enum Ipam {
    /// `host-local`
    HostLocal,
    /// `static`
    Static,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conf {
    ipam: Section,
}

impl Ipam {
    /// `None` when the config names no address manager.
    pub fn of(conf: &NetConf, _: &PluginPath) -> Result<Option<Self>, Error> {
        let conf: Conf = conf.decode()?;
        match conf.ipam.r#type.as_str() {
            "" => Ok(None),
            "host-local" => Ok(Some(Self::HostLocal)),
            "static" => Ok(Some(Self::Static)),
            other => Err(Error::new(Code::CONFIG, format!("ipam.type {other:?} is unknown"))),
        }
    }

    /// ADD.
    pub fn add(&self, call: &Call) -> Result<AddResult, Error> {
        match self {
            Self::HostLocal => HostLocal.add(call),
            Self::Static => Static.add(call),
        }
    }

    /// DEL; gives the addresses released, where they are known.
    pub fn del(&self, call: &Call) -> Result<Vec<IpAddr>, Error> {
        match self {
            Self::HostLocal => HostLocal.del(call),
            Self::Static => Static.del(call),
        }
        .map(|()| Vec::new())
    }

    /// The addresses that the attachment holds, where they are known.
    pub fn leases(&self, _: &Call) -> Vec<IpAddr> {
        Vec::new()
    }

    /// CHECK.
    pub fn check(&self, call: &Call) -> Result<(), Error> {
        match self {
            Self::HostLocal => HostLocal.check(call),
            Self::Static => Static.check(call),
        }
    }

    /// GC.
    pub fn gc(&self, call: &GcCall) -> Result<(), Error> {
        match self {
            Self::HostLocal => HostLocal.gc(call),
            Self::Static => Static.gc(call),
        }
    }

    /// STATUS.
    pub fn status(&self, call: &StatusCall) -> Result<(), Error> {
        match self {
            Self::HostLocal => HostLocal.status(call),
            Self::Static => Static.status(call),
        }
    }
}
