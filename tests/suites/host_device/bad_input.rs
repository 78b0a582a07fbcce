//! What is refused, before anything is touched, and what the refusal says.

use serde_json::{Value, json};
use testkit::{Node, Pod, need};

use super::{MAC, bare, conf, device, node, records};
use crate::conf::with;

/// Asserts that an ADD is refused so, and that it changed nothing.
#[track_caller]
fn refused(node: &Node, conf: &Value, code: u64, words: &[&str]) {
    let pod = node.pod();
    let before = node.snapshot();
    node.add(conf, &pod, "eth0").fails().is(code, words);
    for section in ["links", "addresses", "routes"] {
        assert_eq!(before.section(section), node.snapshot().section(section));
    }
    assert_eq!(pod.links(), ["lo"]);
    assert_eq!(records(node), [""; 0]);
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let node = node();
    let cases: &[(Value, &[&str])] = &[
        (json!({"device": ""}), &["no device is named", "resourceName"]),
        (json!({"device": "nobody0"}), &["device nobody0", "dev0", "far0"]),
        (json!({"device": "a/b"}), &["device", "a/b"]),
        (json!({"device": "../../etc"}), &["device", "../../etc"]),
        (json!({"device": "a-name-that-is-too-long"}), &["device", "15"]),
        (json!({"device": "lo"}), &["lo", "loopback"]),
        (json!({"device": "lo", "force": true}), &["lo", "loopback"]),
        (json!({"device": "", "hwaddr": "02:00:00"}), &["hwaddr \"02:00:00\": not"]),
        (json!({"device": "", "hwaddr": "02:00:00:00:00:99"}), &["02:00:00:00:00:99", MAC]),
        (json!({"device": "", "kernelpath": "/etc"}), &["kernelpath \"/etc\":", "elsewhere"]),
        (json!({"device": "", "kernelpath": "/sys/devices/../../etc"}), &["elsewhere"]),
        (json!({"device": "", "kernelpath": "/sys/devices"}), &["/sys/devices"]),
        (json!({"device": "", "kernelpath": "sys/devices/x"}), &["kernelpath \"sys/devices/x\":"]),
        (json!({"device": "", "pciBusID": "../0000:00:00.0"}), &["pciBusID"]),
        (
            json!({"device": "", "pciBusID": "mlx5_core.sf.4"}),
            &["pciBusID \"mlx5_core.sf.4\": not"],
        ),
        (json!({"device": "", "deviceID": "0000:ff:1f.7"}), &["0000:ff:1f.7"]),
        (json!({"device": "", "deviceID": "../../../etc/passwd"}), &["deviceID"]),
        (json!({"device": "", "deviceID": "passwd"}), &["deviceID \"passwd\": neither"]),
        (json!({"device": "", "runtimeConfig": {"deviceID": "eth0"}}), &["runtimeConfig.deviceID"]),
        (json!({"pciBusID": "0000:ff:1f.7"}), &["pciBusID", "device", "dev0"]),
        (
            json!({"device": "", "pciBusID": "0000:ff:1f.7", "deviceID": "0000:ff:1f.6"}),
            &["pciBusID", "deviceID", "0000:ff:1f.7", "0000:ff:1f.6"],
        ),
        (
            json!({"device": "", "runtimeConfig": {"deviceID": "0000:ff:1f.5"}, "deviceID": "0000:ff:1f.6"}),
            &["runtimeConfig.deviceID", "deviceID"],
        ),
        (json!({"hwaddr": MAC}), &["device \"dev0\" and hwaddr", MAC, "twice"]),
        (json!({"kernelpath": "/sys/devices/x"}), &["device \"dev0\" and kernelpath", "twice"]),
        (
            json!({"device": "", "hwaddr": MAC, "kernelpath": "/sys/devices/x"}),
            &["hwaddr", "and kernelpath", "twice"],
        ),
        (json!({"mtu": -1}), &["mtu", "-1"]),
        (json!({"mtu": 67}), &["mtu 67: an interface's MTU"]),
        (json!({"mac": "01:00:00:00:00:01"}), &["mac", "multicast"]),
        (json!({"mac": "no"}), &["mac"]),
        (json!({"args": {"cni": {"mac": "no"}}}), &["args.cni.mac \"no\": not"]),
        (json!({"stateDir": "devices"}), &["stateDir", "absolute"]),
        (json!({"stateDir": "/dev/null"}), &["stateDir", "directory"]),
        (
            json!({"runtimeConfig": {"CNIDeviceInfoFile": "/etc/passwd"}}),
            &["CNIDeviceInfoFile", "/etc/passwd"],
        ),
    ];
    for (more, words) in cases {
        refused(&node, &with(conf(&node), more.clone()), 7, words);
    }
    for more in [
        json!({"device": 5}),
        json!({"mtu": "1500"}),
        json!({"allmulti": "yes"}),
        json!({"useInterfaceNetwork": 1}),
        json!({"lockTimeout": -1}),
        json!({"lockTimeout": "60"}),
    ] {
        let key = more.as_object().expect("an object").keys().next().expect("a key").clone();
        let error = node.add(&with(conf(&node), more), &node.pod(), "eth0").fails();
        assert!([6, 7].contains(&error.code), "{error}");
        assert!(error.text().contains(&key), "{error}");
    }
}

