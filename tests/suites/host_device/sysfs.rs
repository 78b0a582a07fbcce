//! Devices of the PCI and the auxiliary bus, as a sysfs of our own shows them. Behind those of a network
//! driver is an end of a pair, which is moved in earnest.

use std::fs;

use serde_json::{Value, json};
use testkit::{Call, Node, Pod, Sysfs};

use super::{bare, conf, home, node, records};
use crate::conf::{DUAL, with};

const VF: &str = "0000:01:10.0";

/// A node whose sysfs is ours.
struct Machine {
    node: Node,
    sysfs: Sysfs,
}

impl Machine {
    fn new() -> Self {
        Self { node: node(), sysfs: Sysfs::new() }
    }

    /// The index of `dev0`, which the tree has to agree with.
    fn index(&self) -> u32 {
        let index = self.node.link("dev0").expect("dev0")["ifindex"].as_u64().expect("a number");
        u32::try_from(index).expect("an index")
    }

    fn here<'a>(&self, call: Call<'a>) -> Call<'a> {
        let [sys, dev] = self.sysfs.environment();
        call.env(sys.0, sys.1.to_str().expect("UTF-8")).env(dev.0, dev.1.to_str().expect("UTF-8"))
    }

    fn add(&self, conf: &Value, pod: &Pod) -> testkit::Output {
        self.here(self.node.add_call(conf, pod, "net1")).run()
    }

    fn attach(&self, conf: &Value, pod: &Pod) -> testkit::Attachment {
        self.node.attached(conf, pod, "net1", &self.add(conf, pod))
    }

    fn check(&self, attached: &testkit::Attachment) -> testkit::Output {
        self.here(self.node.check_call(attached)).run()
    }

    fn del(&self, attached: &testkit::Attachment) -> testkit::Output {
        self.here(self.node.del_call(attached)).run()
    }

    /// A configuration that leaves the device to the runtime.
    fn conf(&self, more: Value) -> Value {
        with(with(bare(&self.node), json!({"device": ""})), more)
    }
}

#[test]
fn a_device_is_found_by_every_way_to_its_pci_address() {
    let machine = Machine::new();
    let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("igbvf");
    let _device = device.netdev("dev0", machine.index());
    let was = home(&machine.node, "dev0");
    let path = machine.sysfs.sys().join("devices/pci0000:00").join(VF);
    let astray = path.join("../../pci0000:00").join(VF);
    for more in [
        json!({"pciBusID": VF}),
        json!({"pciBusID": VF, "deviceID": VF}),
        json!({"runtimeConfig": {"deviceID": VF}}),
        json!({"deviceID": VF, "runtimeConfig": {"deviceID": VF.to_uppercase()}, "pciBusID": VF}),
        json!({"kernelpath": path}),
        json!({"kernelpath": astray}),
    ] {
        let pod = machine.node.pod();
        // Its place in the tree is a name's, until the kernel says what index it has.
        let _fresh = machine.sysfs.pci(VF).netdev("dev0", machine.index());
        let attached = machine.attach(&machine.conf(more.clone()), &pod);
        assert_eq!(records(&machine.node), [format!("pci-{VF}.json")], "{more}");
        assert_eq!(attached.result["interfaces"][0]["pciID"], VF, "{more}");
        assert_eq!(pod.links(), ["lo", "net1"], "{more}");
        machine.check(&attached).ok();
        machine.del(&attached).ok();
        assert_eq!(home(&machine.node, "dev0"), was, "{more}");
        assert_eq!(records(&machine.node), [""; 0], "{more}");
    }
}

#[test]
fn a_subfunction_is_given_away_by_its_name_on_the_auxiliary_bus() {
    let machine = Machine::new();
    let parent = machine.sysfs.mlx5("0000:03:00.0", "pf0", 90, 0);
    let sf = "mlx5_core.sf.4";
    let _sf = machine.sysfs.subfunction(&parent, sf, 88, ("dev0", machine.index()));
    let was = home(&machine.node, "dev0");
    let pod = machine.node.pod();
    let conf = machine.conf(json!({"runtimeConfig": {"deviceID": sf}}));
    let attached = machine.attach(&conf, &pod);
    assert_eq!(records(&machine.node), [format!("aux-{sf}.json")]);
    assert!(attached.result["interfaces"][0]["pciID"].is_null());
    machine.check(&attached).ok();
    let error = machine.add(&conf, &machine.node.pod()).fails();
    error.is(11, &[sf, &pod.id]);
    machine.del(&attached).ok();
    assert_eq!(home(&machine.node, "dev0"), was);
    let error = machine.add(&machine.conf(json!({"deviceID": "mlx5_core.sf.9"})), &pod).fails();
    error.is(7, &["mlx5_core.sf.9", sf]);
}

