//! Subnets leased in etcd, as flannel lays it out; a real one, on the nodes.

mod cluster;
mod contest;
mod ground;
mod looking;
mod secure;

use serde_json::{Value, json};
use testkit::{Pings, need};

use super::ground::{Site, until};
use super::takeover::{mac, take_over};
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;
use ground::{Ground, PREFIX, SHORT, Way};

each_mode! {
    three_agents_have_subnets_of_their_own_and_reach_each_other,
    an_agent_that_was_killed_goes_on_with_its_lease,
    while_etcd_is_away_all_goes_on,
}

fn three_agents_have_subnets_of_their_own_and_reach_each_other(mode: Mode) {
    need!(Etcd);
    let (ground, _agents) = Ground::running(mode, "60");
    let mut subnets: Vec<String> = (1..=3).map(|n| ground.subnet(n)).collect();
    subnets.sort();
    assert_eq!(subnets, ["10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"]);
    for n in 1..=3 {
        let pair = ground.lease(&ground.key(n)).expect("a lease");
        assert_ne!(pair.lease, 0, "it would last for ever");
        assert_eq!(pair.value["PublicIP"], format!("192.168.2.{n}"));
        assert_eq!(pair.value["BackendType"], mode.plugin());
        let mac = pair.value["BackendData"]["VtepMAC"].as_str();
        assert_eq!(mac.is_some(), mode == Mode::Vxlan, "{}", pair.value);
    }
}

fn an_agent_that_was_killed_goes_on_with_its_lease(mode: Mode) {
    need!(Etcd);
    let (ground, mut agents) = Ground::running(mode, "60");
    let before = ground.lease(&ground.key(1)).expect("a lease");
    let pings = [ground.pings(1, 2), ground.pings(3, 1)];
    agents.remove(0).kill();
    ground.site.cluster.all_talk();
    let agent = ground.start(1, "60");
    agent.says("this node has its lease");
    ground.site.agent_tells(1, "a round", |state| !state.is_null());
    ground.meet();
    assert_eq!(ground.lease(&ground.key(1)), Some(before), "nothing had to be written");
    ground.site.cluster.all_talk();
    pings.into_iter().for_each(Pings::lost_none);
}

fn while_etcd_is_away_all_goes_on(mode: Mode) {
    need!(Etcd);
    let (mut ground, agents) = Ground::running(mode, "60");
    let before: Vec<String> = (1..=3).map(|n| ground.subnet(n)).collect();
    let pings = [ground.pings(1, 3), ground.pings(3, 2)];
    ground.stop_etcd();
    for agent in &agents {
        agent.says("the source fails");
    }
    ground.site.cluster.all_talk();
    // What is damaged meanwhile is mended from what was known.
    let lost = ground.subnet(2);
    ground.site.node(1).run(&["ip", "route", "del", &lost, "metric", "112"]);
    ground.leads_to(1, ground.others(1));
    ground.start_etcd();
    for agent in &agents {
        agent.says("the source can be read again");
    }
    ground.meet();
    assert_eq!((1..=3).map(|n| ground.subnet(n)).collect::<Vec<_>>(), before);
    ground.site.cluster.all_talk();
    pings.into_iter().for_each(Pings::lost_none);
}

#[test]
fn a_node_whose_lease_expires_is_gone_and_comes_back_with_the_same_subnet() {
    need!(Etcd);
    let (ground, mut agents) = Ground::running(Mode::Vxlan, SHORT);
    let subnet = ground.subnet(3);
    let pings = ground.pings(1, 2);
    agents.remove(2).kill();
    ground.leads_to(1, vec![ground.subnet(2)]);
    ground.site.cluster.talk(1, 2);
    let _third = ground.start(3, SHORT);
    ground.meet();
    assert_eq!(ground.subnet(3), subnet);
    ground.site.cluster.all_talk();
    pings.lost_none();
}

#[test]
fn a_lease_that_is_taken_away_is_taken_again_with_the_same_subnet() {
    need!(Etcd);
    let (ground, agents) = Ground::running(Mode::Vxlan, "60");
    let (subnet, lost) = (ground.subnet(1), ground.lease(&ground.key(1)).expect("a lease"));
    let pings = ground.pings(2, 3);
    ground.control(&["lease", "revoke", &format!("{:x}", lost.lease)]).unwrap();
    agents[0].says("this node's lease is gone");
    until("another lease", || match ground.lease(&lost.key) {
        Some(pair) if pair.lease != lost.lease => Ok(()),
        other => Err(other),
    });
    ground.meet();
    assert_eq!(ground.subnet(1), subnet);
    ground.site.cluster.all_talk();
    pings.lost_none();
}

