//! DEL: whatever the container did to its device, and whatever became of its name on the node.

use serde_json::json;
use testkit::{Node, Pod};

use super::{MAC, conf, device, home, node, records, state};
use crate::conf::{DUAL, with};

/// Attaches, has the container do something, deletes, and looks whether all is as it was.
#[track_caller]
fn after(what: impl Fn(&Node, &Pod)) {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let attached = node.attach(&conf(&node), &pod);
    what(&node, &pod);
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(records(&node), [""; 0]);
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_renamed_device_comes_back() {
    after(|_, pod| {
        pod.batch("link set eth0 down\nlink set eth0 name mine0\nlink set mine0 up\n");
    });
}

#[test]
fn a_device_whose_name_another_link_of_the_container_took_comes_back() {
    after(|_, pod| {
        pod.batch(
            "link set eth0 down\nlink set eth0 name mine0\n\
             link add eth0 type veth peer name peer0\nlink set eth0 alias uplink-A\n",
        );
    });
}

#[test]
fn what_a_container_set_of_its_device_is_set_back() {
    after(|_, pod| {
        pod.batch(
            "link set eth0 alias node-uplink\nlink set eth0 mtu 900\nlink set eth0 promisc on\n\
             link set eth0 allmulticast on\nlink set eth0 address 02:00:00:00:66:66\n\
             link property del dev eth0 altname enp1s0f0v0\n\
             link property add dev eth0 altname far0\nlink property add dev eth0 altname lo0\n\
             addr add 192.0.2.99/24 dev eth0\n",
        );
    });
}

#[test]
fn a_device_that_a_container_set_down_comes_back_up() {
    after(|_, pod| pod.batch("link set eth0 down\n"));
}

#[test]
fn a_device_that_the_administrator_fetched_is_as_it_was() {
    after(|node, pod| {
        pod.run(&["ip", "link", "set", "eth0", "down"]);
        pod.move_to(node, "eth0");
        node.run(&["ip", "link", "set", "eth0", "name", "stray0"]);
    });
}

trait Move {
    fn move_to(&self, node: &Node, link: &str);
}

impl Move for Pod {
    fn move_to(&self, node: &Node, link: &str) {
        self.run(&["ip", "link", "set", link, "netns", node.path()]);
    }
}

#[test]
fn a_device_that_was_down_stays_down() {
    let (node, pod) = (node(), Pod::new());
    node.run(&["ip", "link", "set", "dev0", "down"]);
    let was = home(&node, "dev0");
    let attached = node.attach(&conf(&node), &pod);
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_device_whose_name_was_taken_stays_under_one_that_tells_it() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    device(&node, "dev0", "other0");
    let output = node.del(&attached);
    output.ok();
    for word in ["dev0", "ddev0", "taken"] {
        assert!(output.stderr.contains(word), "{output}");
    }
    let now = home(&node, "ddev0");
    assert_eq!((&now["address"], &now["up"]), (&json!(MAC), &json!(true)));
    assert_eq!(now["altnames"], json!(["enp1s0f0v0"]));
    assert!(node.link("dev0").is_some_and(|other| other["address"] != MAC));
    assert_eq!(records(&node), [""; 0]);
    node.del(&attached).ok();
}

#[test]
fn a_name_of_old_that_was_taken_stays_the_other_link_s() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    node.batch("link property add dev far0 altname enp1s0f0v0\n");
    let output = node.del(&attached);
    output.ok();
    assert!(output.stderr.contains("enp1s0f0v0"), "{output}");
    assert!(home(&node, "dev0")["altnames"].is_null());
    assert_eq!(records(&node), [""; 0]);
}

#[test]
fn without_a_namespace_in_the_call_the_device_comes_back_all_the_same() {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let conf = with(conf(&node), json!({"ipam": node.host_local(DUAL)}));
    let attached = node.attach(&conf, &pod);
    assert_eq!(node.leased("net").len(), 2);
    node.del_call(&attached).env("CNI_NETNS", "").run().ok();
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(node.leased("net"), [""; 0]);
    node.del_call(&attached).without("CNI_NETNS").run().ok();
}