#[test]
fn a_device_that_a_program_drives_gets_addresses_and_is_not_touched() {
    for driver in ["vfio-pci", "mlx5_vfio_pci", "uio_pci_generic", "igb_uio"] {
        let machine = Machine::new();
        let _device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver(driver);
        let pod = machine.node.pod();
        let ipam = json!({"ipam": machine.node.host_local(DUAL)});
        let conf = with(machine.conf(json!({"deviceID": VF})), ipam);
        let attached = machine.attach(&conf, &pod);
        assert_eq!(pod.links(), ["lo"], "{driver}");
        let own = &attached.result["interfaces"][0];
        assert_eq!((&own["name"], &own["pciID"]), (&json!("net1"), &json!(VF)), "{driver}");
        assert_eq!(own["sandbox"], pod.path());
        assert!(own["mac"].as_str().unwrap_or_default().is_empty());
        assert_eq!(attached.addresses().len(), 2);
        assert_eq!(machine.node.leased("net").len(), 2);
        machine.check(&attached).ok();
        let error = machine.add(&conf, &machine.node.pod()).fails();
        error.is(11, &[VF, &pod.id]);
        machine.del(&attached).ok();
        assert_eq!(machine.node.leased("net"), [""; 0]);
        assert_eq!(records(&machine.node), [""; 0]);
        machine.del(&attached).ok();
    }
}

#[test]
fn a_device_that_a_program_drives_outlives_its_container() {
    let machine = Machine::new();
    let _device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("vfio-pci");
    let conf = machine.conf(json!({"deviceID": VF}));
    let mut first = machine.node.pod();
    machine.attach(&conf, &first);
    first.remove();
    let second = machine.node.pod();
    let attached = machine.attach(&conf, &second);
    machine.check(&attached).ok();
    machine.del(&attached).ok();
}

#[test]
fn a_group_that_vfio_would_refuse_is_refused_with_its_members() {
    let machine = Machine::new();
    let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("vfio-pci");
    let other = machine.sysfs.pci("0000:01:10.1").driver("igbvf");
    machine.sysfs.iommu_group(17, None, &[&device, &other]);
    let conf = machine.conf(json!({"deviceID": VF}));
    let error = machine.add(&conf, &machine.node.pod()).fails();
    error.is(7, &[VF, "17", "0000:01:10.1", "igbvf"]);
    assert_eq!(records(&machine.node), [""; 0]);
}

#[test]
fn a_machine_without_an_iommu_is_warned_of() {
    let machine = Machine::new();
    let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("vfio-pci");
    machine.sysfs.iommu_group(0, Some("vfio-noiommu"), &[&device]);
    let pod = machine.node.pod();
    let conf = machine.conf(json!({"deviceID": VF}));
    let output = machine.add(&conf, &pod);
    let attached = machine.node.attached(&conf, &pod, "net1", &output);
    assert!(output.stderr.contains("without an IOMMU"), "{output}");
    machine.del(&attached).ok();
}

#[test]
fn devices_that_serve_nobody_are_refused_with_what_to_do() {
    for (driver, words) in [
        (None, &["no driver", "bind"][..]),
        (Some("pci-stub"), &["pci-stub", "bind"]),
        (Some("igbvf"), &["igbvf", "no network interface"]),
    ] {
        let machine = Machine::new();
        let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000);
        let _device = match driver {
            Some(driver) => device.driver(driver),
            None => device,
        };
        let conf = machine.conf(json!({"deviceID": VF}));
        let error = machine.add(&conf, &machine.node.pod()).fails();
        error.is(7, &[&[VF], words].concat());
        assert_eq!(records(&machine.node), [""; 0]);
    }
}

