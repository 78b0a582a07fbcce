//! The agent stops, is killed, starts again; and a network is taken away.

use std::fs;

use serde_json::json;
use testkit::silent;

use super::ground::Site;
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;
use crate::nodes::state::{Place, held};

each_mode! {
    the_way_to_other_nodes_stays_when_the_agent_stops,
    nothing_survives_of_a_node_that_left_while_the_agent_was_dead,
    cleanup_removes_what_is_ours_and_nothing_else,
}

fn the_way_to_other_nodes_stays_when_the_agent_stops(mode: Mode) {
    let (site, agents) = Site::running(mode);
    for agent in agents {
        let log = agent.stop();
        assert!(log.contains("what it made stays"), "{log}");
    }
    for n in site.cluster.fleet.numbers() {
        site.cluster.holds(n);
    }
    site.cluster.all_talk();
}

fn nothing_survives_of_a_node_that_left_while_the_agent_was_dead(mode: Mode) {
    let (mut site, mut agents) = Site::running(mode);
    agents.remove(0).kill();
    site.entry(3).take();
    site.write();
    site.settles(2);
    let lines = held(site.node(1), &Place::of(mode));
    assert!(lines.iter().any(|line| line.contains("10.244.3.0")), "{lines:?}");
    let _again = site.start(1);
    site.settles(1);
    site.cluster.talk(1, 2);
    assert!(silent(site.cluster.pod(1), &site.cluster.attachment(3).ip()));
}

fn cleanup_removes_what_is_ours_and_nothing_else(mode: Mode) {
    let site = Site::of(mode, json!({"ipMasq": true}));
    let node = site.node(1);
    if let Some(device) = mode.device(false).filter(|_| mode == Mode::Ipip) {
        // It belongs to the kernel and stays, as it is.
        node.run(&["ip", "link", "set", device, "up"]);
        site.node(1).run(&["ip", "link", "set", device, "mtu", "1480"]);
    }
    // Somebody else's, under our number and under others.
    node.batch(
        "route add 10.244.77.0/24 via 192.168.2.2 proto 80\n\
         route add 172.20.0.0/16 via 192.168.2.2 proto 112\n\
         route add 10.244.78.0/24 via 192.168.2.3\n",
    );
    let before = node.snapshot();
    let once = site.command(1, "once", &[]);
    assert_eq!(once.code, Some(0), "{once:?}");
    site.cluster.fleet.node(1).run(&["nft", "list", "table", "inet", "podwire"]);
    let agent = site.start(1);
    site.agent_tells(1, "that it runs", |state| state["rounds"].as_u64() > Some(0));
    let refused = site.command(1, "cleanup", &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("an agent (pid "), "{refused:?}");
    agent.stop();
    let cleanup = site.command(1, "cleanup", &[]);
    assert_eq!(cleanup.code, Some(0), "{cleanup:?}");
    assert!(cleanup.out.contains("ip route del 10.244.2.0/24"), "{cleanup:?}");
    assert!(!site.cluster.fleet.roster.path(node).exists());
    let left: Vec<_> =
        fs::read_dir(site.state(1)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().ends_with("lock")), "{left:?}");
    fs::remove_dir_all(site.state(1)).unwrap();
    fs::remove_file(node.directory().join("agent.log")).unwrap();
    fs::remove_file(node.directory().join("pods.conflist")).unwrap();
    let _ = fs::remove_dir_all(node.directory().join("pods"));
    before.assert_same(&node.snapshot());
    let again = site.command(1, "cleanup", &[]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "{again:?}");
}

#[test]
fn cleanup_leaves_what_another_network_with_the_same_networks_has() {
    let site = Site::new(Mode::Vxlan);
    assert_eq!(site.command(1, "once", &[]).code, Some(0));
    let before = held(site.node(1), &Place::of(Mode::Vxlan));
    let state = site.state(1);
    let mut list: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(site.conflist_file(1)).unwrap()).unwrap();
    let other = site.node(1).directory().join("other.conflist");
    list["name"] = json!("pods2");
    let plugin = &mut list["plugins"][1];
    plugin["type"] = json!("host-gw");
    plugin["name"] = json!("pods2");
    plugin["stateDir"] = json!(state.with_file_name("pods2").to_str().unwrap());
    plugin["peersFile"] = json!(site.node(1).directory().join("peers2.json").to_str().unwrap());
    fs::write(&other, list.to_string()).unwrap();
    let mut arguments = site.arguments(1);
    arguments[1] = other.to_str().unwrap().to_owned();
    let once = site.command_as(1, "once", &arguments);
    assert_eq!(once.code, Some(3), "{once:?}");
    assert!(once.out.contains("of network pods: its clusterCIDRs"), "{once:?}");
    assert_eq!(held(site.node(1), &Place::of(Mode::Vxlan)), before);
    let cleanup = site.command_as(1, "cleanup", &arguments);
    assert_eq!(cleanup.code, Some(0), "{cleanup:?}");
    assert_eq!(held(site.node(1), &Place::of(Mode::Vxlan)), before);
    assert_eq!(site.command(1, "plan", &[]).out, "");
}

