//! CHECK: the attachment against the config and what ADD returned.

use cni::{AddResult, Call, Error};
use ipam::Ipam;
use kernel::link::{self, Link};

use super::{Config, Kind, Options, Parent};
use crate::container;
use crate::ends::Ends;
use crate::finding::Findings;

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check<K: Kind>(call: &Call) -> Result<(), Error> {
    let conf = Config::<K>::parse(&call.conf, None)?;
    let Some(prev) = &call.prev_result else { return Ok(()) };
    let ends = Ends::open(call)?;
    let mut findings = Findings::default();
    if let Some(ipam) = Ipam::of(&call.conf, &call.path)? {
        findings.adopt(ipam.check(call));
    }
    let (sandbox, ifname) = (ends.sandbox(), ends.ifname());
    let own = AddResult {
        ips: container::own_addresses(prev, ifname, &sandbox),
        routes: prev.routes.clone(),
        ..AddResult::default()
    };
    match link::get(&ends.inner, ifname)? {
        None => findings.add(format!("{ifname} is missing in {sandbox}")),
        Some(link) if link.kind != K::LINK => {
            findings.compare(&format!("the kind of {ifname}"), &link.kind.as_str(), &K::LINK);
        }
        Some(link) => {
            container::compare_interface(&link, prev, &sandbox, &mut findings);
            compare_mtu(&link, prev, &sandbox, &conf.options, &mut findings);
            if K::PARENT != Parent::None {
                compare_parent::<K>(&ends, &link, &conf.options, &mut findings)?;
            }
            conf.kind.compare(&ends, &link, &mut findings)?;
            let routes = container::routes(&own);
            container::compare(&ends.inner, &link, &own.ips, &routes, &mut findings)?;
        }
    }
    findings.conclude(&call.attachment)
}

/// The MTU is the configuration's, or what the result tells: a later plugin may have changed it.
fn compare_mtu(
    link: &Link,
    prev: &AddResult,
    sandbox: &str,
    options: &Options,
    findings: &mut Findings,
) {
    let told = prev.interfaces.iter().find(|i| i.name == link.name && i.sandbox == sandbox);
    let told = told.and_then(|interface| interface.mtu);
    if let Some(wanted) = options.mtu
        && link.mtu != wanted
        && told != Some(link.mtu)
    {
        findings.compare(&format!("the MTU of {}", link.name), &link.mtu, &wanted);
    }
}

/// The parent is there, where it should be, and the one that is named. Where none is named it was
/// the default route's once; that another one is now harms nobody.
fn compare_parent<K: Kind>(
    ends: &Ends<'_>,
    link: &Link,
    options: &Options,
    findings: &mut Findings,
) -> Result<(), Error> {
    let home = if options.in_container { &ends.inner } else { &ends.host };
    let name = &link.name;
    let named = match &options.master {
        Some(master) => link::get(home, master.as_str())?,
        None => None,
    };
    if let Some(named) = named.as_ref().filter(|named| K::FLAT && named.kind == K::LINK) {
        if link.peer != named.peer {
            let why = format!("as {:?}, its master, has", named.name);
            findings.add(format!("{name} has not the same interface below it {why}"));
        }
        return Ok(());
    }
    if link.peer_is_elsewhere && options.in_container && options.master.is_none() && K::FLAT {
        // The default route's interface may have been of the kind, and another one's is now.
        return Ok(());
    }
    if link.peer_is_elsewhere == options.in_container {
        let where_ = if options.in_container { "outside of" } else { "in" };
        findings.add(format!("the master of {name} is {where_} the container"));
        return Ok(());
    }
    let actual = match link.peer {
        Some(index) => link::get_by_index(home, index)?,
        None => None,
    };
    match (actual, &options.master) {
        (None, _) => findings.add(format!("the master of {name} is gone")),
        (Some(actual), Some(master)) => {
            // It may be named by one of its other names.
            if named.is_none_or(|named| named.index != actual.index) {
                let what = format!("the master of {name}");
                findings.compare(&what, &actual.name.as_str(), &master.as_str());
            }
        }
        (Some(_), None) => {}
    }
    Ok(())
}
