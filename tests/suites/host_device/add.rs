//! ADD: the device is in the container, as it was asked for.

use serde_json::json;
use testkit::ping;

use super::{FAR, INSIDE, MAC, MTU, bare, conf, device, home, look, node, records};
use crate::conf::with;

#[test]
fn a_device_lives_in_a_container_and_comes_back_as_it_was() {
    let node = node();
    let (before, was) = (node.snapshot(), home(&node, "dev0"));
    let pod = node.pod();
    let attached = node.attach(&conf(&node), &pod);
    assert_eq!(node.link("dev0"), None);
    assert_eq!(records(&node), ["link-dev0.json"]);
    assert_eq!(pod.addresses("eth0"), [format!("{INSIDE}/24")]);
    assert!(ping(&pod, FAR), "the container does not reach the other end");
    let inside = look(&pod.link("eth0").expect("eth0"));
    assert_eq!(inside["address"], MAC);
    assert_eq!(inside["mtu"], MTU);
    let own = &attached.result["interfaces"][0];
    assert_eq!(own["name"], "eth0");
    assert_eq!(own["mac"], MAC);
    assert_eq!(own["mtu"], MTU);
    assert_eq!(own["sandbox"], pod.path());
    assert_eq!(attached.result["ips"][0]["interface"], 0);
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(pod.links(), ["lo"]);
    assert_eq!(records(&node), [""; 0]);
    let again = node.attach(&conf(&node), &pod);
    node.del(&again).ok();
    assert_eq!(home(&node, "dev0"), was);
    let files = |line: &&String| !line.contains("devices");
    let after = node.snapshot();
    for section in ["links", "addresses", "routes"] {
        assert_eq!(before.section(section), after.section(section));
    }
    assert!(after.section("files").iter().filter(files).count() == 0);
}

#[test]
fn a_container_can_see_what_its_device_is_called_on_the_node() {
    let (node, pod) = (node(), node_pod());
    let attached = node.attach(&bare(&node), &pod);
    let mut names: Vec<String> = pod.link("eth0").expect("eth0")["altnames"]
        .as_array()
        .expect("names")
        .iter()
        .map(|name| name.as_str().expect("text").to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["dev0", "enp1s0f0v0"]);
    node.del(&attached).ok();
}

fn node_pod() -> testkit::Pod {
    testkit::Pod::new()
}

