//! CHECK: the attachment against the journal and what ADD returned.

use attach::container;
use attach::ends::Ends;
use attach::finding::Findings;
use cni::{AddResult, Call, Error};
use ipam::Ipam;
use kernel::link::Link;

use crate::desk::Desk;
use crate::locate::{Located, locate};
use crate::record::{Asked, Phase, Record};
use crate::virtual_function;

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let Some(prev) = &call.prev_result else { return Ok(()) };
    let ends = Ends::open(call)?;
    let attachment = &call.attachment;
    let desk = Desk::open(&call.conf, format!("CHECK of {attachment}"))?;
    let mut findings = Findings::default();
    if let Some(ipam) = Ipam::of(&call.conf, &call.path)? {
        findings.adopt(ipam.check(call));
    }
    let records = desk.of(attachment)?;
    if records.is_empty() {
        findings.add("no device is in the journal for it, so that DEL will give none back");
    }
    for (id, record) in &records {
        if record.phase != Phase::Ready {
            findings
                .add(format!("{id} is not wholly attached: its record says {:?}", record.phase));
        }
        if record.owner.cookie != ends.netns.cookie()? {
            findings.add(format!("{id} was given to another network namespace at this path"));
        }
        virtual_function::compare(&desk, record, &mut findings)?;
        if record.original.is_none() {
            continue;
        }
        match locate(&desk, id, record)? {
            Located::Away(away) if away.netns.cookie()? == ends.netns.cookie()? => {
                interface(&ends, record, &away.link, prev, &mut findings)?;
            }
            Located::Home(link) => {
                findings.add(format!("{id} is on the node, as {}", link.name));
            }
            Located::Away(away) => {
                let path = away.netns.path().display();
                findings.add(format!("{id} is in {path}, as {}", away.link.name));
            }
            Located::Gone => findings.add(format!("{id} has no network interface any more")),
        }
    }
    findings.conclude(attachment)
}

fn interface(
    ends: &Ends<'_>,
    record: &Record,
    link: &Link,
    prev: &AddResult,
    findings: &mut Findings,
) -> Result<(), Error> {
    let (sandbox, ifname) = (ends.sandbox(), ends.ifname());
    if link.name != ifname {
        findings.add(format!("{ifname} is called {}", link.name));
    }
    // Under its name of old, the rest can be compared all the same.
    let link = Link { name: ifname.to_owned(), ..link.clone() };
    container::compare_interface(&link, prev, &sandbox, findings);
    let Asked { mac, mtu, all_multicast, promiscuous, vf: _ } = &record.wanted;
    if let Some(mac) = mac {
        findings.compare(&format!("the hardware address of {ifname}"), &link.mac, &Some(*mac));
    }
    let told = prev.interfaces.iter().find(|i| i.name == ifname && i.sandbox == sandbox);
    if let Some(mtu) = mtu.or(told.and_then(|told| told.mtu)) {
        findings.compare(&format!("the MTU of {ifname}"), &link.mtu, &mtu);
    }
    if let Some(on) = all_multicast {
        findings.compare(&format!("allmulti of {ifname}"), &link.all_multicast, on);
    }
    if let Some(on) = promiscuous {
        findings.compare(&format!("promisc of {ifname}"), &link.promiscuous, on);
    }
    let own = AddResult {
        ips: container::own_addresses(prev, ifname, &sandbox),
        routes: prev.routes.clone(),
        ..AddResult::default()
    };
    container::compare(&ends.inner, &link, &own.ips, &container::routes(&own), findings)
}
