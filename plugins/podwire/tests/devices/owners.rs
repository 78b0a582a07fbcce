use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Netns, Sysfs};

use crate::{call, complaints, entry, json, text};

const VF: &str = "0000:01:10.0";

/// A directory for records, which goes when it is dropped.
struct Journal(tempfile::TempDir);

impl Journal {
    fn new() -> Self {
        Self(tempfile::TempDir::with_prefix("records-").expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), content).expect("a record");
    }

    fn record(&self, device: &str, record: &Value) {
        self.write(&format!("{device}.json"), record.to_string());
    }
}

fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    text.trim().to_owned()
}

fn incarnation(tree: &Sysfs, address: &str) -> u64 {
    let device = fs::canonicalize(tree.sys().join("bus/pci/devices").join(address)).expect("a VF");
    fs::metadata(device).expect("a VF").ino()
}

fn record(tree: &Sysfs, device: &str, netns: &Path) -> Value {
    let address = device.strip_prefix("pci-").unwrap_or(VF);
    json!({
        "version": 1,
        "plugin": "sriov",
        "owner": {"network": "fast", "container": "3f2a9c0d1b2e4f5a6b7c8d9e", "ifname": "net1",
            "netns": netns, "cookie": 1},
        "boot": boot(),
        "device": device,
        "incarnation": incarnation(tree, address),
        "phase": "ready",
        "identity": {}, "original": null, "originalVf": null, "wanted": {},
    })
}

fn card() -> Sysfs {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 2);
    tree
}

fn line<'a>(table: &'a str, device: &str) -> &'a str {
    table.lines().find(|l| l.starts_with(device)).unwrap_or_else(|| panic!("{device}: {table}"))
}

#[test]
fn the_owner_is_told_with_the_processes_in_its_namespace() {
    let (tree, journal, netns) = (card(), Journal::new(), Netns::new());
    let mut process = netns.enter(|| Command::new("sleep").arg("1000").spawn().expect("sleep"));
    let device = format!("pci-{VF}");
    journal.record(&device, &record(&tree, &device, Path::new(netns.path())));
    let all = json(&tree, journal.path());
    let shown = call(&tree, journal.path(), &[]);
    process.kill().expect("the process");
    process.wait().expect("the process");

    let owner = entry(&all, &format!("pci:{VF}"))["owner"].clone();
    for (key, value) in [
        ("plugin", json!("sriov")),
        ("network", json!("fast")),
        ("container", json!("3f2a9c0d1b2e4f5a6b7c8d9e")),
        ("ifname", json!("net1")),
        ("netns", json!(netns.path())),
        ("phase", json!("ready")),
        ("stale", json!(false)),
    ] {
        assert_eq!(owner[key], value, "{owner}");
    }
    let pids: Vec<&Value> =
        owner["processes"].as_array().expect("a list").iter().map(|p| &p["pid"]).collect();
    assert_eq!(pids, [process.id()], "{owner}");
    assert_eq!(owner["processes"][0]["name"], "sleep");
    let wanted = format!("net1 of container 3f2a9c0d1b2e in fast, sleep ({})", process.id());
    assert!(line(text(&shown.stdout), VF).ends_with(&wanted), "{shown:?}");
    assert_eq!(entry(&all, "pci:0000:01:10.2")["owner"], Value::Null);
}

#[test]
fn a_process_that_has_the_node_open_is_told() {
    let (tree, journal) = (Sysfs::new(), Journal::new());
    let vf = tree.pci(VF).numbers(0x8086, 0x1889, 0x02_0000).driver("vfio-pci");
    tree.iommu_group(7, None, &[&vf]);
    let other = tree.pci("0000:01:10.2").numbers(0x8086, 0x1889, 0x02_0000).driver("vfio-pci");
    tree.iommu_group(8, None, &[&other]);
    for node in ["vfio/vfio", "vfio/7", "vfio/8"] {
        tree.node(node);
    }
    // The container of all groups tells nothing.
    let _shared = File::open(tree.dev().join("vfio/vfio")).expect("the node");
    let _open = File::open(tree.dev().join("vfio/7")).expect("the node");
    let all = json(&tree, journal.path());
    let opened = &entry(&all, &format!("pci:{VF}"))["openedBy"];
    let pids: Vec<&Value> = opened.as_array().expect("a list").iter().map(|p| &p["pid"]).collect();
    assert_eq!(pids, [std::process::id()], "{opened}");
    assert_eq!(entry(&all, "pci:0000:01:10.2")["openedBy"], json!([]));
    let table = call(&tree, journal.path(), &[]);
    let own = format!("({})", std::process::id());
    let line = line(text(&table.stdout), VF).to_owned();
    assert!(line.contains("open in ") && line.ends_with(&own), "{line}");
}

