//! A description is the same however it is spelt, and what is read without a tree is what the tree says.

use cni::Json;
use peers::Fleet;
use proptest::prelude::*;
use proptest::sample::select;

/// An entry, or something else in its place.
fn entry() -> impl Strategy<Value = String> {
    let name = || select(vec!["n1", "n2", "n3", "n\\u0034", ""]);
    let plain = (name(), 1..5_u8).prop_map(|(name, n)| {
        format!(r#""name": "{name}", "podCIDRs": ["10.1.{n}.0/24"], "nodeIPs": ["192.0.2.{n}"]"#)
    });
    let more = select(vec![
        "",
        "",
        "",
        r#", "vtepMAC": "66:00:00:00:00:01""#,
        r#", "vtepMAC": """#,
        r#", "vtepMACv6": null"#,
        r#", "vtepMAC": "what""#,
        r#", "rack": {"name": "n9", "rack": [1e999]}"#,
        r#", "rack": 1.5"#,
        r#", "NAME": "n7""#,
        r#", "name": "n8""#,
        r#", "name": null"#,
        r#", "podCIDRs": ["10.1.7.0/24", "10.1.8.0/24"]"#,
        r#", "podCIDRs": [null]"#,
        r#", "podcidrs": 3"#,
        r#", "nodeIPs": []"#,
        r#", "nodeIPs": ["192.0.2.9/24"]"#,
    ]);
    let odd = select(vec!["3", "null", "[]", "{}", r#""n2""#, r#"{"name": "n5", "name": "n6"}"#]);
    prop_oneof![
        8 => (plain, more).prop_map(|(plain, more)| format!("{{{plain}{more}}}")),
        1 => odd.prop_map(str::to_owned),
    ]
}

fn description() -> impl Strategy<Value = String> {
    let version = select(vec![r#""version": 1, "#, r#""Version": 1, "#, r#""version": 2, "#, ""]);
    let cluster = select(vec![
        r#""clusterCIDRs": ["10.1.0.0/16"]"#,
        r#""clustercidrs": ["10.1.0.0/16"]"#,
        r#""clusterCIDRs": null, "clusterCIDRs": ["10.1.0.0/16"]"#,
        r#""clusterCIDRs": ["10.1.0.0/16"], "clusterCIDRs": null"#,
    ]);
    let local = prop_oneof![3 => entry().prop_map(|e| format!(r#", "local": {e}"#)), 1 => Just(String::new())];
    let end = select(vec!["", "", "", r#", "more": []"#, r#", "PEERS": null"#, ", "]);
    (version, cluster, local, prop::collection::vec(entry(), 0..4), end).prop_map(
        |(version, cluster, local, peers, end)| {
            format!(r#"{{{version}{cluster}{local}, "peers": [{}]{end}}}"#, peers.join(", "))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_text_is_read_as_its_tree_is(text in description()) {
        let by_tree = Json::parse(text.as_bytes(), "it").and_then(|tree| Fleet::read(&tree, "it"));
        prop_assert_eq!(Fleet::parse(text.as_bytes(), "it"), by_tree);
    }

    #[test]
    fn a_node_sees_in_its_file_what_it_sees_in_the_fleet_s(text in description()) {
        if let Ok((fleet, file)) = Fleet::seen_from(text.as_bytes(), "n1", "it") {
            prop_assert_eq!(&fleet.local.name, "n1");
            prop_assert_eq!(Fleet::parse(&file, "it").unwrap(), fleet);
        }
    }
}
