//! CHECK: rules, tables and main against the configuration and the previous result.

use attach::ends::Ends;
use attach::finding::Findings;
use cni::{AddResult, Call, Error, IpConfig};
use kernel::link::{self, Link};
use kernel::route::{self, MAIN};
use kernel::rule;

use super::config::Config;
use super::{addresses, wanted};

/// Compares what ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let Some(prev) = &call.prev_result else { return Ok(()) };
    let ends = Ends::open(call)?;
    let mut findings = Findings::default();
    let Some(link) = link::get(&ends.inner, ends.ifname())? else {
        findings.add(format!("{} is missing in {}", ends.ifname(), ends.sandbox()));
        return findings.conclude(&call.attachment);
    };
    let checking = Checking { conf: &conf, prev, ends: &ends, link: &link };
    let ips = addresses(call);
    for ip in &ips {
        checking.address(ip, &ips, &mut findings)?;
    }
    findings.conclude(&call.attachment)
}

struct Checking<'a> {
    conf: &'a Config,
    prev: &'a AddResult,
    ends: &'a Ends<'a>,
    link: &'a Link,
}

impl Checking<'_> {
    fn address(
        &self,
        ip: &IpConfig,
        ips: &[IpConfig],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let (from, ipv6) = (ip.address.ip(), ip.address.is_ipv6());
        let socket = &self.ends.inner;
        let rules = rule::list(socket, ipv6)?;
        let wanted = |rule: &&rule::Rule| {
            rule.from == Some(from) && self.conf.table.is_none_or(|table| table == rule.table)
        };
        let Some(rule) = rules.iter().find(wanted) else {
            findings.add(format!("there is no rule for what comes from {from}"));
            return Ok(());
        };
        if self.conf.table.is_some() {
            return Ok(());
        }
        let (table, name) = (rule.table, &self.link.name);
        let there = route::list(socket, self.link.index, ipv6, table)?;
        if there.is_empty() {
            findings.add(format!("table {table} has no route through {name}"));
        }
        if let Some(gw) = wanted::gateway(ip, &self.conf.gateways, self.prev)
            && !there.iter().any(|r| r.dst == wanted::any(ipv6) && r.gw == Some(gw))
        {
            findings.add(format!("table {table} has no default route via {gw}"));
        }
        let told = self.prev.routes.iter().filter(|told| told.table == Some(table));
        for told in told.filter(|told| told.dst.is_ipv6() == ipv6) {
            if there.iter().all(|r| r.dst.network() != told.dst.network()) {
                findings.add(format!("table {table} lacks the route to {}", told.dst));
            }
        }
        for route in route::list(socket, self.link.index, ipv6, MAIN)? {
            let hint = self.conf.source_hints && route.gw.is_none() && route.src.is_some();
            let own = wanted::is_moved(&route) && wanted::is_of(&route, ips);
            if own && !hint {
                findings.add(format!("main has the route {route} through {name}"));
            }
        }
        Ok(())
    }
}