#[test]
fn a_physical_function_with_vfs_is_not_given_away_unless_forced() {
    let machine = Machine::new();
    let _pf = machine.sysfs.igb("0000:01:00.0", "dev0", machine.index(), 2);
    let conf = machine.conf(json!({"pciBusID": "0000:01:00.0"}));
    let error = machine.add(&conf, &machine.node.pod()).fails();
    error.is(7, &["0000:01:00.0", "2 VFs", "force"]);
    let attached = machine.attach(&with(conf, json!({"force": true})), &machine.node.pod());
    machine.del(&attached).ok();
}

#[test]
fn a_device_that_was_made_anew_is_left_as_it_is() {
    let machine = Machine::new();
    let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("vfio-pci");
    let conf = machine.conf(json!({"deviceID": VF}));
    let pod = machine.node.pod();
    let attached = machine.attach(&conf, &pod);
    let directory = device.directory().to_owned();
    drop(device);
    // Another directory in its place, while the old one still has its inode.
    let aside = machine.sysfs.sys().join("aside");
    fs::rename(&directory, &aside).expect("the device");
    let error = machine.add(&conf, &machine.node.pod()).fails();
    error.is(7, &[VF]);
    machine.del(&attached).ok();
    assert_eq!(records(&machine.node), [""; 0]);
}

#[test]
fn a_container_is_told_of_its_device() {
    let machine = Machine::new();
    let _pf = machine.sysfs.mlx5("0000:03:00.0", "pf0", 90, 2);
    let vf = "0000:03:10.0";
    let function = machine.sysfs.pci(vf).netdev("dev0", machine.index());
    let file = machine.node.directory().join("devinfo/cni/default-net-pod_net1");
    let runtime = json!({"deviceID": vf, "CNIDeviceInfoFile": file});
    let mut conf = machine.conf(json!({"runtimeConfig": runtime}));
    let mut netdevs: Vec<_> =
        fs::read_dir(function.directory().join("net")).expect("net").collect();
    assert_eq!(netdevs.len(), 2, "{netdevs:?}");
    for entry in netdevs.drain(..) {
        let entry = entry.expect("an entry");
        if entry.file_name() != "dev0" {
            fs::remove_dir_all(entry.path()).expect("the interface");
        }
    }
    fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
    let begun = json!({"type": "pci", "version": "1.1.0", "pci": {"pci-address": vf, "mine": 1}});
    fs::write(&file, begun.to_string()).expect("a file");
    let pod = machine.node.pod();
    let attached = machine.attach(&conf, &pod);
    let told: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    assert_eq!(told["pci"]["pf-pci-address"], "0000:03:00.0");
    assert_eq!(told["pci"]["rdma-device"], "mlx5_1");
    assert_eq!(told["pci"]["mine"], 1);
    machine.del(&attached).ok();

    // One about another device is refused before anything is touched, or taken back.
    let begun = json!({"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:09:00.0"}});
    fs::write(&file, begun.to_string()).expect("a file");
    conf["name"] = json!("net");
    machine.add(&conf, &pod).fails().is(7, &["0000:09:00.0"]);
    assert!(machine.node.link("dev0").is_some());
    assert_eq!(records(&machine.node), [""; 0]);
}

#[test]
fn a_device_with_addresses_of_its_own_is_given_away_by_its_id() {
    let machine = Machine::new();
    let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("igbvf");
    let _device = device.netdev("dev0", machine.index());
    let more = json!({"deviceID": VF, "ipam": conf(&machine.node)["ipam"]});
    let pod = machine.node.pod();
    let attached = machine.attach(&machine.conf(more), &pod);
    assert_eq!(pod.addresses("net1"), attached.addresses());
    machine.del(&attached).ok();
}

#[test]
fn status_tells_that_the_configured_device_is_not_there_though_a_record_says_so() {
    let machine = Machine::new();
    let device = machine.sysfs.pci(VF).numbers(0x8086, 0x10ca, 0x02_0000).driver("vfio-pci");
    let conf = machine.conf(json!({"deviceID": VF}));
    let status = || machine.here(machine.node.call("host-device").verb("STATUS").conf(&conf)).run();
    status().ok();
    let attached = machine.attach(&conf, &machine.node.pod());
    status().ok();
    // As `sriov_numvfs` 0 does it.
    let directory = device.directory().to_owned();
    drop(device);
    fs::rename(&directory, machine.sysfs.sys().join("aside")).expect("the device");
    status().fails().is(50, &[VF]);
    machine.del(&attached).ok();
    status().fails().is(50, &[VF]);
}
