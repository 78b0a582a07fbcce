//! Descriptions that cannot be read or make no sense: named, and nothing that worked stops working.

use std::fs::{self, File};
use std::io::Write as _;

use serde_json::{Value, json};

use super::ground::Site;
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;

each_mode! {
    what_is_no_fleet_leaves_all_as_it_was,
    one_bad_node_leaves_the_others_served,
}

/// Waits until the agent of node 1 says what is wrong with its source.
#[track_caller]
fn names(site: &Site, words: &str) {
    site.agent_tells(1, words, |state| {
        state["sourceTrouble"]["what"].as_str().is_some_and(|what| what.contains(words))
    });
}

/// Waits until the agent of node 1 says what is wrong with a peer.
#[track_caller]
fn faults(site: &Site, peer: &str, words: &str) {
    site.agent_tells(1, words, |state| {
        let faults = state["faults"].as_array().map_or(&[][..], Vec::as_slice);
        faults
            .iter()
            .any(|fault| fault["peer"] == peer && fault["reason"].as_str().unwrap().contains(words))
    });
}

fn what_is_no_fleet_leaves_all_as_it_was(mode: Mode) {
    let (site, mut agents) = Site::running(mode);
    let good = site.fleet();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut fleet = good.clone();
        change(&mut fleet);
        fleet.to_string()
    };
    let half = good.to_string();
    for (text, words) in [
        ("garbage \u{0}".to_owned(), "not JSON"),
        (half[..half.len() / 2].to_owned(), "not JSON"),
        (String::new(), "not JSON"),
        ("[]".to_owned(), "must be an object"),
        (with(&|fleet| fleet["version"] = json!(2)), "version 2"),
        (with(&|fleet| fleet["clusterCIDRs"] = json!([])), "clusterCIDRs is missing"),
        (with(&|fleet| fleet["peers"][0]["name"] = json!("other")), "this one, \"n1\""),
        (with(&|fleet| fleet["peers"][1]["name"] = json!("n1")), "several nodes"),
        (with(&|fleet| fleet["peers"][0]["podCIDRs"] = json!(["10.99.1.0/24"])), "10.99.1.0/24"),
        (with(&|fleet| fleet["peers"] = json!("n2")), "peers must be a list"),
    ] {
        site.write_text(&text);
        names(&site, words);
        site.cluster.holds(1);
    }
    fs::remove_file(site.fleet_file()).unwrap();
    names(&site, "No such file");
    fs::create_dir(site.fleet_file()).unwrap();
    names(&site, "cluster.json");
    fs::remove_dir(site.fleet_file()).unwrap();
    let status = site.status(1);
    assert_eq!(status["inLine"], false);
    assert_eq!(status["peers"].as_array().unwrap().len(), 2);
    assert!(agents[0].runs());
    assert!(agents[0].log().contains("the source fails"), "{}", agents[0].log());
    // Damage is mended all the while.
    site.node(1).run(&["ip", "route", "del", "10.244.2.0/24", "proto", "112"]);
    site.settles(1);
    // What is garbage to this node may have been a fleet without it to others.
    site.write();
    site.settle();
    site.cluster.all_talk();
    site.agent_tells(1, "that all is well", |state| state["sourceTrouble"].is_null());
}

fn one_bad_node_leaves_the_others_served(mode: Mode) {
    let (mut site, _agents) = Site::running(mode);
    let good = site.entry(3).clone();
    for (key, value, words) in [
        ("podCIDRs", json!(["10.244.1.0/24"]), "overlaps 10.244.1.0/24 of this node"),
        ("podCIDRs", json!(["10.244.2.0/24"]), "overlaps 10.244.2.0/24 of peer n2"),
        ("podCIDRs", json!([]), "podCIDRs is missing"),
        ("podCIDRs", json!(["10.244.3.0/33"]), "10.244.3.0/33"),
        ("nodeIPs", json!(["fd00:192:168:2::3"]), "no IPv4 address in nodeIPs"),
        ("nodeIPs", json!("x"), "nodeIPs"),
        ("vtepMAC", json!("nonsense"), "vtepMAC"),
    ] {
        site.entry(3)[key] = value;
        let bad = site.entry(3).clone();
        site.write();
        faults(&site, "n3", words);
        site.entry(3).take();
        site.settles(1);
        site.cluster.talk(1, 2);
        let status = site.status(1);
        let third = status["peers"].as_array().unwrap().iter().find(|peer| peer["name"] == "n3");
        assert!(third.unwrap()["reasons"].to_string().contains(words.split('"').next().unwrap()));
        assert_ne!(bad, good);
        *site.entry(3) = good.clone();
        site.write();
        site.settle();
    }
    site.cluster.all_talk();
}