#[test]
fn a_name_that_the_container_has_already_is_refused() {
    let (node, pod) = (node(), Pod::new());
    let before = node.snapshot();
    pod.batch("link add eth0 type veth peer name p1\n");
    node.add(&bare(&node), &pod, "eth0").fails().is(101, &["eth0"]);
    pod.batch("link property add dev p1 altname net1\n");
    node.add(&bare(&node), &pod, "net1").fails().is(101, &["net1"]);
    node.add(&bare(&node), &pod, "lo").fails().is(101, &["lo"]);
    assert_eq!(before.section("links"), node.snapshot().section("links"));
    assert_eq!(records(&node), [""; 0]);
}

#[test]
fn the_interface_of_a_default_route_is_not_given_away_unless_forced() {
    for (route, family) in [
        ("route add default via 10.9.0.9 dev dev0", "IPv4"),
        ("route add default via 10.9.0.9 dev dev0 metric 700", "IPv4"),
        ("route add default nexthop via 10.9.0.9 dev dev0 nexthop via 10.9.1.9 dev dev1", "IPv4"),
        ("-6 route add default via fd00:9::9 dev dev0", "IPv6"),
    ] {
        let node = node();
        device(&node, "dev1", "far1");
        node.batch(
            "link set dev1 up\nlink set far1 up\naddr add 10.9.0.7/24 dev dev0\n\
             addr add 10.9.1.7/24 dev dev1\naddr add fd00:9::7/64 dev dev0 nodad\n",
        );
        node.run(&[&["ip"], &route.split(' ').collect::<Vec<_>>()[..]].concat());
        refused(&node, &conf(&node), 7, &["dev0", family, "default route", "force"]);
        let pod = node.pod();
        let attached = node.attach(&with(conf(&node), json!({"force": true})), &pod);
        node.del(&attached).ok();
        assert!(node.link("dev0").is_some());
    }
}

#[test]
fn a_forced_default_route_that_went_along_comes_back() {
    let (node, pod) = (node(), Pod::new());
    node.batch("addr add 10.9.0.7/24 dev dev0\nroute add default via 10.9.0.1 dev dev0 metric 7\n");
    let before = node.snapshot();
    let forced = json!({"force": true, "useInterfaceNetwork": true});
    let attached = node.attach(&with(bare(&node), forced), &pod);
    assert_eq!(attached.result["routes"][0]["dst"], "0.0.0.0/0");
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(before.section("routes"), node.snapshot().section("routes"));
}

#[test]
fn a_route_in_another_table_is_no_hindrance() {
    let (node, pod) = (node(), Pod::new());
    node.batch("addr add 10.9.0.7/24 dev dev0\nroute add default via 10.9.0.9 dev dev0 table 77\n");
    let attached = node.attach(&conf(&node), &pod);
    node.del(&attached).ok();
}

