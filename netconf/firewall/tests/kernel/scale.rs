//! Many attachments: the number of requests does not grow with them, and none of them lists
//! what does: an ADD lists the rules of the chains that it relies on, each chain's by itself.

use std::collections::BTreeMap;

use firewall::add;

use crate::fault::{process, wanted};
use crate::kit::{Namespace, attachment, elements, masquerade};

/// The requests of a verb, by kind.
fn requests(verb: &str) -> BTreeMap<String, usize> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = process(verb, &format!("count:{}", file.path().display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(file.path()).unwrap().lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

/// Attaches containers with 250 addresses each.
pub fn populate(attachments: std::ops::Range<u8>) {
    for n in attachments {
        let addresses: Vec<_> = (1..=250).map(|host| format!("10.1.{}.{host}/16", n + 1)).collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        add(&masquerade(attachment("net", &format!("many{n}")), &addresses)).unwrap();
    }
}

#[test]
fn add_and_del_cost_the_same_among_four_thousand() {
    Namespace::new().run(|| {
        let counted = || {
            let twice = || ["add", "del"].map(requests);
            twice(); // the first of its family makes the chains
            let v6 = masquerade(attachment("net", "v6"), &["fd00:1::99/64"]);
            add(&v6).unwrap();
            add(&crate::kit::antispoof(attachment("net", "v6"), "veth99", "0a:58:00:00:00:99"))
                .unwrap();
            twice()
        };
        populate(0..1);
        let few = counted();
        populate(1..16);
        assert_eq!(elements("inet", "addresses4").len(), 4000);
        let many = counted();
        assert_eq!(many, few);
        let [add, del] = many;
        assert_eq!(add.get("netfilter transaction"), Some(&1), "{add:?}");
        assert_eq!(add.get("netfilter dump"), Some(&3), "two groups and prerouting: {add:?}");
        assert!(add.values().sum::<usize>() <= 6, "and a socket, a look, a transaction: {add:?}");
        assert_eq!(del.get("netfilter transaction"), Some(&1), "{del:?}");
        assert_eq!(del.get("netfilter dump"), None, "{del:?}");
        assert!(del.values().sum::<usize>() <= 6, "{del:?}");
    });
}

#[test]
fn what_a_network_exempts_costs_an_add_nothing_and_is_sent_only_when_it_differs() {
    Namespace::new().run(|| {
        let network = "net".parse().unwrap();
        let third = |verb| {
            requests(verb);
            requests(verb);
            requests(verb)
        };
        let plain = third("add");
        assert!(process("del", "").status.success());
        assert_eq!(third("add with exemptions"), plain);

        let first = requests("exempt");
        assert_eq!(first.get("netfilter transaction"), Some(&1), "{first:?}");
        let again = requests("exempt");
        assert_eq!(again.get("netfilter transaction"), None, "{again:?}");
        let nodes: Vec<_> = (0..10_000_u32).map(node).collect();
        firewall::exempt::set(&network, &nodes).unwrap();
        assert_eq!(third("add with exemptions"), plain);
        let look = requests("look for exemptions");
        assert_eq!(look.get("netfilter get"), Some(&1), "{look:?}");
        assert_eq!(look.values().sum::<usize>(), 2, "and a socket: {look:?}");
        let shrinks = requests("exempt");
        assert_eq!(shrinks.get("netfilter transaction"), Some(&1), "{shrinks:?}");
    });
}

/// The address of one of many nodes, half of them of IPv6.
pub fn node(n: u32) -> ipnetwork::IpNetwork {
    let (high, low) = (n >> 8 & 0xff, n & 0xff);
    let text = if n.is_multiple_of(2) {
        format!("172.16.{high}.{low}/32")
    } else {
        format!("2001:db8::{high:x}:{low:x}/128")
    };
    text.parse().unwrap()
}

#[test]
fn an_attachment_without_addresses_is_removed_without_a_look_at_others_addresses() {
    Namespace::new().run(|| {
        populate(0..1);
        add(&wanted()).unwrap();
        let counts = requests("del of the link");
        assert_eq!(counts.get("netfilter transaction"), Some(&1), "{counts:?}");
        assert_eq!(counts.get("netfilter dump"), None, "{counts:?}");
        assert_eq!(elements("bridge", "guarded").len(), 0);
        assert_eq!(elements("inet", "addresses4").len(), 251);
    });
}

#[test]
fn an_attachment_is_found_among_four_thousand_without_its_address() {
    Namespace::new().run(|| {
        populate(0..16);
        add(&wanted()).unwrap();
        assert!(process("del without addresses", "").status.success());
        assert_eq!(elements("inet", "addresses4").len(), 4000);
        assert_eq!(elements("inet", "addresses6").len(), 0);
        assert!(process("gc", "").status.success());
        assert_eq!(crate::kit::ruleset(), "");
    });
}
