//! What `ip monitor` does not show is noticed when it happens, too: changes of the firewall's sets and of sysctls.

use serde_json::{Value, json};
use testkit::need;

use super::ground::{Agent, Site, until};
use crate::nodes::ground::Mode;

/// Agents that tell of each round why it was run, with exempt sets to be damaged.
fn site(mode: Mode) -> (Site, Vec<Agent>) {
    Site::running_of(mode, json!({"ipMasq": true}), &["--log-level", "debug"])
}

/// The rounds of an agent so far that the kernel called for.
fn called_by_the_kernel(agent: &Agent) -> usize {
    let log = agent.log();
    let rounds = log.lines().filter(|line| line.contains("causes="));
    rounds.filter(|line| line.contains("kernel")).count()
}

/// The name of the set of a family that holds what the network exempts, and its elements.
fn exempt(site: &Site, family: u8) -> Option<(String, Vec<Value>)> {
    let start = format!("exempt{family}-");
    let objects = site.node(1).nft();
    let mut sets = objects.iter().map(|object| &object["set"]);
    let set = sets.find(|set| set["name"].as_str().is_some_and(|name| name.starts_with(&start)))?;
    let mut elements = set["elem"].as_array().cloned().unwrap_or_default();
    elements.sort_by_key(Value::to_string);
    Some((set["name"].as_str().unwrap().to_owned(), elements))
}

/// Damages node 1, and waits until both sets are as they were, which a notification has brought about.
#[track_caller]
fn refilled(site: &Site, agent: &Agent, damage: &[&str]) {
    let all = || (exempt(site, 4), exempt(site, 6));
    let (before, called) = (all(), called_by_the_kernel(agent));
    assert!(before.0.as_ref().is_some_and(|(_, elements)| elements.len() > 3), "{before:?}");
    site.node(1).run(damage);
    until("the sets", || if all() == before { Ok(()) } else { Err(all()) });
    until("a round that the kernel called for", || match called_by_the_kernel(agent) {
        now if now > called => Ok(()),
        _ => Err(agent.log()),
    });
}

#[test]
fn what_is_exempt_from_masquerade_comes_back() {
    need!(Nft);
    let (site, agents) = site(Mode::HostGw);
    refilled(&site, &agents[0], &["nft", "delete", "table", "inet", "podwire"]);
    // An ADD makes its own part anew, and finds what is exempt.
    let _ = site.cluster.next_add(1);
    refilled(&site, &agents[0], &["nft", "flush", "ruleset"]);
    let name = exempt(&site, 4).unwrap().0;
    refilled(&site, &agents[0], &["nft", "flush", "set", "inet", "podwire", &name]);
    let one = ["nft", "delete", "element", "inet", "podwire", &name, "{ 192.168.2.2 }"];
    refilled(&site, &agents[0], &one);
    let more = ["nft", "add", "element", "inet", "podwire", &name, "{ 203.0.113.9 }"];
    refilled(&site, &agents[0], &more);
    agents[0].says("exempts from masquerade");
}

#[test]
fn pods_that_come_and_go_call_for_no_round() {
    need!(Nft);
    let (site, agents) = site(Mode::Vxlan);
    let _ = site.cluster.next_add(1);
    // A round that somebody asked for: all notifications of before are heard by then.
    let asked = |times: usize| {
        agents[0].signal("HUP");
        until("a round that was asked for", || {
            let log = agents[0].log();
            let rounds = log.lines().filter(|line| line.contains("asked")).count();
            if rounds >= times { Ok(()) } else { Err(log) }
        });
    };
    asked(1);
    site.node(1).run(&["sleep", "1"]);
    let before = called_by_the_kernel(&agents[0]);
    for _ in 0..5 {
        let _ = site.cluster.next_add(1);
    }
    // Other tables are not ours, whatever their sets are called.
    let name = exempt(&site, 4).unwrap().0;
    for words in [
        "add table ip podwire".to_owned(),
        format!("add set ip podwire {name} {{ type ipv4_addr; }}"),
    ] {
        site.node(1).run(&["nft", &words]);
    }
    site.node(1).run(&["nft", "flush", "ruleset", "ip"]);
    asked(2);
    assert_eq!(called_by_the_kernel(&agents[0]), before, "{}", agents[0].log());
}

/// Switches of node 1 that are turned come back, which a notification has brought about.
#[track_caller]
fn turned_back(site: &Site, agent: &Agent, switches: &[(&str, &str)]) {
    for (key, wrong) in switches {
        let (right, called) = (site.node(1).sysctl(key), called_by_the_kernel(agent));
        assert_ne!(right, *wrong, "{key}");
        site.node(1).run(&["sysctl", "-qw", &format!("{key}={wrong}")]);
        until(key, || match site.node(1).sysctl(key) {
            now if now == right => Ok(()),
            now => Err(now),
        });
        until("a round that the kernel called for", || match called_by_the_kernel(agent) {
            now if now > called => Ok(()),
            _ => Err(agent.log()),
        });
        agent.says(&format!("{key}={right}"));
    }
    site.cluster.all_talk();
}

#[test]
fn forwarding_that_is_turned_off_is_turned_on_again() {
    let (site, agents) = site(Mode::HostGw);
    let switches = [("net/ipv4/ip_forward", "0"), ("net/ipv6/conf/all/forwarding", "0")];
    turned_back(&site, &agents[0], &switches);
}

#[test]
fn the_switches_of_a_tunnel_are_turned_back() {
    let (site, agents) = site(Mode::Vxlan);
    let switches = [
        ("net/ipv4/conf/vxlan.1/rp_filter", "1"),
        ("net/ipv4/conf/vxlan.1/forwarding", "0"),
        ("net/ipv4/ip_forward", "0"),
    ];
    turned_back(&site, &agents[0], &switches);
}

#[test]
fn a_node_that_forwards_nothing_is_told_so_by_plan_and_mended_by_once() {
    let site = Site::new(Mode::HostGw);
    assert_eq!(site.command(1, "once", &[]).code, Some(0));
    for (family, key) in [(4, "net/ipv4/ip_forward"), (6, "net/ipv6/conf/all/forwarding")] {
        site.node(1).set_sysctl(key, "0");
        let command = format!("sysctl -w {key}=1\n");
        assert_eq!(site.command(1, "plan", &[]).out, command, "IPv{family}");
        assert_eq!(site.status(1)["lacking"], json!([command.trim_end()]));
        assert_eq!(site.command(1, "once", &[]).out, command);
        assert_eq!(site.node(1).sysctl(key), "1");
    }
}
