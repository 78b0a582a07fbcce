use devices::{DeviceId, SfOf, VfOf};
use testkit::Sysfs;

use crate::{device, names, roots};

fn pci(text: &str) -> devices::PciAddress {
    text.parse().expect("an address")
}

#[test]
fn a_pf_knows_its_vfs_and_they_know_it() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 7);
    let pf = roots(&tree).physical_function(pci("0000:01:00.0")).expect("a PF");
    let numbers: Vec<u32> = pf.vfs.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(pf.uplink.expect("an interface").name, "eth1");
    assert_eq!(pf.representors, []);
    for (number, address) in pf.vfs {
        let vf = device(&tree, &address.to_string());
        assert_eq!(vf.vf, Some(VfOf { pf: pf.address, index: number }));
    }
    assert_eq!(device(&tree, "0000:01:00.0").vfs, Some(7));
}

#[test]
fn the_numbers_of_vfs_need_not_be_contiguous() {
    let tree = Sysfs::new();
    let pf = tree.igb("0000:01:00.0", "eth1", 3, 0);
    let (third, twelfth) = (tree.pci("0000:01:10.6"), tree.pci("0000:01:12.0"));
    let _ = pf.virtual_function(12, &twelfth).virtual_function(3, &third);
    let found = roots(&tree).physical_function(pci("0000:01:00.0")).expect("a PF");
    assert_eq!(found.vfs, [(3, pci("0000:01:10.6")), (12, pci("0000:01:12.0"))]);
    assert_eq!(device(&tree, "0000:01:12.0").vf.expect("a VF").index, 12);
}

#[test]
fn a_pf_without_vfs_is_one_and_a_vf_is_none() {
    let tree = Sysfs::new();
    tree.igb("0000:01:00.0", "eth1", 3, 1);
    tree.igb("0000:02:00.0", "eth2", 9, 0);
    tree.virtio("0000:00:03.0", "eth0", 2);
    let roots = roots(&tree);
    assert_eq!(roots.physical_function(pci("0000:02:00.0")).expect("a PF").vfs, []);
    let error = roots.physical_function(pci("0000:01:10.0")).expect_err("a VF");
    assert!(error.details.contains("a virtual function of 0000:01:00.0"), "{error}");
    let error = roots.physical_function(pci("0000:00:03.0")).expect_err("no PF");
    assert!(error.details.contains("sriov_totalvfs"), "{error}");
}

#[test]
fn a_vf_that_its_pf_does_not_list_is_on_its_way() {
    let tree = Sysfs::new();
    let pf = tree.igb("0000:01:00.0", "eth1", 3, 2);
    std::fs::remove_file(pf.directory().join("virtfn1")).expect("the link");
    let error = roots(&tree).device(&"0000:01:10.2".parse().expect("an id")).expect_err("no VF");
    assert_eq!(error.code, cni::Code::TRY_AGAIN, "{error}");
    let (devices, errors) = roots(&tree).network_devices().expect("the devices");
    assert_eq!((devices.len(), errors), (2, vec![error]));
}

#[test]
fn in_switchdev_mode_the_uplink_is_told_from_the_representors() {
    let tree = Sysfs::new();
    let pf = tree.mlx5_switchdev("0000:01:00.0", "ens1", 10, 3);
    let _ = pf
        .link("pf0hpf", 2, |link| link.port("c1pf0", "50a6b5000300e4f2"))
        .link("pf0sf", 3, |link| link.port("pf0sf88", "50a6b5000300e4f2"))
        .link("host1", 4, |link| link.port("c1pf0vf1", "50a6b5000300e4f2"));
    let pf = roots(&tree).physical_function(pci("0000:01:00.0")).expect("a PF");
    assert_eq!(pf.uplink.expect("an uplink").name, "ens1");
    let representors: Vec<(u32, &str)> =
        pf.representors.iter().map(|(number, netdev)| (*number, netdev.name.as_str())).collect();
    assert_eq!(representors, [(0, "ens1r0"), (1, "ens1r1"), (2, "ens1r2")]);
    assert_eq!(names(&device(&tree, "0000:01:00.0")), ["ens1"]);
}

#[test]
fn in_legacy_mode_a_named_uplink_is_all_there_is() {
    let tree = Sysfs::new();
    tree.mlx5("0000:01:00.0", "ens1", 10, 2);
    let pf = roots(&tree).physical_function(pci("0000:01:00.0")).expect("a PF");
    assert_eq!(pf.uplink.expect("an uplink").port_name.as_deref(), Some("p0"));
    assert_eq!(pf.representors, []);
}

#[test]
fn a_number_as_a_ports_name_is_a_representor_only_on_an_eswitch() {
    let tree = Sysfs::new();
    let pf = tree.igb("0000:01:00.0", "eth1", 10, 1);
    let pf = pf.link("eth1", 10, |link| link.with("phys_port_name", "0"));
    assert_eq!(names(&device(&tree, "0000:01:00.0")), ["eth1"]);
    let _ = pf
        .link("rep0", 4, |link| link.port("0", "aa"))
        .link("eth1", 10, |link| link.port("p0", "aa"));
    let found = roots(&tree).physical_function(pci("0000:01:00.0")).expect("a PF");
    assert_eq!(found.uplink.expect("an uplink").name, "eth1");
    assert_eq!(found.representors[0].1.name, "rep0");
}

