//! Others who write where a node has its lease, or beside it.

use serde_json::json;
use testkit::{Pings, need};

use super::ground::{Ground, PREFIX, SHORT};
use crate::agent::ground::until;
use crate::nodes::ground::Mode;

/// As flannel writes a lease.
const OTHER: &str = r#"{"PublicIP":"192.168.2.77","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}}"#;
const AGAIN: &str = "this node's own entry was overwritten again and again";

#[test]
fn what_somebody_writes_over_a_node_s_own_entry_is_told_and_put_back() {
    need!(Etcd);
    let (ground, agents) = Ground::running(Mode::Vxlan, "60");
    let (key, subnet) = (ground.key(1), ground.subnet(1));
    let before = ground.lease(&key).expect("a lease");
    let own = before.value.to_string();
    let mac = before.value["BackendData"]["VtepMAC"].as_str().unwrap();
    let another = own.replace(mac, "aa:bb:cc:dd:ee:fe");
    let lease = ground.control(&["lease", "grant", "3600"]).unwrap();
    let lease = format!("--lease={}", lease.split(' ').nth(1).unwrap());
    let at = format!("{PREFIX}/subnets/{key}");
    // What each says is told; the last is taken for an end of the contest that it began.
    for (words, told) in [
        (vec!["put", &at, "{"], "its value cannot be read"),
        (vec!["put", &lease, &at, &another], "its value names PublicIP 192.168.2.1 "),
        (vec!["put", &at, OTHER], "its value names PublicIP 192.168.2.77"),
    ] {
        ground.control(&words).unwrap();
        agents[0].says(told);
        until("it is put back", || match ground.lease(&key) {
            Some(pair) if (&pair.value, pair.lease) == (&before.value, before.lease) => Ok(()),
            other => Err(other),
        });
    }
    ground.meet();
    assert_eq!(ground.subnet(1), subnet);
    ground.site.cluster.all_talk();
    ground.site.agent_tells(1, "all is well again", |state| state["sourceTrouble"].is_null());
    // Without a lease and otherwise the same it is a subnet that the fleet's owner reserved.
    let pings = ground.pings(2, 1);
    let value = ground.control(&["get", "--print-value-only", &at]).unwrap();
    ground.control(&["put", &at, value.trim()]).unwrap();
    agents[0].says("the subnet is reserved for this node");
    pings.lost_none();
    assert_eq!(ground.lease(&key).expect("the reservation").lease, 0);
}

#[test]
fn an_agent_that_begins_finds_its_subnet_though_somebody_wrote_where_its_lease_was() {
    need!(Etcd);
    let (ground, mut agents) = Ground::running(Mode::Vxlan, "60");
    let (key, subnet) = (ground.key(1), ground.subnet(1));
    agents.remove(0).kill();
    ground.put(&format!("subnets/{key}"), "{");
    let agent = ground.start(1, "60");
    until("it is put back", || match ground.lease(&key) {
        Some(pair) if pair.value["PublicIP"] == "192.168.2.1" && pair.lease != 0 => Ok(()),
        other => Err(other),
    });
    ground.meet();
    assert_eq!(ground.subnet(1), subnet);
    ground.site.cluster.all_talk();
    // Another key with its address, which is the first by name, is not taken instead of the one that it had.
    agent.kill();
    ground.put("subnets/10.244.0.0-24", &OTHER.replace("192.168.2.77", "192.168.2.1"));
    let from = ground.lease(&key).expect("a lease");
    let agent = ground.start(1, "60");
    ground.site.agent_tells(1, "the other key is a fault", |state| {
        state["pid"] == agent.id() && state["faults"].to_string().contains("10.244.0.0-24")
    });
    assert_eq!((ground.subnet(1), ground.lease(&key)), (subnet, Some(from)));
}

