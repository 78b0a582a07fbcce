//! With a firewalld of the node's own, on a bus of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Attachment, Call, Node, Output, Pod, need};

use super::{firewall, is_cut_off, network, reaches};
use crate::conf::DUAL;

/// dbus-daemon and firewalld in a node's namespace, until dropped.
struct Firewalld {
    address: String,
    children: Vec<Child>,
    config: PathBuf,
}

impl Firewalld {
    fn start(node: &Node) -> Self {
        let directory = node.directory();
        let (bus, config) = (directory.join("bus"), directory.join("firewalld"));
        std::fs::create_dir(&config).unwrap();
        let conf = directory.join("bus.conf");
        let text = format!(
            "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\"/>\
             <allow own=\"*\"/><allow eavesdrop=\"true\"/></policy></busconfig>",
            bus.display()
        );
        std::fs::write(&conf, text).unwrap();
        let address = format!("unix:path={}", bus.display());
        let mut all = Self { address, children: Vec::new(), config };
        all.spawn(node, &["dbus-daemon", "--nofork", "--nopidfile", "--config-file"], &conf);
        all.await_that(|| bus.exists());
        let config = all.config.clone();
        all.launch(node, &config);
        all
    }

    fn launch(&mut self, node: &Node, config: &std::path::Path) {
        let command =
            ["firewalld", "--nofork", "--nopid", "--log-target", "console", "--system-config"];
        self.spawn(node, &command, config);
        let table = ["nft", "list", "table", "inet", "firewalld"];
        self.await_that(|| node.try_run(&table).is_ok());
        self.await_that(|| self.cmd(node, &["--state"]).is_ok());
    }

    fn spawn(&mut self, node: &Node, command: &[&str], last: &std::path::Path) {
        let child = node.enter(|| {
            Command::new(command[0])
                .args(&command[1..])
                .arg(last)
                .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        });
        self.children.push(child.expect("the daemon"));
    }

    fn await_that(&self, is: impl Fn() -> bool) {
        let start = Instant::now();
        while !is() {
            assert!(start.elapsed() < Duration::from_mins(2), "{:?} do not start", self.children);
        }
    }

    /// `firewall-cmd`
    fn cmd(&self, node: &Node, arguments: &[&str]) -> Result<String, String> {
        let address = format!("DBUS_SYSTEM_BUS_ADDRESS={}", self.address);
        node.try_run(&[&["env", &address, "firewall-cmd"], arguments].concat())
    }

    fn sources(&self, node: &Node, zone: &str) -> String {
        self.cmd(node, &[&format!("--zone={zone}"), "--list-sources"]).unwrap().trim().to_owned()
    }

    fn run(&self, call: Call<'_>) -> Output {
        call.env("DBUS_SYSTEM_BUS_ADDRESS", &self.address).run()
    }

    fn attach(&self, node: &Node, conf: &Value, pod: &Pod) -> Attachment {
        let output = self.run(node.add_call(conf, pod, "eth0"));
        node.attached(conf, pod, "eth0", &output)
    }
}

impl Drop for Firewalld {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn containers_are_sources_of_a_zone_of_firewalld_while_they_live() {
    need!(Nft, Firewalld);
    let node = Node::new();
    let outside = node.outside();
    let daemon = Firewalld::start(&node);
    let network = network(&node, "net", "br0", DUAL);
    let (pod, other) = (node.pod(), node.pod());
    let [joined, beside] = [&pod, &other].map(|pod| node.attach(&network, pod));
    let idle = node.snapshot();
    assert!(is_cut_off(&pod), "firewalld rejects what it forwards");

    // It is found without being asked for.
    let conf = firewall(&joined, json!({}));
    let admitted = daemon.attach(&node, &conf, &pod);
    assert!(reaches(&pod, &outside));
    assert!(is_cut_off(&other));
    daemon.run(node.check_call(&admitted)).ok();
    daemon.run(node.call("firewall").verb("STATUS").conf(&conf)).ok();
    daemon.attach(&node, &conf, &pod); // twice is once
    let home = firewall(&beside, json!({"backend": "firewalld", "firewalldZone": "home"}));
    let in_home = daemon.attach(&node, &home, &other);
    assert_eq!(
        daemon.sources(&node, "home"),
        format!("{}/32 {}/128", beside.ips()[0], beside.ips()[1])
    );

    // A late DEL of somebody who had the addresses before.
    let mut late = admitted.clone();
    late.container = "gone".to_owned();
    daemon.run(node.del_call(&late)).ok();
    daemon.run(node.check_call(&admitted)).ok();

    // A reload forgets.
    daemon.cmd(&node, &["--reload"]).unwrap();
    let error = daemon.run(node.check_call(&admitted)).fails();
    error.is(103, &["trusted", "reload", &joined.ip()]);
    daemon.attach(&node, &conf, &pod);
    daemon.run(node.check_call(&admitted)).ok();

    // A zone that there is not, an address that another zone has.
    let nowhere = firewall(&joined, json!({"firewalldZone": "nowhere"}));
    daemon.run(node.add_call(&nowhere, &node.pod(), "eth0")).fails().is(100, &["nowhere"]);
    daemon.attach(&node, &conf, &pod);
    daemon.run(node.check_call(&admitted)).ok();

    // DEL without the previous result knows the zone.
    let mut forgotten = in_home.clone();
    forgotten.conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "firewall"});
    forgotten.result = Value::Null;
    daemon.run(node.del_call(&forgotten)).ok();
    assert_eq!(daemon.sources(&node, "home"), "");
    // And GC, too.
    daemon.run(node.gc_call(&conf, &[])).ok();
    assert_eq!(daemon.sources(&node, "trusted"), "");
    let left = |s: &testkit::Snapshot| {
        let lines = s.section("nft").iter();
        lines.filter(|line| line.contains("podwire-admission")).count()
    };
    assert_eq!((left(&idle), left(&node.snapshot())), (0, 0));
}

#[test]
fn a_firewalld_that_has_stopped_holds_up_no_del() {
    need!(Nft, Firewalld);
    let node = Node::new();
    let mut daemon = Firewalld::start(&node);
    let network = network(&node, "net", "br0", DUAL);
    let pod = node.pod();
    let joined = node.attach(&network, &pod);
    let conf = firewall(&joined, json!({"ingressPolicy": "same-bridge"}));
    let admitted = daemon.attach(&node, &conf, &pod);
    let mut child = daemon.children.pop().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    daemon.run(node.check_call(&admitted)).fails().is(100, &["firewalld", "not running"]);
    daemon.run(node.del_call(&admitted)).ok();
    let left = node.snapshot().section("nft").join("\n");
    assert!(!left.contains("podwire-admission"), "{left}");
}
