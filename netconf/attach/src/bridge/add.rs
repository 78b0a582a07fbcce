//! ADD: the container is joined to the bridge.

use std::time::Duration;

use cni::{AddResult, Call, Code, Error, IfName, Interface};
use firewall::{AntiSpoof, Masquerade};
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{MacAddr, Netns, Socket};

use super::{Config, device, vlans};
use crate::undo::Undo;
use crate::{container, forwarding, gateway, lease, veth};

/// How long the host end may take to carry packets. It takes microseconds where nothing is wrong.
const PORT_PATIENCE: Duration = Duration::from_secs(5);
/// The index of the container's interface in the result.
const CONTAINER: usize = 2;

/// Attaches the container. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let args = call.args_for(&["MAC"])?;
    let conf = Config::parse(&call.conf, args.get("MAC"))?;
    let netns = Netns::open(call.netns()?)?;
    let ipam = Ipam::of(&call.conf, &call.path)?;
    if conf.container_down && ipam.is_some() {
        return Err(Error::new(
            Code::CONFIG,
            "disableContainerInterface true and ipam: an interface that is down has no addresses",
        )
        .details("remove ipam, or disableContainerInterface"));
    }
    let host = Socket::open()?;
    let inner = netns.socket()?;
    if link::get(&inner, call.attachment.ifname.as_str())?.is_some() {
        return Err(veth::interface_exists(&call.attachment, &netns));
    }

    let mut undo = Undo::default();
    let attaching = Attaching { call, conf: &conf, netns: &netns, host: &host, inner: &inner };
    match attaching.run(ipam.as_ref(), &mut undo) {
        Ok(result) => Ok(result),
        Err(e) => Err(undo.run(e)),
    }
}

struct Attaching<'a> {
    call: &'a Call,
    conf: &'a Config,
    netns: &'a Netns,
    host: &'a Socket,
    inner: &'a Socket,
}

impl<'a> Attaching<'a> {
    fn run(&self, ipam: Option<&'a Ipam>, undo: &mut Undo<'a>) -> Result<AddResult, Error> {
        let (call, conf, host) = (self.call, self.conf, self.host);
        let mut result = AddResult::default();
        if let Some(ipam) = ipam {
            result = lease::take(ipam, call, CONTAINER, undo)?;
            self.complete(&mut result);
        }

        let bridge = device::ensure(host, conf)?;
        let wanted =
            veth::Wanted { mac: conf.mac, mtu: conf.mtu, port: Some((bridge.index, conf.port)) };
        let near = veth::create(host, self.netns, &call.attachment, &wanted)?;
        let near_name = near.clone();
        undo.push(move || match host.run(link::delete_by_name(near_name.as_str())) {
            Err(e) if !e.is_gone() => Err(e.into()),
            _ => Ok(()),
        });
        if let Some(vlans) = &conf.vlans {
            vlans.apply(host, &bridge, &self.near(&near)?)?;
        }
        self.guard(&near, &result, undo)?;
        let far = self.configure(&result)?;
        let leg = self.serve_as_gateway(&bridge, &result)?;
        let near = if conf.container_down {
            self.near(&near)?
        } else {
            let near = link::wait_until_up(host, near.as_str(), PORT_PATIENCE)?;
            if let (Some(mac), false) = (far.mac, result.ips.is_empty()) {
                self.inner.run(link::announce(far.index, &far.name, mac))?;
            }
            near
        };
        // An address given to the bridge, or a port, may have changed its own.
        let bridge = link::get(host, &bridge.name)?.unwrap_or(bridge);
        let sandbox = self.netns.path().to_string_lossy();
        // The reference's order, on which later plugins of a chain depend.
        let mut interfaces =
            vec![interface(&bridge, ""), interface(&near, ""), interface(&far, &sandbox)];
        interfaces.extend(leg.iter().map(|leg| interface(leg, "")));
        result.interfaces.splice(0..0, interfaces);
        Ok(result)
    }

    /// Adds to IPAM's result what this plugin adds: gateways, default routes, the resolver.
    fn complete(&self, result: &mut AddResult) {
        if self.conf.gateway {
            gateway::fill(result);
        }
        if self.conf.default_route {
            gateway::add_default_routes(result);
        }
        result.dns = self.conf.dns.clone().or(std::mem::take(&mut result.dns));
    }

    /// Masquerading and spoof protection, in one transaction, before the container can send.
    fn guard(&self, near: &IfName, result: &AddResult, undo: &mut Undo<'a>) -> Result<(), Error> {
        let (call, conf) = (self.call, self.conf);
        let masquerade = (conf.masquerade && !result.ips.is_empty()).then(|| Masquerade {
            addresses: result.ips.iter().map(|ip| ip.address).collect(),
            exempt: Vec::new(),
        });
        let antispoof = if conf.spoof_check { Some(self.antispoof(near)?) } else { None };
        if masquerade.is_none() && antispoof.is_none() {
            return Ok(());
        }
        let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
        let link = near.clone();
        undo.push(move || Ok(firewall::del(&call.attachment, &addresses, Some(&link))?));
        let attachment = call.attachment.clone();
        Ok(firewall::add(&firewall::Wanted { attachment, masquerade, antispoof })?)
    }

    fn antispoof(&self, near: &IfName) -> Result<AntiSpoof, Error> {
        let far = container::look_up(self.inner, self.call.attachment.ifname.as_str(), self.netns)?;
        let mac = far.mac.ok_or_else(|| {
            Error::new(Code::KERNEL, format!("{} has no hardware address", far.name))
        })?;
        Ok(AntiSpoof { link: near.clone(), mac })
    }

    fn configure(&self, result: &AddResult) -> Result<Link, Error> {
        let ifname = self.call.attachment.ifname.as_str();
        if self.conf.container_down {
            return container::look_up(self.inner, ifname, self.netns);
        }
        let wanted = container::Wanted {
            addresses: result.ips.iter().map(|ip| ip.address).collect(),
            routes: container::routes(result),
            no_prefix_routes: false,
            detect_duplicates: self.conf.detect_duplicates,
        };
        container::configure(self.netns, self.inner, ifname, &wanted)
    }

    /// Gives the bridge, or its leg in the VLAN, the gateway addresses and makes the node a router.
    /// Gives that leg, where there is one.
    fn serve_as_gateway(&self, bridge: &Link, result: &AddResult) -> Result<Option<Link>, Error> {
        if !self.conf.gateway || result.ips.is_empty() {
            return Ok(None);
        }
        let addresses = gateway::addresses(result);
        let vlan = self.conf.vlans.as_ref().and_then(vlans::PortVlans::gateway_vlan);
        let leg = vlan.map(|vlan| vlans::ensure_gateway(self.host, bridge, vlan)).transpose()?;
        let holder = leg.as_ref().unwrap_or(bridge);
        device::ensure_addresses(self.host, holder, &addresses, self.conf.force_address)?;
        for ipv6 in [false, true] {
            if addresses.iter().any(|a| a.is_ipv6() == ipv6) {
                forwarding::enable(ipv6)?;
            }
        }
        Ok(leg)
    }

    fn near(&self, name: &IfName) -> Result<Link, Error> {
        link::get(self.host, name.as_str())?.ok_or_else(|| {
            Error::new(Code::TRY_AGAIN, format!("the host end {name} vanished meanwhile"))
        })
    }
}

fn interface(link: &Link, sandbox: &str) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.as_ref().map(MacAddr::to_string).unwrap_or_default(),
        mtu: (!sandbox.is_empty()).then_some(link.mtu),
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    }
}