#[test]
fn a_record_of_another_boot_or_another_incarnation_is_stale() {
    let (tree, journal) = (card(), Journal::new());
    let netns = PathBuf::from("/proc/self/ns/net");
    let mut rebooted = record(&tree, "pci-0000:01:10.0", &netns);
    rebooted["boot"] = json!("another");
    journal.record("pci-0000:01:10.0", &rebooted);
    let mut made_anew = record(&tree, "pci-0000:01:10.2", &netns);
    made_anew["incarnation"] = json!(1);
    journal.record("pci-0000:01:10.2", &made_anew);
    let all = json(&tree, journal.path());
    for id in ["pci:0000:01:10.0", "pci:0000:01:10.2"] {
        let owner = &entry(&all, id)["owner"];
        assert_eq!((&owner["stale"], &owner["processes"]), (&json!(true), &json!([])), "{owner}");
    }
    let table = call(&tree, journal.path(), &[]);
    assert!(line(text(&table.stdout), VF).ends_with("(stale record)"), "{table:?}");
}

#[test]
fn an_attachment_that_is_under_way_is_told_so() {
    for (phase, words) in [("taken", "(being attached)"), ("releasing", "(being released)")] {
        let (tree, journal) = (card(), Journal::new());
        let mut record = record(&tree, "pci-0000:01:10.0", Path::new("/nonexistent"));
        record["phase"] = json!(phase);
        journal.record("pci-0000:01:10.0", &record);
        assert_eq!(
            entry(&json(&tree, journal.path()), "pci:0000:01:10.0")["owner"]["phase"],
            phase
        );
        let table = call(&tree, journal.path(), &[]);
        assert!(line(text(&table.stdout), VF).ends_with(words), "{table:?}");
    }
}

#[test]
fn a_device_that_is_elsewhere_is_told_by_its_record() {
    let (tree, journal) = (card(), Journal::new());
    for device in ["link-veth7", "pci-0000:09:00.0", "aux-mlx5_core.sf.4"] {
        let mut record = record(&tree, "link-veth7", Path::new("/nonexistent"));
        record["device"] = json!(device);
        journal.record(device, &record);
    }
    let all = json(&tree, journal.path());
    for id in ["link:veth7", "pci:0000:09:00.0", "aux:mlx5_core.sf.4"] {
        let entry = entry(&all, id);
        assert_eq!((&entry["kind"], &entry["class"]), (&json!("unseen"), &Value::Null));
        assert_eq!(entry["owner"]["network"], "fast");
    }
    let table = call(&tree, journal.path(), &[]);
    assert!(line(text(&table.stdout), "veth7").contains("not here"), "{table:?}");
}

#[test]
fn what_is_no_record_is_named_and_nothing_else_suffers() {
    let (tree, journal) = (card(), Journal::new());
    journal
        .record("pci-0000:01:10.2", &record(&tree, "pci-0000:01:10.2", Path::new("/nonexistent")));
    for (name, content) in [
        ("pci-0000:01:10.0.json", &b""[..]),
        ("pci-0000:01:00.0.json", &b"\xff\x00{"[..]),
        ("aux-mlx5_core.sf.4.json", &b"{\"plugin\": 7}"[..]),
    ] {
        journal.write(name, content);
    }
    std::os::unix::fs::symlink("/etc/passwd", journal.path().join("link-a.json")).expect("a link");
    nix::unistd::mkfifo(&journal.path().join("link-b.json"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO");
    // Neither locks nor half-written files nor names that are no device's are records.
    for name in [
        "pci-0000:01:10.0.lock",
        "pf-0000:01:00.0.lock",
        ".pci-0000:01:10.0.json.new",
        "README.json",
        "pci-0000:01:1A.0.json",
        "link-...json",
        "pci-nothing.json",
    ] {
        journal.write(name, "rubbish");
    }
    let output = call(&tree, journal.path(), &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    assert_eq!(all.len(), 3);
    assert_eq!(entry(&all, "pci:0000:01:10.2")["owner"]["network"], "fast");
    let complaints = complaints(&output);
    assert_eq!(complaints.len(), 5, "{complaints:#?}");
    for name in ["pci-0000:01:10.0", "pci-0000:01:00.0", "aux-mlx5_core.sf.4", "link-a", "link-b"] {
        let file = format!("{name}.json is not a record");
        assert!(complaints.iter().any(|c| c.contains(&file)), "{name}: {complaints:#?}");
    }
}

#[test]
fn a_directory_of_records_that_is_none_is_named() {
    let (tree, journal) = (card(), Journal::new());
    journal.write("file", "");
    let output = call(&tree, &journal.path().join("file"), &["--json"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("owners are not known"), "{output:?}");
}
