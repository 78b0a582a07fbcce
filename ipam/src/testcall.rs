//! Calls for tests.

use cni::{AddResult, Attachment, Call, Dns, GcCall, NetConf, PluginPath, StatusCall};
use serde_json::Value;

/// The config as the protocol would hand it over.
pub fn conf(json: &Value) -> NetConf {
    NetConf::parse(json.to_string().into_bytes()).unwrap()
}

/// A call for interface `ifname` of `container`.
pub fn call(json: &Value, container: &str, ifname: &str) -> Call {
    let conf = conf(json);
    Call {
        attachment: Attachment {
            network: conf.network.clone(),
            container: container.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        },
        netns: Some("/var/run/netns/x".into()),
        args: String::new(),
        path: PluginPath::default(),
        conf,
        prev_result: None,
    }
}

/// A GC of everything but `valid`.
pub fn gc(json: &Value, valid: Option<&[(&str, &str)]>) -> GcCall {
    let pair = |(id, ifname): &(&str, &str)| (id.parse().unwrap(), ifname.parse().unwrap());
    GcCall {
        path: PluginPath::default(),
        conf: conf(json),
        valid: valid.map(|valid| valid.iter().map(pair).collect()),
    }
}

/// A STATUS.
pub fn status(json: &Value) -> StatusCall {
    StatusCall { path: PluginPath::default(), conf: conf(json) }
}

/// The addresses of a result as text.
pub fn addresses(result: &AddResult) -> Vec<String> {
    result.ips.iter().map(|ip| ip.address.to_string()).collect()
}

/// A result that has these addresses.
pub fn result(addresses: &[&str]) -> AddResult {
    AddResult {
        interfaces: Vec::new(),
        ips: addresses
            .iter()
            .map(|text| cni::IpConfig {
                interface: None,
                address: text.parse().unwrap(),
                gateway: None,
            })
            .collect(),
        routes: Vec::new(),
        dns: Dns::default(),
    }
}
