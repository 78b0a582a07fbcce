//! VFs come home whatever a pod or the node did to their names.

use serde_json::{Value, json};
use testkit::{Pod, need};

use super::Ground;

fn settings() -> Value {
    json!({"mac": "02:11:22:33:44:99", "vlan": 100, "trust": "on", "spoofchk": "off", "mtu": 1400})
}

#[test]
fn what_a_pod_did_to_its_interface_is_undone() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    pod.batch(
        "link set net1 down\n\
         link set net1 name eth0\n\
         link set eth0 alias /etc/passwd mtu 1300 promisc on allmulticast on address 02:00:00:00:00:aa\n\
         link property add dev eth0 altname net1\n\
         link property add dev eth0 altname lo2\n\
         addr add 10.77.0.1/24 dev eth0\n\
         link add net5 type dummy\n",
    );
    let found = ground.node.check(&attached).fails();
    found.is(103, &["net1 is called eth0", "MTU"]);
    ground.node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo", "net5"]);
    pod.run(&["ip", "link", "del", "net5"]);
    ground.is_as_before(&pod);
}

#[test]
fn a_vf_whose_name_was_taken_meanwhile_gets_one_that_tells_its_address() {
    need!(Sriov);
    let ground = Ground::new(1);
    let (pod, name) = (Pod::new(), ground.pf.link(0));
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    ground.node.run(&["ip", "link", "add", &name, "type", "dummy"]);
    let output = ground.node.del(&attached);
    output.ok();
    assert!(output.stderr.contains(&name), "no warning: {output}");
    let spare = format!("d{}", ground.pf.vf(0).replace([':', '.'], "-"));
    assert_eq!(ground.pf.link(0), spare);
    assert_eq!(ground.pf.state(0)["pf"], ground.before[0]["pf"]);
    assert_eq!(ground.records(), [""; 0]);
    // Under that name it is given away again.
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.node.run(&["ip", "link", "del", &name]);
    ground.node.run(&["ip", "link", "set", &spare, "name", &name]);
    ground.is_as_before(&pod);
}

#[test]
fn an_alternative_name_is_no_hindrance() {
    need!(Sriov);
    let mut ground = Ground::new(1);
    let (pod, name) = (Pod::new(), ground.pf.link(0));
    for altname in ["net1", "enp1s16f0"] {
        ground.node.run(&["ip", "link", "property", "add", "dev", &name, "altname", altname]);
    }
    ground.settle();
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn a_vf_that_is_home_already_is_mended_there() {
    need!(Sriov);
    let ground = Ground::new(1);
    let (pod, home) = (Pod::new(), ground.node.path().to_owned());
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    pod.run(&["ip", "link", "set", "net1", "netns", &home]);
    ground.node.check(&attached).fails().is(103, &["on the node"]);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn a_dels_repeated_and_unknown_are_quiet() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let conf = ground.conf(0, settings());
    ground.call("DEL", &conf, &pod).run().ok();
    let attached = ground.attach(&conf, &pod);
    // The same attachment twice is one too many.
    ground.call("ADD", &conf, &pod).run().fails().is(101, &[&pod.id]);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    ground.node.check(&attached).fails().is(103, &["journal"]);
}
