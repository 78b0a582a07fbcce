//! ADD: the container is joined to the bridge.

use cni::{AddResult, Call, Code, Error, IfName};
use firewall::AntiSpoof;
use ipam::Ipam;
use kernel::link::{self, Link};

use super::{Config, device, vlans};
use crate::ends::{Ends, interface};
use crate::undo::Undo;
use crate::{config, container, forwarding, gateway, guard, lease, veth};

/// The index of the container's interface in the result.
const CONTAINER: usize = 2;

/// Attaches the container. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let args = call.args_for(&["MAC"])?;
    let conf = Config::parse(&call.conf, args.get("MAC"))?;
    let ipam = Ipam::of(&call.conf, &call.path)?;
    if conf.container_down && ipam.is_some() {
        return Err(Error::new(
            Code::CONFIG,
            "disableContainerInterface true and ipam: an interface that is down has no addresses",
        )
        .details("remove ipam, or disableContainerInterface"));
    }
    let ends = Ends::open(call)?;
    let attaching = Attaching { conf: &conf, ends: &ends };
    ends.add(|undo| attaching.run(ipam.as_ref(), undo))
}

#[derive(Clone, Copy)]
struct Attaching<'a> {
    conf: &'a Config,
    ends: &'a Ends<'a>,
}

impl<'a> Attaching<'a> {
    fn run(self, ipam: Option<&'a Ipam>, undo: &mut Undo<'a>) -> Result<AddResult, Error> {
        let (conf, ends) = (self.conf, self.ends);
        // Where files tell the address, nothing is made before it is certain that there is one.
        let (early, late) = match ipam {
            Some(ipam) if ipam.speaks_through_interface() => (None, Some(ipam)),
            other => (other, None),
        };
        let mut result = AddResult::default();
        if let Some(ipam) = early {
            result = lease::take(ipam, ends.call, CONTAINER, undo)?;
            self.complete(&mut result)?;
        }

        let bridge = device::ensure(&ends.host, conf)?;
        let port = Some((bridge.index, conf.port));
        let name = veth::create(ends, &veth::Wanted { mac: conf.mac, mtu: conf.mtu, port }, undo)?;
        if let Some(vlans) = &conf.vlans {
            vlans.apply(&ends.host, &bridge, &veth::near_end(&ends.host, &name)?)?;
        }
        if let Some(ipam) = late {
            // What is asked through the interface must not be asked in another's name, either.
            self.guard(&name, &result, undo)?;
            result = lease::take_through(ipam, ends, &name, CONTAINER, undo)?;
            self.complete(&mut result)?;
        }
        self.guard(&name, &result, undo)?;
        let far = self.configure(&result)?;
        let leg = self.serve_as_gateway(&bridge, &result)?;
        let near = self.settle(&name, &far, &result)?;
        // An address given to the bridge, or a port, may have changed its own.
        let bridge = link::get(&ends.host, &bridge.name)?.unwrap_or(bridge);
        // The reference's order, on which later plugins of a chain depend.
        let mut interfaces =
            vec![interface(&bridge, ""), interface(&near, ""), interface(&far, &ends.sandbox())];
        interfaces.extend(leg.iter().map(|leg| interface(leg, "")));
        result.interfaces.splice(0..0, interfaces);
        Ok(result)
    }

    /// Adds to IPAM's result what this plugin adds: gateways, default routes, the resolver.
    fn complete(self, result: &mut AddResult) -> Result<(), Error> {
        config::check_mtu(self.conf.mtu, result)?;
        if self.conf.gateway {
            gateway::fill(result)?;
        }
        if self.conf.default_route {
            gateway::add_default_routes(result);
        }
        result.dns = self.conf.dns.clone().or(std::mem::take(&mut result.dns));
        Ok(())
    }

    /// Masquerading and spoof protection, before the container can send.
    fn guard(self, near: &IfName, result: &AddResult, undo: &mut Undo<'a>) -> Result<(), Error> {
        let (conf, ends) = (self.conf, self.ends);
        let antispoof = if conf.spoof_check {
            let far = container::look_up(&ends.inner, ends.ifname(), &ends.netns)?;
            far.mac.map(|mac| AntiSpoof { link: near.clone(), mac })
        } else {
            None
        };
        let addresses = result.ips.iter().map(|ip| ip.address).collect();
        let attachment = &ends.call.attachment;
        let wanted = guard::wanted(attachment, conf.masquerade.as_ref(), addresses, antispoof);
        guard::set(ends.call, wanted.as_ref(), result, near, undo)
    }

    fn configure(self, result: &AddResult) -> Result<Link, Error> {
        let ends = self.ends;
        if self.conf.container_down {
            return container::look_up(&ends.inner, ends.ifname(), &ends.netns);
        }
        let wanted = container::Wanted {
            addresses: result.ips.iter().map(|ip| ip.address).collect(),
            routes: container::routes(result),
            no_prefix_routes: false,
            detect_duplicates: self.conf.detect_duplicates,
            keep_detection: false,
        };
        container::configure(&ends.netns, &ends.inner, ends.ifname(), &wanted)
    }

    /// Waits until the port forwards, and tells the neighbours. Gives the host end.
    fn settle(self, name: &IfName, far: &Link, result: &AddResult) -> Result<Link, Error> {
        let ends = self.ends;
        if self.conf.container_down {
            return veth::near_end(&ends.host, name);
        }
        let near = link::wait_until_up(&ends.host, name.as_str(), veth::PATIENCE)?;
        if let (Some(mac), false) = (far.mac, result.ips.is_empty()) {
            ends.inner.run(link::announce(far.index, &far.name, mac))?;
        }
        Ok(near)
    }

    /// Gives the bridge, or its leg in the VLAN, the gateway addresses and makes the node a router.
    /// Gives that leg, where there is one.
    fn serve_as_gateway(self, bridge: &Link, result: &AddResult) -> Result<Option<Link>, Error> {
        if !self.conf.gateway || result.ips.is_empty() {
            return Ok(None);
        }
        let addresses = gateway::addresses(result);
        let leg = self.conf.vlan_gateway.as_ref();
        let leg = leg.map(|leg| vlans::ensure_gateway(&self.ends.host, bridge, leg)).transpose()?;
        let holder = leg.as_ref().unwrap_or(bridge);
        device::ensure_addresses(&self.ends.host, holder, &addresses, self.conf.force_address)?;
        for ipv6 in [false, true] {
            if addresses.iter().any(|a| a.is_ipv6() == ipv6) {
                forwarding::enable(ipv6)?;
            }
        }
        Ok(leg)
    }
}
