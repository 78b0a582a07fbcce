//! ADD: the container is joined by a routed veth.

use std::time::Duration;

use cni::{AddResult, Call, Code, Error, IfName, Interface};
use firewall::Masquerade;
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{Netns, Socket, address, route};

use super::{Config, plan};
use crate::undo::Undo;
use crate::{container, forwarding, lease, veth};

/// How long the pair may take to carry packets. It takes microseconds where nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(5);
/// The index of the container's interface in the result.
const CONTAINER: usize = 1;

/// Attaches the container. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let netns = Netns::open(call.netns()?)?;
    let ipam = Ipam::of(&call.conf, &call.path)?;
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
        }
        result.dns = conf.dns.clone().or(std::mem::take(&mut result.dns));

        let wanted = veth::Wanted { mtu: conf.mtu, ..veth::Wanted::default() };
        let near = veth::create(host, self.netns, &call.attachment, &wanted)?;
        let near_name = near.clone();
        undo.push(move || match host.run(link::delete_by_name(near_name.as_str())) {
            Err(e) if !e.is_gone() => Err(e.into()),
            _ => Ok(()),
        });
        if conf.masquerade && !result.ips.is_empty() {
            self.masquerade(&result, undo)?;
        }
        let near = self.configure_node(&near, &result)?;
        let ifname = call.attachment.ifname.as_str();
        let wanted = plan::container_side(&result);
        let far = container::configure(self.netns, self.inner, ifname, &wanted)?;
        let near = link::wait_until_up(host, &near.name, PATIENCE)?;

        let sandbox = self.netns.path().to_string_lossy();
        result.interfaces.splice(0..0, [interface(&near, ""), interface(&far, &sandbox)]);
        Ok(result)
    }

    fn masquerade(&self, result: &AddResult, undo: &mut Undo<'a>) -> Result<(), Error> {
        let call = self.call;
        let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
        undo.push(move || Ok(firewall::del(&call.attachment, &addresses, None)?));
        let addresses = result.ips.iter().map(|ip| ip.address).collect();
        Ok(firewall::add(&firewall::Wanted {
            attachment: call.attachment.clone(),
            masquerade: Some(Masquerade { addresses, exempt: Vec::new() }),
            antispoof: None,
        })?)
    }

    /// The node's end: the gateway addresses, the routes to the container, forwarding.
    fn configure_node(&self, name: &IfName, result: &AddResult) -> Result<Link, Error> {
        let near = link::get(self.host, name.as_str())?.ok_or_else(|| {
            Error::new(Code::TRY_AGAIN, format!("the host end {name} vanished meanwhile"))
        })?;
        let options = address::Options { no_dad: true, no_prefix_route: false };
        let mut requests = Vec::new();
        for gateway in plan::node_addresses(result) {
            requests.push(address::add(near.index, gateway, options));
        }
        requests.extend(plan::node_routes(result).iter().map(|r| route::add(near.index, r)));
        for outcome in self.host.run_all(&requests) {
            match outcome {
                Err(e) if e.is_exists() => {}
                other => other?,
            }
        }
        for ipv6 in [false, true] {
            if result.ips.iter().any(|ip| ip.address.is_ipv6() == ipv6) {
                forwarding::enable(ipv6)?;
            }
        }
        Ok(near)
    }
}

fn interface(link: &Link, sandbox: &str) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        mtu: (!sandbox.is_empty()).then_some(link.mtu),
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    }
}