#[test]
fn a_container_that_is_gone_keeps_no_lease_and_no_record() {
    let (node, mut pod) = (node(), Pod::new());
    let conf = with(conf(&node), json!({"ipam": node.host_local(DUAL)}));
    let attached = node.attach(&conf, &pod);
    pod.remove();
    node.del(&attached).ok();
    assert_eq!(node.leased("net"), [""; 0]);
    assert_eq!(records(&node), [""; 0]);
    node.del(&attached).ok();
}

#[test]
fn the_device_need_not_be_named_again() {
    let node = node();
    let was = home(&node, "dev0");
    for more in [
        json!({"device": ""}),
        json!({"device": "elsewhere"}),
        json!({"device": null, "deviceID": "0000:77:00.0"}),
        json!({"device": "a/b", "mtu": -5, "hwaddr": "x", "lockTimeout": 3}),
    ] {
        let pod = node.pod();
        let mut attached = node.attach(&conf(&node), &pod);
        attached.conf = with(attached.conf, more.clone());
        node.del(&attached).ok();
        assert_eq!(home(&node, "dev0"), was, "{more}");
    }
}

#[test]
fn a_late_del_leaves_another_container_s_device_alone() {
    let node = node();
    let was = home(&node, "dev0");
    let (first, second) = (node.pod(), node.pod());
    let early = node.attach(&conf(&node), &first);
    node.del(&early).ok();
    let attached = node.attach(&conf(&node), &second);
    node.del(&early).ok();
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_del_of_another_network_or_interface_is_none_of_this_attachment() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    let mut other = attached.clone();
    other.ifname = "eth1".to_owned();
    node.del(&other).ok();
    let mut other = attached.clone();
    other.conf["name"] = json!("net2");
    node.del(&other).ok();
    node.check(&attached).ok();
    node.del(&attached).ok();
}

#[test]
fn a_del_of_what_never_was_succeeds_and_makes_nothing() {
    let (node, pod) = (node(), Pod::new());
    node.del(&node.unheard(&conf(&node), &pod)).ok();
    assert!(!state(&node).exists());
}

#[test]
fn an_unwell_ipam_keeps_no_device() {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let mut attached = node.attach(&conf(&node), &pod);
    attached.conf["ipam"] = json!({"type": "no-such-manager"});
    node.del(&attached).fails();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_device_that_a_container_removed_is_gone_and_so_is_its_record() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    pod.run(&["ip", "link", "del", "eth0"]);
    pod.run(&["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer0"]);
    node.del(&attached).ok();
    assert_eq!(records(&node), [""; 0]);
    assert_eq!(node.link("dev0"), None);
    assert!(pod.link("eth0").is_some(), "the container's own link is not the node's");
}

#[test]
fn what_a_container_made_upon_its_device_goes() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    pod.batch(
        "link add mv0 link eth0 type macvlan mode bridge\nlink set eth0 up\nlink set mv0 up\n\
         link add stays type veth peer name stays1\n",
    );
    node.del(&attached).ok();
    let mut left = pod.links();
    left.sort();
    assert_eq!(left, ["lo", "stays", "stays1"]);
    assert!(node.link("dev0").is_some());
}

#[test]
fn a_journal_that_cannot_be_written_keeps_no_device() {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let attached = node.attach(&conf(&node), &pod);
    let points = node.directory().join("points");
    node.del_call(&attached).fault(&format!("count:{}", points.display())).run().ok();
    let points = std::fs::read_to_string(points).expect("the points");
    let at = points.lines().position(|point| point.contains("beside its place"));
    let at = at.expect("the record is written anew") + 1;
    let attached = node.attach(&conf(&node), &pod);
    let output = node.del_call(&attached).fault(&format!("fail:{at}")).run();
    output.ok();
    assert!(output.stderr.contains("stateDir"), "{output}");
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(records(&node), [""; 0]);
}
