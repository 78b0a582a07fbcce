//! The conflist changes under a running agent: what it says is applied, and what cannot be is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::need;

use super::ground::{Site, replace, until};
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;
use crate::nodes::state::{Place, held};

each_mode! {
    another_mtu_is_applied,
    a_conflist_that_cannot_be_followed_leaves_all_as_it_was,
    routes_bear_another_number_and_none_keeps_the_old_one,
}

/// Waits until the agent of node 1 says what is wrong with the conflist.
#[track_caller]
fn names(site: &Site, words: &str) {
    site.agent_tells(1, words, |state| {
        state["conflistTrouble"]["what"].as_str().is_some_and(|what| what.contains(words))
    });
}

fn another_mtu_is_applied(mode: Mode) {
    let (mut site, _agents) = Site::running(mode);
    for mtu in [1300, 1400] {
        site.configure(json!({"mtu": mtu}));
        site.agent_tells(1, "the pods' MTU", |state| state["mtu"] == mtu);
        if let Some(device) = mode.device(false) {
            assert_eq!(site.node(1).link(device).unwrap()["mtu"], mtu);
        }
    }
    site.settle();
    site.cluster.all_talk();
}

fn a_conflist_that_cannot_be_followed_leaves_all_as_it_was(mode: Mode) {
    let (site, mut agents) = Site::running(mode);
    let path = site.conflist_file(1);
    let good = fs::read_to_string(&path).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut list: Value = serde_json::from_str(&good).unwrap();
        change(&mut list);
        list.to_string()
    };
    let other = if mode == Mode::HostGw { "vxlan" } else { "host-gw" };
    for (text, words) in [
        ("garbage".to_owned(), "not JSON"),
        (String::new(), "not JSON"),
        (good[..good.len() / 2].to_owned(), "not JSON"),
        (with(&|list| list["plugins"] = json!([])), "no plugin of type"),
        (with(&|list| list["plugins"][1]["mtu"] = json!(3)), "mtu 3"),
        (with(&|list| list["plugins"][1]["peers"] = json!([])), "has peers itself"),
        (with(&|list| list["name"] = json!("other")), "name \"other\": it was \"pods\""),
        (with(&|list| list["plugins"][1]["type"] = json!(other)), "it was \""),
        (
            with(&|list| list["plugins"][1]["stateDir"] = json!("/run/other")),
            "stateDir \"/run/other\"",
        ),
        // The source's own file, which the agent would write.
        (
            with(&|list| list["plugins"][1]["peersFile"] = json!(site.fleet_file())),
            "which the agent writes",
        ),
    ] {
        replace(&path, &text);
        names(&site, words);
        site.cluster.holds(1);
    }
    fs::remove_file(&path).unwrap();
    names(&site, "No such file");
    assert!(agents[0].runs());
    assert!(agents[0].log().contains("that of before holds"), "{}", agents[0].log());
    // Damage is mended all the while.
    site.node(1).run(&["ip", "route", "del", "10.244.2.0/24", "proto", "112"]);
    site.settles(1);
    // What can be read is compared with it.
    replace(&path, &with(&|list| list["plugins"][1]["mtu"] = json!(3)));
    names(&site, "mtu 3");
    replace(&path, &with(&|list| list["plugins"][1]["iface"] = json!("eth7")));
    site.agent_tells(1, "that there is no such interface", |state| {
        state["conflistTrouble"].is_null()
            && state["trouble"]["what"].as_str().is_some_and(|what| what.contains("eth7"))
    });
    replace(&path, &good);
    site.agent_tells(1, "that all is well", |state| {
        state["conflistTrouble"].is_null() && state["trouble"].is_null()
    });
    site.cluster.holds(1);
    site.cluster.all_talk();
}

fn routes_bear_another_number_and_none_keeps_the_old_one(mode: Mode) {
    let (mut site, mut agents) = Site::running(mode);
    let third = site.entry(3).clone();
    // A peer leaves at the same time, whose routes nothing replaces.
    agents.remove(0).kill();
    site.entry(3).take();
    site.write();
    site.configure(json!({"protocol": 113}));
    let place = Place { protocol: 113, ..Place::of(mode) };
    let _again = site.start(1);
    let wanted = site.cluster.wanted(1, None);
    let now = || held(site.node(1), &place);
    until("the new number", || if now() == wanted { Ok(()) } else { Err(now()) });
    bears_no_more(&site, "112");
    *site.entry(3) = third;
    site.write();
    let wanted = site.cluster.wanted(1, None);
    let now = || held(site.node(1), &place);
    until("the third node", || if now() == wanted { Ok(()) } else { Err(now()) });
    site.cluster.talk(1, 3);
    // It is known where they were, should the agent go before it has done its work.
    site.configure(json!({"protocol": 114}));
    bears_no_more(&site, "113");
}

