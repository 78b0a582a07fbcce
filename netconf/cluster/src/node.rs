//! The node's part, with what the firewall adds to it: what the verbs and the node agent make.

use cni::{Error, NetworkName};
use ipnetwork::IpNetwork;
use peers::{Ground, Network, Outcome, Plan, Prospect};

use crate::config::Config;

/// How many faults are told on stderr.
const WARNED: usize = 20;

/// The network on this node.
pub fn network(config: &Config) -> Network<'_> {
    Network::new(&config.node, format!("masquerade {}", config.masquerade))
}

/// Makes sure of the node's part.
pub fn ensure(config: &Config) -> Result<Ground, Error> {
    // Somebody may have flushed the ruleset since; nothing else tells.
    let network_name = &config.node.options.network;
    let holds = || Ok(!config.masquerade || firewall::exempt::is_there(network_name)?);
    network(config).ensure(holds, |plan| beside(config, plan))
}

/// Compares all of the node's part and mends what differs.
pub fn reconcile(config: &Config) -> Result<Outcome, Error> {
    network(config).reconcile(|plan| beside(config, plan))
}

/// What that would do, and in words what the firewall lacks; changes nothing.
pub fn prospect(config: &Config) -> Result<(Prospect, Vec<String>), Error> {
    let prospect = network(config).prospect()?;
    let lacking = lacking(config, &prospect.outcome.plan)?;
    Ok((prospect, lacking))
}

/// Removes all of the node's part and tells what, as commands.
pub fn retire(config: &Config) -> Result<Vec<String>, Error> {
    let network_name = &config.node.options.network;
    network(config).retire(|| Ok(firewall::exempt::remove(network_name)?))
}

/// What the firewall lacks of the plan, in words.
pub fn lacking(config: &Config, plan: &Plan) -> Result<Vec<String>, Error> {
    if !config.masquerade {
        return Ok(Vec::new());
    }
    Ok(firewall::exempt::check(&config.node.options.network, &exempt(plan))?)
}

/// Names the peers that are not served.
pub fn warn(network: &NetworkName, ground: &Ground) {
    for fault in ground.faults.iter().take(WARNED) {
        cni::warn(format_args!("{network}: {fault}"));
    }
    let more = ground.faults.len().saturating_sub(WARNED);
    if more > 0 {
        cni::warn(format_args!("{network}: {more} more peers are not served, see CHECK"));
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
