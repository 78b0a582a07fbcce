//! A call of a plugin: environment and configuration, parsed and validated.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::{AddResult, Attachment, Code, ContainerId, Error, IfName, NetworkName, Version};

/// The network configuration that came on stdin.
#[derive(Clone, Debug)]
pub struct NetConf {
    /// The network's name.
    pub network: NetworkName,
    /// The version that results must have.
    pub version: Version,
    /// The bytes as they came: what a delegate is handed.
    pub raw: Vec<u8>,
}

impl NetConf {
    /// The configuration as `T`. Keys match without regard to case at every level, `null` is the
    /// zero value, unknown keys pass, of duplicate keys the last one counts. Code 6 or 7, with the
    /// path of the offending key.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.raw).map_err(|e| Error::new(Code::DECODE, e.to_string()))
    }
}

/// Where executables of plugins are looked for: `CNI_PATH`.
#[derive(Clone, Debug, Default)]
pub struct PluginPath(pub Vec<PathBuf>);

/// A call of ADD, DEL or CHECK.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is attached.
    pub attachment: Attachment,
    /// `CNI_NETNS`; ADD and CHECK always have one.
    pub netns: Option<PathBuf>,
    /// `CNI_ARGS`, unparsed.
    pub args: String,
    /// `CNI_PATH`.
    pub path: PluginPath,
    /// The configuration.
    pub conf: NetConf,
    /// The config's `prevResult`.
    pub prev_result: Option<AddResult>,
}

impl Call {
    /// `CNI_NETNS`, where the verb cannot do without it. Code 4 when there is none.
    pub fn netns(&self) -> Result<&Path, Error> {
        self.netns.as_deref().ok_or_else(|| {
            Error::new(Code::ENVIRONMENT, "required env variables [CNI_NETNS] missing")
        })
    }
}

/// A call of GC.
#[derive(Clone, Debug)]
pub struct GcCall {
    /// `CNI_PATH`.
    pub path: PluginPath,
    /// The configuration.
    pub conf: NetConf,
    /// The attachments that are to stay (`cni.dev/valid-attachments`); `None` when the key is
    /// missing, which means that nothing may be removed.
    pub valid: Option<BTreeSet<(ContainerId, IfName)>>,
}

/// A call of STATUS.
#[derive(Clone, Debug)]
pub struct StatusCall {
    /// `CNI_PATH`.
    pub path: PluginPath,
    /// The configuration.
    pub conf: NetConf,
}
