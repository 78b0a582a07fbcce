//! The ports of isolated containers: their bridge keeps them apart, on every kernel and at no cost
//! per packet, and forgets it when the port goes. (Rules of iptables see bridged frames only with
//! `br_netfilter` told so, which is how the reference plugin's isolation depends on it.)

use ::firewall::admission::{Ingress, Policy};
use attach::finding::Findings;
use cni::{AddResult, Error};
use kernel::Socket;
use kernel::link::{self, Link, PortOptions};

/// Isolates the node's ends among the interfaces of the previous result that are ports of the
/// policy's bridge, as `bridge link set dev NAME isolated on` does.
pub(super) fn isolate(policy: Option<&Policy>, prev: &AddResult) -> Result<(), Error> {
    let Some(policy) = isolating(policy) else { return Ok(()) };
    let host = Socket::open()?;
    for port in ports(&host, policy, prev)? {
        if !port.isolated {
            let options = PortOptions { hairpin: port.hairpin, isolated: true };
            host.run(link::set_port(&port.name, options))?;
        }
    }
    Ok(())
}

/// Names those that are not isolated.
pub(super) fn check(
    policy: Option<&Policy>,
    prev: &AddResult,
    findings: &mut Findings,
) -> Result<(), Error> {
    let Some(policy) = isolating(policy) else { return Ok(()) };
    let host = Socket::open()?;
    for port in ports(&host, policy, prev)? {
        if !port.isolated {
            findings
                .add(format!("ingressPolicy \"isolated\": the port {} is not isolated", port.name));
        }
    }
    Ok(())
}

fn isolating(policy: Option<&Policy>) -> Option<&Policy> {
    policy.filter(|policy| policy.ingress == Ingress::Isolated)
}

fn ports(host: &Socket, policy: &Policy, prev: &AddResult) -> Result<Vec<Link>, Error> {
    let Some(bridge) = link::get(host, policy.bridge.as_str())? else { return Ok(Vec::new()) };
    let mut ports = Vec::new();
    for interface in prev.interfaces.iter().filter(|interface| interface.sandbox.is_empty()) {
        let port = link::get(host, &interface.name)?;
        ports.extend(port.filter(|port| port.master == Some(bridge.index)));
    }
    Ok(ports)
}