/// Waits until no route of node 1 has this number.
#[track_caller]
fn bears_no_more(site: &Site, number: &str) {
    let of = |family: &str| site.node(1).ip(&[family, "route", "show", "proto", number]);
    until(number, || match [of("-4"), of("-6")] {
        all if all.iter().all(|routes| routes.as_array().unwrap().is_empty()) => Ok(()),
        all => Err(all),
    });
}

#[test]
fn another_vni_and_device_leave_nothing_of_the_old_one() {
    let (mut site, _agents) = Site::running(Mode::Vxlan);
    site.configure(json!({"vni": 7, "port": 4789}));
    let links = |site: &Site| -> Vec<String> {
        let all = site.node(1).links();
        all.into_iter().filter(|name| name.contains("vxlan") || name.contains("overlay")).collect()
    };
    let await_links = |site: &Site, wanted: [&str; 2]| {
        until("the devices", || if links(site) == wanted { Ok(()) } else { Err(links(site)) });
    };
    await_links(&site, ["vxlan.7", "vxlan-v6.7"]);
    let about = site.node(1).link("vxlan.7").unwrap();
    assert_eq!(about["linkinfo"]["info_data"]["id"], 7);
    assert_eq!(about["linkinfo"]["info_data"]["port"], 4789);
    for n in site.cluster.fleet.numbers() {
        site.agent_tells(n, "that all is well", |state| {
            state["trouble"].is_null() && state["recent"].to_string().contains("vxlan.7")
        });
    }
    site.cluster.all_talk();
    // Another name, and the identifier of the device that stands.
    site.configure(json!({"vni": 7, "port": 4789, "device": "overlay.0"}));
    await_links(&site, ["overlay.0", "overlay-v6.0"]);
    for n in site.cluster.fleet.numbers() {
        site.agent_tells(n, "that all is well", |state| {
            state["trouble"].is_null() && state["recent"].to_string().contains("overlay.0")
        });
    }
    site.cluster.all_talk();
    site.configure(json!({}));
    site.settle();
    await_links(&site, ["vxlan.1", "vxlan-v6.1"]);
    site.cluster.all_talk();
}

#[test]
fn direct_routing_is_turned_on_and_off() {
    let (mut site, _agents) = Site::running(Mode::Vxlan);
    site.configure(json!({"directRouting": true}));
    until("the direct ways", || {
        let held = held(site.node(1), &Place::of(Mode::Vxlan));
        let wanted = site.cluster.wanted(1, Some(&[2, 3]));
        if held == wanted { Ok(()) } else { Err(held) }
    });
    site.configure(json!({}));
    site.settle();
    site.cluster.all_talk();
}

#[test]
fn masquerade_that_is_turned_on_has_its_exemptions_and_keeps_them() {
    need!(Nft);
    let (mut site, _agents) = Site::running(Mode::HostGw);
    assert!(!site.node(1).run(&["nft", "list", "ruleset"]).contains("exempt"));
    let sets = || site.node(1).run(&["nft", "list", "ruleset"]);
    let lists = |site: &Site, address: &str| {
        until(address, || {
            let sets = site.node(1).run(&["nft", "list", "ruleset"]);
            if sets.contains(address) { Ok(()) } else { Err(sets) }
        });
    };
    assert!(!sets().contains("192.168.2.3"));
    site.configure(json!({"ipMasq": true}));
    lists(&site, "192.168.2.3");
    // Containers of the time before live on.
    site.configure(json!({}));
    site.entry(3)["nodeIPs"][0] = json!("192.168.2.33");
    site.write();
    lists(&site, "192.168.2.33");
}

#[test]
fn another_peers_file_is_written_and_the_old_one_goes() {
    let (mut site, _agents) = Site::running(Mode::HostGw);
    let old = site.cluster.fleet.roster.path(site.node(1));
    let new = site.node(1).directory().join("elsewhere/peers.json");
    let conflist: Value =
        serde_json::from_str(&fs::read_to_string(site.conflist_file(1)).unwrap()).unwrap();
    let mut other = conflist.clone();
    other["plugins"][1]["peersFile"] = json!(new);
    replace(&site.conflist_file(1), &other.to_string());
    let there = |path: &Path, is: bool| {
        until("the file", || if path.exists() == is { Ok(()) } else { Err(path.to_owned()) });
    };
    there(&new, true);
    there(&old, false);
    site.cluster.holds(1);
    // It follows the fleet as before.
    site.entry(3).take();
    site.write();
    site.settles(1);
    replace(&site.conflist_file(1), &conflist.to_string());
    there(&old, true);
    there(&new, false);
}

#[test]
fn a_signal_has_the_conflist_read_again() {
    let (site, agents) = Site::running(Mode::HostGw);
    let mut list: Value =
        serde_json::from_str(&fs::read_to_string(site.conflist_file(1)).unwrap()).unwrap();
    list["plugins"][1]["mtu"] = json!(1301);
    replace(&site.conflist_file(1), &list.to_string());
    agents[0].signal("HUP");
    site.agent_tells(1, "the pods' MTU", |state| state["mtu"] == 1301);
    agents[0].says("the conflist has changed");
}
