//! The chains of iptables, which are others' as well: administrators', the reference plugin's,
//! those of iptables-save.

use serde_json::json;
use testkit::{Feature, Node, Pod, need, reference_directory, silent, tcp};

use super::{Guest, Kind, dropping, filter, firewall, is_cut_off, network, reaches};
use crate::conf::DUAL;

#[test]
fn administrators_exceptions_come_first_and_stay() {
    need!(Nft, Iptables);
    for (backend, kind) in super::WAYS {
        let (node, outside) = dropping(kind);
        let conf = network(&node, "net", "br0", DUAL);
        let options = json!({"backend": backend, "iptablesAdminChainName": "SITE"});
        let guest = Guest::new(&node, &conf, options);
        assert!(reaches(&guest.pod, &outside));
        let tool = kind.tools()[0];
        let exception = ["-d", testkit::OUTSIDE_V4, "-j", "DROP"];
        node.run(&[&[tool, "-A", "SITE"], &exception[..]].concat());
        assert!(silent(&guest.pod, testkit::OUTSIDE_V4), "{backend} {kind:?}");
        guest.leave(&node);
        let left = node.run(&[tool, "-S"]);
        for rule in ["-j CNI-FORWARD", "-j SITE", "-j DROP"] {
            assert!(left.contains(rule), "{backend} {kind:?}: {left}");
        }
        assert!(!left.contains("-j ACCEPT"), "{left}");
        node.run(&[tool, "-F", "SITE"]);
        Guest::new(&node, &conf, json!({"backend": backend})).leave(&node);
    }
}

#[test]
fn what_iptables_saves_and_loads_again_still_serves() {
    need!(Nft, Iptables);
    let (node, outside) = dropping(Kind::Nft);
    let conf = network(&node, "net", "br0", DUAL);
    let before = filter(&node, Kind::Nft);
    let guest = Guest::new(&node, &conf, json!({}));
    for tool in ["iptables", "ip6tables"] {
        let saved = node.run(&[&format!("{tool}-save")]);
        node.feed(&[&format!("{tool}-restore")], &saved).unwrap();
    }
    node.check(&guest.admitted).ok();
    assert!(reaches(&guest.pod, &outside));
    let another = Guest::new(&node, &conf, json!({}));
    let rules = node.run(&["iptables", "-S"]);
    assert_eq!(rules.matches("-j ACCEPT").count(), 1, "{rules}");
    // And what nft lists and loads.
    let ours = node.run(&["nft", "list", "table", "inet", "podwire-admission"]);
    node.feed(&["nft", "-f", "-"], &format!("delete table inet podwire-admission\n{ours}"))
        .unwrap();
    node.check(&another.admitted).ok();
    assert!(reaches(&another.pod, &outside));
    another.leave(&node);
    guest.leave(&node);
    assert_eq!(filter(&node, Kind::Nft), before);
}

#[test]
fn a_mark_that_comes_with_a_packet_is_not_believed_and_ours_does_not_leave() {
    need!(Nft, Iptables);
    let (node, outside) = dropping(Kind::Nft);
    let conf = network(&node, "net", "br0", DUAL);
    let stranger = node.pod();
    node.attach(&conf, &stranger);
    let guest = Guest::new(&node, &conf, json!({}));
    node.feed(
        &["nft", "-f", "-"],
        "table inet t {
            chain early { type filter hook prerouting priority mangle; meta mark set 0x1000; }
            chain late { type filter hook postrouting priority mangle
                meta mark & 0x1000 != 0 meta pkttype != 255 oifname up0 counter name leaked; }
            counter leaked { }
        }",
    )
    .unwrap();
    assert!(is_cut_off(&stranger));
    assert!(reaches(&guest.pod, &outside));
    let leaked = node.run(&["nft", "list", "counter", "inet", "t", "leaked"]);
    assert!(leaked.contains("packets 0"), "{leaked}");
    node.run(&["nft", "delete", "chain", "inet", "t", "early"]);
    tcp(&guest.pod, &outside, testkit::OUTSIDE_V4).unwrap();
    let leaked = node.run(&["nft", "list", "counter", "inet", "t", "leaked"]);
    assert!(leaked.contains("packets 0"), "{leaked}");
}

#[test]
fn attachments_of_the_reference_are_checked_and_deleted_by_ours() {
    need!(Reference, Nft, Iptables);
    for kind in [Kind::Nft, Kind::Legacy] {
        // The reference executes `iptables`, which is iptables-nft here.
        if kind == Kind::Legacy && Feature::Reference.missing().is_none() {
            continue;
        }
        let (mut node, outside) = dropping(kind);
        let conf = network(&node, "net", "br0", DUAL);
        let ours = Guest::new(&node, &conf, json!({}));
        let pod = node.pod();
        let joined = node.attach(&conf, &pod);
        node.use_plugins(&reference_directory().expect("the reference plugins"));
        let options = json!({"cniVersion": "1.0.0"});
        let admitted = node.attach(&crate::conf::with(firewall(&joined, json!({})), options), &pod);
        node.use_plugins(testkit::directory());
        assert!(reaches(&pod, &outside) && reaches(&ours.pod, &outside));
        node.check(&admitted).ok();
        node.del(&admitted).ok();
        assert!(is_cut_off(&pod));
        let left = filter(&node, kind);
        assert!(!left.contains(&joined.ip()), "{left}");
        assert!(reaches(&ours.pod, &outside));
        ours.leave(&node);
        let left = filter(&node, kind);
        assert!(!left.contains("CNI-"), "{left}");
    }
}

#[test]
fn a_late_del_of_the_references_attachment_leaves_ours_of_the_address_alone() {
    need!(Reference, Nft, Iptables);
    for backend in ["nftables", "iptables"] {
        let (mut node, pods) = (Node::new(), [Pod::new(), Pod::new()]);
        let conf = json!({
            "cniVersion": "1.0.0", "name": "net", "type": "firewall", "backend": "iptables",
            "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.5/24"}]},
        });
        node.use_plugins(&reference_directory().expect("the reference plugins"));
        let old = node.attach(&conf, &pods[0]);
        node.use_plugins(testkit::directory());
        let new = node.attach(&crate::conf::with(conf, json!({"backend": backend})), &pods[1]);
        node.del(&old).ok();
        node.check(&new).ok();
        node.del(&new).ok();
    }
}
