//! The bridge itself: found or made, and given its addresses.

use cni::{Code, Error};
use ipnetwork::IpNetwork;
use kernel::link::{self, Link};
use kernel::{MacAddr, Socket, address};

use super::Config;
use crate::router;

/// The error of a name that belongs to something else.
pub fn not_a_bridge(found: &Link) -> Error {
    let kind = if found.kind.is_empty() { "a physical interface" } else { &found.kind };
    Error::new(Code::CONFLICT, format!("bridge {}: exists and is {kind}, not a bridge", found.name))
        .details("name another bridge, or remove that interface")
}

/// Finds the bridge, or makes it, and sets it up as configured.
pub fn ensure(host: &Socket, conf: &Config) -> Result<Link, Error> {
    let name = conf.bridge.as_str();
    let filtering = conf.vlans.is_some();
    let found = match link::get(host, name)? {
        Some(found) => found,
        None => create(host, conf, filtering)?,
    };
    if found.kind != "bridge" {
        return Err(not_a_bridge(&found));
    }
    let mut requests = Vec::new();
    if !found.up {
        requests.push(link::set_up(found.index, name));
    }
    if conf.promiscuous && !found.promiscuous {
        requests.push(link::set_promiscuous(found.index, name, true));
    }
    if filtering && !found.vlan_filtering {
        // Ports that are there already keep their default VLAN and go on talking.
        requests.push(link::set_vlan_filtering(found.index, name, true));
    }
    if !requests.is_empty() {
        host.run_all(&requests).into_iter().collect::<Result<(), _>>()?;
    }
    Ok(found)
}

fn create(host: &Socket, conf: &Config, filtering: bool) -> Result<Link, Error> {
    let name = conf.bridge.as_str();
    let mac = MacAddr::random().map_err(|e| {
        Error::new(Code::IO, format!("read random bytes for the MAC of {name}: {e}"))
    })?;
    match host.run(link::create_bridge(name, mac, conf.mtu, filtering)) {
        // Another ADD was first.
        Err(e) if e.is_exists() => {}
        Err(e) if e.errno() == libc::EOPNOTSUPP => {
            return Err(if filtering {
                Error::from(e)
                    .while_("vlan and vlanTrunk need a bridge that filters VLANs")
                    .details("the kernel has it when built with CONFIG_BRIDGE_VLAN_FILTERING")
            } else {
                Error::from(e).details("does this kernel have bridges?")
            });
        }
        other => other?,
    }
    router::prepare(name);
    link::get(host, name)?
        .ok_or_else(|| Error::new(Code::TRY_AGAIN, format!("bridge {name} vanished meanwhile")))
}

/// Gives a link of the node the gateway addresses. Another IPv4 address on it, or an IPv6 address
/// of an overlapping subnet, is an error, unless `force` lets it give way. A bridge that gets an
/// address keeps its hardware address from then on, whatever ports come and go.
pub fn ensure_addresses(
    host: &Socket,
    holder: &Link,
    wanted: &[IpNetwork],
    force: bool,
) -> Result<(), Error> {
    let mut requests = Vec::new();
    let mut changed = false;
    for ipv6 in [false, true] {
        let wanted: Vec<_> = wanted.iter().filter(|a| a.is_ipv6() == ipv6).copied().collect();
        if wanted.is_empty() {
            continue;
        }
        let have: Vec<_> =
            address::list(host, holder.index, ipv6)?.into_iter().map(|a| a.address).collect();
        for other in have.iter().filter(|have| !wanted.contains(have)) {
            let clash = wanted.iter().find(|w| !ipv6 || overlap(w, other));
            let Some(clash) = clash else { continue };
            if !force {
                return Err(Error::new(
                    Code::CONFLICT,
                    format!("{} has the address {other}, not {clash}", holder.name),
                )
                .details("set forceAddress to replace it, or use another bridge"));
            }
            requests.push(address::delete(holder, *other));
        }
        let options = address::Options { no_dad: true, no_prefix_route: false };
        for missing in wanted.iter().filter(|w| !have.contains(w)) {
            requests.push(address::add(holder, *missing, options));
            changed = true;
        }
    }
    if changed
        && holder.kind == "bridge"
        && let Some(mac) = holder.mac
    {
        // A bridge that we did not make may still follow its ports' addresses.
        requests.push(link::set_mac(holder.index, &holder.name, mac));
    }
    for outcome in host.run_all(&requests) {
        match outcome {
            // Another ADD did the same meanwhile.
            Err(e) if e.is_exists() || e.is_gone() => {}
            other => other?,
        }
    }
    Ok(())
}

fn overlap(a: &IpNetwork, b: &IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}
