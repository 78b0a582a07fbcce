//! Results: the text of each version, and what is accepted as one.

use cni::{AddResult, Dns, Interface, IpConfig, Json, Route, Version};

fn full() -> AddResult {
    AddResult {
        interfaces: vec![
            Interface {
                name: "cni0".to_owned(),
                mac: "02:00:00:00:00:01".to_owned(),
                ..Interface::default()
            },
            Interface {
                name: "eth0".to_owned(),
                mac: "02:00:00:00:00:02".to_owned(),
                mtu: Some(1450),
                sandbox: "/run/netns/c1".to_owned(),
                socket_path: "/run/s".to_owned(),
                pci_id: "0000:01:00.0".to_owned(),
            },
        ],
        ips: vec![
            ip("fd00::3/64", Some("fd00::1"), Some(1)),
            ip("10.1.2.3/24", Some("10.1.2.1"), Some(1)),
            ip("10.9.0.3/16", None, None),
        ],
        routes: vec![
            Route {
                mtu: Some(1400),
                advmss: Some(1360),
                priority: Some(10),
                table: Some(100),
                scope: Some(0),
                ..route("0.0.0.0/0", Some("10.1.2.254"))
            },
            route("::/0", None),
        ],
        dns: Dns {
            nameservers: vec!["10.1.2.1".to_owned()],
            domain: "pod.local".to_owned(),
            search: vec!["a".to_owned(), "b".to_owned()],
            options: vec!["ndots:5".to_owned()],
        },
    }
}

fn ip(address: &str, gateway: Option<&str>, interface: Option<usize>) -> IpConfig {
    IpConfig {
        interface,
        address: address.parse().unwrap(),
        gateway: gateway.map(|g| g.parse().unwrap()),
    }
}

fn route(dst: &str, gw: Option<&str>) -> Route {
    Route {
        dst: dst.parse().unwrap(),
        gw: gw.map(|g| g.parse().unwrap()),
        mtu: None,
        advmss: None,
        priority: None,
        table: None,
        scope: None,
    }
}

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes(), "a result").unwrap()
}

/// The texts below are what the reference library (containernetworking/cni v1.3.0) prints for the
/// same result.
#[test]
fn a_result_of_1_x_has_sorted_keys_and_everything_in_it() {
    let text = r#"{
    "cniVersion": "1.1.0",
    "dns": {
        "domain": "pod.local",
        "nameservers": [
            "10.1.2.1"
        ],
        "options": [
            "ndots:5"
        ],
        "search": [
            "a",
            "b"
        ]
    },
    "interfaces": [
        {
            "mac": "02:00:00:00:00:01",
            "name": "cni0"
        },
        {
            "mac": "02:00:00:00:00:02",
            "mtu": 1450,
            "name": "eth0",
            "pciID": "0000:01:00.0",
            "sandbox": "/run/netns/c1",
            "socketPath": "/run/s"
        }
    ],
    "ips": [
        {
            "address": "fd00::3/64",
            "gateway": "fd00::1",
            "interface": 1
        },
        {
            "address": "10.1.2.3/24",
            "gateway": "10.1.2.1",
            "interface": 1
        },
        {
            "address": "10.9.0.3/16"
        }
    ],
    "routes": [
        {
            "advmss": 1360,
            "dst": "0.0.0.0/0",
            "gw": "10.1.2.254",
            "mtu": 1400,
            "priority": 10,
            "scope": 0,
            "table": 100
        },
        {
            "dst": "::/0"
        }
    ]
}"#;
    assert_eq!(full().print(Version::V1_1_0).unwrap(), text);
    assert_eq!(full().print(Version::V1_0_0).unwrap(), text.replace("1.1.0", "1.0.0"));
}

#[test]
fn a_result_of_0_3_to_0_4_has_versions_at_its_addresses_and_less_of_its_interfaces() {
    let text = r#"{
    "cniVersion": "0.4.0",
    "interfaces": [
        {
            "name": "cni0",
            "mac": "02:00:00:00:00:01"
        },
        {
            "name": "eth0",
            "mac": "02:00:00:00:00:02",
            "sandbox": "/run/netns/c1"
        }
    ],
    "ips": [
        {
            "version": "6",
            "interface": 1,
            "address": "fd00::3/64",
            "gateway": "fd00::1"
        },
        {
            "version": "4",
            "interface": 1,
            "address": "10.1.2.3/24",
            "gateway": "10.1.2.1"
        },
        {
            "version": "4",
            "address": "10.9.0.3/16"
        }
    ],
    "routes": [
        {
            "dst": "0.0.0.0/0",
            "gw": "10.1.2.254",
            "mtu": 1400,
            "advmss": 1360,
            "priority": 10,
            "table": 100,
            "scope": 0
        },
        {
            "dst": "::/0"
        }
    ],
    "dns": {
        "nameservers": [
            "10.1.2.1"
        ],
        "domain": "pod.local",
        "search": [
            "a",
            "b"
        ],
        "options": [
            "ndots:5"
        ]
    }
}"#;
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        let expected = text.replace("0.4.0", version.as_str());
        assert_eq!(full().print(version).unwrap(), expected);
    }
}

