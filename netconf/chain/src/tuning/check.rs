//! CHECK: sysctls and interface against the configuration.

use attach::ends::Ends;
use attach::finding::Findings;
use cni::{Call, Error};
use kernel::link::{self, Link};
use kernel::sysctl;

use super::config::Config;
use super::key::{self, Wanted};

/// Compares what ADD has set, and nothing else: an interface that somebody listens on is promiscuous, and
/// that is no difference unless it was to be. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::of_call(call)?;
    let ends = Ends::open(call)?;
    let mut findings = Findings::default();
    ends.netns.enter(|| {
        conf.sysctls.iter().for_each(|wanted| compare(wanted, ends.ifname(), &mut findings));
        Ok(())
    })?;
    match link::get(&ends.inner, ends.ifname())? {
        Some(link) => conf.settings.compare(&link, &mut findings),
        None => findings.add(format!("{} is missing in {}", ends.ifname(), ends.sandbox())),
    }
    findings.conclude(&call.attachment)
}

fn compare(wanted: &Wanted, ifname: &str, findings: &mut Findings) {
    let Wanted { text, value, .. } = wanted;
    match sysctl::read(&wanted.key.path(ifname)) {
        Ok(have) if key::reads_as(value, &have) => {}
        Ok(have) => findings.add(format!("{text} is {have:?} instead of {value:?}")),
        // A switch that can only be written, as `net.ipv4.route.flush`.
        Err(e) if matches!(e.errno(), libc::EINVAL | libc::EACCES | libc::EPERM) => {}
        Err(e) => findings.add(e.to_string()),
    }
}

impl super::settings::Settings {
    fn compare(&self, link: &Link, findings: &mut Findings) {
        let name = &link.name;
        let mut differ = |what: &str, have: &dyn ToString, want: Option<&dyn ToString>| {
            let have = have.to_string();
            if let Some(want) = want.map(ToString::to_string).filter(|want| *want != have) {
                findings.add(format!("the {what} of {name} is {have} instead of {want}"));
            }
        };
        let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
        differ("hardware address", &mac, self.mac.as_ref().map(|x| x as _));
        differ("MTU", &link.mtu, self.mtu.as_ref().map(|x| x as _));
        let promiscuous = self.promiscuous.then_some(&true);
        differ("promiscuous mode", &link.promiscuous, promiscuous.map(|x| x as _));
        let all = self.all_multicast.as_ref();
        differ("all-multicast mode", &link.all_multicast, all.map(|x| x as _));
        let length = self.tx_queue_length.as_ref();
        differ("queue length", &link.tx_queue_length, length.map(|x| x as _));
    }
}