#[test]
fn what_is_asked_of_a_device_is_set_and_set_back() {
    let (node, pod) = (node(), node_pod());
    let was = home(&node, "dev0");
    let mac = "02:00:00:00:0d:99";
    let asked = json!({"mac": mac, "mtu": 1300, "allmulti": true, "promisc": true});
    let attached = node.attach(&with(conf(&node), asked), &pod);
    let inside = look(&pod.link("eth0").expect("eth0"));
    assert_eq!(inside["address"], mac);
    assert_eq!(inside["mtu"], 1300);
    assert_eq!((&inside["promisc"], &inside["allmulti"]), (&json!(true), &json!(true)));
    assert_eq!(attached.result["interfaces"][0]["mac"], mac);
    assert_eq!(attached.result["interfaces"][0]["mtu"], 1300);
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn the_runtime_s_address_goes_before_the_network_s() {
    let node = node();
    let conf = with(bare(&node), json!({"mac": "02:00:00:00:00:11"}));
    let runtime = json!({"runtimeConfig": {"mac": "02:00:00:00:00:22"}});
    for (conf, args, mac) in [
        (conf.clone(), "", "02:00:00:00:00:11"),
        (conf.clone(), "MAC=02:00:00:00:00:33", "02:00:00:00:00:33"),
        (with(conf, runtime), "MAC=02:00:00:00:00:33", "02:00:00:00:00:22"),
    ] {
        let pod = node.pod();
        let output = node.add_call(&conf, &pod, "eth0").args(args).run();
        let attached = node.attached(&conf, &pod, "eth0", &output);
        assert_eq!(look(&pod.link("eth0").expect("eth0"))["address"], mac);
        node.del(&attached).ok();
    }
}

#[test]
fn modes_that_were_on_can_be_off_for_a_while() {
    let (node, pod) = (node(), node_pod());
    node.run(&["ip", "link", "set", "dev0", "promisc", "on", "allmulticast", "on"]);
    let was = home(&node, "dev0");
    let asked = json!({"promisc": false, "allmulti": false});
    let attached = node.attach(&with(bare(&node), asked), &pod);
    let inside = look(&pod.link("eth0").expect("eth0"));
    assert_eq!((&inside["promisc"], &inside["allmulti"]), (&json!(false), &json!(false)));
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_device_is_found_by_its_hardware_address() {
    let (node, pod) = (node(), node_pod());
    let was = home(&node, "dev0");
    let conf = with(bare(&node), json!({"device": "", "hwaddr": MAC.to_uppercase()}));
    let attached = node.attach(&conf, &pod);
    assert_eq!(look(&pod.link("eth0").expect("eth0"))["address"], MAC);
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_device_is_found_by_its_alternative_name() {
    let (node, pod) = (node(), node_pod());
    let was = home(&node, "dev0");
    let conf = with(bare(&node), json!({"device": "enp1s0f0v0"}));
    let attached = node.attach(&conf, &pod);
    node.check(&attached).ok();
    let error = node.add(&conf, &node.pod(), "eth0").fails();
    error.is(11, &["dev0 is attached to", &pod.id]);
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn an_alternative_name_that_is_the_wanted_name_gives_way_and_comes_back() {
    let (node, pod) = (node(), node_pod());
    let was = home(&node, "dev0");
    let attached = node.attach_as(&bare(&node), &pod, "enp1s0f0v0");
    assert!(pod.link("enp1s0f0v0").is_some());
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn names_that_the_container_has_already_are_left_out_there() {
    let (node, pod) = (node(), node_pod());
    let was = home(&node, "dev0");
    pod.batch(
        "link add enp1s0f0v0 type veth peer name p1\nlink property add dev p1 altname dev0\n",
    );
    let attached = node.attach(&bare(&node), &pod);
    assert!(pod.link("eth0").expect("eth0")["altnames"].is_null());
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn the_very_name_that_it_has_on_the_node_will_do() {
    let (node, pod) = (node(), node_pod());
    let was = home(&node, "dev0");
    let attached = node.attach_as(&bare(&node), &pod, "dev0");
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn addresses_and_routes_go_along_and_come_back() {
    let (node, pod) = (node(), node_pod());
    node.batch(
        "addr add 10.9.0.7/24 dev dev0\naddr add fd00:9::7/64 dev dev0 nodad\n\
         route add 10.77.0.0/16 via 10.9.0.1 dev dev0 metric 50\n\
         route add fd00:77::/32 via fd00:9::1 dev dev0\nroute add 10.78.0.0/16 dev dev0\n",
    );
    let before = node.snapshot();
    let more = json!({"useInterfaceNetwork": true});
    for (conf, own) in [(bare(&node), vec![]), (conf(&node), vec![format!("{INSIDE}/24")])] {
        let attached = node.attach(&with(conf, more.clone()), &pod);
        let mut addresses = own.clone();
        addresses.extend(["10.9.0.7/24".to_owned(), "fd00:9::7/64".to_owned()]);
        addresses.sort();
        assert_eq!(pod.addresses("eth0"), addresses);
        let mut told = attached.addresses();
        told.sort();
        assert_eq!(told, addresses);
        let routes: Vec<String> = pod
            .routes("-4", "main")
            .iter()
            .chain(&pod.routes("-6", "main"))
            .map(|r| {
                format!("{} {}", r["dst"].as_str().unwrap(), r["gateway"].as_str().unwrap_or("-"))
            })
            .collect();
        for route in ["10.77.0.0/16 10.9.0.1", "fd00:77::/32 fd00:9::1", "10.78.0.0/16 -"] {
            assert!(routes.iter().any(|has| has == route), "{route}: {routes:?}");
        }
        assert_eq!(attached.result["routes"].as_array().expect("routes").len(), 3);
        assert!(ping(&pod, FAR));
        node.check(&attached).ok();
        node.del(&attached).ok();
        let after = node.snapshot();
        for section in ["links", "addresses", "routes"] {
            assert_eq!(before.section(section), after.section(section));
        }
    }
}

#[test]
fn what_would_come_out_altered_does_not_go_along_and_is_told() {
    let (node, pod) = (node(), node_pod());
    node.batch(
        "addr add 10.9.0.7/24 dev dev0\naddr add fd00:9::7/64 dev dev0 nodad\n\
         addr add 10.8.0.1 peer 10.8.0.2/32 dev dev0\naddr add 169.254.7.7/16 dev dev0 scope link\n\
         route add 10.70.0.0/16 via inet6 fd00:9::1 dev dev0\n\
         route add 10.71.0.0/16 via 10.9.0.1 dev dev0 tos 0x10\n\
         route add 10.72.0.0/16 nexthop via 10.9.0.1 dev dev0 nexthop via 10.9.0.2 dev dev0\n\
         route add 10.73.0.0/16 via 10.9.0.1 dev dev0 window 1000\n\
         route add 10.74.0.0/16 via 10.9.0.1 dev dev0 realm 5\n\
         route add 10.75.0.0/16 via 10.9.0.1 dev dev0 mtu lock 1200\n\
         route add 10.76.0.0/16 via 10.8.0.2 dev dev0\n\
         route add 10.77.0.0/16 via 10.9.0.1 dev dev0 src 10.8.0.1\n\
         route add fd00:70::/32 from fd00:9::/64 via fd00:9::1 dev dev0\n\
         route add fd00:71::/32 via fd00:9::1 dev dev0 expires 600\n\
         route add 10.80.0.0/16 via 10.9.0.1 dev dev0 mtu 1300 metric 9\n\
         route add fd00:80::/32 via fd00:9::1 dev dev0\n",
    );
    let conf = with(bare(&node), json!({"useInterfaceNetwork": true}));
    let output = node.add(&conf, &pod, "eth0");
    let attached = node.attached(&conf, &pod, "eth0", &output);
    let left = [
        ("the address 10.8.0.1/32", "peer"),
        ("the address 169.254.7.7/16", "scope"),
        ("the route 10.70.0.0/16", "via a gateway of the other family"),
        ("the route 10.71.0.0/16", "tos"),
        ("the route 10.72.0.0/16", "nexthop"),
        ("the route 10.73.0.0/16", "window"),
        ("the route 10.74.0.0/16", "realm"),
        ("the route 10.75.0.0/16", "lock"),
        ("the route 10.76.0.0/16", "10.8.0.1"),
        ("the route 10.77.0.0/16", "10.8.0.1"),
        ("the route fd00:70::/32", "from"),
        ("the route fd00:71::/32", "expires"),
    ];
    for (what, why) in left {
        let start = format!("useInterfaceNetwork: {what}");
        let told: Vec<&str> =
            output.stderr.lines().filter(|line| line.starts_with(&start)).collect();
        assert!(matches!(told[..], [line] if line.contains(why)), "{what}: {told:?}\n{output}");
    }
    assert_eq!(output.stderr.lines().count(), left.len(), "{output}");
    assert_eq!(pod.addresses("eth0"), ["10.9.0.7/24", "fd00:9::7/64"]);
    let told = attached.result["routes"].as_array().expect("routes");
    let mut told: Vec<&str> = told.iter().map(|r| r["dst"].as_str().expect("text")).collect();
    told.sort_unstable();
    assert_eq!(told, ["10.80.0.0/16", "fd00:80::/32"]);
    node.check(&attached).ok();
    node.del(&attached).ok();
}

#[test]
fn an_address_without_prefix_route_goes_along_and_gets_one() {
    // As NetworkManager sets addresses: it makes the route itself, with a metric.
    let (node, pod) = (node(), node_pod());
    node.batch(
        "addr add 10.9.0.7/24 dev dev0 noprefixroute\naddr add fd00:9::7/64 dev dev0 nodad noprefixroute\n\
         route add 10.9.0.0/24 dev dev0 proto kernel scope link src 10.9.0.7 metric 100\n\
         route add 10.80.0.0/16 via 10.9.0.1 dev dev0 proto static metric 100\n",
    );
    let conf = with(bare(&node), json!({"useInterfaceNetwork": true}));
    let output = node.add(&conf, &pod, "eth0");
    let attached = node.attached(&conf, &pod, "eth0", &output);
    assert_eq!(output.stderr, "");
    assert_eq!(pod.addresses("eth0"), ["10.9.0.7/24", "fd00:9::7/64"]);
    assert!(ping(&pod, FAR));
    node.check(&attached).ok();
    node.del(&attached).ok();
    for route in ["10.9.0.0/24", "10.80.0.0/16"] {
        let routes = node.ip(&["route", "show", route]);
        assert!(!routes.as_array().unwrap().is_empty(), "{route}: {routes}");
    }
}

#[test]
fn a_route_by_a_nexthop_object_does_not_go_along_even_where_it_tells_no_link() {
    let (node, pod) = (node(), node_pod());
    let conf = with(bare(&node), json!({"useInterfaceNetwork": true}));
    for compatible in ["1", "0"] {
        node.batch("addr add 10.9.0.7/24 dev dev0\nnexthop add id 5 via 10.9.0.1 dev dev0\n");
        node.run(&["ip", "route", "add", "10.70.0.0/16", "nhid", "5"]);
        node.run(&["sysctl", "-qw", &format!("net.ipv4.nexthop_compat_mode={compatible}")]);
        let output = node.add(&conf, &pod, "eth0");
        let attached = node.attached(&conf, &pod, "eth0", &output);
        assert!(output.stderr.contains("the route 10.70.0.0/16"), "{compatible}: {output}");
        assert!(output.stderr.contains("nhid"), "{compatible}: {output}");
        assert!(attached.result["routes"].is_null(), "{compatible}: {:?}", attached.result);
        node.del(&attached).ok();
        // The address has come back with it; the next round sets it again.
        node.run(&["ip", "addr", "flush", "dev", "dev0"]);
    }
}

#[test]
fn without_being_asked_for_addresses_stay_behind() {
    let (node, pod) = (node(), node_pod());
    node.run(&["ip", "addr", "add", "10.9.0.7/24", "dev", "dev0"]);
    let attached = node.attach(&conf(&node), &pod);
    assert_eq!(pod.addresses("eth0"), [format!("{INSIDE}/24")]);
    node.del(&attached).ok();
}

#[test]
fn older_results_are_told_in_their_own_way() {
    let node = node();
    for version in testkit::VERSIONS {
        let pod = node.pod();
        let conf = with(conf(&node), json!({"cniVersion": version}));
        let attached = node.attach(&conf, &pod);
        assert_eq!(attached.addresses(), [format!("{INSIDE}/24")], "{version}");
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        if *version < "1.0.0" {
            assert!(!attached.result.to_string().contains("mtu"), "{version}");
        }
        node.del(&attached).ok();
        assert!(node.link("dev0").is_some(), "{version}");
    }
}

#[test]
fn a_tap_device_is_a_device_too() {
    let (node, pod) = (node(), node_pod());
    node.run(&["ip", "tuntap", "add", "tap7", "mode", "tap"]);
    node.run(&["ip", "link", "set", "tap7", "mtu", "1450"]);
    let was = home(&node, "tap7");
    let conf = with(conf(&node), json!({"device": "tap7", "mac": "02:00:00:00:00:77"}));
    let attached = node.attach(&conf, &pod);
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "tap7"), was);
}

#[test]
fn several_devices_of_one_container_do_not_mix() {
    let (node, pod) = (node(), node_pod());
    device(&node, "dev1", "far1");
    let was = (home(&node, "dev0"), home(&node, "dev1"));
    let first = node.attach_as(&bare(&node), &pod, "net1");
    let second = node.attach_as(&with(bare(&node), json!({"device": "dev1"})), &pod, "net2");
    node.check(&first).ok();
    node.check(&second).ok();
    node.del(&first).ok();
    assert_eq!(pod.links(), ["lo", "net2"]);
    node.check(&second).ok();
    node.del(&second).ok();
    assert_eq!((home(&node, "dev0"), home(&node, "dev1")), was);
}
