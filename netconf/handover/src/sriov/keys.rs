//! `strict`: a key that means nothing here is refused.

use cni::{Code, Error, Json};

/// What the plugin, the protocol and Multus put into a configuration.
const KNOWN: &[&str] = &[
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "capabilities",
    "ipam",
    "dns",
    "args",
    "runtimeConfig",
    "prevResult",
    "disableCheck",
    "disableGC",
    "loadOnlyInlinedPlugins",
    "deviceID",
    "pciBusID",
    "resourceName",
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
];

/// Code 7 for the first key that is unknown. Keys with a domain in front (`cni.dev/...`) are others'.
pub fn refuse_unknown(conf: &Json) -> Result<(), Error> {
    let Json::Object(members) = conf else { return Ok(()) };
    let known = |key: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(key));
    match members.iter().find(|(key, _)| !known(key) && !key.contains('/')) {
        None => Ok(()),
        Some((key, _)) => {
            let near = plain(key);
            let meant = KNOWN.iter().find(|known| plain(known) == near);
            let error = Error::new(Code::CONFIG, format!("{key}: unknown, and strict is true"));
            Err(error.details(meant.map(|meant| format!("is {meant} meant?")).unwrap_or_default()))
        }
    }
}

/// A key without what tells the ways to write it apart.
fn plain(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
