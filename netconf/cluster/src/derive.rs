//! The configuration of the container's part, derived from the plugin's own.

use cni::{Error, Json, NetConf};
use ipnetwork::IpNetwork;
use peers::Ground;
use serde::Deserialize;

use crate::config::{Config, Join};

/// The address manager when none is named.
const IPAM: &str = "host-local";

/// As far as it matters whether the configuration says where addresses come from.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Sources {
    ipam: IpamSources,
    runtime_config: RuntimeSources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IpamSources {
    r#type: String,
    subnet: Json,
    ranges: Json,
    routes: Vec<Destination>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RuntimeSources {
    ip_ranges: Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Destination {
    dst: String,
}

/// Whether the sections that the derivation reads can be read. Code 6.
pub fn readable(conf: &NetConf) -> Result<(), Error> {
    conf.decode::<Sources>().map(drop)
}

/// The configuration of the container's part on this node.
pub fn on_node(conf: &NetConf, config: &Config, ground: &Ground) -> Result<NetConf, Error> {
    let sources: Sources = conf.decode()?;
    let mut ipam = with_type(conf.tree().get("ipam"));
    let nothing = [Json::Null, Json::Array(Vec::new()), Json::from("")];
    let is_given = |json: &Json| !nothing.contains(json);
    let given = [&sources.ipam.subnet, &sources.ipam.ranges, &sources.runtime_config.ip_ranges];
    let own = sources.ipam.r#type.is_empty() || sources.ipam.r#type == IPAM;
    if own && !given.into_iter().any(is_given) {
        ipam.set("ranges", ranges(&ground.pod_cidrs));
    }
    if config.join == Join::Ptp && config.default_route {
        let routes = missing_defaults(&sources.ipam.routes, &ground.pod_cidrs);
        let mut all = match conf.tree().get("ipam").and_then(|ipam| ipam.get("routes")) {
            Some(Json::Array(given)) => given.clone(),
            _ => Vec::new(),
        };
        all.extend(routes);
        ipam.set("routes", Json::Array(all));
    }
    let mut members = vec![("ipam", ipam)];
    if matches!(config.join, Join::Bridge(_)) {
        members.push(("isDefaultGateway", config.default_route.into()));
        members.push(("isGateway", true.into()));
    }
    if !config.fixed_mtu {
        members.push(("mtu", ground.mtu.into()));
    }
    if config.masquerade {
        members.push(("exemptNetworkNodes", true.into()));
    }
    Ok(conf.with(members))
}

/// The configuration of the container's part for verbs that take away, which need nothing of the
/// node's.
pub fn without_node(conf: &NetConf) -> NetConf {
    conf.with(vec![("ipam", with_type(conf.tree().get("ipam")))])
}

/// The `ipam` section with its type. Where either cannot be read, as in the configuration of an
/// attachment that a DEL has to remove all the same, it is the default.
fn with_type(ipam: Option<&Json>) -> Json {
    let section = ipam.filter(|ipam| matches!(ipam, Json::Object(_)));
    let mut ipam = section.cloned().unwrap_or_else(|| Json::Object(Vec::new()));
    let named = matches!(ipam.get("type"), Some(Json::String(name)) if !name.is_empty());
    if !named {
        ipam.set("type", IPAM.into());
    }
    ipam
}

/// One range set, and so one address, for each family.
fn ranges(networks: &[IpNetwork]) -> Json {
    let of_family = |ipv6: bool| -> Vec<Json> {
        let own = networks.iter().filter(|net| net.is_ipv6() == ipv6);
        let range = |net: &IpNetwork| {
            Json::Object(vec![("subnet".to_owned(), Json::from(net.to_string()))])
        };
        own.map(range).collect()
    };
    let sets = [false, true].map(of_family);
    Json::Array(sets.into_iter().filter(|set| !set.is_empty()).map(Json::Array).collect())
}

/// A default route for each family of the networks that has none.
fn missing_defaults(given: &[Destination], networks: &[IpNetwork]) -> Vec<Json> {
    [(false, "0.0.0.0/0"), (true, "::/0")]
        .into_iter()
        .filter(|(ipv6, _)| networks.iter().any(|net| net.is_ipv6() == *ipv6))
        .filter(|(_, default)| given.iter().all(|route| route.dst != *default))
        .map(|(_, default)| Json::Object(vec![("dst".to_owned(), Json::from(default))]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use peers::Way;

    fn ground() -> Ground {
        let pod_cidrs = ["10.244.1.0/24", "10.244.9.0/24", "fd00:1::/64"];
        Ground {
            mtu: 1450,
            pod_cidrs: pod_cidrs.map(|net| net.parse().unwrap()).to_vec(),
            faults: Vec::new(),
        }
    }

    fn derived(more: &str) -> Json {
        let text = format!(r#"{{"cniVersion": "1.1.0", "name": "pods", "type": "vxlan"{more}}}"#);
        let conf = NetConf::parse(text.into_bytes()).unwrap();
        let config = Config::parse(Way::Vxlan, &conf).unwrap();
        on_node(&conf, &config, &ground()).unwrap().tree().clone()
    }

    fn member(json: &Json, path: &[&str]) -> String {
        let found = path.iter().try_fold(json, |json, key| json.get(key));
        found.map_or_else(String::new, Json::to_string)
    }

    #[test]
    fn what_is_not_given_comes_from_the_node() {
        let conf = derived("");
        assert_eq!(member(&conf, &["isDefaultGateway"]), "true");
        assert_eq!(member(&conf, &["mtu"]), "1450");
        assert_eq!(member(&conf, &["ipam", "type"]), "\"host-local\"");
        assert_eq!(
            member(&conf, &["ipam", "ranges"]),
            r#"[[{"subnet":"10.244.1.0/24"},{"subnet":"10.244.9.0/24"}],[{"subnet":"fd00:1::/64"}]]"#
        );
        assert_eq!(member(&conf, &["exemptNetworkNodes"]), "");
    }

    #[test]
    fn what_is_given_stays() {
        let conf = derived(
            r#", "MTU": 1400, "isDefaultGateway": false, "ipMasq": true,
                "ipam": {"Type": "host-local", "subnet": "10.244.1.0/25"}"#,
        );
        assert_eq!(member(&conf, &["mtu"]), "1400");
        assert_eq!(member(&conf, &["isDefaultGateway"]), "false");
        assert_eq!(member(&conf, &["ipam", "ranges"]), "");
        assert_eq!(member(&conf, &["ipam", "subnet"]), "\"10.244.1.0/25\"");
        assert_eq!(member(&conf, &["exemptNetworkNodes"]), "true");
        let conf = derived(r#", "runtimeConfig": {"ipRanges": [[{"subnet": "10.244.1.0/26"}]]}"#);
        assert_eq!(member(&conf, &["ipam", "ranges"]), "");
        let conf = derived(r#", "ipam": {"type": "dhcp"}"#);
        assert_eq!(member(&conf, &["ipam"]), r#"{"type":"dhcp"}"#);
    }

    #[test]
    fn a_routed_veth_gets_the_default_routes_that_are_missing() {
        let conf = derived(
            r#", "attach": "ptp", "ipam": {"routes": [{"dst": "0.0.0.0/0", "mtu": 1400}]}"#,
        );
        assert_eq!(
            member(&conf, &["ipam", "routes"]),
            r#"[{"dst":"0.0.0.0/0","mtu":1400},{"dst":"::/0"}]"#
        );
        assert_eq!(member(&conf, &["isDefaultGateway"]), "");
        let conf = derived(r#", "attach": "ptp", "isDefaultGateway": false"#);
        assert_eq!(member(&conf, &["ipam", "routes"]), "");
    }
}