#[test]
fn who_insists_on_a_node_s_subnet_has_it_and_the_node_takes_another() {
    need!(Etcd);
    let ground = Ground::new(Mode::Vxlan);
    let agents = [ground.start(1, "60"), ground.start(2, "60")];
    for n in [1, 2] {
        until("a subnet", || {
            if ground.subnet(n).is_empty() { Err(ground.site.agent_state(n)) } else { Ok(()) }
        });
    }
    let (key, subnet) = (ground.key(1), ground.subnet(1));
    until("the node gives in", || {
        let says = ground.lease(&key);
        if says.as_ref().is_some_and(|pair| pair.value["PublicIP"] == "192.168.2.1") {
            ground.put(&format!("subnets/{key}"), OTHER);
        }
        if agents[0].log().contains(AGAIN) { Ok(()) } else { Err(agents[0].log()) }
    });
    until(
        "another subnet",
        || {
            if ground.subnet(1) == subnet { Err(agents[0].log()) } else { Ok(()) }
        },
    );
    agents[0].says(&format!("subnet changed from {subnet} to {}: pods", ground.subnet(1)));
    ground.leads_to(1, vec![ground.subnet(2), subnet.clone()]);
    ground.leads_to(2, vec![ground.subnet(1), subnet]);
    assert_eq!(ground.lease(&key).expect("the other's").value["PublicIP"], "192.168.2.77");
}

#[test]
fn a_node_gives_its_lease_back_when_it_has_another_one_and_not_before() {
    need!(Etcd);
    let (ground, mut agents) = Ground::running(Mode::HostGw, SHORT);
    let of = |subnet: &str| (1..=3).find(|n| ground.subnet(*n) == subnet).unwrap();
    let (loser, other, third) = (of("10.244.1.0/24"), of("10.244.2.0/24"), of("10.244.3.0/24"));
    let pings = [ground.pings(loser, third), ground.pings(third, loser)];
    let before = ground.lease("10.244.1.0-24").expect("a lease");
    let config = json!({
        "Network": "10.244.0.0/22", "SubnetLen": 24, "SubnetMin": "10.244.2.0",
        "Backend": {"Type": "host-gw"},
    });
    ground.put("config", &config.to_string());
    ground.site.agent_tells(loser, "why it keeps what it has", |state| {
        state["faults"].to_string().contains("all its subnets are leased")
    });
    ground.meet();
    assert_eq!(ground.lease("10.244.1.0-24"), Some(before));
    ground.site.cluster.all_talk();
    pings.into_iter().for_each(Pings::lost_none);
    // One becomes free.
    agents.remove(other - 1).kill();
    until("the one that is free", || match ground.subnet(loser).as_str() {
        "10.244.2.0/24" => Ok(()),
        _ => Err(ground.site.agent_state(loser)),
    });
    assert_eq!(ground.lease("10.244.1.0-24"), None);
    let log = std::fs::read_to_string(ground.site.node(loser).directory().join("agent.log"));
    let told = "subnet changed from 10.244.1.0/24 to 10.244.2.0/24: pods attached before keep addresses of 10.244.1.0/24";
    assert!(log.is_ok_and(|log| log.contains(told)));
    ground.leads_to(third, vec!["10.244.2.0/24".to_owned()]);
}

#[test]
fn a_key_written_by_hand_takes_nothing_from_who_has_a_lease() {
    need!(Etcd);
    let (ground, _agents) = Ground::running(Mode::Vxlan, "60");
    let pings = [ground.pings(1, 2), ground.pings(3, 2)];
    let second = ground.lease(&ground.key(2)).expect("a lease").value;
    let mac = second["BackendData"]["VtepMAC"].as_str().unwrap();
    // Both come before it by name.
    let same_ip = OTHER.replace("192.168.2.77", "192.168.2.2");
    let same_mac = OTHER.replace("aa:bb:cc:dd:ee:fe", mac);
    ground.put("subnets/10.244.0.0-26", &same_ip);
    ground.put("subnets/10.244.0.64-26", &same_mac);
    for n in [1, 3] {
        ground.site.agent_tells(n, "both are named", |state| {
            let faults = state["faults"].to_string();
            let named = |key, what: &str| faults.contains(key) && faults.contains(what);
            named("10.244.0.0-26", "nodeIPs 192.168.2.2") && named("10.244.0.64-26", mac)
        });
        ground.leads_to(n, ground.others(n));
    }
    pings.into_iter().for_each(Pings::lost_none);
    ground.site.cluster.all_talk();
}

#[test]
fn an_address_that_no_interface_has_is_named_before_others_are_led_to_it() {
    need!(Etcd);
    let ground = Ground::new(Mode::HostGw);
    let agent = ground.start_with(1, "60", &["--public-ip", "192.168.2.99"], &[]);
    agent.says("no interface of this node has the address that its lease tells the others");
    agent.says("this node has its lease");
    let log = agent.log();
    assert!(log.find("no interface of this node") < log.find("this node has its lease"), "{log}");
    let status = ground.site.command_as(1, "status", &ground.arguments(1));
    assert_ne!(status.code, Some(0), "{status:?}");
}
