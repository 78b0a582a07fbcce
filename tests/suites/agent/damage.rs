//! Somebody damages what leads to the other nodes: it is mended, and no ADD is needed for that.

use std::fmt::Write as _;

use serde_json::{Value, json};
use testkit::{Pods, UNDERLAY};

use super::ground::{Agent, Site, until};
use crate::nodes::ground::Mode;
use crate::nodes::{each_mode, each_tunnel};

each_mode! {
    routes_that_are_removed_come_back,
    a_route_that_is_replaced_comes_back,
    an_underlay_that_was_down_serves_again,
    an_underlay_that_loses_its_address_serves_again_when_it_has_it,
    another_mtu_of_the_underlay_is_followed,
    lost_notifications_lose_nothing,
}

/// Damages node 1 by a batch of `ip`, and waits until all is as it was.
#[track_caller]
fn mended(site: &Site, batch: &str) {
    site.node(1).batch(batch);
    site.settles(1);
    site.cluster.talk(1, 2);
}

fn routes_that_are_removed_come_back(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    mended(&site, "route del 10.244.2.0/24 proto 112\n");
    // As systemd-networkd does where it takes routes for its own.
    for family in ["-4", "-6"] {
        site.node(1).run(&["ip", family, "route", "flush", "proto", "112"]);
        site.settles(1);
    }
    site.cluster.all_talk();
}

fn a_route_that_is_replaced_comes_back(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    mended(&site, "route replace blackhole 10.244.2.0/24 metric 112\n");
}

fn an_underlay_that_was_down_serves_again(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    let node = site.node(1);
    node.run(&["ip", "link", "set", UNDERLAY, "down"]);
    site.agent_tells(1, "that the underlay is down", |state| {
        state["trouble"]["what"].as_str().is_some_and(|what| !what.is_empty())
    });
    node.run(&["ip", "link", "set", UNDERLAY, "up"]);
    if mode.pods() == Pods::Dual {
        // The kernel drops global addresses of a link that goes down.
        let address = format!("addr replace fd00:192:168:2::1/64 dev {UNDERLAY} nodad\n");
        node.batch(&address);
    }
    site.settles(1);
    site.agent_tells(1, "that all is well", |state| state["trouble"].is_null());
    site.cluster.all_talk();
}

fn an_underlay_that_loses_its_address_serves_again_when_it_has_it(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    site.node(1).run(&["ip", "addr", "del", "192.168.2.1/24", "dev", UNDERLAY]);
    site.agent_tells(1, "which address is missing", |state| {
        state["trouble"]["what"].as_str().is_some_and(|what| what.contains("192.168.2.1"))
    });
    mended(&site, &format!("addr add 192.168.2.1/24 dev {UNDERLAY}\n"));
}

fn another_mtu_of_the_underlay_is_followed(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    for mtu in [1400, 2000] {
        site.cluster.fleet.set_mtu(1, mtu);
        site.agent_tells(1, "the pods' MTU", |state| {
            state["mtu"] == mtu - mode.overhead(mode.pods())
        });
        if let Some(device) = mode.device(false) {
            let of_pods = mtu - mode.overhead(Pods::V4);
            assert_eq!(site.node(1).link(device).unwrap()["mtu"], of_pods);
        }
    }
    site.settles(1);
    site.cluster.all_talk();
}

fn lost_notifications_lose_nothing(mode: Mode) {
    let (site, agents) = Site::running(mode);
    // Who does not listen for a while is told no more than fits into the buffer.
    agents[0].signal("STOP");
    site.node(1).run(&["ip", "-4", "route", "flush", "proto", "112"]);
    let mut noise = String::new();
    // Room is asked for of what thousands of peers' changes take.
    for round in 0..24 {
        for n in 0..1500 {
            let word = if round % 2 == 0 { "add" } else { "del" };
            let (a, b) = (n / 250, n % 250);
            let _ = writeln!(noise, "route {word} blackhole 198.18.{a}.{b} metric 7");
        }
    }
    site.node(1).batch(&noise);
    agents[0].signal("CONT");
    agents[0].says("some were lost");
    site.settles(1);
    site.cluster.all_talk();
}

mod tunnels {
    use super::*;

    each_tunnel! {
        a_tunnel_that_is_down_serves_again,
        what_a_tunnel_held_comes_back,
    }

    fn a_tunnel_that_is_down_serves_again(mode: Mode) {
        let (site, _agents) = Site::running(mode);
        for device in [false, true].iter().filter_map(|v6| mode.device(*v6)) {
            mended(&site, &format!("link set {device} down\n"));
            mended(&site, &format!("link set {device} down\nlink set {device} up\n"));
        }
    }

