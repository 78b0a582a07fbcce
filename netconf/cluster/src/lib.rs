//! The verbs of plugins that attach a container and lead to the other nodes' containers: `host-gw`,
//! `vxlan`, `ipip`. The container's part is the bridge's or the routed veth's (`attach`), the node's
//! part is the network's on this node (`peers`); what is said here is how the two go together.

mod check;
mod config;
mod derive;
pub mod node;
mod status;

use std::marker::PhantomData;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};
use peers::Way;

pub use config::Config;
use derive::{on_node, without_node};

/// What tells one such plugin from another.
pub trait Kind {
    /// Its `type`.
    const NAME: &'static str;
    /// Its way to other nodes.
    const WAY: Way;
}

/// A plugin that attaches a container and leads to the other nodes' containers.
#[derive(Debug, Default)]
pub struct NodeToNode<K>(PhantomData<K>);

impl<K> NodeToNode<K> {
    /// The plugin.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Kind> Plugin for NodeToNode<K> {
    const NAME: &'static str = K::NAME;

    /// The node's part first: it is shared and may be made again at any time, so a refusal leaves
    /// nothing of the container's.
    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let config = Config::parse(K::WAY, &call.conf)?;
        let ground = node::ensure(&config)?;
        node::warn(&call.conf.network, &ground);
        config.join.add(&Call { conf: on_node(&call.conf, &config, &ground)?, ..call.clone() })
    }

    /// The container's part alone: other containers use the node's, and a peer file need not be
    /// there any more.
    fn del(&self, call: &Call) -> Result<(), Error> {
        attach::bridge::del(&Call { conf: without_node(&call.conf), ..call.clone() })
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        check::check(&Config::parse(K::WAY, &call.conf)?, call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        let derived = GcCall { conf: without_node(&call.conf), ..call.clone() };
        let mut errors = Vec::new();
        errors.extend(attach::bridge::gc(&derived).err());
        // Without the list of what is valid, nothing may be removed.
        if call.valid.is_some() {
            let reconciled = Config::parse(K::WAY, &call.conf).and_then(|c| node::reconcile(&c));
            match reconciled {
                Ok(outcome) => node::warn(&call.conf.network, &outcome.ground),
                Err(e) => errors.push(e),
            }
        }
        Error::all(errors)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        status::status(K::WAY, call)
    }
}
