//! The agent's steps one by one: `plan`, `once`, `status`.

use serde_json::{Value, json};
use testkit::Pods;

use super::ground::Site;
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;
use crate::nodes::state::{Place, held};

each_mode! {
    a_plan_is_what_once_does,
    the_commands_of_a_plan_do_what_they_say,
    status_tells_of_each_peer,
}

fn a_plan_is_what_once_does(mode: Mode) {
    let mut site = Site::new(mode);
    let before = site.node(1).snapshot();
    let plan = site.command(1, "plan", &[]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.out.contains("ip route replace 10.244.2.0/24 via "), "{plan:?}");
    std::fs::remove_file(site.node(1).directory().join("pods.conflist")).unwrap();
    before.assert_same(&site.node(1).snapshot());
    let once = site.command(1, "once", &[]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert_eq!(once.out, plan.out);
    site.cluster.holds(1);
    for command in ["plan", "once"] {
        let nothing = site.command(1, command, &[]);
        assert_eq!((nothing.code, nothing.out.as_str()), (Some(0), ""), "{command}: {nothing:?}");
    }
    site.entry(3).take();
    site.write();
    let plan = site.command(1, "plan", &[]);
    assert!(plan.out.contains("ip route del 10.244.3.0/24"), "{plan:?}");
    assert!(!plan.out.contains("10.244.2.0/24"), "{plan:?}");
    assert_eq!(site.command(1, "once", &[]).out, plan.out);
    site.cluster.holds(1);
}

fn the_commands_of_a_plan_do_what_they_say(mode: Mode) {
    let site = Site::new(mode);
    let follow = || {
        let plan = site.command(1, "plan", &[]);
        site.node(1).run(&["sh", "-ec", &plan.out]);
    };
    follow();
    site.cluster.holds(1);
    let nothing = site.command(1, "plan", &[]);
    assert_eq!(nothing.out, "", "{nothing:?}");
    let place = Place::of(mode);
    if let Some(device) = mode.device(false).filter(|_| mode == Mode::Vxlan) {
        for change in ["address 66:00:00:00:00:99", "mtu 1300", "alias x", "down"] {
            site.node(1).batch(&format!("link set {device} {change}\n"));
            follow();
            site.cluster.holds(1);
            assert_eq!(site.command(1, "plan", &[]).out, "", "after {change}");
        }
        // Of another identifier: the device is made anew.
        let wanted = held(site.node(1), &place);
        site.node(1).batch(&format!(
            "link del {device}\nlink add {device} type vxlan id 77 dev eth0 dstport 8472\n\
             link set {device} alias podwire:pods\n"
        ));
        follow();
        assert_eq!(held(site.node(1), &place), wanted);
        assert_eq!(site.command(1, "plan", &[]).out, "");
    }
}

fn status_tells_of_each_peer(mode: Mode) {
    let (site, _agents) = Site::running(mode);
    site.agent_tells(1, "that all is well", |state| state["trouble"].is_null());
    let status = site.status(1);
    assert_eq!(status["network"], "pods");
    assert_eq!(status["way"], mode.plugin());
    assert_eq!(status["node"], "n1");
    assert_eq!(status["mtu"], 1500 - mode.overhead(mode.pods()));
    assert_eq!(status["inLine"], true, "{status:#}");
    assert_eq!(status["agent"]["running"], true);
    let peers = status["peers"].as_array().unwrap();
    let names: Vec<&Value> = peers.iter().map(|peer| &peer["name"]).collect();
    assert_eq!(names, ["n2", "n3"]);
    for peer in peers {
        assert_eq!(peer["mode"], if mode == Mode::HostGw { "direct" } else { "tunnel" });
        assert_eq!(peer["inPlace"], true);
        assert!(peer["lastChange"].is_u64(), "{peer}");
        assert_eq!(peer["reasons"], json!([]));
    }
    let table = site.command(1, "status", &[]);
    assert_eq!(table.code, Some(0), "{table:?}");
    for words in ["node n1", "agent: pid ", "kernel: in line", "10.244.3.0/24", "in place"] {
        assert!(table.out.contains(words), "{words}: {}", table.out);
    }
}

#[test]
fn status_tells_what_is_amiss() {
    let mut site = Site::new(Mode::HostGw);
    let nothing = site.command(1, "status", &[]);
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
    assert!(nothing.out.contains("agent: not running") && nothing.out.contains("peers.json"));
    assert_eq!(site.command(1, "once", &[]).code, Some(0));
    assert_eq!(site.command(1, "status", &[]).code, Some(0));
    site.node(1).run(&["ip", "route", "del", "10.244.2.0/24", "proto", "112"]);
    // Somebody else's route that the kernel prefers.
    site.node(1).run(&["ip", "route", "add", "blackhole", "10.244.3.0/24", "metric", "5"]);
    let status = site.status(1);
    assert_eq!(status["inLine"], false);
    assert!(status["lacking"][0].as_str().unwrap().contains("10.244.2.0/24"), "{status:#}");
    assert_eq!(status["peers"][0]["inPlace"], false);
    assert_eq!(status["peers"][1]["inPlace"], true);
    let reason = status["peers"][1]["reasons"][0].as_str().unwrap();
    assert!(reason.contains("10.244.3.0/24") && reason.contains("not ours"), "{reason}");
    // A node with the network of another.
    site.entry(3)["podCIDRs"] = site.entry(2)["podCIDRs"].clone();
    site.write();
    let once = site.command(1, "once", &[]);
    assert_eq!(once.code, Some(3), "{once:?}");
    assert!(once.out.contains("# peer n3: podCIDRs 10.244.2.0/24: overlaps"), "{once:?}");
    let status = site.status(1);
    assert_eq!(status["peers"][1]["mode"], Value::Null);
    assert!(status["peers"][1]["reasons"][0].as_str().unwrap().contains("of peer n2"));
}

#[test]
fn a_route_that_is_preferred_to_ours_counts_as_a_fault_while_it_is_there() {
    let (site, agents) = Site::running(Mode::HostGw);
    let hijack = ["ip", "route", "add", "10.244.2.0/24", "via", "192.168.2.3", "metric", "5"];
    site.node(1).run(&hijack);
    let tells = |what: &str, count: usize| {
        site.agent_tells(1, what, |state| {
            state["faults"].as_array().is_some_and(|faults| faults.len() == count)
        });
    };
    tells("what is overruled", 1);
    agents[0].says("packets to 10.244.2.0/24 take the route to 10.244.2.0/24 proto 3, not ours");
    let status = site.command(1, "status", &["--json"]);
    assert_eq!(status.code, Some(3), "{status:?}");
    let status = site.status(1);
    assert_eq!((&status["inLine"], &status["lacking"]), (&json!(false), &json!([])));
    assert_eq!(status["peers"][0]["reasons"].as_array().unwrap().len(), 1, "{status:#}");
    site.node(1).run(&["ip", "route", "del", "10.244.2.0/24", "metric", "5"]);
    tells("that nothing is overruled", 0);
    site.settles(1);
    assert_eq!(site.status(1)["inLine"], true);
}

#[test]
fn a_conflist_that_describes_no_such_network_is_refused() {
    let site = Site::of(Mode::HostGw, json!({"type": "bridge"}));
    for command in ["agent", "plan", "once", "status", "cleanup"] {
        let refused = site.command(1, command, &[]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains("no plugin of type host-gw, vxlan or ipip"), "{refused:?}");
    }
    let site = Site::new(Mode::HostGw);
    let mut arguments = site.arguments(1);
    arguments[5] = site.cluster.fleet.roster.path(site.node(1)).to_str().unwrap().to_owned();
    let refused = site.command_as(1, "agent", &arguments);
    assert!(refused.err.contains("which the agent writes"), "{refused:?}");
    assert_eq!(Mode::HostGw.pods(), Pods::Dual);
}