#[test]
fn a_result_of_0_1_and_0_2_has_the_first_address_of_each_family() {
    let text = r#"{
    "cniVersion": "0.2.0",
    "ip4": {
        "ip": "10.1.2.3/24",
        "gateway": "10.1.2.1",
        "routes": [
            {
                "dst": "0.0.0.0/0",
                "gw": "10.1.2.254"
            }
        ]
    },
    "ip6": {
        "ip": "fd00::3/64",
        "gateway": "fd00::1",
        "routes": [
            {
                "dst": "::/0"
            }
        ]
    },
    "dns": {
        "nameservers": [
            "10.1.2.1"
        ],
        "domain": "pod.local",
        "search": [
            "a",
            "b"
        ],
        "options": [
            "ndots:5"
        ]
    }
}"#;
    assert_eq!(full().print(Version::V0_2_0).unwrap(), text);
    assert_eq!(full().print(Version::V0_1_0).unwrap(), text.replace("0.2.0", "0.1.0"));
}

#[test]
fn what_is_empty_is_left_out_but_dns_stays_before_1_0() {
    let empty = AddResult::default();
    for (version, text) in [
        (Version::V1_1_0, "{\n    \"cniVersion\": \"1.1.0\"\n}"),
        (Version::V0_4_0, "{\n    \"cniVersion\": \"0.4.0\",\n    \"dns\": {}\n}"),
        (Version::V0_3_0, "{\n    \"cniVersion\": \"0.3.0\",\n    \"dns\": {}\n}"),
    ] {
        assert_eq!(empty.print(version).unwrap(), text);
    }
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let error = AddResult { interfaces: full().interfaces, ..empty.clone() }
            .print(version)
            .unwrap_err();
        assert_eq!(error.code.0, 7);
    }
}

#[test]
fn routes_of_a_family_without_an_address_go_missing_in_0_2() {
    let v4_only = AddResult { ips: vec![ip("10.1.2.3/24", None, None)], ..full() };
    let text = v4_only.print(Version::V0_2_0).unwrap();
    assert!(
        text.contains("0.0.0.0/0") && !text.contains("::/0") && !text.contains("ip6"),
        "{text}"
    );
}

#[test]
fn a_result_of_0_2_becomes_addresses_without_interfaces_and_one_list_of_routes() {
    let old = json(
        r#"{"ip6": {"ip": "fd00::3/64", "routes": [{"dst": "::/0", "gw": "fd00::1"}]},
            "ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1", "routes": [{"dst": "0.0.0.0/0"}]},
            "dns": {"domain": "d"}}"#,
    );
    let dns = Dns { domain: "d".to_owned(), ..Dns::default() };
    let expected = AddResult {
        interfaces: Vec::new(),
        ips: vec![ip("10.1.2.3/24", Some("10.1.2.1"), None), ip("fd00::3/64", None, None)],
        routes: vec![route("0.0.0.0/0", None), route("::/0", Some("fd00::1"))],
        dns,
    };
    for version in [Version::V0_1_0, Version::V0_2_0] {
        assert_eq!(AddResult::parse(&old, version).unwrap(), expected);
    }
}

#[test]
fn what_1_1_added_to_interfaces_is_not_read_before_1_0() {
    let text = r#"{"interfaces": [{"name": "eth0", "mtu": 9, "pciID": "0000:01:00.0"}]}"#;
    let old = AddResult::parse(&json(text), Version::V0_4_0).unwrap();
    assert_eq!(old.interfaces[0].mtu, None);
    assert_eq!(old.interfaces[0].pci_id, "");
    let new = AddResult::parse(&json(text), Version::V1_0_0).unwrap();
    assert_eq!(new.interfaces[0].mtu, Some(9));
    assert_eq!(new.interfaces[0].pci_id, "0000:01:00.0");
}

