//! Names that somebody else chose, and paths that lead to what is somebody else's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use super::ground::{Site, until};
use crate::nodes::ground::Mode;

#[test]
fn a_file_whose_name_is_of_several_lines_forges_none() {
    let mut site = Site::new(Mode::HostGw);
    let directory = site.home().join("nodes");
    fs::create_dir(&directory).unwrap();
    let cluster = site.fleet()["clusterCIDRs"].clone();
    let common = json!({"version": 1, "clusterCIDRs": cluster});
    fs::write(directory.join("cluster.json"), common.to_string()).unwrap();
    for n in site.cluster.fleet.numbers() {
        let entry = site.entry(n).to_string();
        fs::write(directory.join(format!("n{n}.json")), entry).unwrap();
    }
    let name = "x\nexit 77 #\nINFO all is well\u{1b}[2J";
    fs::write(directory.join(format!("{name}.json")), "{").unwrap();
    let mut arguments = site.arguments(1);
    arguments[5] = directory.to_str().unwrap().to_owned();
    let shown = r"x\u000aexit 77 #\u000aINFO all is well\u001b[2J";
    let clean = |text: &str| {
        assert!(text.contains(shown), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("exit") || line.starts_with("INFO all")));
    };
    let plan = site.command_as(1, "plan", &arguments);
    clean(&plan.out);
    site.node(1).run(&["sh", "-ec", &plan.out]);
    let agent = site.start_as(1, &arguments, &[]);
    agent.says("not served");
    clean(&agent.log());
    site.agent_tells(1, "the fault", |state| state["faults"][0]["peer"] == shown);
    clean(&site.command_as(1, "status", &arguments).out);
    agent.stop();
    let once = site.command_as(1, "once", &arguments);
    assert_eq!(once.code, Some(3), "{once:?}");
    clean(&once.out);
}

#[test]
fn a_fifo_in_an_output_s_place_stops_neither_the_rounds_nor_the_end() {
    let site = Site::new(Mode::HostGw);
    let subnet_env = site.home().join("subnet.env");
    let peers = site.cluster.fleet.roster.path(site.node(1));
    fs::create_dir_all(peers.parent().unwrap()).unwrap();
    fs::create_dir_all(site.state(1)).unwrap();
    let outputs = [subnet_env.clone(), peers, site.state(1).join("agent.json")];
    for path in &outputs {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let argument = format!("--subnet-env={}", subnet_env.display());
    let agent = site.start_with(1, &[&argument], &[]);
    site.settles(1);
    for path in &outputs {
        agent.says(&format!("{}: not a regular file but a FIFO", path.display()));
    }
    let status = site.command(1, "status", &[]);
    assert_eq!(status.code, Some(3), "{status:?}");
    agent.stop();
    let cleanup = site.command(1, "cleanup", &[&argument]);
    assert_eq!(cleanup.code, Some(1), "{cleanup:?}");
    assert!(outputs.iter().all(|path| path.exists()));
}

#[test]
fn what_is_somebody_else_s_is_not_overwritten() {
    let site = Site::new(Mode::HostGw);
    let precious = site.home().join("passwd");
    fs::write(&precious, "root:x:0:0\n").unwrap();
    let argument = format!("--subnet-env={}", precious.display());
    for command in ["once", "cleanup"] {
        let refused = site.command(1, command, &[&argument]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains("is left as it is"), "{refused:?}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0\n");
    }
    let relative = site.command(1, "once", &["--subnet-env=subnet.env"]);
    assert_eq!(relative.code, Some(2), "{relative:?}");
    let site = Site::of(Mode::HostGw, json!({"peersFile": precious}));
    fs::write(&precious, "root:x:0:0\n").unwrap();
    let refused = site.command(1, "once", &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "root:x:0:0\n");
}

#[test]
fn a_state_directory_that_is_removed_lets_no_second_agent_in() {
    let site = Site::new(Mode::HostGw);
    let agent = site.start(1);
    site.settles(1);
    site.agent_tells(1, "a round", |state| state["rounds"].as_u64() > Some(0));
    fs::remove_dir_all(site.state(1)).unwrap();
    agent.says("taking it again");
    until("the lock", || {
        let other = site.command(1, "once", &[]);
        let refused = other.code == Some(1) && other.err.contains("serves the network");
        if refused { Ok(()) } else { Err(other) }
    });
    agent.stop();
}

#[test]
fn connections_that_nobody_uses_keep_no_probe_out() {
    let site = Site::new(Mode::HostGw);
    let agent = site.start_with(1, &["--listen", "127.0.0.1:9472"], &[]);
    agent.says("serves health");
    let answer = site.node(1).enter(|| {
        let connect = || TcpStream::connect("127.0.0.1:9472").unwrap();
        let _idle: Vec<TcpStream> = (0..200).map(|_| connect()).collect();
        let mut probe = connect();
        probe.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_plan_names_the_device_of_a_route_that_is_to_go() {
    let site = Site::new(Mode::HostGw);
    assert_eq!(site.command(1, "once", &[]).code, Some(0));
    site.node(1).batch(
        "link add other type veth peer name other1\nlink set other1 up\nlink set other up\n\
         route add 10.244.99.0/24 dev other proto 112\n",
    );
    let plan = site.command(1, "plan", &[]);
    assert!(plan.out.contains("ip route del 10.244.99.0/24 dev other proto 112"), "{plan:?}");
    site.node(1).run(&["sh", "-ec", &plan.out]);
    assert_eq!(site.command(1, "plan", &[]).out, "");
}
