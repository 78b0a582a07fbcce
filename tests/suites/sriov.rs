//! `sriov` where there is no adapter: a sysfs of our own shows one, and ends of pairs stand in for its VF,
//! its uplink and the VF's representor. What an adapter does is told in `hardware`.

use serde_json::{Value, json};
use testkit::{Call, Node, Output, Pod, Sysfs, need};

use crate::conf::with;

const PF: &str = "0000:03:00.0";
const VF: &str = "0000:03:00.2";

/// A node with an adapter in switchdev mode.
struct Machine {
    node: Node,
    sysfs: Sysfs,
}

impl Machine {
    /// `vf0` is the VF, `up0` the uplink, `rep0` the representor.
    fn new() -> Self {
        let machine = Self { node: Node::new(), sysfs: Sysfs::new() };
        machine.node.batch(
            "link add vf0 type veth peer name vf1\nlink add up0 type veth peer name up1\n\
             link add rep0 type veth peer name rep1\n",
        );
        let vf = machine.sysfs.pci(VF).numbers(0x15b3, 0x101a, 0x02_0000).driver("mlx5_core");
        let vf = vf.netdev("vf0", machine.index("vf0"));
        let pf = machine.sysfs.pci(PF).numbers(0x15b3, 0x1019, 0x02_0000).driver("mlx5_core");
        let port = |name| move |link: testkit::SysfsLink| link.port(name, "e41d2d");
        let pf = pf.total_vfs(2).virtual_function(0, &vf);
        let pf = pf.link("rep0", machine.index("rep0"), port("pf0vf0"));
        drop(pf.link("up0", machine.index("up0"), port("p0")));
        machine
    }

    fn index(&self, link: &str) -> u32 {
        let index = self.node.link(link).expect("a link")["ifindex"].as_u64();
        u32::try_from(index.expect("a number")).expect("an index")
    }

    fn conf(&self, more: Value) -> Value {
        let state = self.node.directory().join("devices");
        let conf = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "sriov", "deviceID": VF, "stateDir": state,
        });
        with(conf, more)
    }

    fn here<'a>(&self, call: Call<'a>) -> Call<'a> {
        let [sys, dev] = self.sysfs.environment();
        call.env(sys.0, sys.1.to_str().expect("UTF-8")).env(dev.0, dev.1.to_str().expect("UTF-8"))
    }

    fn add(&self, conf: &Value, pod: &Pod) -> Output {
        self.here(self.node.add_call(conf, pod, "net1")).run()
    }

    /// The VLANs of the representor.
    fn vlans(&self) -> Vec<u64> {
        let shown = self.node.bridge(&["vlan", "show", "dev", "rep0"]);
        let vlans = shown[0]["vlans"].as_array().cloned().unwrap_or_default();
        vlans.iter().map(|vlan| vlan["vlan"].as_u64().expect("an id")).collect()
    }

    /// Nothing is left in the pod or the journal, and the VF is there.
    #[track_caller]
    fn is_untouched(&self, pod: &Pod) {
        assert_eq!(pod.links(), ["lo"]);
        assert!(self.node.link("vf0").is_some());
        let records = std::fs::read_dir(self.node.directory().join("devices"));
        let names = records.into_iter().flatten().flatten().map(|entry| entry.file_name());
        let records: Vec<_> = names.filter(|n| !n.to_string_lossy().ends_with("lock")).collect();
        assert!(records.is_empty(), "{records:?}");
    }
}

#[test]
fn a_vf_of_which_nothing_is_asked_is_moved_and_comes_back() {
    let machine = Machine::new();
    let pod = Pod::new();
    let conf = machine.conf(json!({"mtu": 1400}));
    let attached = machine.node.attached(&conf, &pod, "net1", &machine.add(&conf, &pod));
    assert_eq!(attached.result["interfaces"][0]["pciID"], VF);
    assert_eq!(pod.link("net1").expect("the VF")["mtu"], 1400);
    machine.here(machine.node.check_call(&attached)).run().ok();
    machine.here(machine.node.del_call(&attached)).run().ok();
    assert_eq!(machine.node.link("vf0").expect("the VF")["mtu"], 1500);
    machine.is_untouched(&pod);
}

#[test]
fn settings_of_an_adapter_that_lists_no_vfs_are_refused_or_left_out() {
    let machine = Machine::new();
    let pod = Pod::new();
    for (setting, words) in
        [(json!({"vlan": 5}), ["vlan 5", "up0"]), (json!({"trust": "on"}), ["trust on", "up0"])]
    {
        let error = machine.add(&machine.conf(setting.clone()), &pod).fails();
        error.is(100, &words);
        error.is(100, &["VF 0", "onUnsupported"]);
        machine.is_untouched(&pod);
        let conf = machine.conf(with(setting, json!({"onUnsupported": "warn"})));
        let output = machine.add(&conf, &pod);
        assert!(output.stderr.contains(words[0]), "no warning: {output}");
        let attached = machine.node.attached(&conf, &pod, "net1", &output);
        machine.here(machine.node.check_call(&attached)).run().ok();
        machine.here(machine.node.del_call(&attached)).run().ok();
        machine.is_untouched(&pod);
    }
}

