//! A network's configuration, as it stands in a NetworkAttachmentDefinition or in a file.

use std::collections::BTreeMap;

use cni::{Code, Error, Json, NetworkName, Version};
use serde::Deserialize;

use crate::marshal;

/// A network: one plugin or several, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// `cniVersion` as it is written; `None` where it is missing, which means 0.1.0.
    pub version: Option<Version>,
    /// The plugins; at least one.
    pub plugins: Vec<PluginConf>,
    /// It is a list (`plugins`), not the configuration of a single plugin.
    pub is_list: bool,
    /// The list forbids CHECK (`disableCheck`).
    pub disable_check: bool,
}

/// A plugin's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConf {
    /// Its `type`.
    pub kind: String,
    /// The configuration as a tree: keys in order, each once, as everything is that passed through Go.
    pub tree: Json,
    /// The capabilities it declares, those with `false` left out.
    pub capabilities: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    cni_version: String,
    cni_versions: Vec<String>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    plugins: Option<Vec<Json>>,
    disable_check: Option<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Plugin {
    #[serde(rename = "type")]
    kind: String,
    capabilities: BTreeMap<String, bool>,
}

impl Network {
    /// Reads a configuration or a list of them. One without a name gets `fallback`. Codes 6 and 7.
    pub fn parse(text: &[u8], fallback: &str) -> Result<Self, Error> {
        let tree = Json::parse(text, "the configuration")?;
        if !matches!(tree, Json::Object(_)) {
            let msg = format!("must be a JSON object, not {}", tree.kind());
            return Err(Error::new(Code::DECODE, msg));
        }
        let mut tree = marshal::canonical(&tree);
        let head: Head = tree.decode()?;
        let name = if head.name.is_empty() { fallback } else { &head.name };
        let name: NetworkName = name.parse()?;
        marshal::insert(&mut tree, "name", Json::from(name.as_str()));
        let version = newest(&head)?;
        if !head.kind.is_empty() {
            let plugins = vec![PluginConf::new(tree)?];
            return Ok(Self { name, version, plugins, is_list: false, disable_check: false });
        }
        let Some(plugins) = head.plugins else {
            return Err(Error::new(Code::CONFIG, "there is neither a type nor a list of plugins")
                .details("add \"type\" with the name of the plugin's executable"));
        };
        if plugins.is_empty() {
            return Err(Error::new(Code::CONFIG, "plugins: the list is empty"));
        }
        let plugins = plugins.into_iter().enumerate().map(|(i, plugin)| {
            PluginConf::new(plugin).map_err(|e| e.while_(format_args!("plugins[{i}]")))
        });
        let plugins = plugins.collect::<Result<_, _>>()?;
        let disable_check = switch(head.disable_check.as_ref())?;
        Ok(Self { name, version, plugins, is_list: true, disable_check })
    }

    /// The version that is written, and where none is, what that means.
    pub fn version(&self) -> Version {
        self.version.unwrap_or(Version::V0_1_0)
    }

    /// Whether one of the plugins declares the capability.
    pub fn is_capable_of(&self, capability: &str) -> bool {
        self.plugins.iter().any(|p| p.capabilities.iter().any(|c| c == capability))
    }
}

impl PluginConf {
    fn new(tree: Json) -> Result<Self, Error> {
        if !matches!(tree, Json::Object(_)) {
            let msg = format!("must be an object, not {}", tree.kind());
            return Err(Error::new(Code::DECODE, msg));
        }
        let Plugin { kind, capabilities } = tree.decode()?;
        if kind.is_empty() {
            return Err(Error::new(Code::CONFIG, "type is missing")
                .details("it is the name of the plugin's executable"));
        }
        if kind.contains('/') || kind == "." || kind == ".." {
            return Err(Error::config("type", Json::from(kind), "names a path, not a plugin"));
        }
        let capabilities = capabilities.into_iter().filter(|(_, on)| *on).map(|(c, _)| c);
        Ok(Self { kind, capabilities: capabilities.collect(), tree })
    }
}

/// libcni takes the newest version that it knows of `cniVersion` and `cniVersions`.
fn newest(head: &Head) -> Result<Option<Version>, Error> {
    let named = |key: &str, text: &str| {
        Version::named(text).ok_or_else(|| {
            let known: Vec<_> = Version::ALL.iter().map(|v| v.as_str()).collect();
            Error::config(key, Json::from(text), "no such version of CNI")
                .details(format!("there are {}", known.join(", ")))
        })
    };
    let own = match head.cni_version.as_str() {
        "" => None,
        text => Some(named("cniVersion", text)?),
    };
    let listed = head.cni_versions.iter().filter_map(|text| Version::named(text));
    Ok(listed.chain(own).max())
}

/// A switch of a list may be a text, too.
fn switch(value: Option<&Json>) -> Result<bool, Error> {
    match value {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(on)) => Ok(*on),
        Some(Json::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Json::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => Err(Error::config("disableCheck", other, "must be true or false")),
    }
}
