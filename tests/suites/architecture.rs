//! The arrows between crates, read from cargo itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use serde_json::Value;

/// Which crates of the workspace a crate may depend on, by its directory. Nobody may depend on a
/// plugin, and test crates serve as dev-dependencies alone.
const ARROWS: &[(&str, &[&str])] = &[
    ("netconf/cni", &[]),
    ("netconf/kernel", &["cni"]),
    ("netconf/nad", &["cni", "kernel"]),
    ("netconf/devices", &["cni"]),
    ("netconf/flannel", &["cni", "kernel"]),
    ("netconf/handover", &["cni", "kernel", "devices", "nad", "ipam", "attach"]),
    ("netconf/firewall", &["cni", "kernel"]),
    ("netconf/peers", &["cni", "kernel"]),
    ("ipam", &["cni", "kernel"]),
    ("ipam/", &["cni", "kernel", "ipam"]),
    ("netconf/attach", &["cni", "kernel", "firewall", "ipam"]),
    ("netconf/chain", &["cni", "kernel", "firewall", "attach"]),
    ("netconf/cluster", &["cni", "kernel", "firewall", "attach", "peers"]),
    (
        "plugins/",
        &[
            "cluster", "chain", "handover", "flannel", "attach", "firewall", "peers", "devices",
            "ipam", "nad", "kernel", "cni",
        ],
    ),
    ("tests", &["testkit", "cni", "kernel", "ipam", "nad"]),
];

/// Large libraries that the operator's tool alone may carry.
const TOOL_ONLY: &[&str] = &[
    "kube",
    "etcd-client",
    "sysinfo",
    "pci-ids",
    "clap",
    "indicatif",
    "tokio",
    "hyper",
    "notify",
    "prometheus",
    "tracing",
    "tracing-subscriber",
];

/// The crates that may speak netlink.
const NETLINK: &[&str] = &["kernel", "firewall"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// The packages of the workspace by directory below its root.
fn packages() -> BTreeMap<String, Package> {
    let root = root();
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let directory = |package: &Package| {
        let manifest = package.manifest_path.as_std_path().strip_prefix(&root);
        let directory = manifest.expect("a package below the root").parent();
        directory.expect("a manifest in a directory").to_str().expect("UTF-8").to_owned()
    };
    metadata.packages.into_iter().map(|package| (directory(&package), package)).collect()
}

fn shipped(package: &Package) -> BTreeSet<&str> {
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(|d| d.kind != DependencyKind::Development)
        .map(|d| d.name.as_str())
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    testkit::need!(Sources);
    let packages = packages();
    let ours: BTreeSet<&str> = packages.values().map(|p| p.name.as_str()).collect();
    let mut wrong = Vec::new();
    for (directory, package) in &packages {
        let arrow = ARROWS.iter().rev().find(|(at, _)| directory.starts_with(at));
        let Some((_, allowed)) = arrow else {
            wrong.push(format!("{directory} has no place among the arrows"));
            continue;
        };
        for name in shipped(package).intersection(&ours).filter(|name| !allowed.contains(name)) {
            wrong.push(format!("{directory} depends on {name}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_operators_tool_carries_large_libraries() {
    testkit::need!(Sources);
    for (directory, package) in packages().iter().filter(|(d, _)| *d != "plugins/podwire") {
        let carried: Vec<&str> =
            shipped(package).into_iter().filter(|name| TOOL_ONLY.contains(name)).collect();
        assert!(carried.is_empty() || directory.starts_with("tests"), "{directory}: {carried:?}");
    }
}

#[test]
fn only_kernel_and_firewall_speak_netlink() {
    testkit::need!(Sources);
    for (directory, package) in packages() {
        let speaks = shipped(&package).into_iter().any(|d| d.contains("netlink"));
        assert!(!speaks || NETLINK.contains(&package.name.as_str()), "{directory} speaks netlink");
    }
}

#[test]
fn every_example_parses() {
    testkit::need!(Sources);
    let mut open = vec![root().join("examples")];
    while let Some(path) = open.pop() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            open.extend(entries.map(|e| e.expect("an entry").path()));
            continue;
        }
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !matches!(kind, "json" | "conf" | "conflist") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("an example");
        let example: Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if kind == "conflist" {
            let plugins =
                example["plugins"].as_array().unwrap_or_else(|| panic!("{}", path.display()));
            for key in ["cniVersion", "name"] {
                assert!(example[key].is_string(), "{}: no {key}", path.display());
            }
            assert!(plugins.iter().all(|p| p["type"].is_string()), "{}", path.display());
        }
    }
}
