//! Configurations derived from the one that came, as a plugin hands them to what it is made of.

use cni::{AddResult, Call, Error, GcCall, Json, NetConf, Plugin, StatusCall, dispatch};
use serde::Deserialize;

use crate::fake::environment;

fn conf(members: &str) -> NetConf {
    let text = format!(r#"{{"cniVersion": "1.1.0", "name": "net", {members}}}"#);
    NetConf::parse(text.into_bytes()).unwrap()
}

#[test]
fn a_member_is_replaced_where_it_stands_in_any_letter_case_and_a_new_one_comes_last() {
    let derived =
        conf(r#""MTU": 5, "other": {"a": [1, null]}, "mtu": 6, "Mtu": 7, "last": "x\u00e4""#)
            .with(vec![("mtu", 1400_u32.into()), ("bridge", "cni0".into())]);
    let text = r#"{"cniVersion":"1.1.0","name":"net","mtu":1400,"other":{"a":[1,null]},"last":"xä","bridge":"cni0"}"#;
    assert_eq!(String::from_utf8(derived.raw.clone()).unwrap(), text);
    assert_eq!(derived.tree(), &Json::parse(text.as_bytes(), "it").unwrap());
    assert_eq!(NetConf::parse(derived.raw.clone()).unwrap().tree(), derived.tree());
    assert_eq!(derived.network.as_str(), "net");
}

#[test]
fn null_unsets_a_member_and_the_last_of_two_values_counts() {
    let original = conf(r#""mtu": 5"#);
    assert_eq!(original.with(vec![("mtu", Json::Null)]).tree().get("mtu"), None);
    let derived = original.with(vec![("a", true.into()), ("A", false.into())]);
    assert_eq!(derived.tree().get("a"), Some(&false.into()));
    assert_eq!(original.tree().get("mtu"), Some(&5_u32.into()), "the original stays");
}

#[test]
fn what_is_no_object_is_left_alone() {
    let mut list = Json::Array(Vec::new());
    list.set("a", true.into());
    assert_eq!(list, Json::Array(Vec::new()));
}

/// A plugin of two parts: its own options, and those of what it is built on.
struct Layered;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Upper {
    peers_file: String,
    port: u16,
    ipam: UpperIpam,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UpperIpam {
    ranges: Vec<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Lower {
    bridge: String,
    mtu: u32,
    /// One letter from a key of the upper part.
    ports: Vec<Json>,
    /// Seen by the upper part only where it is written.
    is_default_gateway: bool,
    ipam: LowerIpam,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LowerIpam {
    range: String,
    data_dir: String,
}

impl Plugin for Layered {
    const NAME: &'static str = "layered";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        call.conf.decode::<Upper>()?;
        let mut inner = call.clone();
        inner.conf =
            call.conf.with(vec![("isDefaultGateway", true.into()), ("MTU", 1450_u32.into())]);
        inner.conf.decode::<Lower>()?;
        Ok(AddResult::default())
    }

    fn del(&self, _: &Call) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, _: &Call) -> Result<(), Error> {
        Ok(())
    }

    fn gc(&self, _: &GcCall) -> Result<(), Error> {
        Ok(())
    }

    fn status(&self, _: &StatusCall) -> Result<(), Error> {
        Ok(())
    }
}

fn warnings(members: &str) -> Vec<String> {
    let text = format!(r#"{{"cniVersion": "1.1.0", "name": "net", {members}}}"#);
    let output = dispatch(&Layered, &environment("ADD"), text.as_bytes());
    assert_eq!(output.code, 0, "{output:?}");
    output.stderr.lines().map(|line| line.trim_start_matches("layered: ").to_owned()).collect()
}

#[test]
fn a_misspelt_key_of_either_part_earns_one_warning() {
    for (members, warning) in [
        (r#""peersFil": "x""#, "peersFil is not known; is peersFile meant?"),
        (r#""brigde": "x""#, "brigde is not known; is bridge meant?"),
        (r#""isDefaultGatway": true"#, "isDefaultGatway is not known; is isDefaultGateway meant?"),
        (r#""mut": 5"#, "mut is not known; is mtu meant?"),
        // One slip from a key of each part.
        (r#""porta": []"#, "porta is not known; is port meant?"),
        (r#""ipam": {"dataDri": ""}"#, "ipam.dataDri is not known; is dataDir meant?"),
    ] {
        assert_eq!(warnings(members), [warning], "{members}");
    }
}

#[test]
fn a_key_that_only_one_part_knows_earns_none() {
    for members in [
        r#""peersFile": "x", "port": 1, "ipam": {"ranges": []}"#,
        r#""bridge": "x", "ports": [], "ipam": {"range": "x", "dataDir": "y"}"#,
        r#""PORTS": [], "port": 1, "ISDEFAULTGATEWAY": false, "Mtu": 5"#,
    ] {
        assert_eq!(warnings(members), [""; 0], "{members}");
    }
}