    fn what_a_tunnel_held_comes_back(mode: Mode) {
        let (site, _agents) = Site::running(mode);
        let device = mode.device(false).unwrap();
        site.node(1).run(&["ip", "addr", "flush", "dev", device]);
        until("the address", || match site.node(1).addresses(device).as_slice() {
            [one] if one == "10.244.1.0/32" => Ok(()),
            other => Err(other.to_vec()),
        });
        site.settles(1);
        if mode == Mode::Vxlan {
            for device in ["vxlan.1", "vxlan-v6.1"] {
                mended(&site, &format!("neigh flush dev {device} nud permanent\n"));
            }
            let entries = site.node(1).bridge(&["fdb", "show", "dev", "vxlan.1"]);
            for entry in entries.as_array().unwrap() {
                let mac = entry["mac"].as_str().unwrap();
                site.node(1).run(&["bridge", "fdb", "del", mac, "dev", "vxlan.1"]);
            }
            site.settles(1);
            site.cluster.talk(1, 2);
            // What is too much goes.
            site.node(1).run(&[
                "bridge",
                "fdb",
                "add",
                "66:00:00:00:00:77",
                "dev",
                "vxlan.1",
                "dst",
                "192.168.2.9",
            ]);
            site.settles(1);
        }
    }
}

/// A device of our own, in its one place.
fn vxlan() -> (Site, Vec<Agent>) {
    Site::running(Mode::Vxlan)
}

#[test]
fn a_tunnel_that_is_deleted_is_made_anew() {
    let (site, _agents) = vxlan();
    for device in ["vxlan.1", "vxlan-v6.1"] {
        mended(&site, &format!("link del {device}\n"));
    }
    site.cluster.all_talk();
}

#[test]
fn a_hardware_address_that_udev_rewrites_is_set_again() {
    let (site, _agents) = vxlan();
    let before = site.node(1).link("vxlan.1").unwrap();
    site.node(1).run(&["ip", "link", "set", "vxlan.1", "address", "66:00:00:00:00:99"]);
    until("the address", || {
        let now = site.node(1).link("vxlan.1").unwrap();
        if now["address"] == before["address"] { Ok(()) } else { Err(now) }
    });
    site.settles(1);
    assert_eq!(site.node(1).link("vxlan.1").unwrap()["ifindex"], before["ifindex"]);
    site.cluster.all_talk();
}

#[test]
fn a_tunnel_that_somebody_makes_a_port_of_a_bridge_is_taken_back() {
    let (site, _agents) = vxlan();
    for device in ["vxlan.1", "vxlan-v6.1"] {
        site.node(1).batch(&format!(
            "link add brx type bridge\nlink set brx up\nlink set {device} master brx\n"
        ));
        until("that it is no port", || match site.node(1).link(device) {
            Some(now) if now["master"].is_null() => Ok(()),
            now => Err(now),
        });
        site.node(1).run(&["ip", "link", "del", "brx"]);
        site.settles(1);
        site.cluster.all_talk();
    }
}

#[test]
fn a_time_to_live_that_somebody_sets_is_taken_back() {
    let (site, _agents) = vxlan();
    let about = |device| site.node(1).link(device).unwrap();
    for (device, id) in [("vxlan.1", "1"), ("vxlan-v6.1", "1")] {
        let before = about(device);
        let set = ["ip", "link", "set", device, "type", "vxlan", "id", id, "ttl", "1"];
        site.node(1).run(&set);
        until("the time to live", || match about(device) {
            now if now["linkinfo"] == before["linkinfo"] => Ok(()),
            now => Err(now),
        });
        assert_eq!(about(device)["ifindex"], before["ifindex"]);
    }
    site.settles(1);
    site.cluster.all_talk();
}

#[test]
fn an_underlay_that_is_renumbered_is_followed_once_the_fleet_says_so() {
    let (mut site, _agents) = vxlan();
    site.node(1).batch(&format!(
        "addr del 192.168.2.1/24 dev {UNDERLAY}\naddr add 192.168.2.51/24 dev {UNDERLAY}\n"
    ));
    site.entry(1)["nodeIPs"][0] = json!("192.168.2.51");
    site.write();
    site.settle();
    let local = |site: &Site| -> Value {
        site.node(1).link("vxlan.1").unwrap()["linkinfo"]["info_data"]["local"].clone()
    };
    assert_eq!(local(&site), "192.168.2.51");
    site.cluster.all_talk();
}

#[test]
fn pods_that_come_and_go_are_not_the_agents_concern() {
    let (site, _agents) = vxlan();
    // The record is settled, and the last round is over.
    let _ = site.cluster.next_add(1);
    let before = site.agent_state(1)["changes"].clone();
    for _ in 0..5 {
        let _ = site.cluster.next_add(1);
    }
    assert_eq!(site.agent_state(1)["changes"], before);
    site.settles(1);
}