#[test]
fn what_go_accepts_as_a_result_is_accepted() {
    for (text, ips) in [
        ("null", 0),
        ("{}", 0),
        (r#"{"ips": null, "routes": null, "interfaces": null, "dns": null}"#, 0),
        (r#"{"ips": [{"address": "10.0.0.1/8", "gateway": ""}]}"#, 1),
        (r#"{"ips": [{"address": "10.0.0.1/8", "gateway": null, "interface": null}]}"#, 1),
        (r#"{"ips": [{"address": "10.0.0.1/8", "interface": 7}]}"#, 1),
        (r#"{"ips": [{"address": "10.0.0.1/8", "interface": -1}]}"#, 1),
        (r#"{"ips": [{"version": "6", "address": "10.0.0.1/8"}]}"#, 1),
        (r#"{"IPS": [{"ADDRESS": "10.0.0.1/8"}], "unknown": [1]}"#, 1),
        (r#"{"ips": [], "ips": [{"address": "10.0.0.1/8"}]}"#, 1),
        (r#"{"routes": [{"dst": "10.0.0.0/8", "gw": "", "mtu": 0, "table": null}]}"#, 0),
        (r#"{"interfaces": [null, {"name": "a", "mac": null}]}"#, 0),
        (r#"{"dns": {"nameservers": [null], "search": null}}"#, 0),
    ] {
        let result = AddResult::parse(&json(text), Version::V1_1_0)
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(result.ips.len(), ips, "{text}");
    }
}

#[test]
fn what_cannot_be_a_result_is_refused_with_its_place() {
    for (text, says) in [
        ("5", "must be an object, not a number"),
        (r#"{"ips": [{}]}"#, "ips[0].address: is missing"),
        (
            r#"{"ips": [{"address": "10.0.0.1"}]}"#,
            "ips[0].address \"10.0.0.1\": must be an address with",
        ),
        (
            r#"{"ips": [{"address": "10.0.0.1/8", "gateway": "x"}]}"#,
            "ips[0].gateway \"x\": must be an address without",
        ),
        (
            r#"{"ips": [{"address": "10.0.0.1/8", "gateway": "10.0.0.1/8"}]}"#,
            "ips[0].gateway \"10.0.0.1/8\": ",
        ),
        (
            r#"{"ips": [{"address": "10.0.0.1/8", "interface": "0"}]}"#,
            "ips[0].interface \"0\": must be a number, not a string",
        ),
        (r#"{"routes": [{"gw": "10.0.0.1"}]}"#, "routes[0].dst: is missing"),
        (r#"{"routes": [{"dst": "default"}]}"#, "routes[0].dst \"default\": "),
        (
            r#"{"routes": [{"dst": "::/0", "scope": 256}]}"#,
            "routes[0].scope 256: must be a whole number from 0 to 255",
        ),
        (
            r#"{"routes": [{"dst": "::/0", "mtu": -1}]}"#,
            "routes[0].mtu -1: must be a whole number from 0",
        ),
        (r#"{"interfaces": ["eth0"]}"#, "interfaces[0] \"eth0\": must be an object, not a string"),
        (r#"{"dns": []}"#, "dns: must be an object, not a list"),
    ] {
        let error = AddResult::parse(&json(text), Version::V1_1_0).unwrap_err();
        assert!(error.msg.starts_with(says), "{text}: {error}");
    }
}

#[test]
fn a_delegates_result_may_be_of_any_version() {
    for (text, ips) in [
        (r#"{"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.1/8"}}"#, 1),
        (r#"{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.0.0.1/8"}]}"#, 1),
        (r#"{"ips": [{"address": "10.0.0.1/8"}]}"#, 1),
        (r#"{"cniVersion": "", "ips": [{"address": "10.0.0.1/8"}]}"#, 1),
        ("null", 0),
    ] {
        let result = AddResult::parse_any(&json(text), Version::V1_0_0).unwrap();
        assert_eq!(result.ips.len(), ips, "{text}");
    }
    let old = r#"{"ip4": {"ip": "10.0.0.1/8"}}"#;
    assert_eq!(AddResult::parse_any(&json(old), Version::V0_1_0).unwrap().ips.len(), 1);
    assert!(AddResult::parse_any(&json(r#"{"cniVersion": "3.0.0"}"#), Version::V1_0_0).is_err());
}

#[test]
fn text_is_escaped_as_gos_encoder_escapes_it() {
    let dns = Dns { domain: "<a>&\"\u{2028}\u{1}é".to_owned(), ..Dns::default() };
    let text = AddResult { dns, ..AddResult::default() }.print(Version::V1_1_0).unwrap();
    assert!(text.contains(r#""\u003ca\u003e\u0026\"\u2028\u0001é""#), "{text}");
}
