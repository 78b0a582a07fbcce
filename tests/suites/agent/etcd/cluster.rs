//! An etcd of three members, and what happens while an agent cannot hear of it.

use serde_json::{Value, json};
use testkit::{Pings, need};

use super::ground::{Ground, Way};
use crate::agent::ground::{Site, until};
use crate::nodes::ground::Mode;

/// As flannel writes a lease.
const OTHER: &str = r#"{"PublicIP":"192.168.2.77","PublicIPv6":null,"BackendType":"host-gw"}"#;

impl Ground {
    /// The node with the member that leads.
    fn leader(&self) -> Option<usize> {
        let told = self.control(&["endpoint", "status", "-w", "json"]).ok()?;
        let told: Value = serde_json::from_str(&told).ok()?;
        let leads = |one: &&Value| {
            one["Status"]["leader"] == one["Status"]["header"]["member_id"]
                && !one["Status"]["leader"].is_null()
        };
        let url = told.as_array()?.iter().find(leads)?["Endpoint"].as_str()?.to_owned();
        (1..=self.way.members).find(|n| self.way.url(*n) == url)
    }
}

#[test]
fn the_loss_of_etcd_s_leader_is_survived_and_changes_are_followed() {
    need!(Etcd);
    let way = Way { members: 3, ..Way::default() };
    let mut ground = Ground::of(Site::of(Mode::HostGw, json!({})), way);
    let _agents = ground.run("60");
    let pings = [ground.pings(1, 2), ground.pings(2, 3), ground.pings(3, 1)];
    let mut own: Vec<_> = (1..=3).map(|n| ground.lease(&ground.key(n))).collect();
    let mut leader = 0;
    until("a leader", || {
        leader = ground.leader().unwrap_or_default();
        if leader == 0 { Err(leader) } else { Ok(()) }
    });
    ground.stop_member(leader);
    until("another leader", || {
        ground.control(&["put", "/coreos.com/network/subnets/10.244.0.128-26", OTHER]).map(drop)
    });
    for n in 1..=3 {
        let mut all = ground.others(n);
        all.push("10.244.0.128/26".to_owned());
        ground.leads_to(n, all);
    }
    // It comes back, and the next one goes: what was told by all goes on being told.
    ground.start_etcd();
    until("the next leader", || {
        leader = ground.leader().unwrap_or_default();
        if leader == 0 { Err(leader) } else { Ok(()) }
    });
    ground.stop_member(leader);
    until("another leader", || {
        ground.control(&["del", "/coreos.com/network/subnets/10.244.0.128-26"]).map(drop)
    });
    for n in 1..=3 {
        ground.leads_to(n, ground.others(n));
        assert_eq!(ground.lease(&ground.key(n)), own.remove(0), "nothing had to be written");
    }
    pings.into_iter().for_each(Pings::lost_none);
}

#[test]
fn what_an_agent_did_not_hear_of_and_etcd_has_forgotten_is_found_out() {
    need!(Etcd);
    need!(Nft);
    let (ground, agents) = Ground::running(Mode::HostGw, "60");
    let pings = [ground.pings(1, 2), ground.pings(2, 1)];
    ground.put("subnets/10.244.0.128-26", OTHER);
    let mut all = ground.others(1);
    all.push("10.244.0.128/26".to_owned());
    ground.leads_to(2, [ground.others(2), vec!["10.244.0.128/26".to_owned()]].concat());
    ground.leads_to(1, all);
    // The way from node 2 to etcd swallows everything, and no connection is closed.
    let wall = "table ip wall {
        chain input { type filter hook input priority 0; ip saddr 192.168.2.2 tcp dport 2379 drop; }
        chain output { type filter hook output priority 0; ip daddr 192.168.2.2 tcp sport 2379 drop; }
    }\n";
    ground.site.node(1).feed(&["nft", "-f", "-"], wall).unwrap();
    ground.control(&["del", "/coreos.com/network/subnets/10.244.0.128-26"]).unwrap();
    ground.put("subnets/10.244.0.192-26", OTHER);
    ground.control(&["compact", &ground.revision().to_string()]).unwrap();
    ground.leads_to(1, [ground.others(1), vec!["10.244.0.192/26".to_owned()]].concat());
    agents[1].says("the source fails");
    ground.leads_to(2, [ground.others(2), vec!["10.244.0.128/26".to_owned()]].concat());
    ground.site.node(1).run(&["nft", "delete", "table", "ip", "wall"]);
    agents[1].says("the source can be read again");
    ground.leads_to(2, [ground.others(2), vec!["10.244.0.192/26".to_owned()]].concat());
    pings.into_iter().for_each(Pings::lost_none);
}
