//! CHECK: the attachment against the config and what ADD returned.

use cni::{AddResult, Call, Error};
use firewall::{AntiSpoof, Masquerade};
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{Netns, Socket, address};

use super::Config;
use super::vlans::PortVlans;
use crate::finding::Findings;
use crate::{container, forwarding, gateway};

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let args = call.args_for(&["MAC"])?;
    let conf = Config::parse(&call.conf, args.get("MAC"))?;
    let netns = Netns::open(call.netns()?)?;
    let Some(prev) = &call.prev_result else { return Ok(()) };
    let mut findings = Findings::default();
    if let Some(ipam) = Ipam::of(&call.conf, &call.path)? {
        findings.adopt(ipam.check(call));
    }
    let host = Socket::open()?;
    let inner = netns.socket()?;
    let checking = Checking { call, conf: &conf, prev, netns: &netns, host: &host, inner: &inner };
    checking.run(&mut findings)?;
    findings.conclude(&call.attachment)
}

struct Checking<'a> {
    call: &'a Call,
    conf: &'a Config,
    prev: &'a AddResult,
    netns: &'a Netns,
    host: &'a Socket,
    inner: &'a Socket,
}

impl Checking<'_> {
    fn run(&self, findings: &mut Findings) -> Result<(), Error> {
        let bridge = self.bridge(findings)?;
        let ifname = self.call.attachment.ifname.as_str();
        let Some(far) = link::get(self.inner, ifname)? else {
            findings.add(format!("{ifname} is missing in {}", self.netns.path().display()));
            return Ok(());
        };
        self.far(&far, findings)?;
        let near = match far.peer {
            Some(index) if far.kind == "veth" => link::get_by_index(self.host, index)?,
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
        let Some(bridge) = link::get(self.host, name)? else {
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
        let sandbox = self.netns.path().to_string_lossy();
        container::compare_interface(far, self.prev, &sandbox, findings);
        if self.conf.container_down {
            return Ok(());
        }
        let ips = container::own_addresses(self.prev, &far.name, &sandbox);
        let routes = container::routes(self.prev);
        container::compare(self.inner, far, &ips, &routes, findings)
    }

    fn port(&self, bridge: &Link, near: &Link, findings: &mut Findings) -> Result<(), Error> {
        let name = &near.name;
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
        findings.compare(
            &format!("portIsolation: isolated of {name}"),
            &near.isolated,
            &self.conf.port.isolated,
        );
        if let Some(vlans) = &self.conf.vlans {
            if !bridge.vlan_filtering {
                findings.add(format!("{} does not filter VLANs", bridge.name));
            }
            let have = link::list_vlans(self.host, near.index)?;
            let want: Vec<_> = vlans.wanted(bridge.default_pvid).into_iter().collect();
            findings.compare(&format!("the VLANs of {name}"), &have, &want);
        }
        Ok(())
    }

    fn gateway(&self, bridge: &Link, findings: &mut Findings) -> Result<(), Error> {
        if !self.conf.gateway {
            return Ok(());
        }
        let holder = match self.conf.vlans.as_ref().and_then(PortVlans::gateway_vlan) {
            None => Some(bridge.clone()),
            Some(vlan) => link::get(self.host, &format!("{}.{vlan}", bridge.name))?,
        };
        let Some(holder) = holder else {
            findings.add("the gateway interface of the VLAN is missing");
            return Ok(());
        };
        let mut have = Vec::new();
        let wanted = gateway::addresses(self.prev);
        for ipv6 in [false, true] {
            if !wanted.iter().any(|a| a.is_ipv6() == ipv6) {
                continue;
            }
            have.extend(address::list(self.host, holder.index, ipv6)?);
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
        let sandbox = self.netns.path().to_string_lossy();
        let addresses: Vec<_> = container::own_addresses(self.prev, &far.name, &sandbox)
            .iter()
            .map(|ip| ip.address)
            .collect();
        let masquerade = (self.conf.masquerade && !addresses.is_empty())
            .then_some(Masquerade { addresses, exempt: Vec::new() });
        let antispoof = match (self.conf.spoof_check, far.mac, near.name.parse()) {
            (true, Some(mac), Ok(link)) => Some(AntiSpoof { link, mac }),
            _ => None,
        };
        if masquerade.is_some() || antispoof.is_some() {
            let attachment = self.call.attachment.clone();
            let wanted = firewall::Wanted { attachment, masquerade, antispoof };
            for difference in firewall::check(&wanted)? {
                findings.add(difference);
            }
        }
        Ok(())
    }
}
