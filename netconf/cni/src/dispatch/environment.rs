//! The environment variables of the protocol (spec section 2, "Parameters").

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{Code, ContainerId, Error, IfName, PluginPath, Version};

/// The variables, as they came. Absent and empty are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `CNI_COMMAND`
    pub command: String,
    /// `CNI_CONTAINERID`
    pub container_id: String,
    /// `CNI_NETNS`
    pub netns: OsString,
    /// `CNI_IFNAME`
    pub ifname: String,
    /// `CNI_ARGS`
    pub args: String,
    /// `CNI_PATH`
    pub path: OsString,
    /// `CNI_NETNS_OVERRIDE`: `1` or `true` lets `CNI_NETNS` be the plugin's own namespace.
    pub netns_override: String,
    /// True when `CNI_NETNS` is the network namespace that the plugin itself runs in.
    pub netns_is_own: bool,
}

/// A verb of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

/// What a call is about, as far as the environment says it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) verb: Verb,
    /// For ADD, DEL and CHECK.
    pub(super) names: Option<(ContainerId, IfName)>,
}

impl Verb {
    fn named(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "ADD" => Self::Add,
            "DEL" => Self::Del,
            "CHECK" => Self::Check,
            "GC" => Self::Gc,
            "STATUS" => Self::Status,
            "VERSION" => Self::Version,
            _ => {
                return Err(Error::new(
                    Code::ENVIRONMENT,
                    format!("unknown CNI_COMMAND: {}", text.escape_debug()),
                )
                .details("known are ADD, DEL, CHECK, GC, STATUS and VERSION, in capital letters"));
            }
        })
    }

    fn is_about_an_attachment(self) -> bool {
        matches!(self, Self::Add | Self::Del | Self::Check)
    }

    /// Refuses a verb that the config's version did not have yet. Code 1.
    pub(super) fn exists_in(self, version: Version) -> Result<(), Error> {
        let (name, since) = match self {
            Self::Check => ("CHECK", Version::V0_4_0),
            Self::Gc => ("GC", Version::V1_1_0),
            Self::Status => ("STATUS", Version::V1_1_0),
            Self::Add | Self::Del | Self::Version => return Ok(()),
        };
        if version >= since {
            return Ok(());
        }
        Err(Error::new(Code::VERSION, format!("config version does not allow {name}"))
            .details(format!("config is {version}, {name} came with {since}")))
    }
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let text = |name| env::var_os(name).unwrap_or_default().to_string_lossy().into_owned();
        let netns = env::var_os("CNI_NETNS").unwrap_or_default();
        Self {
            command: text("CNI_COMMAND"),
            container_id: text("CNI_CONTAINERID"),
            netns_is_own: is_own(Path::new(&netns)),
            netns,
            ifname: text("CNI_IFNAME"),
            args: text("CNI_ARGS"),
            path: env::var_os("CNI_PATH").unwrap_or_default(),
            netns_override: text("CNI_NETNS_OVERRIDE"),
        }
    }

    /// The verb and the names it is about. Code 4: the first value that is illegal, or else all
    /// variables that are missing, in one error.
    pub(super) fn target(&self) -> Result<Target, Error> {
        let verb = Verb::named(&self.command)?;
        let mut missing = Vec::new();
        let mut names = None;
        if verb.is_about_an_attachment() {
            let container = named("CNI_CONTAINERID", &self.container_id, &mut missing)?;
            if self.netns.is_empty() && verb != Verb::Del {
                missing.push("CNI_NETNS");
            }
            let ifname = named("CNI_IFNAME", &self.ifname, &mut missing)?;
            names = container.zip(ifname);
        }
        if self.path.is_empty() && verb != Verb::Version {
            missing.push("CNI_PATH");
        }
        if missing.is_empty() {
            return Ok(Target { verb, names });
        }
        Err(Error::new(
            Code::ENVIRONMENT,
            format!("required env variables [{}] missing", missing.join(",")),
        ))
    }

    pub(super) fn plugin_path(&self) -> PluginPath {
        PluginPath(env::split_paths(&self.path).filter(|p| !p.as_os_str().is_empty()).collect())
    }

    /// `CNI_NETNS` for an attachment. Our own namespace is the node's: ADD must not touch it (code
    /// 8). DEL meets it when the path was `/proc/<pid>/ns/net` and the process id was given to
    /// somebody else meanwhile: the container's namespace is gone then, and what the attachment
    /// holds outside of it still has to be freed.
    pub(super) fn netns_for(
        &self,
        verb: Verb,
        warnings: &mut Vec<String>,
    ) -> Result<Option<PathBuf>, Error> {
        let netns = (!self.netns.is_empty()).then(|| PathBuf::from(&self.netns));
        let overridden =
            self.netns_override == "1" || self.netns_override.eq_ignore_ascii_case("true");
        if !self.netns_is_own || overridden {
            return Ok(netns);
        }
        let which = self.netns.display();
        match verb {
            Verb::Add => Err(Error::new(
                Code::NETNS,
                format!("CNI_NETNS {which} is the plugin's own network namespace"),
            )
            .details("CNI_NETNS_OVERRIDE=1 allows it")),
            Verb::Del => {
                warnings.push(format!(
                    "CNI_NETNS {which} is the plugin's own network namespace; DEL leaves it alone"
                ));
                Ok(None)
            }
            _ => Ok(netns),
        }
    }
}

/// A value that has to be there, checked if it is.
fn named<T: std::str::FromStr<Err = Error>>(
    name: &'static str,
    value: &str,
    missing: &mut Vec<&'static str>,
) -> Result<Option<T>, Error> {
    if value.is_empty() {
        missing.push(name);
        return Ok(None);
    }
    value.parse().map(Some).map_err(|e: Error| e.while_(name))
}

/// Namespaces are one when their files in nsfs are (namespaces(7)).
fn is_own(netns: &Path) -> bool {
    let file = |path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    !netns.as_os_str().is_empty()
        && file(netns).is_some_and(|theirs| file(Path::new("/proc/self/ns/net")) == Some(theirs))
}
