//! A store of its own for each test, and a runtime that calls executables.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cni::{Attachment, Call, NetConf, PluginPath};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Our executable: of `PODWIRE_BIN`, else of this build.
pub fn ours() -> PathBuf {
    match env::var_os("PODWIRE_BIN") {
        Some(directory) => Path::new(&directory).join("host-local"),
        None => env!("CARGO_BIN_EXE_host-local").into(),
    }
}

/// What an execution came to.
#[derive(Debug)]
pub struct Outcome {
    pub killed: bool,
    pub ok: bool,
    /// The result or the error object; null where nothing was printed.
    pub json: Value,
}

impl Outcome {
    /// The addresses of the result of an ADD that must have succeeded.
    #[track_caller]
    pub fn addresses(&self) -> Vec<String> {
        assert!(self.ok, "{}", self.json);
        let ips = self.json["ips"].as_array().expect("ips");
        ips.iter()
            .map(|ip| ip["address"].as_str().unwrap().split('/').next().unwrap().into())
            .collect()
    }
}

/// A store.
pub struct Lab {
    root: TempDir,
    ranges: Value,
}

impl Lab {
    pub fn new(subnets: &[&str]) -> Self {
        let sets: Vec<Value> = subnets.iter().map(|subnet| json!([{ "subnet": subnet }])).collect();
        Self { root: tempfile::tempdir().unwrap(), ranges: sets.into() }
    }

    pub fn conf(&self) -> Value {
        json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": {
            "type": "host-local", "dataDir": self.root.path(), "ranges": self.ranges,
        }})
    }

    /// Of both implementations, since the reference of Debian 12 knows 1.0.0 at most.
    pub fn old_conf(&self) -> Value {
        let mut conf = self.conf();
        conf["cniVersion"] = "1.0.0".into();
        conf
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("net")
    }

    /// The addresses that have a file, and the container of each.
    pub fn leases(&self) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.dir()) else { return Vec::new() };
        let mut leases = Vec::new();
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.parse::<std::net::IpAddr>().is_ok() {
                let content = fs::read_to_string(path).unwrap();
                leases.push((name, content.lines().next().unwrap_or_default().to_owned()));
            }
        }
        leases.sort();
        leases
    }

    /// Files that are neither leases nor what the reference has as well.
    pub fn strays(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir()) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.parse::<std::net::IpAddr>().is_err())
            .filter(|name| name != "lock" && !name.starts_with("last_reserved_ip."))
            .collect()
    }

    pub fn run(&self, verb: &str, container: &str) -> Outcome {
        run(&ours(), verb, &self.conf(), container, &[])
    }

    /// CHECK against what was given.
    pub fn check(&self, container: &str, added: &Outcome) -> Outcome {
        let mut conf = self.conf();
        conf["prevResult"] = added.json.clone();
        run(&ours(), "CHECK", &conf, container, &[])
    }

    pub fn call(&self, container: &str) -> Call {
        call(&self.conf(), container)
    }
}

pub fn call(conf: &Value, container: &str) -> Call {
    let conf = NetConf::parse(conf.to_string().into_bytes()).unwrap();
    Call {
        attachment: Attachment {
            network: conf.network.clone(),
            container: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        },
        netns: Some("/run/netns/none".into()),
        args: String::new(),
        path: PluginPath(vec![ours().parent().unwrap().to_owned()]),
        conf,
        prev_result: None,
    }
}

/// Executes `file` as a runtime does.
pub fn run(
    file: &Path,
    verb: &str,
    conf: &Value,
    container: &str,
    more: &[(&str, &str)],
) -> Outcome {
    let mut child = Command::new(file)
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", container)
        .env("CNI_NETNS", "/run/netns/none")
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", file.parent().unwrap())
        .envs(more.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that dies early does not read its stdin.
    let _ = child.stdin.take().unwrap().write_all(conf.to_string().as_bytes());
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    Outcome {
        killed: status.code().is_none(),
        ok: status.success(),
        json: serde_json::from_slice(&stdout).unwrap_or(Value::Null),
    }
}
