//! CHECK: the container's part and the node's.

use cni::{Call, Code, Error};
use kernel::{Netns, Socket, link};
use peers::{Ground, Plan};

use crate::config::{Config, Join};
use crate::derive::on_node;
use crate::node;

/// How many differences are told. There may be one for each of thousands of peers.
const TOLD: usize = 50;

/// Compares both. Code 103 with every difference.
pub fn check(config: &Config, call: &Call) -> Result<(), Error> {
    let (ground, mut found) = node::network(config).compare(|plan| beside(config, plan))?;
    found.extend(interface(call, &ground)?);
    let derived = Call { conf: on_node(&call.conf, config, &ground)?, ..call.clone() };
    let mut errors = Vec::new();
    errors.extend(config.join.check(&derived).err());
    if !found.is_empty() {
        let network = &call.conf.network;
        let more = found.len().saturating_sub(TOLD);
        found.truncate(TOLD);
        if more > 0 {
            found.push(format!("and {more} more"));
        }
        let msg = format!("{network} on this node is not as it should be: {}", found.join("; "));
        errors.push(Error::new(Code::CHECK, msg));
    }
    Error::all(errors)
}

fn beside(config: &Config, plan: &Plan) -> Result<Vec<String>, Error> {
    let mut found = node::lacking(config, plan)?;
    if let Join::Bridge(name) = &config.join
        && let Some(bridge) = link::get(&Socket::open()?, name.as_str())?
        && bridge.mtu > plan.mtu
    {
        let has = bridge.mtu;
        found.push(format!("{name} has the MTU {has}, which is above the network's {}", plan.mtu));
    }
    Ok(found)
}

/// The container's own MTU: what is larger than the network's gets lost.
fn interface(call: &Call, ground: &Ground) -> Result<Option<String>, Error> {
    let inner = Netns::open(call.netns()?)?.socket()?;
    let ifname = call.attachment.ifname.as_str();
    let found = link::get(&inner, ifname)?.filter(|link| link.mtu > ground.mtu);
    Ok(found.map(|link| {
        format!("{ifname} has the MTU {}, which is above the network's {}", link.mtu, ground.mtu)
    }))
}
