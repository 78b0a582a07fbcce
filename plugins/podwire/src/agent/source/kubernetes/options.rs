//! What is asked of this source alone.

use clap::Args;
use cni::{Cidr, Error, NotCidr};
use flannel::{Keys, PREFIX};

/// The arguments.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Options {
    /// With kubernetes: all pods' networks, separated by commas (the controller manager's
    /// --cluster-cidr)
    #[arg(long, value_name = "CIDRS", value_delimiter = ',')]
    cluster_cidrs: Vec<String>,
    /// With kubernetes: what the keys of the nodes' annotations begin with, as flannel's
    /// --kube-annotation-prefix
    #[arg(long, value_name = "PREFIX", default_value = PREFIX)]
    annotation_prefix: String,
    /// With kubernetes: write nothing to this node's object
    #[arg(long)]
    pub silent: bool,
}

impl Options {
    /// All pods' networks. Code 7.
    pub fn cluster_cidrs(&self) -> Result<Vec<Cidr>, Error> {
        if self.cluster_cidrs.is_empty() {
            let why = "no Node object tells all pods' networks, as in 10.244.0.0/16";
            return Err(Error::config("--cluster-cidrs", "is missing", why));
        }
        let read = |text: &String| {
            text.parse().map_err(|e: NotCidr| {
                Error::config("--cluster-cidrs", format_args!("{text:?}"), &e.to_string())
            })
        };
        self.cluster_cidrs.iter().map(read).collect()
    }

    /// The annotations' keys. Code 7.
    pub fn keys(&self) -> Result<Keys, Error> {
        Keys::new(&self.annotation_prefix).map_err(|e| e.while_("--annotation-prefix"))
    }
}
