//! Where the executables of plugins are.

use std::path::PathBuf;

use crate::{Code, Error};

/// Where executables of plugins are looked for: `CNI_PATH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginPath(pub Vec<PathBuf>);

impl PluginPath {
    /// The executable of the plugin named `kind` (a config's `type`): the first regular file of
    /// that name. Whether it may be executed shows when it is, as with the reference. Code 7.
    pub fn find(&self, kind: &str) -> Result<PathBuf, Error> {
        if kind.is_empty() {
            return Err(Error::new(Code::CONFIG, "type is missing: no plugin is named"));
        }
        if kind.contains('/') || kind == "." || kind == ".." {
            return Err(Error::config(
                "type",
                format_args!("{kind:?}"),
                "names a path, not a plugin",
            ));
        }
        self.0
            .iter()
            .filter(|directory| !directory.as_os_str().is_empty())
            .map(|directory| directory.join(kind))
            .find(|file| file.is_file())
            .ok_or_else(|| {
                let searched: Vec<_> = self.0.iter().map(|d| d.display().to_string()).collect();
                Error::config("type", format_args!("{kind:?}"), "no such plugin in CNI_PATH")
                    .details(format!("searched: {}", searched.join(", ")))
            })
    }
}
