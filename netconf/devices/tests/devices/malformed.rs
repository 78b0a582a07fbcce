use std::fs;
use std::os::unix::fs::symlink;

use devices::DeviceId;
use testkit::Sysfs;

use crate::{device, names, roots};

const VF: &str = "0000:01:10.0";

fn refusal(tree: &Sysfs) -> String {
    let id: DeviceId = VF.parse().expect("an id");
    let error = roots(tree).device(&id).expect_err("malformed");
    assert_eq!(error.code, cni::Code::IO, "{error}");
    assert!(error.details.contains("sysfs"), "{error}");
    error.to_string()
}

#[test]
fn what_is_no_number_is_named_with_its_file() {
    for (name, content) in [
        ("vendor", "".as_bytes()),
        ("vendor", b"0x80g6\n"),
        ("device", b"\xff\xfe\x00\x01"),
        ("class", b"0xffffffffffffffffffff\n"),
        ("class", b"-0x1\n"),
        ("numa_node", b"many\n"),
        ("net/ens1v0/ifindex", b"99999999999999999999\n"),
        ("net/ens1v0/ifindex", b"-4\n"),
        ("net/ens1v0/dev_port", b""),
        ("net/ens1v0/phys_port_name", b"\xc3\x28"),
    ] {
        let tree = Sysfs::new();
        tree.ice("0000:01:00.0", "ens1", 4, 1);
        fs::write(tree.pci(VF).directory().join(name), content).expect("a file");
        let error = refusal(&tree);
        assert!(error.contains(&format!("{VF}/{name}")), "{error}");
    }
}

#[test]
fn an_attribute_longer_than_the_kernel_writes_is_refused() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    let _ = tree.pci(VF).with("vendor", "0".repeat(1 << 20));
    assert!(refusal(&tree).len() < 600);
}

#[test]
fn a_link_that_leads_to_no_function_is_refused() {
    for target in ["..", "/", "../driver", "../0000:01:00.8"] {
        let tree = Sysfs::new();
        tree.ice("0000:01:00.0", "ens1", 4, 1);
        let physfn = tree.pci(VF).directory().join("physfn");
        fs::remove_file(&physfn).expect("the link");
        symlink(target, physfn).expect("a link");
        assert!(refusal(&tree).contains("physfn"));
    }
    let tree = Sysfs::new();
    let pf = tree.ice("0000:01:00.0", "ens1", 4, 1);
    symlink("../nonsense", pf.directory().join("virtfn5")).expect("a link");
    assert!(refusal(&tree).contains("virtfn5"));
}

#[test]
fn a_group_that_is_no_number_is_refused() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    symlink("../../../groups/4294967296", tree.pci(VF).directory().join("iommu_group"))
        .expect("a link");
    let error = roots(&tree).iommu_group(&device(&tree, VF)).expect_err("no group");
    assert!(error.msg.contains("iommu_group"), "{error}");
}

#[test]
fn a_driver_link_to_nowhere_in_particular_is_refused() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    let driver = tree.pci(VF).directory().join("driver");
    fs::remove_file(&driver).expect("the link");
    symlink("../..", driver).expect("a link");
    assert!(refusal(&tree).contains("driver"));
}

#[test]
fn what_the_hardware_lacks_is_no_error() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    let directory = tree.pci(VF).directory().to_owned();
    for name in ["vendor", "device", "class", "numa_node", "net/ens1v0/dev_port"] {
        fs::remove_file(directory.join(name)).expect("a file");
    }
    fs::write(directory.join("net/ens1v0/phys_port_name"), "\n").expect("a file");
    let vf = device(&tree, VF);
    assert_eq!(
        (vf.vendor, vf.pci_class, vf.numa_node, names(&vf)),
        (None, None, None, vec!["ens1v0"])
    );
    assert_eq!((vf.netdevs[0].port, vf.netdevs[0].port_name.clone()), (0, None));
}

#[test]
fn an_interface_that_has_just_gone_is_left_out() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    fs::remove_file(tree.pci(VF).directory().join("net/ens1v0/ifindex")).expect("a file");
    assert_eq!(names(&device(&tree, VF)), Vec::<&str>::new());
}

#[test]
fn files_that_are_no_devices_on_the_bus_are_left_out() {
    let tree = Sysfs::new();
    tree.ice("0000:01:00.0", "ens1", 4, 1);
    tree.file("bus/pci/devices/README", "");
    tree.file("bus/pci/devices/0000:09:00.0", "a file");
    let (devices, errors) = roots(&tree).network_devices().expect("the bus");
    assert_eq!((devices.len(), errors), (2, vec![]));
}
