//! ADD: the container is joined by a routed veth.

use cni::{AddResult, Call, Error, IfName};
use ipam::Ipam;
use kernel::{address, link, route};

use super::{Config, plan};
use crate::ends::{Ends, interface};
use crate::undo::Undo;
use crate::{config, container, forwarding, guard, lease, veth};

/// The index of the container's interface in the result.
const CONTAINER: usize = 1;

/// Attaches the container. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let ipam = Ipam::of(&call.conf, &call.path)?;
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
        let wanted = veth::Wanted { mtu: conf.mtu, ..veth::Wanted::default() };
        let (mut result, name) = match ipam {
            Some(ipam) if ipam.speaks_through_interface() => {
                let name = veth::create(ends, &wanted, undo)?;
                let result = lease::take_through(ipam, ends, &name, CONTAINER, undo)?;
                config::check_mtu(conf.mtu, &result)?;
                (result, name)
            }
            // Where files tell the address, nothing is made before it is certain that there is one.
            other => {
                let take = |ipam| lease::take(ipam, ends.call, CONTAINER, undo);
                let result = other.map(take).transpose()?.unwrap_or_default();
                config::check_mtu(conf.mtu, &result)?;
                (result, veth::create(ends, &wanted, undo)?)
            }
        };
        result.dns = conf.dns.clone().or(std::mem::take(&mut result.dns));

        let addresses = result.ips.iter().map(|ip| ip.address).collect();
        let wanted =
            guard::wanted(&ends.call.attachment, conf.masquerade.as_ref(), addresses, None);
        guard::set(ends.call, wanted.as_ref(), &result, &name, undo)?;
        self.configure_node(&name, &result)?;
        let wanted = plan::container_side(&result);
        let far = container::configure(&ends.netns, &ends.inner, ends.ifname(), &wanted)?;
        let near = link::wait_until_up(&ends.host, name.as_str(), veth::PATIENCE)?;

        let both = [interface(&near, ""), interface(&far, &ends.sandbox())];
        result.interfaces.splice(0..0, both);
        Ok(result)
    }

    /// The node's end: the gateway addresses, the routes to the container, forwarding.
    fn configure_node(self, name: &IfName, result: &AddResult) -> Result<(), Error> {
        let host = &self.ends.host;
        let near = veth::near_end(host, name)?;
        let options = address::Options { no_dad: true, no_prefix_route: false };
        let mut requests = Vec::new();
        for gateway in plan::node_addresses(result) {
            requests.push(address::add(&near, gateway, options));
        }
        requests.extend(plan::node_routes(result).iter().map(|r| route::add(&near, r)));
        for outcome in host.run_all(&requests) {
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
        Ok(())
    }
}
