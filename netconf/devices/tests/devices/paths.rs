use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use devices::{DeviceId, DriverClass};
use testkit::Sysfs;

use crate::{device, names, roots};

#[test]
fn every_directory_of_a_device_leads_to_it() {
    let tree = Sysfs::new();
    let pf = tree.igb("0000:01:00.0", "eth1", 3, 1);
    let virtio = tree.virtio("0000:00:03.0", "eth0", 2);
    let sf = tree.subfunction(&pf, "mlx5_core.sf.4", 88, ("enp1sf88", 20));
    let at = |path: &Path| roots(&tree).device_at(path).expect("a device").id.to_string();
    assert_eq!(at(pf.directory()), "0000:01:00.0");
    assert_eq!(at(&pf.directory().join("net/eth1")), "0000:01:00.0");
    assert_eq!(at(&pf.directory().join("net/../virtfn0")), "0000:01:10.0");
    assert_eq!(at(&tree.sys().join("class/net/eth1v0/device")), "0000:01:10.0");
    assert_eq!(at(&tree.sys().join("bus/pci/devices/0000:01:10.0")), "0000:01:10.0");
    assert_eq!(at(&virtio.directory().join("virtio2")), "0000:00:03.0");
    assert_eq!(at(&tree.sys().join("class/net/eth0")), "0000:00:03.0");
    assert_eq!(at(sf.directory()), "mlx5_core.sf.4");
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    let tree = Sysfs::new();
    let pf = tree.igb("0000:01:00.0", "eth1", 3, 1);
    symlink("/etc", tree.sys().join("devices/etc")).expect("a link");
    symlink("/proc/self", pf.directory().join("escape")).expect("a link");
    let devices = tree.sys().join("devices");
    for path in [
        devices.clone(),
        devices.join("etc"),
        devices.join("../.."),
        devices.join("../../../../../../../../etc/passwd"),
        devices.join("nothing"),
        devices.join("virtual"),
        pf.directory().join("escape"),
        pf.directory().join("vendor"),
        pf.directory().join("net"),
        tree.sys().join("bus"),
        "devices/pci0000:00/0000:01:00.0".into(),
        "".into(),
        "/".into(),
        "/sys\0/devices".into(),
        "/etc/passwd".into(),
        Path::new("/").join("x".repeat(100_000)),
    ] {
        let error = roots(&tree).device_at(&path).expect_err("a refusal");
        assert_eq!(error.code, cni::Code::CONFIG, "{error}");
        assert!(error.details.contains("write a device's directory below"), "{error}");
    }
}

#[test]
fn a_path_to_what_looks_like_a_device_elsewhere_is_refused() {
    let (tree, elsewhere) = (Sysfs::new(), Sysfs::new());
    let pf = tree.igb("0000:01:00.0", "eth1", 3, 0);
    let outside = elsewhere.igb("0000:02:00.0", "eth2", 3, 0);
    symlink(outside.directory(), pf.directory().join("escape")).expect("a link");
    for path in [outside.directory(), &pf.directory().join("escape")] {
        let error = roots(&tree).device_at(path).expect_err("a refusal");
        assert!(error.msg.ends_with("it leads elsewhere"), "{error}");
    }
}

#[test]
fn links_of_sysfs_that_lead_out_of_it_are_not_followed() {
    let tree = Sysfs::new();
    let elsewhere = Sysfs::new();
    elsewhere.igb("0000:01:00.0", "eth1", 3, 1);
    for (link, name) in [("bus/pci/devices", "0000:01:00.0"), ("class/net", "eth1")] {
        let target = elsewhere.sys().join(link).join(name);
        symlink(target, tree.sys().join(link).join(name)).expect("a link");
    }
    roots(&tree).device(&"0000:01:00.0".parse().expect("an id")).expect_err("it leads out");
    roots(&tree).device_of_link("eth1").expect_err("it leads out");
    let (devices, errors) = roots(&tree).network_devices().expect("the bus");
    assert_eq!((devices.len(), errors.len()), (0, 1));
    // A link to another device than its own would be no better.
    tree.igb("0000:02:00.0", "eth2", 3, 0);
    symlink("0000:02:00.0", tree.sys().join("bus/pci/devices/0000:03:00.0")).expect("a link");
    roots(&tree).device(&"0000:03:00.0".parse().expect("an id")).expect_err("another's");
}

#[test]
fn a_virtual_link_is_no_device_but_has_an_id() {
    let tree = Sysfs::new();
    let _ = tree.virtual_link("veth0", 7);
    assert_eq!(roots(&tree).device_of_link("veth0").expect("a link"), None);
    let id: DeviceId = serde_json::from_str("\"link:veth0\"").expect("an id");
    let veth = roots(&tree).device(&id).expect("a device");
    assert_eq!(
        (veth.id.clone(), names(&veth), veth.class),
        (id, vec!["veth0"], DriverClass::Netdev)
    );
    assert_eq!((veth.vendor, veth.sf, veth.vf, veth.driver.as_deref()), (None, None, None, None));
    let at = tree.sys().join("devices/virtual/net/veth0");
    assert_eq!(roots(&tree).device_at(&at).expect("a device"), veth);
}

#[test]
fn a_usb_adapter_is_known_by_its_link_and_not_by_its_controller() {
    let tree = Sysfs::new();
    let controller = tree.pci("0000:00:14.0").numbers(0x8086, 0x9d2f, 0x0c_0330).driver("xhci_hcd");
    let adapter = tree.device("usb", &controller.directory().join("usb1/1-1/1-1:1.0"));
    let adapter = adapter.driver("r8152").netdev("enx0", 6);
    assert_eq!(roots(&tree).device_of_link("enx0").expect("a link"), None);
    let found = roots(&tree).device_at(adapter.directory()).expect("a device");
    assert_eq!(found.id.file_name(), "link-enx0");
    assert_eq!((names(&found), found.driver.as_deref()), (vec!["enx0"], Some("r8152")));
    assert_eq!(found.class, DriverClass::Netdev);
    assert_eq!(roots(&tree).device(&found.id).expect("a device"), found);
}

#[test]
fn the_name_of_a_pci_devices_link_leads_to_the_pci_device() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 0);
    let id: DeviceId = serde_json::from_str("\"link:eth1\"").expect("an id");
    assert_eq!(roots(&tree).device(&id).expect("a device"), device(&tree, "0000:01:00.0"));
}

#[test]
fn what_is_no_link_among_the_interfaces_is_none() {
    let tree = Sysfs::new();
    tree.file("class/net/bonding_masters", "bond0\n");
    let error = roots(&tree).device_of_link("bonding_masters").expect_err("a file");
    assert_eq!(error.code, cni::Code::CONFIG, "{error}");
    for name in ["", ".", "..", "../../devices", "a/b", "0123456789abcdef"] {
        roots(&tree).device_of_link(name).expect_err(name);
    }
}

#[test]
fn without_sysfs_the_missing_mount_is_named() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 0);
    fs::remove_dir_all(tree.sys().join("devices")).expect("the devices");
    let error = roots(&tree).device_at(Path::new("/sys/devices")).expect_err("no sysfs");
    assert!(error.to_string().contains("sysfs"), "{error}");
}
