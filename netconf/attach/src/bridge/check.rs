//! CHECK: the attachment against the config and what ADD returned.

use cni::{AddResult, Call, Error};
use firewall::AntiSpoof;
use ipam::Ipam;
use kernel::address;
use kernel::link::{self, Link};

use super::Config;
use super::vlans;
use crate::ends::Ends;
use crate::finding::Findings;
use crate::{container, forwarding, gateway, guard};

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let args = call.args_for(&["MAC"])?;
    let conf = Config::parse(&call.conf, args.get("MAC"))?;
    let Some(prev) = &call.prev_result else { return Ok(()) };
    let ends = Ends::open(call)?;
    let mut findings = Findings::default();
    if let Some(ipam) = Ipam::of(&call.conf, &call.path)? {
        findings.adopt(ipam.check(call));
    }
    Checking { conf: &conf, prev, ends: &ends }.run(&mut findings)?;
    findings.conclude(&call.attachment)
}

struct Checking<'a> {
    conf: &'a Config,
    prev: &'a AddResult,
    ends: &'a Ends<'a>,
}

impl Checking<'_> {
    fn run(&self, findings: &mut Findings) -> Result<(), Error> {
        let bridge = self.bridge(findings)?;
        let ifname = self.ends.ifname();
        let Some(far) = link::get(&self.ends.inner, ifname)? else {
            findings.add(format!("{ifname} is missing in {}", self.ends.netns.path().display()));
            return Ok(());
        };
        self.far(&far, findings)?;
        let near = match far.peer {
            Some(index) if far.kind == "veth" => link::get_by_index(&self.ends.host, index)?,
            _ => None,
        };
        let Some(near) = near else {
            findings.add(format!("{ifname} is not one end of a veth pair that ends on this node"));
            return Ok(());
        };
        if let Some(bridge) = &bridge {
            self.port(bridge, &near, findings)?;
            self.gateway(bridge, findings)?;
        }
        self.guard(&far, &near, findings)
    }

    fn bridge(&self, findings: &mut Findings) -> Result<Option<Link>, Error> {
        let name = self.conf.bridge.as_str();
        let Some(bridge) = link::get(&self.ends.host, name)? else {
            findings.add(format!("bridge {name} is missing"));
            return Ok(None);
        };
        if bridge.kind != "bridge" {
            findings.add(format!("{name} is {:?}, not a bridge", bridge.kind));
            return Ok(None);
        }
        if !bridge.up {
            findings.add(format!("bridge {name} is down"));
        }
        if self.conf.promiscuous && !bridge.promiscuous {
            findings.add(format!("bridge {name} is not promiscuous"));
        }
        let recorded = self.prev.interfaces.iter().find(|i| i.sandbox.is_empty() && i.name == name);
        match (recorded, bridge.mac) {
            (None, _) => findings.add(format!("prevResult has no interface {name}")),
            // Without a gateway's address nobody relies on the bridge's own, and a bridge that
            // somebody else made may change it with its ports.
            (Some(recorded), Some(mac)) if self.conf.gateway && !recorded.mac.is_empty() => {
                findings.compare(
                    &format!("the hardware address of {name}"),
                    &mac.to_string(),
                    &recorded.mac.to_lowercase(),
                );
            }
            _ => {}
        }
        Ok(Some(bridge))
    }

    fn far(&self, far: &Link, findings: &mut Findings) -> Result<(), Error> {
        let sandbox = self.ends.sandbox();
        container::compare_interface(far, self.prev, &sandbox, findings);
        if self.conf.container_down {
            return Ok(());
        }
        let ips = container::own_addresses(self.prev, &far.name, &sandbox);
        let routes = container::routes(self.prev);
        container::compare(&self.ends.inner, far, &ips, &routes, findings)
    }

    fn port(&self, bridge: &Link, near: &Link, findings: &mut Findings) -> Result<(), Error> {
        let name = &near.name;
        container::compare_near_end(near, self.prev, findings);
        if near.master != Some(bridge.index) {
            findings.add(format!("{name} is not a port of {}", bridge.name));
            return Ok(());
        }
        if !near.up {
            findings.add(format!("{name} is down"));
        }
        findings.compare(
            &format!("hairpinMode: hairpin of {name}"),
            &near.hairpin,
            &self.conf.port.hairpin,
        );
        // A plugin behind this one may isolate the port as well.
        if self.conf.port.isolated && !near.isolated {
            findings.add(format!("portIsolation: the port {name} is not isolated"));
        }
        if let Some(vlans) = &self.conf.vlans {
            if !bridge.vlan_filtering {
                findings.add(format!("{} does not filter VLANs", bridge.name));
            }
            let have = link::list_vlans(&self.ends.host, near.index)?;
            let want: Vec<_> = vlans.wanted(bridge.default_pvid).into_iter().collect();
            findings.compare(&format!("the VLANs of {name}"), &have, &want);
        }
        Ok(())
    }

    fn gateway(&self, bridge: &Link, findings: &mut Findings) -> Result<(), Error> {
        if !self.conf.gateway {
            return Ok(());
        }
        let holder = match &self.conf.vlan_gateway {
            None => bridge.clone(),
            Some(leg) => match vlans::find_gateway(&self.ends.host, bridge, leg)? {
                Ok(found) => found,
                Err(wrong) => {
                    findings.add(wrong);
                    return Ok(());
                }
            },
        };
        if !holder.up {
            findings.add(format!("{} is down", holder.name));
        }
        let mut have = Vec::new();
        let wanted = gateway::addresses(self.prev);
        for ipv6 in [false, true] {
            if !wanted.iter().any(|a| a.is_ipv6() == ipv6) {
                continue;
            }
            have.extend(address::list(&self.ends.host, holder.index, ipv6)?);
            if !forwarding::is_enabled(ipv6)? {
                let family = if ipv6 { "IPv6" } else { "IPv4" };
                findings.add(format!("the node does not forward {family}"));
            }
        }
        for missing in wanted.iter().filter(|w| have.iter().all(|h| h.address != **w)) {
            findings.add(format!("{} lacks the gateway address {missing}", holder.name));
        }
        Ok(())
    }

    fn guard(&self, far: &Link, near: &Link, findings: &mut Findings) -> Result<(), Error> {
        let sandbox = self.ends.sandbox();
        let addresses: Vec<_> = container::own_addresses(self.prev, &far.name, &sandbox)
            .iter()
            .map(|ip| ip.address)
            .collect();
        let antispoof = match (self.conf.spoof_check, far.mac, near.name.parse()) {
            (true, Some(mac), Ok(link)) => Some(AntiSpoof { link, mac }),
            _ => None,
        };
        let attachment = &self.ends.call.attachment;
        let wanted = guard::wanted(attachment, self.conf.masquerade.as_ref(), addresses, antispoof);
        guard::check(wanted.as_ref(), findings)
    }
}
