use std::path::Path;

use devices::{Device, Nodes};
use testkit::{Sysfs, SysfsDevice};

use crate::{device, roots};

const VF: &str = "0000:01:10.0";

fn vfio(tree: &Sysfs) -> SysfsDevice<'_> {
    tree.pci(VF).numbers(0x8086, 0x1889, 0x02_0000).driver("vfio-pci")
}

fn group(tree: &Sysfs, device: &Device) -> devices::IommuGroup {
    roots(tree).iommu_group(device).expect("readable").expect("a group")
}

fn nodes(tree: &Sysfs) -> Nodes {
    roots(tree).nodes(&device(tree, VF)).expect("the nodes")
}

fn below(tree: &Sysfs, nodes: &[std::path::PathBuf]) -> Vec<String> {
    let name = |path: &Path| path.strip_prefix(tree.dev()).expect("a node").display().to_string();
    nodes.iter().map(|path| name(path)).collect()
}

#[test]
fn vfio_has_its_container_and_the_groups_node() {
    let tree = Sysfs::new();
    tree.iommu_group(17, None, &[&vfio(&tree)]);
    for node in ["vfio/vfio", "vfio/17", "vfio/18", "iommu"] {
        tree.node(node);
    }
    let found = group(&tree, &device(&tree, VF));
    assert_eq!((found.number, found.no_iommu, found.obstacles), (17, false, vec![]));
    assert_eq!(found.members, [(VF.parse().expect("an address"), Some("vfio-pci".to_owned()))]);
    let nodes = nodes(&tree);
    assert_eq!(below(&tree, &nodes.vfio), ["vfio/vfio", "vfio/17"]);
    assert!(nodes.vfio_cdev.is_empty() && nodes.uio.is_empty() && nodes.rdma.is_empty());
}

#[test]
fn vfio_has_a_node_per_device_on_newer_kernels() {
    let tree = Sysfs::new();
    tree.iommu_group(17, None, &[&vfio(&tree).has("vfio-dev/vfio3")]);
    for node in ["vfio/vfio", "vfio/17", "vfio/devices/vfio3", "iommu"] {
        tree.node(node);
    }
    let nodes = nodes(&tree);
    assert_eq!(below(&tree, &nodes.vfio), ["vfio/vfio", "vfio/17"]);
    assert_eq!(below(&tree, &nodes.vfio_cdev), ["iommu", "vfio/devices/vfio3"]);
    assert_eq!(nodes.iter().count(), 4);
}

#[test]
fn nodes_that_do_not_exist_are_not_told() {
    let tree = Sysfs::new();
    tree.iommu_group(17, None, &[&vfio(&tree).has("vfio-dev/vfio3")]);
    for node in ["vfio/vfio", "iommu"] {
        tree.node(node);
    }
    assert_eq!(nodes(&tree), Nodes::default());
}

#[test]
fn vfio_without_iommu_is_told_by_the_groups_name() {
    let tree = Sysfs::new();
    tree.iommu_group(0, Some("vfio-noiommu"), &[&vfio(&tree)]);
    for node in ["vfio/vfio", "vfio/noiommu-0", "vfio/0"] {
        tree.node(node);
    }
    assert!(group(&tree, &device(&tree, VF)).no_iommu);
    assert_eq!(below(&tree, &nodes(&tree).vfio), ["vfio/vfio", "vfio/noiommu-0"]);
}

#[test]
fn members_that_vfio_would_refuse_are_obstacles() {
    let tree = Sysfs::new();
    let nic = |address| tree.pci(address).numbers(0x8086, 0x1889, 0x02_0000);
    let members = [
        vfio(&tree),
        nic("0000:01:10.2"),
        nic("0000:01:10.4").driver("pci-stub"),
        nic("0000:01:10.6").driver("mlx5_vfio_pci"),
        nic("0000:01:11.0").driver("iavf"),
        nic("0000:01:11.2").driver("igb_uio"),
        tree.pci("0000:00:1c.0").numbers(0x8086, 0x8c10, 0x06_0400).driver("pcieport"),
        tree.pci("0000:00:1d.0").numbers(0x8086, 0x8c10, 0x06_0400).driver("shpchp"),
    ];
    tree.iommu_group(4, Some("intel"), &members.each_ref());
    let group = group(&tree, &device(&tree, VF));
    assert_eq!(group.members.len(), members.len());
    let obstacles: Vec<String> =
        group.obstacles.iter().map(|(address, driver)| format!("{address} {driver}")).collect();
    assert_eq!(obstacles, ["0000:01:11.0 iavf", "0000:01:11.2 igb_uio"]);
}

#[test]
fn a_machine_without_iommu_has_no_groups() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    assert_eq!(roots(&tree).iommu_group(&device(&tree, VF)).expect("readable"), None);
}

#[test]
fn the_group_of_a_network_driver_has_no_nodes_even_when_another_member_has() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    tree.iommu_group(4, None, &[&tree.pci(VF)]);
    tree.node("vfio/vfio");
    tree.node("vfio/4");
    assert_eq!(nodes(&tree), Nodes::default());
}

#[test]
fn uio_has_its_node() {
    let tree = Sysfs::new();
    let _ = tree.pci(VF).numbers(0x8086, 0x1889, 0x02_0000).driver("igb_uio").has("uio/uio2");
    tree.node("uio2");
    assert_eq!(below(&tree, &nodes(&tree).uio), ["uio2"]);
}

#[test]
fn rdma_has_verbs_management_and_the_connection_manager() {
    let tree = Sysfs::new();
    tree.mlx5("0000:01:00.0", "ens1", 4, 1);
    let _ = tree.pci(VF).has("infiniband_mad/umad1").has("infiniband_mad/issm1");
    for node in ["infiniband/umad1", "infiniband/issm1", "infiniband/rdma_cm"] {
        tree.node(node);
    }
    let found = below(&tree, &nodes(&tree).rdma);
    let wanted = ["uverbs1", "issm1", "umad1", "rdma_cm"].map(|name| format!("infiniband/{name}"));
    assert_eq!(found, wanted);
}
