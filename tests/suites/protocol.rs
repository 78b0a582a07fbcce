//! The protocol's edges, the same for every executable: what is refused, with which code, and that
//! nothing is left behind.

use serde_json::{Value, json};
use testkit::{Feature, Node, Output, Pod, VERSIONS};

use crate::conf::with;

pub const EXECUTABLES: &[&str] = &[
    "bandwidth",
    "bridge",
    "dummy",
    "firewall",
    "host-gw",
    "host-local",
    "ipip",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tap",
    "tuning",
    "vlan",
    "vrf",
    "vxlan",
];

/// Those that know no `ipam`.
const WITHOUT_IPAM: &[&str] =
    &["bandwidth", "firewall", "loopback", "portmap", "sbr", "tuning", "vrf"];

/// The versions that an executable speaks.
fn spoken(plugin: &str) -> &'static [&'static str] {
    let oldest = match plugin {
        "bandwidth" => "0.3.0",
        "vrf" => "0.3.1",
        _ => VERSIONS[0],
    };
    let at = VERSIONS.iter().position(|version| *version == oldest).expect("a version");
    &VERSIONS[at..]
}

const ALL_VERBS: &[&str] = &["ADD", "DEL", "CHECK", "GC", "STATUS"];

/// A configuration that this executable serves.
pub fn sample(node: &Node, plugin: &str, version: &str) -> Value {
    let host_local = node.host_local(&["10.1.0.0/24"]);
    let addresses = json!([{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}]);
    let ipam = match plugin {
        "vrf" => {
            let name = json!({"vrfname": "red"});
            return with(json!({"cniVersion": version, "name": "net", "type": plugin}), name);
        }
        _ if WITHOUT_IPAM.contains(&plugin) => {
            return json!({"cniVersion": version, "name": "net", "type": plugin});
        }
        "static" => json!({"type": "static", "addresses": addresses}),
        _ => host_local,
    };
    let mut conf = json!({"cniVersion": version, "name": "net", "type": plugin, "bridge": "br0", "ipam": ipam});
    if ["dummy", "ipvlan", "macvlan", "tap", "vlan"].contains(&plugin) {
        conf["master"] = json!("up0");
        conf["stateDir"] = json!(node.directory().join("links"));
        conf.as_object_mut().expect("an object").remove("bridge");
    }
    if !["host-gw", "ipip", "vxlan"].contains(&plugin) {
        return conf;
    }
    let local = json!({"name": "n1", "podCIDRs": ["10.1.0.0/24"], "nodeIPs": ["192.168.2.1"]});
    let more = json!({
        "local": local, "peers": [], "clusterCIDRs": ["10.1.0.0/16"],
        "stateDir": node.directory().join("state"),
    });
    with(conf, more)
}

