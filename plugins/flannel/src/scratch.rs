//! What was delegated, kept until the DEL: the subnet may be another one by then.
//!
//! flannel's own plugin names these files by the container alone, so that a second interface of the
//! container takes the place of the first. Ours are named by container and interface; the older name is
//! read where there is no other, so that containers of both can be deleted.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cni::{Attachment, Code, ContainerId, Error, IfName, Json, NetConf, NetworkName};
use kernel::{durable, fault, regular};

use crate::config::Config;

/// No configuration is larger.
const LARGEST: u64 = 1 << 20;

/// The file of an attachment.
pub struct Scratch {
    path: PathBuf,
    older: PathBuf,
}

impl Scratch {
    pub fn of(config: &Config, attachment: &Attachment) -> Self {
        let Attachment { container, ifname, .. } = attachment;
        // Neither name has a colon.
        let path = config.data_dir.join(format!("{container}:{ifname}"));
        Self { path, older: config.data_dir.join(container.as_str()) }
    }

    /// Keeps what is about to be delegated. Code 5.
    pub fn write(&self, conf: &NetConf) -> Result<(), Error> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let failed = |e: io::Error| {
            Error::new(Code::IO, format!("dataDir: write {}: {e}", self.path.display()))
        };
        fault::point("make a directory").map_err(failed)?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        durable::replace(&self.path, &conf.raw).map_err(failed)
    }

    /// What was delegated, for a call of `conf`'s network: the previous result is the call's. A file
    /// that cannot be read, or is another network's, is none.
    pub fn read(&self, conf: &NetConf) -> Option<NetConf> {
        let kept = [&self.path, &self.older].into_iter().find_map(|path| read(path))?;
        if kept.network != conf.network {
            return None;
        }
        let prev = conf.tree().get("prevResult").cloned().unwrap_or_default();
        Some(kept.with(vec![("prevResult", prev)]))
    }

    /// Removes the file, of whichever name. Code 5.
    pub fn remove(&self) -> Result<(), Error> {
        for path in [&self.path, &self.older] {
            remove(path)?;
        }
        Ok(())
    }
}

/// Removes the files of a network's attachments that are not valid any more. Goes on after errors.
pub fn collect(
    config: &Config,
    network: &NetworkName,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> Vec<Error> {
    let Ok(entries) = fs::read_dir(&config.data_dir) else { return Vec::new() };
    let mut errors = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_valid = match name.split_once(':') {
            Some((container, ifname)) => {
                valid.iter().any(|(c, i)| c.as_str() == container && i.as_str() == ifname)
            }
            None => valid.iter().any(|(c, _)| c.as_str() == name),
        };
        if !is_valid && read(&path).is_some_and(|kept| kept.network == *network) {
            errors.extend(remove(&path).err());
        }
    }
    errors
}

fn read(path: &Path) -> Option<NetConf> {
    let mut text = Vec::new();
    let file = regular::open(File::options().read(true), path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    let kept = NetConf::parse(text).ok()?;
    kept.tree().get("type").and_then(Json::as_str)?;
    Some(kept)
}

fn remove(path: &Path) -> Result<(), Error> {
    durable::discard(path)
        .map(drop)
        .map_err(|e| Error::new(Code::IO, format!("dataDir: remove {}: {e}", path.display())))
}
