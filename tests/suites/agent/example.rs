//! The example in `examples/agent` works as it stands: the unit's command with the conflist and the
//! fleet that lie beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::need;

use super::ground::{Agent, Site, until};
use crate::conf::with;
use crate::nodes::ground::{Mode, talk};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agent")
}

/// The words of the unit's `ExecStart`.
fn command() -> Vec<String> {
    let unit = fs::read_to_string(directory().join("podwire-agent.service")).unwrap();
    let unit = unit.replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

#[test]
fn the_unit_s_command_makes_one_network_of_three_nodes() {
    need!(Sources, Nft);
    let site = Site::new(Mode::Vxlan);
    let text = fs::read_to_string(directory().join("fleet.conflist")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let conf = |n: usize| {
        let home = site.node(n).directory().join("agent");
        let more = json!({
            "cniVersion": list["cniVersion"], "name": list["name"],
            "peersFile": home.join("peers.json"), "stateDir": home.join("state"),
            "ipam": {"dataDir": site.node(n).leases()},
        });
        with(list["plugins"][0].clone(), more)
    };
    let words = command();
    assert_eq!(words[..2], ["/opt/cni/bin/podwire", "agent"]);
    let start = |n: usize| -> Agent {
        let home = site.node(n).directory().join("agent");
        fs::create_dir_all(&home).unwrap();
        let network = with(list.clone(), json!({"plugins": [conf(n)]}));
        fs::write(home.join("fleet.conflist"), network.to_string()).unwrap();
        let here = |path: PathBuf| path.to_str().unwrap().to_owned();
        let place = |word: &String| match word.as_str() {
            "/etc/cni/net.d/10-fleet.conflist" => here(home.join("fleet.conflist")),
            "/etc/podwire/fleet.json" => here(directory().join("fleet.json")),
            "unix:/run/podwire/agent.sock" => format!("unix:{}", home.join("sock").display()),
            other => other.to_owned(),
        };
        let mut arguments: Vec<String> = words[2..].iter().map(place).collect();
        // All of these nodes have this host's name.
        arguments.extend(["--node".to_owned(), format!("n{n}")]);
        site.start_as(n, &arguments, &[])
    };
    let numbers = || site.cluster.fleet.numbers();
    let agents: Vec<Agent> = numbers().map(start).collect();
    for agent in &agents {
        agent.says("brought in line");
    }
    let pods: Vec<_> = numbers().map(|n| site.cluster.fleet.attach(&conf(n), n)).collect();
    for (from, mine) in &pods {
        for (to, theirs) in &pods {
            if mine.ip() != theirs.ip() {
                talk("examples/agent", (from, mine), (to, theirs));
            }
        }
    }
    for (n, (_, attached)) in (1..).zip(&pods) {
        site.node(n).del(attached).ok();
        until("the socket", || {
            let socket = site.node(n).directory().join("agent/sock");
            std::os::unix::net::UnixStream::connect(socket).map(drop)
        });
    }
}

#[test]
fn the_service_manager_takes_the_unit() {
    need!(Sources);
    let Ok(output) = Command::new("systemd-analyze")
        .args(["verify", "--recursive-errors=no"])
        .arg(directory().join("podwire-agent.service"))
        .output()
    else {
        testkit::not_run("systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The executable is not where the unit expects it.
    let about = said.lines().filter(|line| {
        line.contains("podwire-agent.service") && !line.contains("is not executable")
    });
    assert_eq!(about.collect::<Vec<_>>(), [""; 0]);
}
