//! What a network exempts from masquerade, judged by nft.

use cni::NetworkName;
use firewall::exempt::{self, is_there};
use firewall::{add, check, del};
use ipnetwork::IpNetwork;
use kernel::netfilter::{Attributes, Request, Socket};

use crate::kit::{
    Namespace, attachment, exempted, ips, items, masquerade, network_exempt, networks, ruleset,
    tool,
};
use crate::scale::node;

fn net() -> NetworkName {
    "net".parse().unwrap()
}

fn set(wanted: &str) {
    exempt::set(&net(), &networks(wanted)).unwrap();
}

fn differences(wanted: &str) -> Vec<String> {
    exempt::check(&net(), &networks(wanted)).unwrap()
}

/// The name of the set of IPv4 destinations.
fn name() -> String {
    let sets = items("set").into_iter();
    let mut names = sets.map(|set| set["name"].as_str().unwrap().to_owned());
    names.find(|name| name.starts_with("exempt4-")).unwrap()
}

fn load(text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    tool("nft", &["-f", file.path().to_str().unwrap()]);
}

#[test]
fn nft_lists_what_is_exempt_without_what_lies_in_another() {
    Namespace::new().run(|| {
        set("10.1.0.0/16 10.1.2.3/32 192.0.2.2/32 192.0.2.1/32 10.1.2.0/24 fd00::/8 fd00::1/128");
        assert_eq!(exempted(), ["10.1.0.0/16", "192.0.2.1/32", "192.0.2.2/32", "fd00::/8"]);
        let text = ruleset();
        assert!(text.contains("comment \"what network net exempts\""), "{text}");
        add(&network_exempt(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"])).unwrap();
        let text = ruleset();
        for rule in ["ip daddr @exempt4-", "ip6 daddr @exempt6-"] {
            let rules = text.lines().filter(|line| line.trim_start().starts_with(rule));
            assert_eq!(rules.filter(|line| line.ends_with(" return")).count(), 1, "{text}");
        }
    });
}

#[test]
fn every_change_ends_in_what_is_wanted() {
    Namespace::new().run(|| {
        let corners = networks(
            "0.0.0.0/0 0.0.0.0/32 255.255.255.255/32 128.0.0.0/1 ::/0 ::/128 8000::/1 \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128 0.0.0.0/8 255.0.0.0/8",
        );
        // Knuth's MMIX generator: the same sequence in every run.
        let mut state = 1_u64;
        let mut random = move |below: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % below
        };
        for round in 0..150 {
            let mut wanted = Vec::new();
            for _ in 0..random(40) {
                // Few addresses, so that networks touch, overlap and come again.
                let (byte, prefix) = (random(8), 24 + random(9));
                let text = match random(20) {
                    0 => corners[random(10) as usize].to_string(),
                    1..=10 => format!("10.0.{}.{}/{prefix}", random(2), byte * 32 + random(3)),
                    _ => format!("fd00::{:x}/{}", byte * 32 + random(3), 96 + prefix),
                };
                wanted.push(text.parse::<IpNetwork>().unwrap());
            }
            exempt::set(&net(), &wanted).unwrap();
            assert_eq!(exempted(), outermost(&wanted), "round {round}: {wanted:?}");
            assert_eq!(exempt::check(&net(), &wanted).unwrap(), [""; 0], "round {round}");
        }
    });
}

/// The networks that lie in no other one, found by comparing each with all.
fn outermost(networks: &[IpNetwork]) -> Vec<String> {
    let bare = |n: &IpNetwork| IpNetwork::new(n.network(), n.prefix()).unwrap();
    let within = |a: &IpNetwork, b: &IpNetwork| {
        a.is_ipv6() == b.is_ipv6() && a.prefix() > b.prefix() && b.contains(a.network())
    };
    let outer = networks.iter().filter(|a| !networks.iter().any(|b| within(a, b)));
    let mut texts: Vec<_> = outer.map(|n| bare(n).to_string()).collect();
    texts.sort();
    texts.dedup();
    texts
}

#[test]
fn what_stays_exempt_is_not_touched() {
    Namespace::new().run(|| {
        set("10.1.0.0/16 10.2.0.0/16");
        let name = name();
        load(&format!(
            "delete element inet podwire {name} {{ 10.1.0.0/16 }}
             add element inet podwire {name} {{ 10.1.0.0/16 comment \"still the same\" }}"
        ));
        set("10.1.0.0/16 10.3.0.0/16 10.2.0.0/17");
        assert!(ruleset().contains("still the same"), "{}", ruleset());
        assert_eq!(differences("10.1.0.0/16 10.3.0.0/16 10.2.0.0/17"), [""; 0]);
    });
}

#[test]
fn ten_thousand_nodes_come_change_and_go() {
    Namespace::new().run(|| {
        let nodes: Vec<_> = (0..10_000).map(node).collect();
        let (first, last) = (&nodes[..6000], &nodes[4000..]);
        for wanted in [first, last, &nodes, &nodes[..1], &nodes, &[]] {
            exempt::set(&net(), wanted).unwrap();
            assert_eq!(exempted().len(), wanted.len());
            assert_eq!(exempt::check(&net(), wanted).unwrap(), [""; 0]);
        }
    });
}

#[test]
fn a_saved_ruleset_that_nft_loaded_again_is_as_wanted() {
    Namespace::new().run(|| {
        let wanted = "10.1.0.0/16 192.0.2.1/32 192.0.2.2/32 255.255.255.255/32 fd00::/8 ff00::/8";
        set(wanted);
        let pod = network_exempt(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
        add(&pod).unwrap();
        let before = ruleset();
        load(&format!("flush ruleset\n{before}"));
        assert_eq!(ruleset(), before);
        assert!(is_there(&net()).unwrap());
        assert_eq!(differences(wanted), [""; 0]);
        assert_eq!(check(&pod).unwrap(), [""; 0]);
        set("10.1.0.0/17 192.0.2.2/32 fd00::/8");
        assert_eq!(exempted(), ["10.1.0.0/17", "192.0.2.2/32", "fd00::/8"]);
    });
}

#[test]
fn the_last_container_leaves_what_its_network_exempts_and_removal_takes_it() {
    Namespace::new().run(|| {
        set("10.1.0.0/16 fd00::/8");
        let before = ruleset();
        let pod = network_exempt(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
        add(&pod).unwrap();
        assert_eq!(check(&pod).unwrap(), [""; 0]);
        del(&pod.attachment, Some(&ips(&["10.1.0.5", "fd00:1::5"])), None).unwrap();
        assert_eq!(ruleset(), before);
        add(&masquerade(attachment("net", "c2"), &["10.1.0.6/16"])).unwrap();
        exempt::set(&"net2".parse().unwrap(), &networks("10.2.0.0/16")).unwrap();
        exempt::remove(&net()).unwrap();
        assert_eq!(exempted(), ["10.2.0.0/16"]);
        exempt::remove(&"net2".parse().unwrap()).unwrap();
        assert!(!ruleset().contains("exempt") && ruleset().contains("10.1.0.6"), "{}", ruleset());
        del(&attachment("net", "c2"), None, None).unwrap();
        assert_eq!(ruleset(), "");
        exempt::remove(&net()).unwrap();
        assert_eq!(ruleset(), "");
        set("10.1.0.0/16");
        exempt::remove(&net()).unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn removal_empties_what_containers_still_heed() {
    Namespace::new().run(|| {
        set("10.2.0.0/16 fd00::/8");
        let pod = network_exempt(attachment("net", "c1"), &["10.1.0.5/16"]);
        add(&pod).unwrap();
        for _ in 0..2 {
            exempt::remove(&net()).unwrap();
            assert_eq!(exempted(), [""; 0]);
            assert!(!is_there(&net()).unwrap());
            assert_eq!(check(&pod).unwrap(), [""; 0]);
        }
        set("10.2.0.0/16");
        assert!(is_there(&net()).unwrap());
        exempt::remove(&net()).unwrap();
        del(&pod.attachment, None, None).unwrap();
        exempt::remove(&net()).unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn after_a_flush_the_sets_are_missing_until_they_are_filled_again() {
    Namespace::new().run(|| {
        assert!(!is_there(&net()).unwrap());
        let wanted = "10.2.0.0/16 fd00::/8";
        set(wanted);
        assert!(is_there(&net()).unwrap());
        let pod = network_exempt(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
        add(&pod).unwrap();
        tool("nft", &["flush", "ruleset"]);
        assert!(!is_there(&net()).unwrap());
        assert_eq!(differences(wanted).len(), 3, "{:?}", differences(wanted));
        add(&pod).unwrap();
        assert_eq!(check(&pod).unwrap(), [""; 0]);
        assert!(!is_there(&net()).unwrap(), "there, but empty");
        let said = differences(wanted).join("\n");
        assert!(said.contains("lacks 10.2.0.0/16") && said.contains("lacks fd00::/8"), "{said}");
        set(wanted);
        assert!(is_there(&net()).unwrap());
        assert_eq!(differences(wanted), [""; 0]);
    });
}

#[test]
fn what_was_changed_by_hand_is_told_and_mended() {
    Namespace::new().run(|| {
        let wanted = "10.2.0.0/16 10.3.0.0/16 192.0.2.1/32 fd00::/8";
        set(wanted);
        let name = name();
        for (damage, words) in [
            (
                "flush set inet podwire NAME",
                &["NAME", "lacks 10.2.0.0/16", "lacks 192.0.2.1/32"][..],
            ),
            ("delete element inet podwire NAME { 192.0.2.1 }", &["lacks 192.0.2.1/32"]),
            ("add element inet podwire NAME { 10.9.0.0/24 }", &["10.9.0.0/24"]),
            ("add element inet podwire NAME { 10.9.0.1-10.9.0.9 }", &["10.9.0.1-10.9.0.9"]),
            (
                "delete element inet podwire NAME { 10.2.0.0/16 }
                 add element inet podwire NAME { 10.2.7.0-10.2.200.3 }",
                &["lacks 10.2.0.0/16", "10.2.7.0-10.2.200.3"],
            ),
            ("delete set inet podwire NAME", &["set NAME", "is missing"]),
            ("delete table inet podwire", &["set NAME", "is missing"]),
        ] {
            load(&damage.replace("NAME", &name));
            let said = differences(wanted).join("\n");
            for word in words {
                assert!(said.contains(&word.replace("NAME", &name)), "{damage}: {said}");
            }
            set(wanted);
            assert_eq!(differences(wanted), [""; 0], "{damage}");
            assert_eq!(exempted().len(), 4, "{damage}");
        }
    });
}

/// An element that ends an interval that does not begin, which nft itself cannot add.
fn add_stray_end(set: &str, address: [u8; 4]) {
    const NEW_ELEMENT: (u8, u8) = (10, 12);
    let key = Attributes::new().with_nest(1, &Attributes::new().with(1, &address));
    let element = key.with_u32(3, 1);
    let attributes = Attributes::new().with_text(1, "podwire").with_text(2, set);
    let attributes = attributes.with_list(3, 1, &[element]);
    let request = Request::new(("add", "an end"), NEW_ELEMENT, libc::NLM_F_CREATE, 1, attributes);
    Socket::open().unwrap().transact(&[request], None).unwrap();
}

#[test]
fn elements_that_make_up_no_intervals_are_told_and_replaced() {
    Namespace::new().run(|| {
        let wanted = "10.2.0.0/16 192.0.2.1/32 fd00::/8";
        set("fd00::/8"); // an end is refused behind another one
        add_stray_end(&name(), [10, 9, 0, 0]);
        let said = differences(wanted);
        assert!(said.len() == 1 && said[0].contains(&name()), "{said:?}");
        set(wanted);
        assert_eq!(differences(wanted), [""; 0]);
        assert_eq!(exempted().len(), 3);
    });
}

#[test]
fn of_many_differences_the_first_are_told_and_the_others_counted() {
    Namespace::new().run(|| {
        set("10.2.0.0/16");
        let nodes: Vec<_> = (0..5000).map(node).collect();
        let said = exempt::check(&net(), &nodes).unwrap();
        assert_eq!(said.len(), 11, "{said:?}");
        assert!(said[10].starts_with("4991 further "), "{}", said[10]);
    });
}

#[test]
fn a_set_that_somebody_else_made_is_an_error_that_names_it() {
    Namespace::new().run(|| {
        set("10.2.0.0/16");
        let name = name();
        exempt::remove(&net()).unwrap();
        load(&format!("table inet podwire {{ set {name} {{ type ifname; }}; }}"));
        let error = exempt::set(&net(), &networks("10.2.0.0/16")).unwrap_err().to_string();
        assert!(error.contains(&name), "{error}");
        assert_eq!(items("set").len(), 1, "nothing was done by halves: {}", ruleset());
    });
}

#[test]
fn a_network_with_a_long_name_has_its_own_sets() {
    Namespace::new().run(|| {
        let names = ["a", "b"].map(|last| "n".repeat(250) + last);
        for (name, wanted) in names.iter().zip(["10.2.0.0/16", "10.3.0.0/16"]) {
            let network = name.parse().unwrap();
            exempt::set(&network, &networks(wanted)).unwrap();
            add(&network_exempt(attachment(name, name), &["10.1.0.5/16"])).unwrap();
            let pod = network_exempt(attachment(name, name), &["10.1.0.5/16"]);
            assert_eq!(check(&pod).unwrap(), [""; 0]);
            assert_eq!(exempt::check(&network, &networks(wanted)).unwrap(), [""; 0]);
        }
        assert_eq!(exempted(), ["10.2.0.0/16", "10.3.0.0/16"]);
    });
}