#[test]
fn a_trunk_is_carried_by_the_representor_while_the_pod_has_the_vf() {
    need!(BridgeVlan);
    let machine = Machine::new();
    let pod = Pod::new();
    let trunk = json!([{"id": 200}, {"minID": 300, "maxID": 302}]);
    let conf = machine.conf(json!({"trunk": trunk}));
    machine.add(&conf, &pod).fails().is(7, &["trunk", "rep0", "a port of no bridge"]);
    machine.is_untouched(&pod);
    machine.node.batch("link add br0 type bridge\nlink set rep0 master br0\n");
    machine.add(&conf, &pod).fails().is(7, &["trunk", "rep0", "br0", "does not filter"]);
    machine.is_untouched(&pod);

    machine.node.run(&["ip", "link", "set", "br0", "type", "bridge", "vlan_filtering", "1"]);
    machine.node.run(&["bridge", "vlan", "add", "dev", "rep0", "vid", "301"]);
    let attached = machine.node.attached(&conf, &pod, "net1", &machine.add(&conf, &pod));
    assert_eq!(machine.vlans(), [1, 200, 300, 301, 302]);
    machine.here(machine.node.check_call(&attached)).run().ok();
    machine.node.run(&["bridge", "vlan", "del", "dev", "rep0", "vid", "302"]);
    let check = machine.here(machine.node.check_call(&attached)).run();
    check.fails().is(103, &["rep0", "VLAN 302"]);
    machine.here(machine.node.del_call(&attached)).run().ok();
    // The administrator's VLAN stays.
    assert_eq!(machine.vlans(), [1, 301]);
    machine.is_untouched(&pod);
}

#[test]
fn without_a_representor_there_is_no_trunk() {
    let machine = Machine::new();
    let pod = Pod::new();
    drop(machine.sysfs.igb("0000:01:00.0", "eth0", 70, 1));
    let conf = machine.conf(json!({"deviceID": "0000:01:10.0", "trunk": [{"id": 5}]}));
    machine.add(&conf, &pod).fails().is(7, &["trunk", "5", "eth0", "switchdev"]);
    machine.is_untouched(&pod);
}

#[test]
fn what_cannot_be_given_away_is_refused_with_what_would_help() {
    let machine = Machine::new();
    let pod = Pod::new();
    let cases: [(Value, &[&str]); 12] = [
        (json!({"deviceID": ""}), &["deviceID", "resourceName", "requests", "capabilities"]),
        (json!({"deviceID": PF}), &["deviceID", PF, "physical function", "host-device"]),
        (json!({"deviceID": "0000:7f:00.0"}), &["deviceID", "0000:7f:00.0"]),
        (json!({"deviceID": "../../sys"}), &["deviceID \"../../sys\": not the name"]),
        (json!({"pciBusID": PF}), &["pciBusID", PF, "deviceID", VF]),
        (
            json!({"driverPolicy": "require-userspace"}),
            &["driverPolicy", "require-userspace", "mlx5_core"],
        ),
        (json!({"vlan": 5000}), &["vlan", "5000"]),
        (json!({"spoofchk": "yes"}), &["spoofchk", "yes"]),
        (json!({"logFile": "/etc/cron.d/x"}), &["logFile", "/etc/cron.d/x", "/var/log/podwire"]),
        (json!({"stateDir": "devices"}), &["stateDir", "devices"]),
        (json!({"strict": true, "max-tx-rate": 5}), &["max-tx-rate", "max_tx_rate"]),
        (json!({"lockTimeout": -5}), &["lockTimeout", "-5"]),
    ];
    for (change, words) in cases {
        machine.add(&machine.conf(change), &pod).fails().is(7, words);
        machine.is_untouched(&pod);
    }
}

#[test]
fn status_tells_how_a_node_comes_by_vfs() {
    let machine = Machine::new();
    let conf = machine.conf(json!({"deviceID": null}));
    let status = |machine: &Machine| {
        machine.here(machine.node.call("sriov").verb("STATUS").conf(&conf)).run()
    };
    status(&machine).ok();
    let none = Machine { node: Node::new(), sysfs: Sysfs::new() };
    status(&none).fails().is(50, &["no virtual functions"]);
    drop(none.sysfs.pci(PF).numbers(0x8086, 0x10c9, 0x02_0000).driver("igb").total_vfs(7));
    status(&none).fails().is(50, &["no virtual functions", PF, "sriov_numvfs"]);
}

#[test]
fn status_tells_that_the_configured_vf_is_not_there() {
    let machine = Machine::new();
    let status = |device: &str| {
        let conf = machine.conf(json!({"deviceID": device}));
        machine.here(machine.node.call("sriov").verb("STATUS").conf(&conf)).run()
    };
    status(VF).ok();
    status("0000:03:00.3").fails().is(50, &["deviceID", "0000:03:00.3"]);
    status(PF).fails().is(7, &["deviceID", PF]);
}
