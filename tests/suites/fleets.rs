//! The fleets in `examples/` are served as they stand: three nodes with the peer files that lie there,
//! a pod on each, and all pods reach each other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Attachment, Fleet, Pod, Pods, Underlay, need, ping, tcp};

use crate::conf::with;

fn directory(mode: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(mode)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn conflist(mode: &str) -> Value {
    serde_json::from_str(&text(&directory(mode).join(format!("{mode}.conflist")))).expect("JSON")
}

/// The plugin's configuration on a node, with the example's peer file in the node's own directory.
fn conf(fleet: &Fleet, mode: &str, n: usize) -> Value {
    let list = conflist(mode);
    assert_eq!(list["name"], mode, "a network is called as its file is");
    let plugins = list["plugins"].as_array().expect("plugins");
    assert_eq!(plugins.len(), 1, "{mode}");
    let home = fleet.node(n).directory().join(mode);
    fs::create_dir_all(&home).expect("the network's directory");
    let peers = home.join("peers.json");
    fs::copy(directory(mode).join(format!("n{n}.peers.json")), &peers).expect("a peer file");
    let more = json!({
        "cniVersion": list["cniVersion"], "name": mode, "peersFile": peers, "stateDir": home,
        "ipam": {"dataDir": fleet.node(n).leases()},
    });
    with(plugins[0].clone(), more)
}

fn serves(mode: &str, pods: Pods) {
    need!(Nft);
    if !directory(mode).is_dir() {
        testkit::not_run("the examples are not here");
        return;
    }
    let fleet = Fleet::new(Underlay::Segment, pods);
    let confs: Vec<Value> = fleet.numbers().map(|n| conf(&fleet, mode, n)).collect();
    for (n, conf) in (1..).zip(&confs) {
        fleet.node(n).status(conf).ok();
    }
    let made: Vec<(Pod, Attachment)> =
        (1..).zip(&confs).map(|(n, conf)| fleet.attach(conf, n)).collect();
    for (n, (pod, attached)) in (1..).zip(&made) {
        fleet.node(n).check(attached).ok();
        for (m, (other, theirs)) in (1..).zip(&made) {
            for (own, address) in attached.ips().iter().zip(theirs.ips()) {
                let what = format!("{mode}: {own} of n{n} to {address} of n{m}");
                assert!(ping(pod, &address), "{what}");
                let seen = tcp(pod, other, &address).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(seen.to_string(), *own, "{what}");
            }
        }
    }
    for (n, (_, attached)) in (1..).zip(&made) {
        fleet.node(n).gc(&confs[n - 1], &[attached]).ok();
        fleet.node(n).check(attached).ok();
        fleet.node(n).del(attached).ok();
        assert_eq!(fleet.node(n).leased(mode), [""; 0], "{mode}");
    }
}

#[test]
fn the_fleet_of_host_gw_works_as_it_stands() {
    serves("host-gw", Pods::Dual);
}

#[test]
fn the_fleet_of_vxlan_works_as_it_stands() {
    serves("vxlan", Pods::Dual);
}

#[test]
fn the_fleet_of_ipip_works_as_it_stands() {
    need!(Ipip);
    serves("ipip", Pods::V4);
}

#[test]
fn what_the_readme_of_a_plugin_shows_is_the_example() {
    for mode in ["host-gw", "vxlan", "ipip"] {
        if !directory(mode).is_dir() {
            testkit::not_run("the examples are not here");
            return;
        }
        let readme = text(&directory(mode).join("../../plugins").join(mode).join("README.md"));
        let shown: Vec<Value> = readme
            .split("```json\n")
            .skip(1)
            .map(|rest| rest.split("```").next().expect("the end of an example"))
            .map(|json| serde_json::from_str(json).expect("JSON"))
            .collect();
        let peers = text(&directory(mode).join("n1.peers.json"));
        let peers: Value = serde_json::from_str(&peers).expect("JSON");
        assert_eq!(shown, [conflist(mode), peers], "{mode}");
    }
}
