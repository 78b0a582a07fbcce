//! A call of a plugin: environment and configuration, parsed and validated.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::json::Spelling;
use crate::{
    AddResult, Attachment, Code, ContainerId, Error, IfName, Json, NetworkName, PluginPath, Version,
};

/// The network configuration that came on stdin.
#[derive(Clone, Debug)]
pub struct NetConf {
    /// The network's name.
    pub network: NetworkName,
    /// The version that results must have.
    pub version: Version,
    /// The bytes as they came: what a delegate is handed. Everything else was read from them once;
    /// for other bytes, [`parse`](Self::parse) anew or derive a configuration [`with`](Self::with)
    /// other members.
    pub raw: Vec<u8>,
    tree: Arc<Json>,
    spelling: Option<Arc<Spelling>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    cni_version: String,
    name: String,
}

impl NetConf {
    /// Reads a configuration. Code 6 when it is no JSON object or the types of its `name` or
    /// `cniVersion` are wrong, 7 for a name that is missing or illegal, 1 for a version that does
    /// not exist.
    pub fn parse(raw: Vec<u8>) -> Result<Self, Error> {
        Self::parse_for(raw, Version::ALL, &mut Version::V1_1_0)
    }

    /// [`parse`](Self::parse) for a plugin that supports those versions. `spoken` becomes the
    /// config's as soon as that is known, for errors to be told in.
    pub(crate) fn parse_for(
        raw: Vec<u8>,
        supported: &[Version],
        spoken: &mut Version,
    ) -> Result<Self, Error> {
        let tree = Json::parse(&raw, "the network configuration")?;
        let head: Head = tree.decode().map_err(|e| e.while_("the network configuration"))?;
        let text = match head.cni_version.as_str() {
            "" => Version::V0_1_0.as_str(),
            text => text,
        };
        let version = Version::named(text)
            .filter(|version| supported.contains(version))
            .ok_or_else(|| incompatible(text, supported))?;
        *spoken = version;
        let network = head.name.parse()?;
        Ok(Self { network, version, raw, tree: Arc::new(tree), spelling: None })
    }

    /// The configuration as `T`. Keys match without regard to case at every level, `null` is the
    /// zero value, unknown keys pass, of duplicate keys the last one counts (see
    /// [`Json::decode`]). Code 6 or 7, with the path of the offending key.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.tree.decode_noting(self.spelling.as_deref())
    }

    /// The same configuration with these members set: a key that is there, in whatever letter case,
    /// is replaced where it stands (see [`Json::set`]), `null` unsets it, and [`raw`](Self::raw) is
    /// the new text. `name` and `cniVersion` are no keys for it: network and version stay.
    ///
    /// Misspelt keys are noted for both together: what is known to whoever decodes the one or the
    /// other is no slip, and what is known to neither earns one warning.
    #[must_use]
    pub fn with(&self, members: Vec<(&str, Json)>) -> Self {
        let mut tree = Json::clone(&self.tree);
        for (key, value) in members {
            tree.set(key, value);
        }
        let raw = tree.to_string().into_bytes();
        Self { raw, tree: Arc::new(tree), ..self.clone() }
    }

    /// The configuration as a tree.
    pub fn tree(&self) -> &Json {
        &self.tree
    }

    /// From now on notes keys that look misspelt.
    pub(crate) fn note_spelling(&mut self) {
        self.spelling = Some(Arc::default());
    }

    /// The misspelt keys met so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.spelling.as_ref().map(|spelling| spelling.warnings()).unwrap_or_default()
    }
}

/// The refusal of a configuration's version; the words are the reference's, which scripts know.
fn incompatible(config: &str, supported: &[Version]) -> Error {
    let supported: Vec<_> = supported.iter().map(|version| version.as_str()).collect();
    Error::new(Code::VERSION, "incompatible CNI versions")
        .details(format!("config is {config:?}, plugin supports {supported:?}"))
}

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