#[test]
fn who_joins_with_the_network_of_another_does_not_push_it_out() {
    let (mut site, _agents) = Site::running(Mode::HostGw);
    let nets = site.entry(2)["podCIDRs"].clone();
    let new = json!({"name": "a-new", "podCIDRs": nets,
        "nodeIPs": ["192.168.2.9", "fd00:192:168:2::9"]});
    site.cluster.fleet.roster.entries.push(new);
    site.write();
    faults(&site, "a-new", "overlaps 10.244.2.0/24 of peer n2");
    // It is none that the nodes are to hold.
    site.cluster.fleet.roster.entries.pop();
    site.cluster.holds(1);
    site.cluster.talk(1, 2);
}

#[test]
fn a_file_that_is_written_in_pieces_is_read_when_it_is_whole() {
    let (mut site, _agents) = Site::running(Mode::Vxlan);
    site.entry(3).take();
    let text = site.fleet().to_string();
    let (first, second) = text.split_at(text.len() / 2);
    let mut file = File::create(site.fleet_file()).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    names(&site, "not JSON");
    file.write_all(second.as_bytes()).unwrap();
    site.settles(1);
    site.agent_tells(1, "that all is well", |state| state["sourceTrouble"].is_null());
}

#[test]
fn an_agent_without_a_description_waits_for_one() {
    let site = Site::new(Mode::HostGw);
    fs::remove_file(site.fleet_file()).unwrap();
    let mut agent = site.start(1);
    names(&site, "No such file");
    assert!(agent.runs());
    assert!(!site.cluster.fleet.roster.path(site.node(1)).exists());
    site.write();
    site.settles(1);
}

#[test]
fn a_directory_that_comes_later_is_found() {
    let site = Site::new(Mode::HostGw);
    let later = site.home().join("later");
    let mut arguments = site.arguments(1);
    arguments[5] = later.join("fleet.json").to_str().unwrap().to_owned();
    let _agent = site.start_as(1, &arguments, &[]);
    names(&site, "No such file");
    fs::create_dir(&later).unwrap();
    fs::copy(site.fleet_file(), later.join("fleet.json")).unwrap();
    site.settles(1);
}

#[test]
fn what_was_known_last_is_kept_true_after_a_restart_too() {
    let (site, mut agents) = Site::running(Mode::Vxlan);
    agents.remove(0).kill();
    site.write_text("garbage");
    site.node(1).run(&["ip", "link", "del", "vxlan.1"]);
    let _again = site.start(1);
    site.settles(1);
    names(&site, "not JSON");
    site.cluster.all_talk();
}

#[test]
fn a_peer_file_that_somebody_damages_is_written_anew() {
    let (site, agents) = Site::running_of(Mode::HostGw, json!({}), &["--log-level", "debug"]);
    let path = site.cluster.fleet.roster.path(site.node(1));
    let good = fs::read(&path).unwrap();
    let damages: [&dyn Fn(); 4] = [
        &|| fs::write(&path, "garbage").unwrap(),
        &|| fs::write(&path, &good[..good.len() / 2]).unwrap(),
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::rename(&path, path.with_extension("old")).unwrap(),
    ];
    for damage in damages {
        damage();
        super::ground::until("the peer file", || {
            let now = fs::read(&path).unwrap_or_default();
            if now == good { Ok(()) } else { Err(now) }
        });
    }
    agents[0].says("causes=\"file\"");
    site.settles(1);
}
