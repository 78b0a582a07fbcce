//! The verbs: stdin, versions, previous results, lists of attachments.

use cni::{AddResult, Call, Code, Error, GcCall, IpConfig, Plugin, StatusCall, Version};

use crate::fake::{Fake, answer, environment, error_of};

fn with_address() -> AddResult {
    AddResult {
        ips: vec![IpConfig {
            interface: None,
            address: "10.1.2.3/24".parse().unwrap(),
            gateway: None,
        }],
        ..AddResult::default()
    }
}

#[test]
fn stdin_must_be_a_json_object_with_a_name() {
    for (stdin, code, says) in [
        ("", 6, "the network configuration is not JSON: EOF"),
        ("{", 6, "the network configuration is not JSON"),
        ("{} {}", 6, "trailing characters"),
        ("[]", 6, "the network configuration: must be an object, not a list"),
        ("5", 6, "must be an object, not a number"),
        ("null", 7, "name is missing"),
        ("{}", 7, "name is missing"),
        (r#"{"name": ""}"#, 7, "name is missing"),
        (r#"{"name": null}"#, 7, "name is missing"),
        (r#"{"name": 5}"#, 6, "name 5: must be a string, not a number"),
        (r#"{"name": "a b"}"#, 7, "name \"a b\" is not a network name"),
        (r#"{"name": "n", "cniVersion": 1.0}"#, 6, "cniVersion 1.0: must be a string"),
    ] {
        for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let fake = Fake::default();
            let (found, said) = error_of(&answer(&fake, verb, stdin));
            assert_eq!(found, code, "{verb} {stdin}: {said}");
            assert!(said.contains(says), "{verb} {stdin}: {said}");
            assert!(fake.calls.borrow().is_empty());
        }
    }
}

#[test]
fn a_version_is_supported_literally_or_not_at_all() {
    for version in ["0.1", "1.1", "1.1.1", "2.0.0", "v1.0.0", " 1.0.0", "1.0.0 ", "0.5.0", "x"] {
        let conf = format!(r#"{{"name": "net", "cniVersion": "{version}"}}"#);
        for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let (code, said) = error_of(&answer(&Fake::default(), verb, &conf));
            assert_eq!(code, 1, "{said}");
            assert_eq!(
                said,
                format!(
                    "incompatible CNI versions | config is {version:?}, plugin supports \
                     [\"0.1.0\", \"0.2.0\", \"0.3.0\", \"0.3.1\", \"0.4.0\", \"1.0.0\", \"1.1.0\"]"
                )
            );
        }
    }
}

#[test]
fn results_and_errors_carry_the_configs_version() {
    for version in Version::ALL {
        let conf = format!(r#"{{"name": "net", "cniVersion": "{version}"}}"#);
        let named = format!("\"cniVersion\": \"{version}\"");
        let fake = Fake { result: with_address(), ..Fake::default() };
        let output = answer(&fake, "ADD", &conf);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        assert!(output.stdout.contains(&named), "{}", output.stdout);

        let failing = Fake { error: Some(Error::new(Code::KERNEL, "no")), ..Fake::default() };
        let output = answer(&failing, "ADD", &conf);
        assert_eq!(output.code, 1);
        assert!(output.stdout.contains(&named), "{}", output.stdout);
    }
}

#[test]
fn a_config_without_a_version_is_of_the_oldest() {
    for conf in [
        r#"{"name": "net"}"#,
        r#"{"name": "net", "cniVersion": ""}"#,
        r#"{"name": "net", "cniVersion": null}"#,
    ] {
        let fake = Fake { result: with_address(), ..Fake::default() };
        let output = answer(&fake, "ADD", conf);
        assert!(output.stdout.contains("\"cniVersion\": \"0.1.0\""), "{output:?}");
        assert!(output.stdout.contains("\"ip4\""), "{output:?}");
    }
}

#[test]
fn verbs_do_not_exist_before_their_version() {
    for (verb, since) in
        [("CHECK", Version::V0_4_0), ("GC", Version::V1_1_0), ("STATUS", Version::V1_1_0)]
    {
        for &version in Version::ALL {
            let conf = format!(r#"{{"name": "n", "cniVersion": "{version}", "prevResult": {{}}}}"#);
            let fake = Fake::default();
            let output = answer(&fake, verb, &conf);
            if version >= since {
                assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{verb} {version}");
                assert_eq!(fake.calls.borrow().len(), 1);
            } else {
                let (code, said) = error_of(&output);
                assert_eq!(code, 1);
                assert!(said.starts_with(&format!("config version does not allow {verb}")));
                assert!(fake.calls.borrow().is_empty());
            }
        }
    }
}

/// A plugin that came late.
struct Late;

impl Plugin for Late {
    const NAME: &'static str = "late";
    const VERSIONS: &'static [Version] = &[Version::V0_4_0, Version::V1_0_0];

    fn add(&self, _: &Call) -> Result<AddResult, Error> {
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

#[test]
fn a_plugin_refuses_the_versions_it_does_not_name() {
    let answer = |version: &str, verb| {
        let conf = format!(r#"{{"name": "net", "cniVersion": "{version}"}}"#);
        cni::dispatch(&Late, &environment(verb), conf.as_bytes())
    };
    for version in ["0.1.0", "0.3.1", "1.1.0", ""] {
        let (code, said) = error_of(&answer(version, "ADD"));
        assert_eq!(code, 1);
        assert!(said.ends_with("plugin supports [\"0.4.0\", \"1.0.0\"]"), "{said}");
    }
    assert_eq!(answer("0.4.0", "ADD").code, 0);
    assert_eq!(error_of(&answer("1.1.0", "GC")).0, 1);
    assert_eq!(
        answer("", "VERSION").stdout,
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}\n"
    );
}

#[test]
fn a_call_reaches_the_plugin_whole() {
    let fake = Fake { result: with_address(), ..Fake::default() };
    let conf = r#"{"cniVersion": "1.0.0", "name": "net"}"#;
    let mut environment = environment("ADD");
    environment.args = "MAC=02:00:00:00:00:01".to_owned();
    assert_eq!(cni::dispatch(&fake, &environment, conf.as_bytes()).code, 0);
    assert_eq!(
        fake.calls.borrow()[0],
        "ADD net/c1/eth0 netns=/run/netns/c1 args=MAC=02:00:00:00:00:01 \
         path=[\"/opt/cni/bin\", \"/usr/lib/cni\"] prev=none"
    );
}

fn with_prev_result(version: &str, prev_result: &str) -> String {
    format!(r#"{{"name": "net", "cniVersion": "{version}", "prevResult": {prev_result}}}"#)
}

#[test]
fn a_previous_result_is_read_in_the_configs_version() {
    for (version, prev_result) in [
        ("0.2.0", r#"{"ip4": {"ip": "10.1.2.3/24"}, "dns": {}}"#),
        ("0.3.1", r#"{"ips": [{"version": "4", "address": "10.1.2.3/24"}]}"#),
        (
            "0.4.0",
            r#"{"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.1.2.3/24"}]}"#,
        ),
        ("1.0.0", r#"{"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24"}]}"#),
        ("1.1.0", r#"{"cniVersion": "", "ips": [{"address": "10.1.2.3/24"}]}"#),
        ("1.1.0", r#"{"CNIVERSION": "1.0.0", "IPs": [{"Address": "10.1.2.3/24"}]}"#),
    ] {
        let fake = Fake { result: with_address(), ..Fake::default() };
        let output = answer(&fake, "ADD", &with_prev_result(version, prev_result));
        assert_eq!(output.code, 0, "{output:?}");
        assert!(fake.calls.borrow()[0].ends_with("prev=1"), "{version} {prev_result}");
    }
}

#[test]
fn a_previous_result_that_cannot_be_one_stops_add_and_check_but_not_del() {
    for (prev_result, code, says) in [
        (r#"{"cniVersion": "0.2.0"}"#, 7, "prevResult: cniVersion 0.2.0: "),
        (r#"{"cniVersion": "0.4.0"}"#, 7, "prevResult: cniVersion 0.4.0: "),
        (r#"{"cniVersion": "9"}"#, 7, "prevResult: cniVersion \"9\": no such version of CNI"),
        (r#"{"cniVersion": 1}"#, 6, "prevResult: cniVersion 1: must be a string"),
        ("[]", 6, "prevResult: must be an object, not a list"),
        (r#"{"ips": [{"address": "10.1.2.3"}]}"#, 7, "prevResult: ips[0].address \"10.1.2.3\": "),
        (r#"{"ips": [null]}"#, 7, "prevResult: ips[0].address: is missing"),
        (r#"{"ips": {}}"#, 6, "prevResult: ips: must be a list, not an object"),
    ] {
        let conf = with_prev_result("1.0.0", prev_result);
        for verb in ["ADD", "CHECK"] {
            let (found, said) = error_of(&answer(&Fake::default(), verb, &conf));
            assert_eq!(found, code, "{said}");
            assert!(said.starts_with(says), "{said}");
        }
        let fake = Fake::default();
        let output = answer(&fake, "DEL", &conf);
        assert_eq!((output.code, output.stdout.as_str()), (0, ""));
        assert!(fake.calls.borrow()[0].ends_with("prev=none"));
        assert!(output.stderr.starts_with("fake: DEL goes on without it: prevResult: "));
    }
}

#[test]
fn check_needs_a_previous_result() {
    for conf in
        [r#"{"name": "net", "cniVersion": "0.4.0"}"#.to_owned(), with_prev_result("1.1.0", "null")]
    {
        let (code, said) = error_of(&answer(&Fake::default(), "CHECK", &conf));
        assert_eq!(code, 7);
        assert!(said.starts_with("prevResult is missing"), "{said}");
    }
}

#[test]
fn verbs_without_a_result_print_nothing() {
    let conf = with_prev_result("1.1.0", "{}");
    for verb in ["DEL", "CHECK", "GC", "STATUS"] {
        let output = answer(&Fake::default(), verb, &conf);
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "", ""));
    }
}

#[test]
fn an_error_reaches_the_runtime_as_it_was_made() {
    let error = Error::new(Code(11), "lease: nobody answers").details("try the daemon");
    let fake = Fake { error: Some(error), ..Fake::default() };
    let conf = with_prev_result("1.1.0", "{}");
    for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
        let output = answer(&fake, verb, &conf);
        assert_eq!(output.code, 1);
        assert_eq!(
            output.stdout,
            "{\n    \"cniVersion\": \"1.1.0\",\n    \"code\": 11,\n    \
             \"msg\": \"lease: nobody answers\",\n    \"details\": \"try the daemon\"\n}"
        );
    }
}

#[test]
fn gc_tells_a_missing_list_from_an_empty_one() {
    for (keys, seen) in [
        ("", "None"),
        (r#", "cni.dev/valid-attachments": null"#, "None"),
        (r#", "cni.dev/valid-attachments": []"#, "Some(\"\")"),
        (
            r#", "cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}, {"containerid": "b", "ifName": "net1"}]"#,
            "Some(\"a/eth0 b/net1\")",
        ),
        (
            r#", "cni.dev/attachments": [{"containerID": "old", "ifname": "eth0"}]"#,
            "Some(\"old/eth0\")",
        ),
        (
            r#", "cni.dev/attachments": [{"containerID": "old", "ifname": "eth0"}], "cni.dev/valid-attachments": []"#,
            "Some(\"\")",
        ),
        (r#", "cni.dev/valid-attachments": null, "cni.dev/attachments": []"#, "Some(\"\")"),
    ] {
        let fake = Fake::default();
        let conf = format!(r#"{{"name": "net", "cniVersion": "1.1.0"{keys}}}"#);
        let output = answer(&fake, "GC", &conf);
        assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{keys}");
        assert_eq!(fake.calls.borrow()[0], format!("GC net {seen}"), "{keys}");
    }
}

#[test]
fn gc_removes_nothing_on_the_word_of_a_list_it_cannot_read() {
    for (list, code, says) in [
        ("{}", 6, "cni.dev/valid-attachments: must be a list, not an object"),
        ("[5]", 6, "cni.dev/valid-attachments[0] 5: must be an object"),
        ("[null]", 7, "cni.dev/valid-attachments[0].containerID: is missing"),
        (r#"[{"containerID": "a"}]"#, 7, "cni.dev/valid-attachments[0].ifname: is missing"),
        (
            r#"[{"containerID": "a ", "ifname": "eth0"}]"#,
            7,
            "cni.dev/valid-attachments[0].containerID \"a \": ",
        ),
        (
            r#"[{"containerID": "a", "ifname": ""}]"#,
            7,
            "cni.dev/valid-attachments[0].ifname \"\": ",
        ),
    ] {
        let fake = Fake::default();
        let conf = format!(
            r#"{{"name": "net", "cniVersion": "1.1.0", "cni.dev/valid-attachments": {list}}}"#
        );
        let (found, said) = error_of(&answer(&fake, "GC", &conf));
        assert_eq!(found, code, "{said}");
        assert!(said.starts_with(says), "{said}");
        assert!(fake.calls.borrow().is_empty());
    }
}

#[test]
fn an_add_whose_result_cannot_be_told_is_undone() {
    let fake = Fake::default();
    let (code, said) = error_of(&answer(&fake, "ADD", r#"{"name": "net", "cniVersion": "0.2.0"}"#));
    assert_eq!(code, 7);
    assert!(said.starts_with("cniVersion 0.2.0: a result without an address"), "{said}");
    let calls = fake.calls.borrow();
    assert!(calls[0].starts_with("ADD ") && calls[1].starts_with("DEL "), "{calls:?}");
}

#[test]
fn add_warns_once_of_a_key_that_looks_misspelt_and_other_verbs_do_not() {
    let conf = r#"{"name": "net", "cniVersion": "1.1.0", "isGatway": true, "prevResult": {}}"#;
    let output = answer(&Fake::default(), "ADD", conf);
    assert_eq!(output.code, 0);
    assert_eq!(output.stderr, "fake: isGatway is not known; is isGateway meant?\n");
    for verb in ["DEL", "CHECK", "GC", "STATUS"] {
        assert_eq!(answer(&Fake::default(), verb, conf).stderr, "", "{verb}");
    }
}
