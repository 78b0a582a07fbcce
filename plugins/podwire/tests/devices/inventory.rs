use serde_json::{Value, json};
use testkit::Sysfs;

use crate::{call, entry, json, nowhere, text};

#[test]
fn an_entry_has_every_key_that_is_documented() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 2);
    let all = json(&tree, nowhere());
    assert_eq!(all.len(), 3);
    assert_eq!(
        entry(&all, "pci:0000:01:10.2"),
        json!({
            "id": "pci:0000:01:10.2",
            "kind": "vf",
            "parent": "0000:01:00.0",
            "number": 1,
            "vfs": null,
            "vendor": {"id": "8086", "name": "Intel Corporation"},
            "device": {"id": "10ca", "name": "82576 Virtual Function"},
            "driver": "igbvf",
            "class": "netdev",
            "interfaces": [{"name": "eth1v1", "index": 5, "port": 0, "portName": null}],
            "rdma": [],
            "numaNode": null,
            "iommuGroup": null,
            "nodes": [],
            "owner": null,
            "openedBy": [],
        })
    );
    let readme = include_str!("../../README.md");
    for key in all[0].as_object().expect("an object").keys() {
        assert!(readme.contains(&format!("`{key}`")), "README.md does not tell of {key}");
    }
}

#[test]
fn every_kind_of_function_is_told() {
    let tree = Sysfs::new();
    let pf = tree.mlx5_switchdev("0000:01:00.0", "ens1", 10, 2).with("numa_node", 1);
    tree.subfunction(&pf, "mlx5_core.sf.4", 88, ("enp1sf88", 20));
    tree.virtio("0000:00:03.0", "eth0", 2);
    let all = json(&tree, nowhere());
    let seen: Vec<Value> = all
        .iter()
        .map(|e| json!([e["id"], e["kind"], e["class"], e["parent"], e["number"], e["vfs"]]))
        .collect();
    let parent = "0000:01:00.0";
    assert_eq!(
        json!(seen),
        json!([
            ["pci:0000:00:03.0", "function", "netdev", null, null, null],
            ["pci:0000:01:00.0", "pf", "bifurcated", null, null, 2],
            ["pci:0000:01:10.0", "vf", "bifurcated", parent, 0, null],
            ["pci:0000:01:10.2", "vf", "bifurcated", parent, 1, null],
            ["aux:mlx5_core.sf.4", "sf", "netdev", parent, 88, null],
        ])
    );
    let pf = entry(&all, "pci:0000:01:00.0");
    assert_eq!(pf["interfaces"].as_array().expect("a list").len(), 1, "no representors: {pf}");
    assert_eq!(pf["interfaces"][0]["portName"], "p0");
    assert_eq!(pf["numaNode"], 1);
    let nodes = pf["nodes"].as_array().expect("a list");
    assert!(nodes[0].as_str().expect("a path").ends_with("/infiniband/uverbs0"), "{pf}");
    let sf = entry(&all, "aux:mlx5_core.sf.4");
    assert_eq!(sf["vendor"]["name"], "Mellanox Technologies");
    assert_eq!(sf["interfaces"][0]["name"], "enp1sf88");
}

#[test]
fn drivers_for_programs_are_told_with_group_and_nodes() {
    let tree = Sysfs::new();
    let nic = |address| tree.pci(address).numbers(0x8086, 0x1889, 0x02_0000);
    let (vfio, neighbour) =
        (nic("0000:01:10.0").driver("vfio-pci"), nic("0000:01:10.2").driver("iavf"));
    tree.iommu_group(7, None, &[&vfio, &neighbour]);
    let unsafe_vfio = nic("0000:01:10.4").driver("vfio-pci");
    tree.iommu_group(0, Some("vfio-noiommu"), &[&unsafe_vfio]);
    let _ = nic("0000:01:10.6").driver("igb_uio").has("uio/uio0");
    let _ = nic("0000:01:11.0").driver("pci-stub");
    nic("0000:01:11.2");
    for node in ["vfio/vfio", "vfio/7", "vfio/noiommu-0", "uio0"] {
        tree.node(node);
    }
    let all = json(&tree, nowhere());
    let classes: Vec<&Value> = all.iter().map(|e| &e["class"]).collect();
    assert_eq!(classes, ["vfio", "netdev", "vfio", "uio", "other", "unbound"]);
    let dev = tree.dev();
    let nodes = |names: &[&str]| json!(names.iter().map(|n| dev.join(n)).collect::<Vec<_>>());
    assert_eq!(all[0]["nodes"], nodes(&["vfio/vfio", "vfio/7"]));
    assert_eq!(
        all[0]["iommuGroup"],
        json!({"number": 7, "noIommu": false, "members": ["0000:01:10.0", "0000:01:10.2"],
            "obstacles": ["0000:01:10.2"]})
    );
    assert_eq!(all[2]["iommuGroup"]["noIommu"], true);
    assert_eq!(all[2]["nodes"], nodes(&["vfio/vfio", "vfio/noiommu-0"]));
    assert_eq!(all[3]["nodes"], nodes(&["uio0"]));
    assert_eq!(all[5]["driver"], Value::Null);
}

#[test]
fn numbers_that_nobody_has_named_are_told_as_numbers() {
    let tree = Sysfs::new();
    let _ = tree.pci("0000:01:00.0").numbers(0x8086, 0xfffe, 0x02_0000);
    let _ = tree.pci("0000:02:00.0").numbers(0xfade, 0x0001, 0x02_0000);
    let all = json(&tree, nowhere());
    assert_eq!(all[0]["device"], json!({"id": "fffe", "name": null}));
    assert_eq!(all[1]["vendor"], json!({"id": "fade", "name": null}));
}

#[test]
fn a_device_that_cannot_be_read_is_named_and_the_others_are_told() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 1);
    let _ = tree.pci("0000:01:10.0").with("vendor", "\u{1b}[31m");
    let output = call(&tree, nowhere(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    assert_eq!(all.len(), 1);
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("0000:01:10.0/vendor") && !complaint.contains('\u{1b}'),
        "{complaint}"
    );
}

#[test]
fn a_group_that_cannot_be_read_is_named_once_and_the_device_is_told() {
    let tree = Sysfs::new();
    let vf = tree.pci("0000:01:10.0").numbers(0x8086, 0x1889, 0x02_0000).driver("vfio-pci");
    std::os::unix::fs::symlink("../groups/x", vf.directory().join("iommu_group")).expect("a link");
    let output = call(&tree, nowhere(), &["--json"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stderr).matches("iommu_group").count(), 1, "{output:?}");
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    assert_eq!(all[0]["iommuGroup"], Value::Null);
}

#[test]
fn a_machine_without_devices_is_no_failure() {
    let tree = Sysfs::new();
    assert_eq!(json(&tree, nowhere()), Vec::<Value>::new());
    let output = call(&tree, nowhere(), &[]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "no network devices on the PCI and the auxiliary bus\n");
}

#[test]
fn whoever_reads_only_the_start_is_not_told_of_a_failure() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 7);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_podwire"))
        .args(["devices", "--json"])
        .envs(tree.environment())
        .stdout(writer)
        .output()
        .expect("podwire");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 7);
    for more in [&[][..], &["--json"][..]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_podwire"))
            .arg("devices")
            .args(more)
            .envs(tree.environment())
            .stdout(full)
            .output()
            .expect("podwire");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("No space left"), "{output:?}");
    }
}