#[test]
fn a_port_of_a_bridge_is_not_given_away_unless_forced() {
    let node = node();
    node.batch("link add br7 type bridge\nlink set dev0 master br7\n");
    refused(&node, &conf(&node), 7, &["dev0", "port of br7", "nomaster"]);
}

#[test]
fn a_link_that_others_are_made_upon_is_not_given_away() {
    need!(Vlan);
    let node = node();
    node.batch("link add link dev0 name dev0.5 type vlan id 5\n");
    refused(&node, &conf(&node), 7, &["dev0", "dev0.5"]);
}

#[test]
fn what_is_made_upon_a_link_of_another_namespace_is_no_hindrance() {
    let (node, pod) = (node(), Pod::new());
    // A macvlan upon a link that has in its own namespace the index that the device has here.
    let there = testkit::Netns::new();
    let index = node.link("dev0").expect("dev0")["ifindex"].to_string();
    there
        .run(&["ip", "link", "add", "up0", "index", &index, "type", "veth", "peer", "name", "up1"]);
    there.run(&["ip", "link", "add", "mv0", "link", "up0", "type", "macvlan", "mode", "bridge"]);
    there.run(&["ip", "link", "set", "mv0", "netns", node.path()]);
    let attached = node.attach(&conf(&node), &pod);
    node.del(&attached).ok();
    // One upon the device itself is.
    node.batch("link add mv1 link dev0 type macvlan mode bridge\n");
    refused(&node, &conf(&node), 7, &["dev0", "mv1"]);
}

#[test]
fn a_link_that_the_kernel_keeps_in_its_namespace_is_refused_in_plain_words() {
    let node = node();
    node.batch("link add br7 type bridge\n");
    refused(
        &node,
        &with(conf(&node), json!({"device": "br7"})),
        100,
        &["br7", "bridge", "keeps", "namespace"],
    );
}

#[test]
fn an_address_that_several_links_have_is_not_enough() {
    let node = node();
    device(&node, "dev1", "far1");
    node.run(&["ip", "link", "set", "dev1", "address", MAC]);
    let conf = with(conf(&node), json!({"device": "", "hwaddr": MAC}));
    refused(&node, &conf, 7, &["hwaddr", MAC, "dev0", "dev1"]);
}

#[test]
fn an_ipam_that_gives_nothing_leaves_nothing() {
    let node = node();
    let none = json!({"ipam": {"type": "no-such-manager"}});
    refused(&node, &with(conf(&node), none), 7, &["no-such-manager"]);
    let range = json!({"ipam": {"type": "host-local", "dataDir": node.leases(),
        "ranges": [[{"subnet": "10.1.0.0/30", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"}]]}});
    let conf = with(bare(&node), range);
    device(&node, "dev1", "far1");
    let pod = node.pod();
    let other = with(conf.clone(), json!({"device": "dev1"}));
    let first = node.attach(&other, &pod);
    let error = node.add(&conf, &node.pod(), "eth0").fails();
    assert_eq!(error.code, 102, "{error}");
    assert_eq!(records(&node), ["link-dev1.json"]);
    assert!(node.link("dev0").is_some());
    node.del(&first).ok();
}

#[test]
fn an_mtu_that_the_device_cannot_have_is_told_and_taken_back() {
    let node = node();
    node.run(&["ip", "tuntap", "add", "tap7", "mode", "tap"]);
    let before = node.snapshot();
    let conf = with(conf(&node), json!({"device": "tap7", "mtu": 65535}));
    let error = node.add(&conf, &node.pod(), "eth0").fails();
    error.is(100, &["MTU"]);
    assert_eq!(before.section("links"), node.snapshot().section("links"));
    // IPv6 needs more than that.
    let mut conf = with(super::conf(&node), json!({"mtu": 1000}));
    conf["ipam"]["addresses"][0]["address"] = json!("fd00:9::5/64");
    refused(&node, &conf, 7, &["mtu", "1280"]);
}
