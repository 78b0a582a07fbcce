//! What is done to a tunnel device, as the commands that do the same.

use kernel::link::{Ipip, Link, Vxlan};
use kernel::sysctl;

use crate::Options;
use crate::change::word;
use crate::device::{Mend, Verdict, compare};
use crate::difference::alias;
use crate::plan::{Device, Kind};
use crate::tunnel::{offload_wanted, switches};

/// The commands that make the device, or mend the one that there is. None where it may not be
/// touched. `underlay` is the name of the underlay's interface.
pub fn of(device: &Device, found: Option<&Link>, underlay: &str, options: &Options) -> Vec<String> {
    let alias = alias(&options.network);
    let name = word(device.name.as_str());
    let mut all = Vec::new();
    match found.map(|found| compare(device, found, &alias)) {
        None => all.extend(make(device, underlay, &alias)),
        Some(Verdict::Remake(_)) => {
            all.push(format!("ip link del {name}"));
            all.extend(make(device, underlay, &alias));
        }
        Some(Verdict::Mend(mends)) => {
            all.extend(mends.iter().map(|mend| mend_command(mend, device, underlay, &alias)));
            let differs =
                |key: &str, wanted: &str| sysctl::read(key).is_ok_and(|has| has != wanted);
            let switches = switches(device).into_iter();
            all.extend(switches.filter(|(key, wanted)| differs(key, wanted)).map(set));
        }
        Some(Verdict::Foreign(_)) => return all,
    }
    if let Some(wanted) = offload_wanted(options.offload) {
        let is = found.and_then(|_| kernel::offload::transmit_checksum(device.name.as_str()).ok());
        if is != Some(wanted) {
            all.push(format!("ethtool -K {name} tx {}", if wanted { "on" } else { "off" }));
        }
    }
    all
}

/// The command that removes a device.
pub fn removal(link: &Link) -> String {
    format!("ip link del {}", word(&link.name))
}

/// The command that takes our mark from a device.
pub fn unmarking(link: &Link) -> String {
    format!("ip link set {} alias ''", word(&link.name))
}

fn set((key, value): (String, &str)) -> String {
    format!("sysctl -w {}", word(&format!("net/{key}={value}")))
}

fn make(device: &Device, underlay: &str, alias: &str) -> Vec<String> {
    let (name, mtu) = (word(device.name.as_str()), device.mtu);
    let mut all = match &device.kind {
        Kind::Fallback => {
            vec!["modprobe ipip".to_owned(), format!("ip link set {name} mtu {mtu}")]
        }
        Kind::Vxlan(vxlan, mac) => {
            let attributes = vxlan_attributes(vxlan, underlay);
            let port = vxlan.port;
            vec![format!(
                "ip link add {name} address {mac} mtu {mtu} type vxlan {attributes} dstport {port}"
            )]
        }
        Kind::Ipip(ipip) => {
            vec![format!("ip link add {name} mtu {mtu} type ipip {}", ipip_attributes(ipip))]
        }
    };
    if device.kind != Kind::Fallback {
        all.push(format!("ip link set {name} alias {}", word(alias)));
    }
    if matches!(device.kind, Kind::Vxlan(..)) {
        all.push(format!("ip link set {name} addrgenmode none"));
    }
    all.extend(switches(device).into_iter().map(set));
    all.push(format!("ip link set {name} up"));
    all
}

fn vxlan_attributes(vxlan: &Vxlan, underlay: &str) -> String {
    let local = vxlan.local.map(|ip| format!(" local {ip}")).unwrap_or_default();
    let learning = if vxlan.learning { "learning" } else { "nolearning" };
    let ttl = if vxlan.ttl == 0 { "auto".to_owned() } else { vxlan.ttl.to_string() };
    format!("id {} dev {}{local} ttl {ttl} {learning}", vxlan.vni, word(underlay))
}

fn ipip_attributes(ipip: &Ipip) -> String {
    let local = ipip.local.map_or_else(|| "any".to_owned(), |ip| ip.to_string());
    let pmtu = if ipip.path_mtu_discovery { "pmtudisc" } else { "nopmtudisc" };
    format!("local {local} remote any {pmtu}")
}

fn mend_command(mend: &Mend, device: &Device, underlay: &str, alias: &str) -> String {
    let name = word(device.name.as_str());
    let set = format!("ip link set {name}");
    match (mend, &device.kind) {
        (Mend::Kind(_), Kind::Vxlan(vxlan, _)) => {
            format!("{set} type vxlan {}", vxlan_attributes(vxlan, underlay))
        }
        (Mend::Kind(_), Kind::Ipip(ipip)) => {
            format!("{set} type ipip {}", ipip_attributes(ipip))
        }
        (Mend::Kind(what), Kind::Fallback) => format!("# {name} has {what}"),
        (Mend::Mac, Kind::Vxlan(_, mac)) => format!("{set} address {mac}"),
        (Mend::Mac, _) => format!("# {name} has another hardware address"),
        (Mend::Mtu, _) => format!("{set} mtu {}", device.mtu),
        (Mend::Alias, _) => format!("{set} alias {}", word(alias)),
        (Mend::AddressGeneration, _) => format!("{set} addrgenmode none"),
        (Mend::Master, _) => format!("{set} nomaster"),
        (Mend::Down, _) => format!("{set} up"),
    }
}
