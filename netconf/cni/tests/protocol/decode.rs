//! Configurations as Go's decoder would read them.

use std::collections::BTreeMap;

use cni::{Cidr, IfName, Json, NetConf};
use proptest::prelude::*;
use serde::Deserialize;

use crate::fake::Conf as FakeConf;
use crate::fake::{Fake, answer};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conf {
    r#type: String,
    is_gateway: bool,
    mtu: u16,
    rate: i64,
    share: f64,
    data_dir: Option<String>,
    ipam: Ipam,
    labels: BTreeMap<String, String>,
    mode: Mode,
    pair: (u8, String),
    #[serde(alias = "macAddress")]
    mac: String,
    anything: Json,
    dns: Option<Dns>,
    master: Option<IfName>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Ipam {
    ranges: Vec<Vec<Range>>,
    numbers: Vec<u8>,
    names: Vec<String>,
    switches: Vec<bool>,
    maybe: Vec<Option<u8>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    subnet: Cidr,
    #[serde(default)]
    range_start: String,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Dns {
    domain: String,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Bridge,
    Vepa,
}

fn decode(text: &str) -> Result<Conf, cni::Error> {
    let text = format!(r#"{{"name": "net", {}"#, text.trim_start().trim_start_matches('{'));
    NetConf::parse(text.replace(", }", "}").into_bytes())?.decode()
}

fn read(text: &str) -> Conf {
    decode(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn keys_match_in_any_letter_case_at_every_level() {
    let conf = read(
        r#"{"TYPE": "x", "isgateway": true, "MTU": 9000, "DataDir": "/d",
            "IPAM": {"Ranges": [[{"SUBNET": "10.0.0.0/8", "rangestart": "10.0.0.5"}]]}}"#,
    );
    assert_eq!((conf.r#type.as_str(), conf.is_gateway, conf.mtu), ("x", true, 9000));
    assert_eq!(conf.data_dir.as_deref(), Some("/d"));
    assert_eq!(conf.ipam.ranges[0][0].subnet.to_string(), "10.0.0.0/8");
    assert_eq!(conf.ipam.ranges[0][0].range_start, "10.0.0.5");
}

#[test]
fn the_keys_of_maps_are_kept() {
    let conf = read(r#"{"labels": {"A": "1", "a": "2", "x.y/Z": null}}"#);
    let labels: Vec<_> = conf.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["A=1", "a=2", "x.y/Z="]);
}

#[test]
fn of_duplicate_keys_the_last_one_counts_whatever_its_letter_case() {
    assert_eq!(read(r#"{"mtu": 1, "mtu": 2}"#).mtu, 2);
    assert_eq!(read(r#"{"mtu": 1, "MTU": 2}"#).mtu, 2);
    assert_eq!(read(r#"{"MTU": 2, "mtu": 1}"#).mtu, 1);
    assert_eq!(read(r#"{"mtu": "not a number", "mtu": 1}"#).mtu, 1);
    assert_eq!(read(r#"{"mtu": 1, "mtu": null}"#).mtu, 0);
    assert_eq!(read(r#"{"mtu": null, "mtu": 1}"#).mtu, 1);
    let name = NetConf::parse(br#"{"name": "a", "NAME": "b"}"#.to_vec()).unwrap().network;
    assert_eq!(name.as_str(), "b");
}

#[test]
fn null_is_the_zero_value() {
    let keys = "type isGateway mtu rate share dataDir ipam labels mode mac anything dns master";
    for key in keys.split(' ') {
        assert_eq!(read(&format!("{{\"{key}\": null}}")), Conf::default(), "{key}");
    }
    let ipam = read(
        r#"{"ipam": {"ranges": [null, []], "numbers": [null, 1], "names": [null, "a"],
            "switches": [null, true], "maybe": [null, 2]}}"#,
    )
    .ipam;
    assert_eq!(ipam.ranges, [vec![], vec![]]);
    assert_eq!(ipam.numbers, [0, 1]);
    assert_eq!(ipam.names, ["", "a"]);
    assert_eq!(ipam.switches, [false, true]);
    assert_eq!(ipam.maybe, [None, Some(2)]);
    assert_eq!(read(r#"{"ipam": {"ranges": null}}"#), Conf::default());
}

#[test]
fn containerds_runtime_config_in_pascal_case_is_understood() {
    let fake = Fake::default();
    let conf = r#"{"cniVersion": "1.0.0", "name": "net", "runtimeConfig": {"Mac": "",
        "portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}],
        "dns": {"Servers": null, "Searches": null, "Options": null}}}"#;
    let output = answer(&fake, "ADD", conf);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{}", output.stdout);
}

#[test]
fn an_error_names_the_path_and_the_value() {
    for (text, code, says) in [
        (r#"{"type": 5}"#, 6, "type 5: must be a string, not a number"),
        (r#"{"isGateway": "yes"}"#, 6, "isGateway \"yes\": must be true or false, not a string"),
        (r#"{"MTU": "1500"}"#, 6, "MTU \"1500\": must be a number, not a string"),
        (r#"{"mtu": 70000}"#, 7, "mtu 70000: must be a whole number from 0 to 65535"),
        (r#"{"mtu": -1}"#, 7, "mtu -1: must be a whole number from 0 to 65535"),
        (r#"{"mtu": 1500.5}"#, 7, "mtu 1500.5: must be a whole number"),
        (r#"{"rate": 9223372036854775808}"#, 7, "rate 9223372036854775808: must be a whole"),
        (r#"{"share": true}"#, 6, "share true: must be a number, not a boolean"),
        (r#"{"dataDir": []}"#, 6, "dataDir: must be a string, not a list"),
        (r#"{"ipam": "host-local"}"#, 6, "ipam \"host-local\": must be an object, not a string"),
        (r#"{"ipam": {"ranges": {}}}"#, 6, "ipam.ranges: must be a list, not an object"),
        (
            r#"{"ipam": {"ranges": [[], [{"subnet": "10.0.0.0/33"}]]}}"#,
            7,
            "ipam.ranges[1][0].subnet \"10.0.0.0/33\": must be an address with a prefix length",
        ),
        (r#"{"ipam": {"Ranges": [[{}]]}}"#, 7, "ipam.Ranges[0][0].subnet: is missing"),
        (r#"{"ipam": {"ranges": [[null]]}}"#, 7, "ipam.ranges[0][0].subnet: is missing"),
        (
            r#"{"ipam": {"ranges": [[{"subnet": null}]]}}"#,
            7,
            "ipam.ranges[0][0].subnet: is missing",
        ),
        (r#"{"labels": {"a": 1}}"#, 6, "labels.a 1: must be a string"),
        (r#"{"mode": "Vepa"}"#, 7, "mode \"Vepa\": must be one of bridge, vepa"),
        (r#"{"mode": 1}"#, 6, "mode 1: must be a string, not a number"),
        (r#"{"pair": [1]}"#, 6, "pair: must be a tuple of size 2, not 1 values"),
        (r#"{"dns": {"domain": {}}}"#, 6, "dns.domain: must be a string, not an object"),
        (
            r#"{"master": "a/b"}"#,
            7,
            "master \"a/b\": \"a/b\" is not an interface name: it has a '/'",
        ),
    ] {
        let error = decode(text).unwrap_err();
        assert_eq!(error.code.0, code, "{text}: {error}");
        assert!(error.msg.starts_with(says), "{text}: {error}");
    }
}

#[test]
fn a_message_stays_one_readable_line() {
    let long = "ä".repeat(500);
    let error = decode(&format!(r#"{{"master": "{long}"}}"#)).unwrap_err();
    let value = error.msg.split(": ").next().unwrap();
    assert!(value.chars().count() < 100, "{value}");
    let error = decode(r#"{"mode": "a\nb"}"#).unwrap_err();
    assert!(!error.msg.contains('\n'), "{error:?}");
}

#[test]
fn aliases_and_other_forms_of_serde_work() {
    assert_eq!(read(r#"{"MACADDRESS": "m"}"#).mac, "m");
    assert_eq!(read(r#"{"mode": "vepa"}"#).mode, Mode::Vepa);
    assert_eq!(read(r#"{"pair": [1, "b"]}"#).pair, (1, "b".to_owned()));
    assert!((read(r#"{"share": 3}"#).share - 3.0).abs() < f64::EPSILON);
    let tree = r#"{"b": 1, "a": [null, -2, 0.5, "x"], "b": true}"#;
    assert_eq!(
        read(&format!(r#"{{"anything": {tree}}}"#)).anything.to_string(),
        tree.replace(' ', "")
    );
}

#[test]
fn depth_is_limited_and_bytes_need_not_be_text() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(Json::parse(deep(120).as_bytes(), "it").is_ok());
    for n in [200, 100_000] {
        let error = Json::parse(deep(n).as_bytes(), "it").unwrap_err();
        assert!(error.msg.contains("recursion limit"), "{error}");
    }
    let json = Json::parse(b"{\"a\": \"\xff\"}", "it").unwrap();
    assert_eq!(json.get("a").and_then(Json::as_str), Some("\u{fffd}"));
}

/// The warnings of an ADD whose config has these members.
fn warnings(members: &str) -> Vec<String> {
    let conf = format!(r#"{{"cniVersion": "1.1.0", "name": "net", {members}}}"#);
    let output = answer(&Fake::default(), "ADD", &conf);
    assert_eq!(output.code, 0, "{output:?}");
    output.stderr.lines().map(|line| line.trim_start_matches("fake: ").to_owned()).collect()
}

#[test]
fn a_key_that_looks_misspelt_is_named_with_the_likely_one() {
    for (members, warning) in [
        (r#""brigde": "x""#, "brigde is not known; is bridge meant?"),
        (r#""mut": 5"#, "mut is not known; is mtu meant?"),
        (r#""ipam": {"rangs": []}"#, "ipam.rangs is not known; is ranges meant?"),
        (
            r#""ipam": {"ranges": [[], [{"subnet": "10.0.0.0/8", "gatewy": ""}]]}"#,
            "ipam.ranges[1][0].gatewy is not known; is gateway meant?",
        ),
        (r#""IsGatway": true"#, "IsGatway is not known; is isGateway meant?"),
    ] {
        assert_eq!(warnings(members), [warning], "{members}");
    }
}

#[test]
fn a_key_that_some_part_of_the_plugin_knows_is_not_misspelt() {
    assert_eq!(warnings(r#""bridges": "one letter more than bridge""#), [""; 0]);
}

#[test]
fn keys_of_others_and_right_ones_earn_no_warning() {
    for members in [
        r#""ISGATEWAY": true"#,
        r#""comment": "x", "vlan": 5, "mac": "x""#,
        r#""type": "bridge", "args": {"cni": {}}, "capabilities": {"mac": true}"#,
        r#""dns": {"nameservers": []}"#,
        r#""ipMasq": true, "hairpinMode": true, "ipam": {"type": "x", "subnet": "y"}"#,
    ] {
        assert_eq!(warnings(members), [""; 0], "{members}");
    }
}

proptest! {
    #[test]
    fn any_tree_is_read_back_from_its_own_text(json in tree()) {
        let text = json.to_string();
        prop_assert_eq!(&Json::parse(text.as_bytes(), "it").unwrap(), &json);
        prop_assert_eq!(&Json::parse(json.pretty().as_bytes(), "it").unwrap(), &json);
    }

    #[test]
    fn any_tree_is_decoded_or_refused(json in tree()) {
        drop(json.decode::<FakeConf>());
        drop(json.decode::<Conf>());
        prop_assert_eq!(&json.decode::<Json>().unwrap(), &json);
    }

    #[test]
    fn the_letter_case_of_a_key_makes_no_difference(mask in any::<u16>()) {
        let key: String = "isGateway"
            .chars()
            .enumerate()
            .map(|(i, c)| if mask >> i & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        let text = format!("{{\"{key}\": true}}");
        prop_assert!(read(&text).is_gateway);
    }
}

/// Trees with keys that mean something, so that decoding gets somewhere.
pub fn tree() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i64>().prop_map(|n| Json::Number(n.into())),
        "[0-9a-f.:/]{0,12}".prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    let key = prop_oneof![
        "(mtu|MTU|ipam|Ipam|ranges|subnet|gateway|name|cniVersion|prevResult|ips|address|dns)",
        ".{0,6}",
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(Json::Object),
        ]
    })
}
