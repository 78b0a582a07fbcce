//! Asked in the process or executed, the answer is the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cni::{AddResult, Error, Plugin as _, delegate};
use ipam::HostLocal;
use serde_json::{Value, json};

use crate::lab::call;

/// One way of asking.
trait Way {
    fn add(&self, conf: &Value, container: &str) -> Result<AddResult, Error>;
    fn check(&self, conf: &Value, container: &str) -> Result<(), Error>;
    fn del(&self, conf: &Value, container: &str) -> Result<(), Error>;
}

struct InProcess;
struct Executed;

impl Way for InProcess {
    fn add(&self, conf: &Value, container: &str) -> Result<AddResult, Error> {
        HostLocal.add(&call(conf, container))
    }

    fn check(&self, conf: &Value, container: &str) -> Result<(), Error> {
        let mut call = call(conf, container);
        call.prev_result = Some(AddResult::default());
        HostLocal.check(&call)
    }

    fn del(&self, conf: &Value, container: &str) -> Result<(), Error> {
        HostLocal.del(&call(conf, container))
    }
}

impl Way for Executed {
    fn add(&self, conf: &Value, container: &str) -> Result<AddResult, Error> {
        delegate::add("host-local", &call(conf, container))
    }

    fn check(&self, conf: &Value, container: &str) -> Result<(), Error> {
        let mut conf = conf.clone();
        conf["prevResult"] = json!({"cniVersion": "1.1.0"});
        delegate::check("host-local", &call(&conf, container))
    }

    fn del(&self, conf: &Value, container: &str) -> Result<(), Error> {
        delegate::del("host-local", &call(conf, container))
    }
}

/// Everything that one way said and left, with the store's place taken out.
fn story(way: &dyn Way, ipam: &Value) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let real = root.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, root.path().join("link")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    fs::write(root.path().join("resolv.conf"), "nameserver 192.0.2.1").unwrap();
    let ipam = ipam.to_string().replace("ROOT", root.path().to_str().unwrap());
    let ipam: Value = serde_json::from_str(&ipam).unwrap();
    let conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam});

    let mut story = Vec::new();
    for container in ["c1", "c2", "c1"] {
        story.push(format!("{:?}", way.add(&conf, container)));
    }
    story.push(format!("{:?}", way.check(&conf, "c1")));
    for container in ["c1", "c1", "none"] {
        story.push(format!("{:?}", way.del(&conf, container)));
    }
    story.push(format!("{:?}", way.add(&conf, "c3")));
    walk(root.path(), &mut story);
    story.iter().map(|line| line.replace(root.path().to_str().unwrap(), "ROOT")).collect()
}

fn walk(directory: &Path, story: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.file_name().is_some_and(|name| name == ".index") {
            continue; // has times and inode numbers in it
        }
        if path.is_dir() && !path.is_symlink() {
            story.push(path.display().to_string());
            walk(&path, story);
        } else if path.is_file() {
            let content = fs::read(&path).unwrap();
            story.push(format!("{} {:?}", path.display(), String::from_utf8_lossy(&content)));
        }
    }
}

#[test]
fn odd_configurations_are_served_the_same_way() {
    let dirs = [
        "ROOT/new/deeper",
        "ROOT/real",
        "ROOT/link",
        "ROOT/file",
        "ROOT/with space/and ünïcode/",
        "ROOT/real/../other//x/.",
        "/proc/none",
        "ROOT/real/net",
    ];
    let mut ipams: Vec<Value> = dirs
        .iter()
        .map(|dir| json!({"type": "host-local", "dataDir": dir, "subnet": "10.1.0.0/24"}))
        .collect();
    for more in [
        json!({}),
        json!({"ranges": []}),
        json!({"subnet": "10.1.0.0/30"}),
        json!({"SUBNET": "10.1.0.0/24", "RangeStart": "10.1.0.9", "routes": null, "ranges": null}),
        json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]}),
        json!({"ranges": [[{"subnet": "fd00::/64"}], [{"subnet": "10.1.0.0/16"}]],
               "routes": [{"dst": "::/0", "mtu": 1400, "scope": 0}], "resolvConf": "ROOT/resolv.conf"}),
        json!({"ranges": "x"}),
        json!({"subnet": "10.1.0.0/24", "resolvConf": "ROOT/missing"}),
    ] {
        let mut ipam = more;
        ipam["type"] = "host-local".into();
        ipam["dataDir"] = "ROOT/real".into();
        ipams.push(ipam);
    }
    for ipam in ipams {
        assert_eq!(story(&InProcess, &ipam), story(&Executed, &ipam), "{ipam}");
    }
}
