//! What a test needs of the kernel and of the machine, and the record of those that went without.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use crate::Netns;

/// Something that a kernel or a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `bridge vlan_filtering 1`
    BridgeVlan,
    /// `type dummy`
    Dummy,
    /// `type vlan`
    Vlan,
    /// `type macvlan`
    Macvlan,
    /// `type ipvlan`
    Ipvlan,
    /// `ip tuntap`
    Tap,
    /// `type vxlan`
    Vxlan,
    /// `type vrf`
    Vrf,
    /// `type ipip`
    Ipip,
    /// The tool `ethtool`.
    Ethtool,
    /// The tool `nft`, which judges what the plugins wrote.
    Nft,
    /// The tool `iptables`, which the reference plugins execute.
    Iptables,
    /// The daemons `firewalld` and `dbus-daemon`.
    Firewalld,
    /// The DHCP servers dnsmasq and Kea, of both families.
    DhcpServer,
    /// The reference plugins.
    Reference,
    /// The tools `etcd` and `etcdctl`, and a `podwire` that was built with the feature `etcd`.
    Etcd,
    /// The tool `openssl`, which makes certificates.
    Openssl,
    /// The workspace and cargo, which are not where a test executable was taken to.
    Sources,
    /// Physical functions of an SR-IOV adapter that are the tests' to use.
    Sriov,
    /// A processor that is not emulated: a test that makes thousands of calls would take an hour in
    /// the machine of `scripts/vm`, which sets `PODWIRE_VM`.
    Speed,
}

impl Feature {
    /// Whether it is there, and if not, the reason for the record.
    pub fn missing(self) -> Option<&'static str> {
        static KNOWN: Mutex<Vec<(Feature, bool)>> = Mutex::new(Vec::new());
        let known = KNOWN.lock().expect("the features").iter().find(|k| k.0 == self).map(|k| k.1);
        let has = known.unwrap_or_else(|| {
            let has = self.probe();
            KNOWN.lock().expect("the features").push((self, has));
            has
        });
        (!has).then(|| self.why())
    }

    fn probe(self) -> bool {
        let tries = |commands: &[&str]| {
            let netns = Netns::new();
            commands.iter().all(|c| netns.try_run(&c.split(' ').collect::<Vec<_>>()).is_ok())
        };
        match self {
            Self::BridgeVlan => tries(&["ip link add b0 type bridge vlan_filtering 1"]),
            Self::Dummy => tries(&["ip link add d0 type dummy"]),
            Self::Vlan => tries(&[
                "ip link add a0 type veth peer name a1",
                "ip link add link a0 name a0.5 type vlan id 5",
            ]),
            Self::Macvlan | Self::Ipvlan => {
                let kind = if self == Self::Macvlan { "macvlan" } else { "ipvlan" };
                let upon = format!("ip link add link a0 name x0 type {kind}");
                tries(&["ip link add a0 type veth peer name a1", &upon])
            }
            Self::Tap => tries(&["ip tuntap add t0 mode tap"]),
            Self::Vxlan => tries(&["ip link add x0 type vxlan id 1 dstport 4789"]),
            Self::Vrf => tries(&["ip link add r0 type vrf table 5"]),
            Self::Ipip => tries(&["ip link add i0 type ipip local 192.0.2.1"]),
            Self::Ethtool => has_tool("ethtool"),
            Self::Nft => has_tool("nft"),
            Self::Iptables => has_tool("iptables") && tries(&["iptables -t nat -S"]),
            Self::Firewalld => has_tool("dbus-daemon") && has_firewalld(),
            Self::Etcd => has_tool("etcd") && speaks_etcd(),
            Self::Openssl => {
                Command::new("openssl").arg("version").output().is_ok_and(|o| o.status.success())
            }
            Self::DhcpServer => {
                has_tool("dnsmasq") && has_program("kea-dhcp4") && has_program("kea-dhcp6")
            }
            Self::Reference => crate::reference_directory().is_some(),
            Self::Sriov => !crate::Pf::all().is_empty(),
            Self::Speed => std::env::var_os("PODWIRE_VM").is_none(),
            Self::Sources => has_tool("cargo") && Path::new(env!("CARGO_MANIFEST_DIR")).is_dir(),
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::BridgeVlan => "the kernel has no bridge VLAN filtering",
            Self::Dummy => "the kernel has no dummy devices",
            Self::Vlan => "the kernel has no VLAN devices",
            Self::Macvlan => "the kernel has no macvlan devices",
            Self::Ipvlan => "the kernel has no ipvlan devices",
            Self::Tap => "the kernel has no TAP devices, or there is no /dev/net/tun",
            Self::Vxlan => "the kernel has no VXLAN",
            Self::Vrf => "the kernel has no VRF",
            Self::Etcd => "there is no etcd, or podwire was built without it",
            Self::Openssl => "openssl is not installed",
            Self::Ipip => "the kernel has no IPIP",
            Self::Ethtool => "ethtool is not installed",
            Self::Nft => "nft is not installed",
            Self::Iptables => "iptables is not installed",
            Self::Firewalld => "firewalld or dbus-daemon is not installed",
            Self::DhcpServer => "dnsmasq, kea-dhcp4 or kea-dhcp6 is not installed",
            Self::Reference => "the reference plugins are not installed",
            Self::Sriov => "there is no SR-IOV adapter to be used",
            Self::Speed => "the processor is emulated",
            Self::Sources => "the sources are not here",
        }
    }
}

pub(crate) fn has_tool(name: &str) -> bool {
    static NFT: OnceLock<bool> = OnceLock::new();
    let found = || Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    if name == "nft" { *NFT.get_or_init(found) } else { found() }
}

/// Without a bus it tells nothing but its usage.
fn has_firewalld() -> bool {
    let asked = Command::new("firewall-cmd").arg("--help").output();
    asked.is_ok_and(|told| told.status.success())
}

/// Kea tells its version by `-v` alone.
fn has_program(name: &str) -> bool {
    Command::new(name).arg("-v").output().is_ok()
}

/// The source is a feature of its own, because it takes more to build.
fn speaks_etcd() -> bool {
    // It takes no `--version`.
    let judge = Command::new("etcdctl").arg("version").output();
    let asked = Command::new(crate::directory().join("podwire")).args(["agent", "--help"]).output();
    judge.is_ok_and(|judge| judge.status.success())
        && asked.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("--etcd-prefix"))
}

/// Ends the test when one of these [`Feature`]s is missing, and records that it was not run.
#[macro_export]
macro_rules! need {
    ($($feature:ident),+ $(,)?) => {
        $(
            if let Some(why) = $crate::Feature::$feature.missing() {
                $crate::not_run(why);
                return;
            }
        )+
    };
}

/// Records that the running test was not run: `not run: TEST: WHY`, on stderr past libtest's capture, and
/// appended to the file `PODWIRE_NOT_RUN`.
pub fn not_run(why: &str) {
    let thread = std::thread::current();
    let line = format!("not run: {}: {why}\n", thread.name().unwrap_or("a test"));
    // One write per line, so that lines of parallel tests do not mix. libtest captures what the
    // print macros write, not this.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("PODWIRE_NOT_RUN")
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}
