//! The node's part, with what the firewall and the bridge add to it.

use cni::{Error, NetworkName};
use ipnetwork::IpNetwork;
use kernel::{Socket, link};
use peers::{Ground, Network, Plan};

use crate::config::{Config, Join};

/// The network on this node.
pub fn network(config: &Config) -> Network<'_> {
    let join = &config.join;
    Network::new(&config.node, format!("masquerade {} {join:?}", config.masquerade))
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
    if let Join::Bridge(name) = &config.join {
        let socket = Socket::open()?;
        if let Some(found) = link::get(&socket, name.as_str())?
            && found.kind == "bridge"
            && found.mtu != plan.mtu
        {
            // A bridge drops what is larger than a port's MTU without a word; where its own is
            // right, the node is told.
            socket.run(link::set_mtu(found.index, name.as_str(), plan.mtu))?;
        }
    }
    Ok(())
}

/// Where pods keep their own address.
pub fn exempt(plan: &Plan) -> Vec<IpNetwork> {
    plan.exempt.iter().copied().collect()
}
