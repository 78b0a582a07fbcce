//! What all commands of the agent are told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cni::{Code, Error};

use super::serve::Address;

/// Where flannel's plugins look for it.
const SUBNET_ENV: &str = "/run/flannel/subnet.env";

/// The arguments.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The network's conflist, as the runtime reads it
    #[arg(long, value_name = "CONFLIST")]
    pub network: PathBuf,
    /// Where the fleet is described
    #[arg(long, value_enum, default_value_t = Kind::File)]
    pub source: Kind,
    /// With file: the fleet's file, or a directory with a file for each node [default: the plugin's
    /// peersFile itself]; with kubernetes: a kubeconfig [default: the environment's, or the cluster's
    /// around this process]; with etcd: the endpoints, separated by commas
    #[arg(long, value_name = "PATH")]
    pub from: Option<PathBuf>,
    /// This node's name in the fleet [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Of the source kubernetes alone
    #[cfg(feature = "kubernetes")]
    #[command(flatten)]
    pub kubernetes: super::source::kubernetes::Options,
    /// Of the source etcd alone
    #[cfg(feature = "etcd")]
    #[command(flatten)]
    pub etcd: super::source::etcd::Options,
    /// Write what flannel's plugin reads, too
    #[arg(
        long, value_name = "PATH", num_args = 0..=1, require_equals = true,
        default_missing_value = SUBNET_ENV, value_parser = absolute,
    )]
    pub subnet_env: Option<PathBuf>,
    /// Serve /healthz, /readyz and /metrics at 127.0.0.1:PORT, [::1]:PORT or unix:/path
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Address>,
    /// How to write the log
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub log_format: Format,
    /// How much of it
    #[arg(long, value_enum, default_value_t = Level::Info)]
    pub log_level: Level,
}

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A file, or a directory of files
    File,
    /// The Node objects of Kubernetes
    Kubernetes,
    /// etcd, as flannel lays it out
    Etcd,
}

/// A form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line of text for each event
    Text,
    /// A JSON object for each event
    Json,
}

/// The least important event that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What fails
    Error,
    /// What needs somebody's attention
    Warn,
    /// What is done
    Info,
    /// Each step of it
    Debug,
}

/// A path that means the same wherever the agent is started.
fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("must be an absolute path".to_owned()) }
}

impl Arguments {
    /// This node's name. Code 4 when none is given and the host's cannot be told.
    pub fn node(&self) -> Result<String, Error> {
        if let Some(name) = &self.node {
            return Ok(name.clone());
        }
        let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        name.filter(|name| !name.is_empty()).ok_or_else(|| {
            Error::new(Code::ENVIRONMENT, "this host's name cannot be told").details("give --node")
        })
    }

    /// True when the source is the file that the plugins read, which nobody but its owner writes.
    pub fn follows_the_plugins_own(&self) -> bool {
        self.source == Kind::File && self.from.is_none()
    }

    /// The source in a few words.
    pub fn describe(&self) -> String {
        match (self.source, &self.from) {
            (Kind::File, Some(path)) => format!("file {}", path.display()),
            (Kind::File, None) => "the plugin's peersFile".to_owned(),
            (Kind::Kubernetes, _) => "kubernetes".to_owned(),
            (Kind::Etcd, _) => "etcd".to_owned(),
        }
    }
}