/// Runs `judge` for every executable on a node of its own, which must be afterwards as it was before.
fn each(judge: impl Fn(&Node, &Pod, &'static str)) {
    for plugin in EXECUTABLES {
        let (node, pod) = (Node::new(), Pod::new());
        // An underlay, for those that need one.
        node.batch("link add up0 type bridge\naddr add 192.168.2.1/24 dev up0\nlink set up0 up\n");
        std::fs::create_dir(node.directory().join("links")).expect("a directory");
        let before = node.snapshot();
        judge(&node, &pod, plugin);
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}

fn call(node: &Node, pod: &Pod, plugin: &str, verb: &str, stdin: &str) -> Output {
    node.call(plugin).verb(verb).pod(pod).ifname("eth0").stdin(stdin).run()
}

#[test]
fn version_lists_all_versions_and_looks_at_nothing_else() {
    each(|node, _, plugin| {
        for stdin in [r#"{"cniVersion":"1.1.0"}"#, "", r#"{"cniVersion":"0.4.0"}"#] {
            let call = node.call(plugin).verb("VERSION").stdin(stdin);
            let bare = call.clone().run().ok();
            assert_eq!(bare["supportedVersions"], json!(spoken(plugin)), "{plugin}");
            assert!(bare["cniVersion"].is_string());
            // libcni fills in dummies.
            let dummies =
                call.env("CNI_NETNS", "dummy").ifname("dummy").env("CNI_CONTAINERID", "dummy");
            assert_eq!(dummies.run().ok(), bare);
        }
    });
}

#[test]
fn without_a_command_the_executable_introduces_itself_on_stderr() {
    each(|node, _, plugin| {
        let output = node.call(plugin).without("CNI_PATH").run();
        assert!(output.succeeded(), "{output}");
        assert_eq!(output.stdout, "");
        for word in [plugin].iter().chain(spoken(plugin)) {
            assert!(output.stderr.contains(word), "{word}: {output}");
        }
    });
}

#[test]
fn all_missing_variables_are_named_at_once() {
    let names = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];
    each(|node, pod, plugin| {
        let conf = sample(node, plugin, "1.1.0");
        for (verb, missing) in [
            ("ADD", &names[..]),
            ("CHECK", &names[..]),
            ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"][..]),
        ] {
            let call = node.call(plugin).verb(verb).conf(&conf).without("CNI_PATH");
            let error = call.run().fails();
            error.is(4, missing);
            for name in names.iter().filter(|name| !missing.contains(name)) {
                assert!(!error.msg.contains(name), "{verb}: {error}");
            }
        }
        let call = node.call(plugin).verb("ADD").conf(&conf).pod(pod).without("CNI_CONTAINERID");
        let error = call.run().fails();
        error.is(4, &["CNI_CONTAINERID", "CNI_IFNAME"]);
        assert!(!error.msg.contains("CNI_NETNS"), "{error}");
        // An empty variable is a missing one.
        let empty = node.call(plugin).verb("ADD").conf(&conf).pod(pod).ifname("").run();
        empty.fails().is(4, &["CNI_IFNAME"]);
    });
}

#[test]
fn an_unknown_verb_is_named() {
    each(|node, pod, plugin| {
        let conf = sample(node, plugin, "1.1.0").to_string();
        for verb in ["FROBNICATE", "add", "ADD "] {
            call(node, pod, plugin, verb, &conf).fails().is(4, &["CNI_COMMAND", verb.trim()]);
        }
    });
}

#[test]
fn what_is_no_json_object_is_a_decoding_error() {
    each(|node, pod, plugin| {
        let whole = sample(node, plugin, "1.1.0").to_string();
        let truncated = &whole[..whole.len() - 1];
        for stdin in ["", "{", "[]", "\"net\"", "nonsense", "\u{0}\u{1}", truncated] {
            for verb in ALL_VERBS {
                call(node, pod, plugin, verb, stdin).fails().is(6, &[]);
            }
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        call(node, pod, plugin, "ADD", &format!("{{\"x\":{deep}}}")).fails().is(6, &[]);
    });
}

#[test]
fn a_key_of_the_wrong_type_is_named() {
    each(|node, pod, plugin| {
        let mut keys = vec![("cniVersion", json!(5)), ("name", json!(5)), ("name", json!({}))];
        if !WITHOUT_IPAM.contains(&plugin) {
            keys.push(("ipam", json!("host-local")));
            keys.push(("ipam", json!([])));
        }
        for (key, value) in keys {
            let mut conf = sample(node, plugin, "1.1.0");
            conf[key] = value;
            call(node, pod, plugin, "ADD", &conf.to_string()).fails().is(6, &[key]);
        }
    });
}

#[test]
fn a_network_needs_a_name_that_can_be_a_directory() {
    each(|node, pod, plugin| {
        let mut conf = sample(node, plugin, "1.1.0");
        for name in ["a/b", "../x", ".", "-x", "_x", "a b", "n\u{e4}me", ""] {
            conf["name"] = json!(name);
            for verb in ALL_VERBS {
                let error = call(node, pod, plugin, verb, &conf.to_string()).fails();
                error.is(7, &["name", name]);
            }
        }
        for conf in [json!({"cniVersion": "1.1.0"}), json!({"cniVersion": "1.1.0", "name": null})] {
            call(node, pod, plugin, "ADD", &conf.to_string()).fails().is(7, &["name"]);
        }
    });
}

#[test]
fn odd_container_ids_and_interface_names_are_refused() {
    each(|node, pod, plugin| {
        let conf = sample(node, plugin, "1.1.0");
        for verb in ["ADD", "DEL", "CHECK"] {
            let call = node.call(plugin).verb(verb).conf(&conf).pod(pod).ifname("eth0");
            for id in ["-x", ".x", "a/b", "../../etc", "a b", "a\nb", "\u{e4}"] {
                call.clone().env("CNI_CONTAINERID", id).run().fails().is(4, &["CNI_CONTAINERID"]);
            }
            for name in [
                "sixteen-letters-",
                "a/b",
                "a:b",
                "a b",
                "a\tb",
                "a\u{2003}b",
                ".",
                "..",
                "eth%d",
                "all",
            ] {
                let error = call.clone().ifname(name).run().fails();
                error.is(4, &["interface name"]);
            }
        }
    });
}

#[test]
fn a_version_that_nobody_speaks_is_named_with_those_that_are_spoken() {
    each(|node, pod, plugin| {
        let mut conf = sample(node, plugin, "1.1.0");
        for version in ["9.9.9", "0.5.0", "1.0", "v1.0.0", "1.1.0-rc1", "x"] {
            conf["cniVersion"] = json!(version);
            for verb in ALL_VERBS {
                let error = call(node, pod, plugin, verb, &conf.to_string()).fails();
                error.is(1, &[version, spoken(plugin)[0], "1.1.0"]);
            }
        }
    });
}

#[test]
fn a_verb_that_did_not_exist_in_the_version_is_refused() {
    each(|node, pod, plugin| {
        for (verb, since) in [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")] {
            for version in spoken(plugin).iter().filter(|version| **version < since) {
                let conf = sample(node, plugin, version).to_string();
                call(node, pod, plugin, verb, &conf).fails().is(1, &[verb]);
            }
            let mut conf = sample(node, plugin, "1.1.0");
            conf.as_object_mut().unwrap().remove("cniVersion");
            let named = if spoken(plugin).contains(&"0.1.0") { verb } else { "0.1.0" };
            call(node, pod, plugin, verb, &conf.to_string()).fails().is(1, &[named]);
        }
    });
}

#[test]
fn check_needs_a_previous_result_of_the_same_version() {
    each(|node, pod, plugin| {
        let mut conf = sample(node, plugin, "1.1.0");
        call(node, pod, plugin, "CHECK", &conf.to_string()).fails().is(7, &["prevResult"]);
        conf["prevResult"] = json!(7);
        call(node, pod, plugin, "CHECK", &conf.to_string()).fails().is(6, &["prevResult"]);
        conf["prevResult"] = json!({"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/99"}]});
        let error = call(node, pod, plugin, "CHECK", &conf.to_string()).fails();
        error.is(7, &["prevResult", "10.1.0.5/99"]);
        conf["prevResult"] = json!({"cniVersion": "7.0.0"});
        let error = call(node, pod, plugin, "CHECK", &conf.to_string()).fails();
        assert!(error.msg.contains("7.0.0"), "{error}");
    });
}

