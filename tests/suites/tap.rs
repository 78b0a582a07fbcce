//! `tap`: a TAP device for a virtual machine, judged by `ip` and by a process that opens it.

use serde_json::json;
use testkit::{Node, Pod, need};

use crate::concurrent::at_once;
use crate::conf::{DUAL, single, with};

#[test]
fn the_device_is_persistent_and_has_what_is_asked_for() {
    need!(Tap);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(
        single(&node, "tap", DUAL),
        json!({"multiQueue": true, "owner": 1234, "group": 5678, "mac": "02:00:00:00:00:07", "mtu": 1400}),
    );
    let attached = node.attach(&conf, &pod);
    let link = pod.link("eth0").unwrap();
    let device = &link["linkinfo"]["info_data"];
    assert_eq!(device["type"], "tap");
    for key in ["persist", "multi_queue", "vnet_hdr"] {
        assert_eq!(device[key], true, "{device}");
    }
    assert_eq!(device["pi"], false);
    let shown = pod.run(&["ip", "-N", "-d", "link", "show", "dev", "eth0"]);
    assert!(shown.contains("user 1234") && shown.contains("group 5678"), "{shown}");
    assert_eq!((&link["address"], &link["mtu"]), (&json!("02:00:00:00:00:07"), &json!(1400)));
    assert_eq!(attached.result["interfaces"][0]["mac"], "02:00:00:00:00:07");
    node.check(&attached).ok();
    for (key, value) in [("owner", json!(1)), ("group", json!(1)), ("multiQueue", json!(false))] {
        let mut changed = attached.clone();
        changed.conf[key] = value;
        node.check(&changed).fails().is(103, &[key]);
    }
}

#[test]
fn a_process_opens_it_and_gives_it_a_carrier() {
    need!(Tap);
    for multi_queue in [false, true] {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = with(single(&node, "tap", DUAL), json!({"multiQueue": multi_queue}));
        node.attach(&conf, &pod);
        // What a monitor does: /dev/net/tun, TUNSETIFF with the flags of the device.
        let script = format!(
            "import fcntl, struct, subprocess\n\
             f = open('/dev/net/tun', 'r+b', buffering=0)\n\
             fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', b'eth0', {:#x}))\n\
             print(subprocess.run(['ip', 'link', 'show', 'eth0'], capture_output=True, text=True).stdout)\n",
            if multi_queue { 0x5102 } else { 0x5002 }
        );
        let shown = pod.run(&["python3", "-c", &script]);
        assert!(shown.contains("LOWER_UP"), "{shown}");
        assert!(pod.link("eth0").is_some(), "it stays when the process is gone");
    }
}

#[test]
fn of_many_adds_of_one_attachment_the_winner_keeps_its_record() {
    need!(Tap, Speed);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, "tap", DUAL), json!({"ipam": {}}));
    for _ in 0..60 {
        let outputs = at_once(&[(); 6], |()| node.add(&conf, &pod, "eth0"));
        assert_eq!(outputs.iter().filter(|output| output.succeeded()).count(), 1);
        // The record alone tells where the device is.
        node.del_call(&node.unheard(&conf, &pod)).without("CNI_NETNS").run().ok();
        assert_eq!(pod.links(), ["lo"]);
    }
}

#[test]
fn it_becomes_a_port_of_a_bridge_in_the_container() {
    need!(Tap);
    let (node, pod) = (Node::new(), Pod::new());
    pod.run(&["ip", "link", "add", "br7", "type", "bridge"]);
    let conf = with(single(&node, "tap", DUAL), json!({"bridge": "br7", "ipam": {}}));
    let attached = node.attach(&conf, &pod);
    assert_eq!(pod.link("eth0").unwrap()["master"], "br7");
    node.check(&attached).ok();
    pod.run(&["ip", "link", "set", "eth0", "nomaster"]);
    node.check(&attached).fails().is(103, &["br7"]);
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo", "br7"]);
}

#[test]
fn a_name_that_is_taken_by_another_tap_is_not_opened() {
    need!(Tap);
    let (node, pod) = (Node::new(), Pod::new());
    pod.run(&["ip", "tuntap", "add", "eth0", "mode", "tap", "vnet_hdr"]);
    node.add(&single(&node, "tap", DUAL), &pod, "eth0").fails().is(101, &["eth0"]);
    assert!(pod.link("eth0").is_some());
}

#[test]
fn the_arguments_name_a_hardware_address() {
    need!(Tap);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, "tap", DUAL), json!({"ipam": {}}));
    let call = node.add_call(&conf, &pod, "eth0");
    call.clone().args("IP=10.1.0.9").run().fails().is(4, &["IP"]);
    call.args("MAC=02:00:00:00:00:09").run().ok();
    assert_eq!(pod.link("eth0").unwrap()["address"], "02:00:00:00:00:09");
}

#[test]
fn the_process_that_makes_a_labelled_device_does_as_it_is_told() {
    need!(Tap);
    let pod = Pod::new();
    let executable = testkit::directory().join("tap");
    let executable = executable.to_str().unwrap();
    let told = [executable, "make-a-labelled-tap", "eth0", "1", "1234", ""];
    pod.run(&told);
    let shown = pod.run(&["ip", "-N", "-d", "link", "show", "dev", "eth0"]);
    for word in ["tun type tap", "multi_queue", "persist on", "user 1234"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let refused = pod.try_run(&told).unwrap_err();
    assert!(refused.contains("eth0") && refused.contains("busy"), "{refused}");
}
