//! The keys of plugins' configurations, for those plugins that are known here. A key that a plugin does
//! not know it passes over, which is how a VF comes to have no rate limit.

use crate::PluginConf;

use super::Findings;

/// Keys of every configuration.
const ANY: &[&str] = &[
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "args",
    "ipam",
    "dns",
    "capabilities",
    "runtimeConfig",
    "prevResult",
    "deviceID",
    "pciBusID",
];

/// Each plugin's own keys: this project's plugins as they are, the others as the reference has them.
const OWN: &[(&str, &[&str])] = &[
    (
        "bridge",
        &[
            "bridge",
            "isGateway",
            "isDefaultGateway",
            "forceAddress",
            "ipMasq",
            "ipMasqBackend",
            "mtu",
            "hairpinMode",
            "promiscMode",
            "vlan",
            "vlanTrunk",
            "preserveDefaultVlan",
            "macspoofchk",
            "enabledad",
            "disableContainerInterface",
            "portIsolation",
            "nonMasqueradeCIDRs",
            "exemptNetworkNodes",
        ],
    ),
    ("ptp", &["ipMasq", "ipMasqBackend", "nonMasqueradeCIDRs", "exemptNetworkNodes", "mtu"]),
    ("loopback", &[]),
    (
        "host-device",
        &[
            "device",
            "hwaddr",
            "kernelpath",
            "mac",
            "mtu",
            "allmulti",
            "promisc",
            "useInterfaceNetwork",
            "force",
            "stateDir",
            "lockTimeout",
        ],
    ),
    (
        "sriov",
        &[
            "vlan",
            "vlanQoS",
            "vlanProto",
            "mac",
            "spoofchk",
            "trust",
            "link_state",
            "min_tx_rate",
            "max_tx_rate",
            "queryRss",
            "mtu",
            "allmulti",
            "promisc",
            "trunk",
            "onUnsupported",
            "driverPolicy",
            "lockTimeout",
            "stateDir",
            "strict",
            "logLevel",
            "logFile",
        ],
    ),
    (
        "macvlan",
        &["master", "mode", "mtu", "mac", "linkInContainer", "bcqueuelen", "enabledad", "stateDir"],
    ),
    ("ipvlan", &["master", "mode", "mtu", "linkInContainer", "enabledad", "stateDir"]),
    ("vlan", &["master", "vlanId", "mtu", "mac", "linkInContainer", "enabledad", "stateDir"]),
    ("dummy", &["mtu", "mac", "enabledad", "stateDir"]),
    (
        "tap",
        &[
            "multiQueue",
            "mtu",
            "mac",
            "owner",
            "group",
            "selinuxContext",
            "bridge",
            "enabledad",
            "stateDir",
        ],
    ),
];

/// The keys of a plugin's own, `None` for a plugin that is not known here.
pub fn of(kind: &str) -> Option<&'static [&'static str]> {
    OWN.iter().find(|(own, _)| *own == kind).map(|(_, keys)| *keys)
}

/// Warns of keys that the plugin does not know. Nothing is said of plugins that are not known.
pub(super) fn judge(at: &str, plugin: &PluginConf, findings: &mut Findings) {
    let Some(own) = of(&plugin.kind) else { return };
    let known: Vec<&str> = own.iter().chain(ANY).copied().collect();
    findings.unknown_keys(at, &plugin.tree, &known);
}