#[test]
fn the_interfaces_of_a_function_with_several_ports_come_in_their_order() {
    let tree = Sysfs::new();
    let _ = tree
        .pci("0000:01:00.0")
        .numbers(0x15b3, 0x1003, 0x02_0000)
        .driver("mlx4_core")
        .link("a-second", 4, |link| link.with("dev_port", 1))
        .link("b-first", 5, |link| link)
        .rdma("mlx4_0", "uverbs0");
    let card = device(&tree, "0000:01:00.0");
    assert_eq!(names(&card), ["b-first", "a-second"]);
    assert_eq!(card.netdevs[1].port, 1);
}

#[test]
fn a_subfunction_has_its_parents_numbers_and_its_own_interface() {
    let tree = Sysfs::new();
    let pf = tree.mlx5("0000:01:00.0", "ens1", 10, 1).with("numa_node", 1);
    let sf = tree.subfunction(&pf, "mlx5_core.sf.4", 88, ("enp1sf88", 20));
    // Its own auxiliary devices are below it, and not further subfunctions.
    tree.auxiliary(&sf, "mlx5_core.eth.7");
    let sf = device(&tree, "mlx5_core.sf.4");
    assert_eq!(sf.sf, Some(SfOf { parent: pci("0000:01:00.0"), number: Some(88) }));
    assert_eq!(
        (names(&sf), sf.vendor, sf.numa_node),
        (vec!["enp1sf88"], Some((0x15b3, 0x1017)), Some(1))
    );
    assert_eq!(sf.vf, None);
    assert_eq!(
        roots(&tree).device_of_link("enp1sf88").expect("a link").expect("a device").id,
        sf.id
    );
    assert_eq!(roots(&tree).iommu_group(&sf).expect("none"), None);

    let (devices, errors) = roots(&tree).network_devices().expect("the devices");
    let ids: Vec<String> = devices.iter().map(|device| device.id.to_string()).collect();
    assert_eq!(ids, ["0000:01:00.0", "0000:01:10.0", "mlx5_core.sf.4"]);
    assert_eq!(errors, []);
}

#[test]
fn a_subfunction_without_driver_is_listed_too() {
    let tree = Sysfs::new();
    let pf = tree.mlx5("0000:01:00.0", "ens1", 10, 0);
    let _ = tree.auxiliary(&pf, "mlx5_core.sf.5").with("sfnum", 99);
    let (devices, _) = roots(&tree).network_devices().expect("the devices");
    assert_eq!(devices[1].class, devices::DriverClass::Unbound);
}

#[test]
fn only_network_controllers_are_listed() {
    let tree = Sysfs::new();
    let _ = tree.pci("0000:00:1f.2").numbers(0x8086, 0x2922, 0x01_0601).driver("ahci");
    tree.pci("0000:00:1f.3");
    tree.virtio("0000:00:03.0", "eth0", 2);
    let _ = tree.virtual_link("veth0", 5);
    let (devices, errors) = roots(&tree).network_devices().expect("the devices");
    assert_eq!((devices.len(), errors), (1, vec![]));
}

#[test]
fn a_machine_without_any_bus_has_no_devices() {
    let tree = Sysfs::new();
    std::fs::remove_dir_all(tree.sys().join("bus")).expect("the buses");
    assert_eq!(roots(&tree).network_devices().expect("none"), (vec![], vec![]));
}

#[test]
fn a_device_made_anew_is_another_one() {
    let tree = Sysfs::new();
    let pf = tree.igb("0000:01:00.0", "eth1", 3, 1);
    let before = device(&tree, "0000:01:10.0");
    assert_eq!(device(&tree, "0000:01:10.0").incarnation, before.incarnation);
    let again = before.directory.with_file_name("again");
    std::fs::create_dir(&again).expect("a directory");
    std::fs::remove_dir_all(&before.directory).expect("the VF");
    std::fs::rename(again, &before.directory).expect("a VF");
    let _ = pf.virtual_function(0, &tree.pci("0000:01:10.0"));
    assert_ne!(device(&tree, "0000:01:10.0").incarnation, before.incarnation);
}

#[test]
fn a_device_that_is_not_there_is_told_with_what_is() {
    let tree = Sysfs::new();
    let pf = tree.mlx5("0000:01:00.0", "ens1", 10, 1);
    tree.subfunction(&pf, "mlx5_core.sf.4", 88, ("enp1sf88", 20));
    let refused = |id: &str| {
        let error = roots(&tree).device(&id.parse::<DeviceId>().expect("an id")).expect_err(id);
        assert_eq!(error.code, cni::Code::CONFIG);
        error.to_string()
    };
    let error = refused("0000:01:10.2");
    assert!(
        error.contains("0000:01:10.2") && error.contains("here: 0000:01:00.0, 0000:01:10.0"),
        "{error}"
    );
    let error = refused("mlx5_core.sf.5");
    assert!(error.contains("mlx5_core.sf.5") && error.contains("here: mlx5_core.sf.4"), "{error}");
    let error = roots(&tree).device_of_link("eth9").expect_err("none").to_string();
    assert!(error.contains("here: enp1sf88, ens1, ens1v0"), "{error}");
}
