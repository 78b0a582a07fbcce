//! The delegate's configuration.

use cni::{Error, Json, NetConf};
use flannel::SubnetEnv;
use ipnetwork::IpNetwork;

use crate::config::Config;

/// The plugin that attaches when none is named, and its address manager.
const DELEGATE: &str = "bridge";
const IPAM: &str = "host-local";
/// What the delegate gets as we got it.
const HANDED_ON: &[&str] =
    &["args", "prevResult", "cni.dev/valid-attachments", "cni.dev/attachments"];

/// The delegate's configuration on a node whose subnet is known.
pub fn whole(conf: &NetConf, config: &Config, env: &SubnetEnv) -> Result<NetConf, Error> {
    let mut delegate = begin(conf, config);
    let has = |json: &Json, key| json.get(key).is_some();
    if !has(&delegate, "ipMasq") {
        // Once is enough.
        delegate.set("ipMasq", Json::Bool(!env.masquerades));
    }
    if !has(&delegate, "mtu") {
        delegate.set("mtu", env.mtu.into());
    }
    if kind(&delegate) == DELEGATE && !has(&delegate, "isGateway") {
        delegate.set("isGateway", Json::Bool(true));
    }
    let mut ipam = ipam(config);
    ipam.set("ranges", added(&config.ipam, "ranges", env.subnets().map(range_set)));
    ipam.set("routes", added(&config.ipam, "routes", env.all_networks().map(route)));
    delegate.set("ipam", ipam);
    NetConf::parse(delegate.to_string().into_bytes())
}

/// The same without what the daemon knows, which is enough to take an attachment away.
pub fn without_subnet(conf: &NetConf, config: &Config) -> Result<NetConf, Error> {
    let mut delegate = begin(conf, config);
    delegate.set("ipam", ipam(config));
    NetConf::parse(delegate.to_string().into_bytes())
}

/// The members, by key, in which two configurations of a delegate differ, beside those of a single call.
pub fn differences(then: &NetConf, now: &NetConf) -> Vec<String> {
    let members = |conf: &NetConf| match conf.tree() {
        Json::Object(members) => members.clone(),
        _ => Vec::new(),
    };
    let of_call = |key: &str| HANDED_ON.contains(&key) || key == "runtimeConfig";
    let shown = |json: Option<&Json>| json.map_or_else(|| "nothing".to_owned(), Json::to_string);
    let mut found = Vec::new();
    for (key, value) in members(now).iter().filter(|(key, _)| !of_call(key)) {
        let before = then.tree().get(key);
        if before.map(ordered) != Some(ordered(value)) {
            found.push(format!("{key} was {} and is {value}", shown(before)));
        }
    }
    for (key, value) in members(then).iter().filter(|(key, _)| !of_call(key)) {
        if now.tree().get(key).is_none() {
            found.push(format!("{key} was {value}"));
        }
    }
    found
}

/// The value with the members of its objects in order: flannel's own plugin sorts them.
fn ordered(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let each = members.iter().map(|(key, value)| (key.clone(), ordered(value)));
            let mut members: Vec<_> = each.collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Json::Object(members)
        }
        Json::Array(items) => items.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

/// `delegate` with what is always set.
fn begin(conf: &NetConf, config: &Config) -> Json {
    let mut delegate = config.delegate.clone();
    delegate.set("name", conf.network.as_str().into());
    delegate.set("cniVersion", conf.version.as_str().into());
    if kind(&delegate).is_empty() {
        delegate.set("type", DELEGATE.into());
    }
    if config.capabilities != Json::Null {
        delegate.set("runtimeConfig", config.capabilities.clone());
    }
    for key in HANDED_ON {
        if let Some(value) = conf.tree().get(key) {
            delegate.set(key, value.clone());
        }
    }
    delegate
}

fn kind(delegate: &Json) -> &str {
    delegate.get("type").and_then(Json::as_str).unwrap_or_default()
}

fn ipam(config: &Config) -> Json {
    let mut ipam = config.ipam.clone();
    if kind(&ipam).is_empty() {
        ipam.set("type", IPAM.into());
    }
    ipam
}

/// A list of the section, and what comes after its items.
fn added(section: &Json, key: &str, more: impl Iterator<Item = Json>) -> Json {
    let mut items = match section.get(key) {
        Some(Json::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    items.extend(more);
    Json::Array(items)
}

/// `[{"subnet": "10.244.1.0/24"}]`
fn range_set(subnet: IpNetwork) -> Json {
    let network = format!("{}/{}", subnet.network(), subnet.prefix());
    Json::Array(vec![Json::Object(vec![("subnet".to_owned(), network.into())])])
}

/// `{"dst": "10.244.0.0/16"}`
fn route(network: IpNetwork) -> Json {
    Json::Object(vec![("dst".to_owned(), network.to_string().into())])
}
