//! The node's part, with what the firewall adds to it: what the verbs and the node agent make.

use attach::forwarding;
use cni::{Error, NetworkName};
use ipnetwork::IpNetwork;
use kernel::events::Ruleset;
use peers::{Fault, Ground, Network, Outcome, Pending, Plan, Prospect};

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

/// Compares all of the node's part and mends what differs. That the node forwards belongs to it here: with
/// an ADD, the container's part sees to it.
pub fn reconcile(config: &Config) -> Result<Outcome, Error> {
    let network_name = &config.node.options.network;
    let mut outcome = network(config).reconcile(|plan| {
        // Containers that were attached while `ipMasq` was on heed the sets for as long as they live.
        if config.masquerade || firewall::exempt::is_there(network_name)? {
            return make_exempt(network_name, plan);
        }
        Ok(Vec::new())
    })?;
    let overruled = network(config).overruled(&outcome)?;
    outcome.ground.faults.extend(overruled);
    for ipv6 in not_forwarded(&outcome) {
        match forwarding::enable(ipv6) {
            Ok(()) => outcome.beside.push(enabling(ipv6)),
            // All else is in place, and somebody else may turn it on.
            Err(error) => outcome.ground.faults.push(Fault {
                peer: outcome.fleet.local.name.clone(),
                reason: format!("this node does not forward: {error}"),
            }),
        }
    }
    Ok(outcome)
}

/// Records what was pending, so that an ADD finds all in place. False where all has to be compared.
pub fn confirm(config: &Config, pending: &Pending) -> Result<bool, Error> {
    network(config).confirm(pending)
}

/// What that would do; changes nothing.
pub fn prospect(config: &Config) -> Result<Prospect, Error> {
    let mut prospect = network(config).prospect()?;
    let outcome = &mut prospect.outcome;
    outcome.beside = remarks(lacking(config, &outcome.plan)?);
    outcome.beside.extend(not_forwarded(outcome).into_iter().map(enabling));
    Ok(prospect)
}

/// True when a change of the ruleset may be damage to what the firewall adds.
pub fn is_met_by(config: &Config, change: &Ruleset) -> bool {
    config.masquerade && firewall::exempt::is_met_by(&config.node.options.network, change)
}

/// The families of the local pods that are not forwarded. One whose switch cannot be read is none that
/// the kernel has.
fn not_forwarded(outcome: &Outcome) -> Vec<bool> {
    let serves = |ipv6: &bool| outcome.ground.pod_cidrs.iter().any(|net| net.is_ipv6() == *ipv6);
    let is_off = |ipv6: &bool| forwarding::is_enabled(*ipv6).is_ok_and(|is| !is);
    [false, true].into_iter().filter(serves).filter(is_off).collect()
}

fn enabling(ipv6: bool) -> String {
    format!("sysctl -w net/{}=1", forwarding::key(ipv6))
}

/// What no command of `ip` does.
fn remarks(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|words| format!("# {words}")).collect()
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

fn beside(config: &Config, plan: &Plan) -> Result<Vec<String>, Error> {
    if !config.masquerade {
        return Ok(Vec::new());
    }
    make_exempt(&config.node.options.network, plan)
}

fn make_exempt(network_name: &NetworkName, plan: &Plan) -> Result<Vec<String>, Error> {
    Ok(remarks(firewall::exempt::set(network_name, &exempt(plan))?))
}

/// Where pods keep their own address.
pub fn exempt(plan: &Plan) -> Vec<IpNetwork> {
    plan.exempt.iter().copied().collect()
}
