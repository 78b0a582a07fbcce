//! Peers come, go and change, and no ADD is needed for anybody to follow.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};
use testkit::{ping, silent};

use super::ground::{Site, until};
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;

each_mode! {
    nodes_with_one_description_reach_each_other,
    a_peer_that_leaves_is_gone_without_an_add,
    a_peer_that_joins_is_reached_without_an_add,
    a_peer_that_moves_is_followed,
    a_peer_file_that_somebody_writes_is_followed,
    a_directory_of_nodes_is_followed,
}

fn nodes_with_one_description_reach_each_other(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    for n in site.cluster.fleet.numbers() {
        let file: Value = serde_json::from_slice(
            &fs::read(site.cluster.fleet.roster.path(site.node(n))).unwrap(),
        )
        .unwrap();
        assert_eq!(file["local"]["name"], format!("n{n}"));
        site.cluster.check(n).ok();
    }
}

fn a_peer_that_leaves_is_gone_without_an_add(mode: Mode) {
    let (mut site, _agents) = Site::running(mode);
    let gone = site.entry(3).take();
    site.write();
    site.settle();
    site.cluster.talk(1, 2);
    assert!(silent(site.cluster.pod(1), &site.cluster.attachment(3).ip()));
    *site.entry(3) = gone;
    site.write();
    site.settle();
    site.cluster.all_talk();
}

fn a_peer_that_joins_is_reached_without_an_add(mode: Mode) {
    let mut site = Site::new(mode);
    let late = site.entry(3).take();
    site.write();
    let _agents: Vec<_> = (1..3).map(|n| site.start(n)).collect();
    site.settle();
    *site.entry(3) = late;
    site.write();
    let _third = site.start(3);
    site.settle();
    let numbers = site.cluster.fleet.numbers();
    site.cluster.pods =
        numbers.map(|n| site.cluster.fleet.attach(&site.cluster.conf(n), n)).collect();
    site.cluster.all_talk();
}

fn a_peer_that_moves_is_followed(mode: Mode) {
    let (mut site, _agents) = Site::running(mode);
    site.node(3).run(&["ip", "addr", "add", "192.168.2.33/24", "dev", "eth0"]);
    site.entry(3)["nodeIPs"][0] = json!("192.168.2.33");
    site.entry(3)["vtepMAC"] = json!("66:00:00:00:00:33");
    site.write();
    site.settle();
    site.cluster.all_talk();
}

fn a_peer_file_that_somebody_writes_is_followed(mode: Mode) {
    let mut site = Site::new(mode);
    let arguments: Vec<String> = site.arguments(1).into_iter().take(2).collect();
    // It may come later than the agent.
    let _agent = site.start_as(1, &arguments, &[]);
    site.agent_tells(1, "that there is no file", |state| {
        state["sourceTrouble"]["what"].as_str().is_some_and(|what| what.contains("peers.json"))
    });
    site.cluster.fleet.write(1);
    let written = fs::metadata(site.cluster.fleet.roster.path(site.node(1))).unwrap().ino();
    site.settles(1);
    site.entry(2).take();
    site.cluster.fleet.write(1);
    site.settles(1);
    let path = site.cluster.fleet.roster.path(site.node(1));
    assert_ne!(fs::metadata(&path).unwrap().ino(), written);
    // It is not the agent's to write or to remove.
    let before = fs::metadata(&path).unwrap().ino();
    site.agent_tells(1, "that all is well", |state| state["sourceTrouble"].is_null());
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
}

fn a_directory_of_nodes_is_followed(mode: Mode) {
    let mut site = Site::new(mode);
    let directory = site.home().join("nodes");
    fs::create_dir(&directory).unwrap();
    let fleet = site.fleet();
    let put = |name: &str, text: &str| {
        let new = directory.join(format!(".{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, directory.join(format!("{name}.json"))).unwrap();
    };
    put("cluster", &json!({"version": 1, "clusterCIDRs": fleet["clusterCIDRs"]}).to_string());
    for entry in fleet["peers"].as_array().unwrap() {
        put(entry["name"].as_str().unwrap(), &entry.to_string());
    }
    let mut arguments = site.arguments(1);
    directory.to_str().unwrap().clone_into(&mut arguments[5]);
    let _agent = site.start_as(1, &arguments, &[]);
    site.settles(1);
    // One that cannot be read is named; it is served as it was last, and so are the others.
    fs::write(directory.join("n2.json"), "{\"podCIDRs\": [").unwrap();
    site.agent_tells(1, "which file is bad", |state| {
        state["faults"][0]["peer"] == "n2"
            && state["faults"][0]["reason"].as_str().unwrap().contains("n2.json")
    });
    site.settles(1);
    fs::remove_file(directory.join("n2.json")).unwrap();
    site.entry(2).take();
    site.settles(1);
}

#[test]
fn an_add_finds_everything_in_place() {
    let (site, mut agents) = Site::running(Mode::Vxlan);
    let record = site.state(1).join("record.json");
    until("the record is settled", || {
        let text: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap_or_default();
        if text["settled"].is_null() { Err(text) } else { Ok(()) }
    });
    // It has made the ground, and might write the record once more for what it made itself.
    agents.remove(0).stop();
    let before = fs::metadata(&record).unwrap().ino();
    let (pod, attached) = site.cluster.fleet.attach(&site.cluster.conf(1), 1);
    assert!(ping(&pod, &site.cluster.attachment(2).ip()));
    site.node(1).check(&attached).ok();
    assert_eq!(fs::metadata(&record).unwrap().ino(), before, "the ADD compared all");
}

#[test]
fn a_description_that_is_a_link_into_a_directory_that_is_swapped_is_followed() {
    let mut site = Site::new(Mode::HostGw);
    let home = site.home().to_owned();
    // As a ConfigMap is mounted.
    let put = |site: &Site, version: &str| {
        fs::create_dir(home.join(version)).unwrap();
        fs::write(home.join(version).join("map.json"), site.fleet().to_string()).unwrap();
        std::os::unix::fs::symlink(version, home.join("..new")).unwrap();
        fs::rename(home.join("..new"), home.join("..data")).unwrap();
    };
    put(&site, "..1");
    std::os::unix::fs::symlink("..data/map.json", home.join("map.json")).unwrap();
    let mut arguments = site.arguments(1);
    arguments[5] = home.join("map.json").to_str().unwrap().to_owned();
    let _agent = site.start_as(1, &arguments, &[]);
    site.settles(1);
    site.entry(2).take();
    put(&site, "..2");
    site.settles(1);
}
