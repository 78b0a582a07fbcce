//! The node's part, with what the firewall adds to it.

use cni::{Error, NetworkName};
use ipnetwork::IpNetwork;
use peers::{Ground, Network, Plan};

use crate::config::Config;

/// The network on this node.
pub fn network(config: &Config) -> Network<'_> {
    Network::new(&config.node, format!("masquerade {}", config.masquerade))
}

/// Makes sure of the node's part.
pub fn ensure(config: &Config) -> Result<Ground, Error> {
    let ground = network(config).ensure(|plan| beside(config, plan))?;
    // Somebody may have flushed the ruleset since; nothing else tells.
    if config.masquerade && !firewall::exempt::is_there(&config.node.options.network)? {
        return reconcile(config);
    }
    Ok(ground)
}

/// Compares all of the node's part and mends what differs.
pub fn reconcile(config: &Config) -> Result<Ground, Error> {
    network(config).reconcile(|plan| beside(config, plan))
}

/// Names the peers that are not served.
pub fn warn(network: &NetworkName, ground: &Ground) {
    for fault in &ground.faults {
        cni::warn(format_args!("{network}: {fault}"));
    }
}

fn beside(config: &Config, plan: &Plan) -> Result<(), Error> {
    if config.masquerade {
        firewall::exempt::set(&config.node.options.network, &exempt(plan))?;
    }
    Ok(())
}

/// Where pods keep their own address.
pub fn exempt(plan: &Plan) -> Vec<IpNetwork> {
    plan.exempt.iter().copied().collect()
}