#[test]
fn leases_are_followed_across_a_compaction_and_a_network_of_flannel_s() {
    need!(Etcd);
    let (mut ground, agents) = Ground::running(Mode::Vxlan, "60");
    ground.put("subnets/10.244.0.0-26", "{");
    ground.control(&["compact", &ground.revision().to_string()]).unwrap();
    ground.stop_etcd();
    agents[0].says("the source fails");
    ground.start_etcd();
    // As flannel writes a lease.
    let lease = r#"{"PublicIP":"192.168.2.77","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}}"#;
    ground.put("subnets/10.244.0.128-26", lease);
    ground.put("subnets/10.244.0.192-26", &lease.replace("vxlan", "wireguard"));
    let mut all = ground.others(1);
    all.push("10.244.0.128/26".to_owned());
    ground.leads_to(1, all);
    let fdb = ground.site.node(1).bridge(&["fdb", "show"]);
    let entry = fdb.as_array().unwrap().iter().find(|entry| entry["mac"] == "aa:bb:cc:dd:ee:fe");
    assert_eq!(entry.expect("an entry")["dst"], "192.168.2.77");
    ground.site.agent_tells(1, "both are named", |state| {
        let text = state.to_string();
        text.contains("10.244.0.0-26") && text.contains("wireguard")
    });
    ground.site.cluster.all_talk();
    ground.control(&["del", &format!("{PREFIX}/subnets/10.244.0.128-26")]).unwrap();
    ground.leads_to(1, ground.others(1));
}

#[test]
fn a_network_of_both_families_is_leased_as_a_whole() {
    need!(Etcd);
    let mut ground = Ground::new(Mode::Vxlan);
    let config = json!({
        "Network": "10.244.0.0/22", "SubnetLen": 24, "EnableIPv6": true,
        "IPv6Network": "fd00:244::/62", "IPv6SubnetLen": 64, "Backend": {"Type": "vxlan", "VNI": 1},
    });
    ground.put("config", &config.to_string());
    let mut agents = Vec::new();
    for n in 1..=3 {
        let own = format!("192.168.2.{n},fd00:192:168:2::{n}");
        agents.push(ground.start_with(n, "60", &["--public-ip", &own], &[]));
    }
    ground.meet();
    ground.attach();
    let keys: Vec<String> = ground.leases().into_iter().map(|pair| pair.key).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| key.contains("&fd00:244:")), "{keys:?}");
    assert_eq!(ground.site.cluster.attachment(1).ips().len(), 2);
}

#[test]
fn an_agent_goes_on_with_the_lease_of_flannel_s_daemon_and_no_packet_is_lost() {
    need!(Etcd);
    need!(Vxlan);
    let ground = Ground::of(Site::served_by_flannel(), Way::default());
    let config = json!({
        "Network": "10.244.0.0/16", "SubnetLen": 24, "EnableIPv6": true,
        "IPv6Network": "fd00:244::/32", "IPv6SubnetLen": 64, "Backend": {"Type": "vxlan"},
    });
    ground.put("config", &config.to_string());
    let granted = ground.control(&["lease", "grant", "3600", "-w", "json"]).unwrap();
    let granted: Value = serde_json::from_str(&granted).unwrap();
    let lease = format!("--lease={:x}", granted["ID"].as_i64().unwrap());
    for n in 1..=3 {
        let data = |ipv6| json!({"VNI": 1, "VtepMAC": mac(n, ipv6)});
        let value = json!({
            "PublicIP": format!("192.168.2.{n}"), "PublicIPv6": format!("fd00:192:168:2::{n}"),
            "BackendType": "vxlan", "BackendData": data(false), "BackendV6Data": data(true),
        });
        let key = format!("{PREFIX}/subnets/10.244.{n}.0-24&fd00:244:{n}::-64");
        ground.control(&["put", &lease, &key, &value.to_string()]).unwrap();
    }
    let before = ground.leases();
    take_over(&ground.site, |n| {
        let own = format!("192.168.2.{n},fd00:192:168:2::{n}");
        ground.start_with(n, "60", &["--public-ip", &own], &[])
    });
    let after = ground.leases();
    assert_eq!(after.len(), 3, "{after:?}");
    for (after, before) in after.iter().zip(&before) {
        assert_eq!((&after.key, &after.value), (&before.key, &before.value));
    }
}

#[test]
fn without_a_network_or_an_etcd_the_agent_waits() {
    need!(Etcd);
    let mut ground = Ground::new(Mode::HostGw);
    ground.control(&["del", &format!("{PREFIX}/config")]).unwrap();
    let first = ground.start(1, "60");
    first.says("etcd has no key /coreos.com/network/config");
    ground.put("config", r#"{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#);
    first.says("the conflist has a network of type host-gw");
    ground.stop_etcd();
    let second = ground.start(2, "60");
    second.says("etcd at http://192.168.2.1:2379: ");
    ground.start_etcd();
    ground.put("config", r#"{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}"#);
    for n in [1, 2] {
        until("a subnet", || {
            if ground.subnet(n).is_empty() { Err(ground.site.agent_state(n)) } else { Ok(()) }
        });
    }
    ground.leads_to(1, vec![ground.subnet(2)]);
}
