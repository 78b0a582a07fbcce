use devices::{DriverClass, Roots};
use testkit::Sysfs;

use crate::{device, names, roots};

const VF: &str = "0000:01:10.0";

/// A VF without driver and interface.
fn bare(tree: &Sysfs) -> testkit::SysfsDevice<'_> {
    let pf =
        tree.pci("0000:01:00.0").numbers(0x8086, 0x1592, 0x02_0000).driver("ice").total_vfs(64);
    let vf = tree.pci(VF).numbers(0x8086, 0x1889, 0x02_0000);
    let _ = pf.virtual_function(0, &vf);
    vf
}

#[test]
fn a_vf_of_the_kernels_driver_has_an_interface() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 2);
    let vf = device(&tree, VF);
    assert_eq!(vf.class, DriverClass::Netdev);
    assert_eq!(vf.driver.as_deref(), Some("iavf"));
    assert_eq!(names(&vf), ["ens1v0"]);
    assert_eq!(vf.netdevs[0].index, 5);
    assert_eq!(vf.vendor, Some((0x8086, 0x1889)));
    assert_eq!(vf.numa_node, None);
    assert!(vf.is_network() && vf.vfs.is_none() && vf.rdma.is_empty());
}

#[test]
fn a_vf_whose_interface_is_in_another_namespace_is_still_the_kernels() {
    for bifurcated in [false, true] {
        let tree = Sysfs::new();
        if bifurcated {
            tree.mlx5("0000:01:00.0", "ens1", 4, 1);
        } else {
            tree.ice("0000:01:00.0", "ens1", 4, 1);
        }
        let _ = tree.pci(VF).link("ens1v0", 5, |link| {
            link.clone().leave();
            link
        });
        let vf = device(&tree, VF);
        let class = if bifurcated { DriverClass::Bifurcated } else { DriverClass::Netdev };
        assert_eq!((vf.class, names(&vf)), (class, vec![]));
        roots(&tree).device_of_link("ens1v0").expect_err("it is not here");
    }
}

#[test]
fn a_network_driver_that_has_made_no_interface_yet_is_the_kernels() {
    let tree = Sysfs::new();
    let _ = bare(&tree).driver("iavf");
    assert_eq!(device(&tree, VF).class, DriverClass::Netdev);
}

#[test]
fn a_driver_with_verbs_is_bifurcated() {
    let tree = Sysfs::new();
    tree.mlx5("0000:01:00.0", "ens1", 4, 1);
    let vf = device(&tree, VF);
    assert_eq!(vf.class, DriverClass::Bifurcated);
    assert_eq!(vf.rdma, ["mlx5_1"]);
    assert_eq!(names(&vf), ["ens1v0"]);
}

#[test]
fn drivers_of_the_vfio_family_are_known_by_what_they_make_and_by_whose_they_are() {
    let tree = Sysfs::new();
    for name in
        ["vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "pds-vfio-pci", "nvgrace-gpu-vfio-pci"]
    {
        let _ = bare(&tree).driver(name);
        assert_eq!(device(&tree, VF).class, DriverClass::Vfio, "{name}");
    }
    let tree = Sysfs::new();
    let _ = bare(&tree).driver("newcomer").has("vfio-dev/vfio0");
    assert_eq!(device(&tree, VF).class, DriverClass::Vfio);

    let tree = Sysfs::new();
    let _ = bare(&tree).driver("newcomer").module("newcomer_pci", "vfio_pci_core");
    assert_eq!(device(&tree, VF).class, DriverClass::Vfio);

    let tree = Sysfs::new();
    let _ = bare(&tree).driver("iavf").module("iavf", "libeth");
    assert_eq!(device(&tree, VF).class, DriverClass::Netdev);
}

#[test]
fn drivers_of_the_uio_family_are_known_by_what_they_make() {
    for name in ["igb_uio", "uio_pci_generic", "newcomer"] {
        let tree = Sysfs::new();
        let _ = bare(&tree).driver(name).has("uio/uio0");
        let vf = device(&tree, VF);
        assert_eq!(vf.class, DriverClass::Uio, "{name}");
        assert!(vf.class.is_userspace());
    }
}

#[test]
fn a_driver_that_only_holds_the_device_is_of_another_kind() {
    for name in ["pci-stub", "pci-pf-stub", "pciback", "xen-pciback", "vp_vdpa"] {
        let tree = Sysfs::new();
        let _ = bare(&tree).driver(name);
        assert_eq!(device(&tree, VF).class, DriverClass::Other, "{name}");
    }
}

#[test]
fn a_driver_of_another_kind_of_hardware_is_none_of_the_network() {
    let tree = Sysfs::new();
    let _ = tree.pci("0000:00:1f.2").numbers(0x8086, 0x2922, 0x01_0601).driver("ahci");
    let disk = device(&tree, "0000:00:1f.2");
    assert_eq!(disk.class, DriverClass::Other);
    assert!(!disk.is_network());
}

#[test]
fn a_device_without_driver_is_unbound() {
    let tree = Sysfs::new();
    bare(&tree);
    let vf = device(&tree, VF);
    assert_eq!((vf.class, vf.driver), (DriverClass::Unbound, None));
}

#[test]
fn the_interface_of_a_virtio_nic_is_one_step_further() {
    let tree = Sysfs::new();
    tree.virtio("0000:00:03.0", "eth0", 2);
    let nic = device(&tree, "0000:00:03.0");
    assert_eq!(nic.class, DriverClass::Netdev);
    assert_eq!(names(&nic), ["eth0"]);
    assert_eq!(roots(&tree).device_of_link("eth0").expect("a link"), Some(nic));
}

#[test]
fn a_virtio_nic_without_its_network_driver_is_only_held() {
    let tree = Sysfs::new();
    let nic = tree.pci("0000:00:03.0").numbers(0x1af4, 0x1041, 0x02_0000).driver("virtio-pci");
    tree.device("virtio", &nic.directory().join("virtio2"));
    assert_eq!(device(&tree, "0000:00:03.0").class, DriverClass::Other);
}

#[test]
fn every_word_for_a_class_is_another_one() {
    let all = [
        DriverClass::Netdev,
        DriverClass::Bifurcated,
        DriverClass::Vfio,
        DriverClass::Uio,
        DriverClass::Other,
        DriverClass::Unbound,
    ];
    let words: std::collections::BTreeSet<&str> = all.iter().map(|class| class.as_str()).collect();
    assert_eq!(words.len(), all.len());
}

#[test]
fn the_roots_are_the_machines_unless_a_test_says_otherwise() {
    assert_eq!(Roots::default(), Roots { sys: "/sys".into(), dev: "/dev".into() });
}