#[test]
fn errors_carry_the_version_of_the_configuration() {
    each(|node, pod, plugin| {
        let mut conf = sample(node, plugin, "0.4.0");
        conf["name"] = json!("a/b");
        let output = call(node, pod, plugin, "ADD", &conf.to_string());
        let object: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(object["cniVersion"], "0.4.0");
        assert_eq!(object["code"], 7);
    });
}

#[test]
fn status_of_a_plugin_that_can_serve_says_nothing() {
    each(|node, _, plugin| {
        let feature = match plugin {
            "dummy" => Some(Feature::Dummy),
            "ipip" => Some(Feature::Ipip),
            "ipvlan" => Some(Feature::Ipvlan),
            "macvlan" => Some(Feature::Macvlan),
            "tap" => Some(Feature::Tap),
            "vlan" => Some(Feature::Vlan),
            "vrf" => Some(Feature::Vrf),
            _ => None,
        };
        if feature.is_some_and(|feature| feature.missing().is_some()) {
            return;
        }
        let conf = sample(node, plugin, "1.1.0");
        let output = node.call(plugin).verb("STATUS").conf(&conf).run();
        assert_eq!(output.ok(), Value::Null);
        assert_eq!(output.stderr, "");
    });
}

#[test]
fn keys_match_without_regard_to_case_and_the_last_of_two_counts() {
    let (node, pod) = (Node::new(), Pod::new());
    let stdin = format!(
        r#"{{"CNIVERSION": "1.1.0", "Name": "net", "TYPE": "bridge", "BRIDGE": "br0", "mtu": 1400, "MTU": 1300,
            "isGATEWAY": true, "prevResult": null, "runtimeConfig": null, "args": null, "dns": null,
            "capabilities": {{"mac": true}}, "unheard": [{{"of": 1}}], "vlanTrunk": null, "ipMasqBackend": null,
            "iPaM": {{"TYPE": "host-local", "dAtAdIr": {:?}, "RangeS": [[{{"SUBNET": "10.1.0.0/24"}}]]}}}}"#,
        node.leases()
    );
    let result = call(&node, &pod, "bridge", "ADD", &stdin).ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.2/24");
    assert_eq!(result["ips"][0]["gateway"], "10.1.0.1");
    assert_eq!(pod.link("eth0").unwrap()["mtu"], 1300);
    assert_eq!(node.addresses("br0"), ["10.1.0.1/24"]);
}