#[test]
fn a_device_that_was_taken_over_is_emptied_by_cleanup_and_left() {
    let site = Site::new(Mode::Vxlan);
    let node = site.node(1);
    node.batch(
        "link add vxlan.1 type vxlan id 1 dev eth0 local 192.168.2.1 dstport 8472 nolearning\n\
         link set vxlan.1 up\n",
    );
    let index = node.link("vxlan.1").unwrap()["ifindex"].take();
    let once = site.command(1, "once", &[]);
    assert_eq!(once.code, Some(0), "{once:?}");
    let words = "takes over the device vxlan.1, which somebody else made";
    assert!(once.out.contains(words) && once.err.contains(words), "{once:?}");
    assert!(!once.out.contains("takes over the device vxlan-v6.1"), "{once:?}");
    assert_eq!(node.link("vxlan.1").unwrap()["ifalias"], "podwire:pods");
    // It is told once, and remembered.
    site.node(1).run(&["ip", "link", "set", "vxlan.1", "alias", "somebody"]);
    let again = site.command(1, "once", &[]);
    assert!(!again.err.contains(words) && again.out.contains("alias"), "{again:?}");
    let cleanup = site.command(1, "cleanup", &[]);
    assert_eq!(cleanup.code, Some(0), "{cleanup:?}");
    let left = node.link("vxlan.1").unwrap();
    assert_eq!((&left["ifindex"], &left["ifalias"]), (&index, &serde_json::Value::Null));
    assert!(node.link("vxlan-v6.1").is_none());
    assert_eq!(node.addresses("vxlan.1"), [""; 0]);
    let (neighbours, entries) = (
        node.ip(&["neigh", "show", "dev", "vxlan.1", "nud", "permanent"]),
        node.bridge(&["fdb", "show", "dev", "vxlan.1"]),
    );
    assert_eq!((neighbours, entries), (json!([]), json!([])));
    assert!(!node.run(&["ip", "route"]).contains("10.244."));
}

#[test]
fn a_second_agent_of_a_network_is_refused() {
    let site = Site::new(Mode::HostGw);
    let _first = site.start(1);
    site.settles(1);
    let second = site.command(1, "agent", &[]);
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("serves the network pods already"), "{second:?}");
    let once = site.command(1, "once", &[]);
    assert_eq!(once.code, Some(1), "{once:?}");
}

#[test]
fn an_agent_that_is_killed_anywhere_leaves_nothing_half_made_for_the_next() {
    let mut site = Site::new(Mode::Vxlan);
    for n in 1.. {
        let mut agent = site.start_with(1, &[], &[("PODWIRE_FAULT", &format!("die:{n}"))]);
        // It dies at its n-th step, or has no such step before it rests.
        let rests = || site.agent_state(1)["rounds"].as_u64().is_some_and(|rounds| rounds >= 1);
        while agent.runs() && !rests() {}
        let lives = agent.runs();
        drop(agent);
        if lives {
            assert!(n > 20, "it rested after {n} steps");
            break;
        }
        let _ = fs::remove_file(site.state(1).join("agent.json"));
        if n % 5 == 0 {
            // Another fleet each time, so that there is something to be done.
            let last = site.entry(3).clone();
            let other =
                if last["vtepMAC"].is_null() { "66:00:00:00:00:31" } else { "66:00:00:00:00:32" };
            site.entry(3)["vtepMAC"] = json!(other);
            site.write();
        }
    }
    let _agent = site.start(1);
    site.settles(1);
}

#[test]
fn an_agent_that_waits_in_its_first_round_ends_when_it_is_told_to() {
    let site = Site::new(Mode::HostGw);
    fs::create_dir_all(site.state(1)).unwrap();
    let lock = fs::File::create(site.state(1).join("lock")).unwrap();
    lock.lock().unwrap();
    let agent = site.start(1);
    // It has what it needs, and waits for those that have the lock.
    super::ground::until("the peer file", || {
        let path = site.cluster.fleet.roster.path(site.node(1));
        if path.exists() { Ok(()) } else { Err(agent.log()) }
    });
    let log = agent.stop();
    assert!(log.contains("what it made stays") && !log.contains("held"), "{log}");
    drop(lock);
    let _again = site.start(1);
    site.settles(1);
}

#[test]
fn a_full_disk_is_named_and_all_is_made_when_there_is_room() {
    let site = Site::new(Mode::Vxlan);
    let home = site.cluster.fleet.roster.path(site.node(1)).parent().unwrap().to_owned();
    fs::create_dir_all(&home).unwrap();
    // A disk of its own, which nobody else sees.
    let script = "mount -t tmpfs -o size=64k full \"$0\" && \
        { head -c 100000 /dev/zero >\"$0/fill\" || true; } && exec \"$@\"";
    let podwire = testkit::directory().join("podwire");
    let (home, podwire) = (home.to_str().unwrap(), podwire.to_str().unwrap());
    let words = ["unshare", "--mount", "sh", "-c", script, home, podwire, "agent"];
    let words: Vec<String> =
        words.iter().map(|word| (*word).to_owned()).chain(site.arguments(1)).collect();
    let mut agent = site.start_by(1, &words, &[]);
    for words in
        ["cannot write the plugins' peersFile", "cannot bring the node in line", "No space left"]
    {
        agent.says(words);
    }
    assert!(agent.runs());
    let id = agent.id().to_string();
    site.node(1).run(&["nsenter", "-t", &id, "-m", "rm", &format!("{home}/fill")]);
    site.settles(1);
    let written = format!("/proc/{id}/root{home}/peers.json");
    super::ground::until("the peer file", || fs::read(&written).map(drop));
}
