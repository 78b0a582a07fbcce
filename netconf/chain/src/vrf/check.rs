//! CHECK: VRF and interface against the configuration and the previous result.

use attach::ends::Ends;
use attach::finding::Findings;
use cni::{Call, Error};
use kernel::{link, route};

use super::config::Config;
use super::del::vrf_of;

/// Compares what ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let ends = Ends::open(call)?;
    let socket = &ends.inner;
    let mut findings = Findings::default();
    let (ifname, wanted) = (ends.ifname(), conf.name.as_str());
    let Some(interface) = link::get(socket, ifname)? else {
        findings.add(format!("{ifname} is missing in {}", ends.sandbox()));
        return findings.conclude(&call.attachment);
    };
    match vrf_of(socket, &interface)? {
        None => findings.add(format!("{ifname} is in no VRF")),
        Some(vrf) if vrf.name != wanted => {
            findings.add(format!("{ifname} is in the VRF {} instead of {wanted}", vrf.name));
        }
        Some(vrf) => {
            if !vrf.up {
                findings.add(format!("{wanted} is down"));
            }
            let table = vrf.vrf_table.unwrap_or_default();
            if let Some(asked) = conf.table {
                findings.compare(&format!("the table of {wanted}"), &table, &asked);
            }
            let told = call.prev_result.iter().flat_map(|result| &result.routes);
            for told in told.filter(|told| told.table == Some(table)) {
                let have = route::list(socket, interface.index, told.dst.is_ipv6(), table)?;
                if have.iter().all(|route| route.dst.network() != told.dst.network()) {
                    findings.add(format!("{wanted} lacks the route to {}", told.dst));
                }
            }
        }
    }
    findings.conclude(&call.attachment)
}
