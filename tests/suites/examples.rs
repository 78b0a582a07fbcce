//! The configurations in `examples/` are served as they stand, so that what people copy works.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, VERSIONS, need, ping};

use crate::conf::{host, with};

/// A list of plugins, as a runtime reads it from a file.
struct Example {
    file: String,
    list: Value,
    /// What the runtime passes to plugins with the capability (`args/NAME.json`).
    arguments: Value,
}

impl Example {
    fn all() -> Vec<Self> {
        let mut files: Vec<PathBuf> = fs::read_dir(directory())
            .expect("the examples")
            .map(|entry| entry.expect("an example").path())
            .filter(|path| path.extension().is_some_and(|e| e == "conflist"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "there are no examples");
        let all = files.iter().map(|file| Self::read(file));
        // `dhcp::example` has a server for those that need one.
        all.filter(|example| example.plugins().all(|p| p["ipam"]["type"] != "dhcp")).collect()
    }

    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8");
        let parse = |path: &Path| -> Value {
            let text = fs::read_to_string(path).expect("a readable example");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let arguments = directory().join("args").join(name).with_extension("json");
        let arguments = if arguments.exists() { parse(&arguments) } else { json!({}) };
        let list = parse(path);
        assert_eq!(list["name"], name, "a network is called as its file is");
        Self { file: name.to_owned(), list, arguments }
    }

    fn version(&self) -> &str {
        self.list["cniVersion"].as_str().expect("cniVersion")
    }

    fn needs_vlans(&self) -> bool {
        self.plugins().any(|p| p.get("vlan").is_some() || p.get("vlanTrunk").is_some())
    }

    fn plugins(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.list["plugins"].as_array().expect("plugins").iter()
    }

    /// The plugins' configurations, as libcni makes them of the list. Leases go to the node's files.
    fn confs(&self, node: &Node) -> Vec<Value> {
        let conf = |plugin: &Value| {
            let head = json!({"cniVersion": self.version(), "name": self.list["name"]});
            let mut conf = with(plugin.clone(), head);
            if conf["ipam"]["type"] == "host-local" {
                conf["ipam"]["dataDir"] = json!(node.leases());
            }
            let kind = conf["type"].as_str().expect("type");
            if kind == "host-device" || SINGLE.contains(&kind) {
                conf["stateDir"] = json!(node.directory().join("state"));
            } else if kind == "tuning" {
                conf["dataDir"] = json!(node.directory().join("tuning"));
            }
            conf
        };
        self.plugins().map(conf).collect()
    }

    fn is_of(&self, kind: &str) -> bool {
        self.plugins().any(|plugin| plugin["type"] == kind)
    }

    /// Makes what a network takes for granted: a device to give away, or to make others upon, with a cable in it,
    /// and the gateways at the cable's other end.
    fn prepare(&self, node: &Node) {
        for plugin in self.plugins() {
            let Some(master) = plugin["master"].as_str() else { continue };
            node.batch(&format!(
                "link add {master} type veth peer name cable0\nlink set {master} up\nlink set cable0 up\n"
            ));
            let mut holder = "cable0".to_owned();
            if let Some(id) = plugin["vlanId"].as_u64() {
                holder = format!("cable0.{id}");
                node.batch(&format!(
                    "link add link cable0 name {holder} type vlan id {id}\nlink set {holder} up\n"
                ));
            }
            for gateway in gateways(&plugin["ipam"]) {
                let dad: &[&str] = if gateway.contains(':') { &["nodad"] } else { &[] };
                node.run(&[&["ip", "addr", "add", &gateway, "dev", &holder], dad].concat());
            }
        }
        for device in self.plugins().filter_map(|plugin| plugin["device"].as_str()) {
            node.run(&["ip", "link", "add", device, "type", "veth", "peer", "name", "cable0"]);
            node.run(&["ip", "link", "set", "cable0", "up"]);
        }
    }

    /// `conf` with the runtime's arguments that it is capable of. STATUS and GC never have any.
    fn with_arguments(&self, conf: &Value) -> Value {
        let capable = |key: &str| conf["capabilities"][key] == true;
        let arguments = self.arguments.as_object().expect("arguments by capability").iter();
        let arguments: serde_json::Map<String, Value> = arguments
            .filter(|(key, _)| capable(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if arguments.is_empty() {
            return conf.clone();
        }
        with(conf.clone(), json!({"runtimeConfig": arguments}))
    }

    /// One container's life in the network: STATUS, ADD, CHECK, GC, DEL.
    fn live(&self, node: &Node, pod: &Pod) {
        let confs = self.confs(node);
        let ifname = if confs.iter().all(|c| c["type"] == "loopback") { "lo" } else { "eth0" };
        if self.version() >= "1.1.0" {
            for conf in &confs {
                node.status(conf).ok();
            }
        }
        let mut made: Vec<Attachment> = Vec::new();
        for conf in &confs {
            let mut conf = self.with_arguments(conf);
            let own = conf.clone();
            if let Some(last) = made.last() {
                conf["prevResult"] = last.result.clone();
            }
            made.push(Attachment { conf: own, ..node.attach_as(&conf, pod, ifname) });
        }
        let result = made.last().expect("a plugin").result.clone();
        for one in &mut made {
            one.result = result.clone();
        }
        self.judge(node, pod, &made, ifname);
        for one in &made {
            node.check(one).ok();
        }
        if self.version() >= "1.1.0" {
            for (conf, one) in confs.iter().zip(&made) {
                node.gc(conf, &[one]).ok();
                node.check(one).ok();
            }
        }
        for one in made.iter().rev() {
            node.del(one).ok();
        }
    }

    /// The container has what the result says, is up, and reaches its gateways.
    fn judge(&self, node: &Node, pod: &Pod, made: &[Attachment], ifname: &str) {
        let file = &self.file;
        let (Some(first), Some(last)) = (made.first(), made.last()) else { return };
        let link = pod.link(ifname).unwrap_or_else(|| panic!("{file}: there is no {ifname}"));
        assert!(link["flags"].as_array().expect("flags").contains(&json!("UP")), "{file}: {link}");
        let mut addresses = last.addresses();
        addresses.sort();
        assert_eq!(pod.addresses(ifname), addresses, "{file}");

        let interfaces = last.result["interfaces"].as_array().expect("interfaces");
        let own = interfaces.iter().find(|i| i["name"] == ifname).expect("the container's");
        assert_eq!(own["sandbox"], pod.path(), "{file}");
        assert_eq!(own["mac"], link["address"], "{file}");
        let asked = &first.conf["runtimeConfig"];
        if let Some(mac) = asked["mac"].as_str() {
            assert_eq!(link["address"], mac, "{file}");
        }
        for ip in asked["ips"].as_array().into_iter().flatten() {
            assert!(last.ips().iter().any(|has| ip == has.as_str()), "{file}: {ip}");
        }

        for ip in last.result["ips"].as_array().into_iter().flatten() {
            if self.is_of("vrf") {
                // Whoever pings from within would have to choose the VRF.
                let own = ip["address"].as_str().and_then(|a| a.split('/').next());
                let own = own.expect("an address");
                assert!(ping(node, own), "{file}: no answer from {own}");
            } else if let Some(gateway) = ip["gateway"].as_str() {
                assert!(ping(pod, gateway), "{file}: no answer from {gateway}");
            }
        }
        let on_node = interfaces.iter().filter(|i| i["sandbox"].as_str().unwrap_or("").is_empty());
        for interface in on_node {
            let name = interface["name"].as_str().expect("name");
            assert!(node.link(name).is_some(), "{file}: there is no {name}");
        }
    }
}

/// The kinds of links that a kernel may lack, and whose examples are tried by themselves.
const SINGLE: &[&str] = &["dummy", "ipvlan", "macvlan", "tap", "vlan"];

/// The gateways of an IPAM section with the prefix lengths of their subnets: the subnet's first address
/// where none is named.
fn gateways(ipam: &Value) -> Vec<String> {
    let ranges = ipam["ranges"].as_array().into_iter().flatten();
    let ranges = ranges.flat_map(|set| set.as_array().into_iter().flatten());
    let of_range = ranges.filter_map(|range| {
        let subnet = range["subnet"].as_str()?;
        let (_, length) = subnet.split_once('/')?;
        let first = host(subnet, 1);
        Some(format!("{}/{length}", range["gateway"].as_str().unwrap_or(&first)))
    });
    let fixed = ipam["addresses"].as_array().into_iter().flatten().filter_map(|fixed| {
        let (_, length) = fixed["address"].as_str()?.split_once('/')?;
        Some(format!("{}/{length}", fixed["gateway"].as_str()?))
    });
    of_range.chain(fixed).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Whether the examples are where the test executable was taken to.
fn are_here() -> bool {
    let here = directory().is_dir();
    if !here {
        testkit::not_run("the examples are not here");
    }
    here
}

/// Each example twice on one node: what the first container leaves is what all share (the bridge);
/// the second must leave nothing.
fn try_those(choose: impl Fn(&Example) -> bool) {
    if !are_here() {
        return;
    }
    let chosen: Vec<Example> = Example::all().into_iter().filter(choose).collect();
    assert!(!chosen.is_empty(), "no example of this kind");
    for example in chosen {
        let node = Node::new();
        example.prepare(&node);
        let before = node.snapshot();
        example.live(&node, &node.pod());
        let shared = node.snapshot();
        assert_eq!(before.section("nft"), shared.section("nft"), "{}", example.file);
        let leases = node.leased(&example.file);
        assert!(leases.is_empty(), "{}: {leases:?}", example.file);
        let ours = shared.section("links").iter().find(|link| link.contains("podwire:"));
        assert_eq!(ours, None, "{}", example.file);
        example.live(&node, &node.pod());
        shared.assert_same(&node.snapshot());
    }
}

#[test]
fn every_example_serves_containers_and_leaves_nothing() {
    need!(Nft);
    let of_its_own = |example: &Example| {
        example.needs_vlans()
            || example.is_of("vrf")
            || SINGLE.iter().any(|kind| example.is_of(kind))
    };
    try_those(|example| !of_its_own(example));
}

macro_rules! of_kind {
    ($($name:ident $($feature:ident)+: $kind:literal;)+) => {
        $(
            #[test]
            fn $name() {
                need!($($feature),+);
                try_those(|example| example.is_of($kind));
            }
        )+
    };
}

of_kind! {
    the_examples_of_dummy_serve_containers_and_leave_nothing Dummy: "dummy";
    the_examples_of_ipvlan_serve_containers_and_leave_nothing Ipvlan: "ipvlan";
    the_examples_of_macvlan_serve_containers_and_leave_nothing Macvlan: "macvlan";
    the_examples_of_tap_serve_containers_and_leave_nothing Tap: "tap";
    the_examples_of_vlan_serve_containers_and_leave_nothing Vlan: "vlan";
    the_examples_of_vrf_serve_containers_and_leave_nothing Nft Vrf: "vrf";
}

#[test]
fn every_example_with_vlans_serves_containers_and_leaves_nothing() {
    need!(Nft, BridgeVlan);
    try_those(Example::needs_vlans);
}

#[test]
fn every_example_is_of_a_known_version_and_told_of_in_the_readme() {
    if !are_here() {
        return;
    }
    let readme = fs::read_to_string(directory().join("README.md")).expect("examples/README.md");
    for example in Example::all() {
        assert!(VERSIONS.contains(&example.version()), "{}", example.file);
        let file = format!("]({}.conflist)", example.file);
        assert!(readme.contains(&file), "{file} is missing in examples/README.md");
    }
}

/// Those whose READMEs show an example, besides `SINGLE`.
const PLUGINS: &[&str] = &[
    "bandwidth",
    "bridge",
    "firewall",
    "host-device",
    "loopback",
    "portmap",
    "ptp",
    "sbr",
    "tuning",
    "vrf",
];

#[test]
fn what_the_readme_of_a_plugin_shows_is_the_example_it_names() {
    if !are_here() {
        return;
    }
    for plugin in PLUGINS.iter().chain(SINGLE) {
        let readme = directory().join("../plugins").join(plugin).join("README.md");
        let text = fs::read_to_string(&readme).expect("a README");
        let (_, rest) = text.split_once("```json\n").expect("an example");
        let (shown, rest) = rest.split_once("```").expect("the end of the example");
        let (_, rest) = rest.split_once("(../../examples/").expect("the example's name");
        let (file, _) = rest.split_once(')').expect("the end of the name");
        let shown: Value = serde_json::from_str(shown).expect("JSON");
        let example = Example::read(&directory().join(file));
        assert_eq!(shown, example.list, "{}", readme.display());
    }
}
