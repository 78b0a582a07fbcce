//! CHECK: the limits against the configuration.

use attach::ends::Ends;
use attach::finding::Findings;
use cni::{Call, Error};
use kernel::Socket;
use kernel::link::Link;
use kernel::tc;

use super::config::Config;
use super::limit::Limit;
use super::{add, device};

/// Compares the token bucket filters and the redirection. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    if conf.is_empty() {
        return Ok(());
    }
    let ends = Ends::open(call)?;
    let host = &ends.host;
    let near = add::near_end(&ends)?;
    let mut findings = Findings::default();
    if let Some(ingress) = conf.ingress {
        compare(host, &near, ingress, &mut findings)?;
    }
    if let Some(egress) = conf.egress {
        let device = match device::find(host, &call.attachment)? {
            None => device::of_reference(host, call)?,
            found => found,
        };
        match device {
            None => findings.add("the IFB device is missing"),
            Some(device) => {
                if !device.up {
                    findings.add(format!("{} is down", device.name));
                }
                compare(host, &device, egress, &mut findings)?;
                let redirected = |f: &tc::Filter| f.redirects_to == Some(device.index);
                if !tc::filters(host, &near)?.iter().any(redirected) {
                    let (from, to) = (&near.name, &device.name);
                    findings.add(format!("what comes in by {from} is not redirected to {to}"));
                }
            }
        }
    }
    findings.conclude(&call.attachment)
}

fn compare(host: &Socket, link: &Link, limit: Limit, findings: &mut Findings) -> Result<(), Error> {
    let name = &link.name;
    match tc::root(host, link)?.and_then(|root| root.tbf) {
        None => findings.add(format!("what leaves {name} is not limited")),
        Some(have) => {
            let difference = limit.difference(&have, link.mtu);
            if let Some(words) = difference {
                findings.add(format!("{name}: {words}"));
            }
        }
    }
    Ok(())
}
