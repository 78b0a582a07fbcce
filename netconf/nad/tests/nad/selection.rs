//! What pods ask for.

use nad::Selection;

fn parse(text: &str) -> Result<Vec<Selection>, cni::Error> {
    Selection::parse(nad::NETWORKS, text)
}

/// The one selection of a text.
fn one(text: &str) -> Selection {
    let [one] = parse(text).unwrap().try_into().unwrap();
    one
}

#[test]
fn the_short_form_names_networks_namespaces_and_interfaces() {
    let text = " a , ns-1/b@Net_1,c@eth9 ,\tns/a";
    let read = parse(text).unwrap();
    let told: Vec<String> = read.iter().map(|s| s.to_json().to_string()).collect();
    assert_eq!(
        told,
        [
            r#"{"name":"a"}"#,
            r#"{"name":"b","namespace":"ns-1","interface":"Net_1"}"#,
            r#"{"name":"c","interface":"eth9"}"#,
            r#"{"name":"a","namespace":"ns"}"#,
        ]
    );
}

#[test]
fn every_key_of_the_json_form_is_read() {
    let text = r#"[{"name":"n","namespace":"ns","ips":["10.1.2.3/24","fd00::3"],"mac":"02:00:00:00:00:01","infiniband-guid":"02:00:00:00:00:00:00:01","interface":"i0","portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"Sctp","hostIP":"192.0.2.1"},{"hostPort":1,"containerPort":65535}],"bandwidth":{"ingressRate":1000,"ingressBurst":10,"egressRate":2000,"egressBurst":0},"default-route":["10.1.2.1","fd00::1"],"cni-args":{"b":{"A":1},"a":null},"deviceID":"0000:01:10.0"}]"#;
    let read = one(text);
    assert_eq!(format!("[{}]", read.to_json()), text);
    assert_eq!(read.port_mappings[0].protocol.as_deref(), Some("Sctp"));
    let claim = one(r#"[{"name": "n", "ipam-claim-reference": "vm-1.claim"}]"#);
    assert_eq!(claim.ipam_claim.as_deref(), Some("vm-1.claim"));
}

#[test]
fn keys_match_in_any_letter_case_and_null_is_nothing() {
    let text = r#"[{"Name": "n", "MAC": null, "ips": null, "cni-args": null, "bandwidth": null,
        "default-route": null, "portMappings": null, "InterfaceRequest": "old0"}]"#;
    let read = one(text);
    assert_eq!(read.to_json().to_string(), r#"{"name":"n","interface":"old0"}"#);
}

#[test]
fn an_empty_list_of_default_routes_is_not_none() {
    assert_eq!(one(r#"[{"name": "n", "default-route": []}]"#).default_route, Some(Vec::new()));
    assert_eq!(one(r#"[{"name": "n"}]"#).default_route, None);
}

#[test]
fn hardware_addresses_come_in_the_forms_that_go_reads() {
    for mac in [
        "02:00:5e:10:00:01",
        "02-00-5E-10-00-01",
        "0200.5e10.0001",
        "02:00:5e:10:00:01:aa:bb",
        "0200.5e10.0001.aabb",
    ] {
        let text = format!(r#"[{{"name": "n", "mac": "{mac}"}}]"#);
        assert_eq!(one(&text).mac.as_deref(), Some(mac));
    }
}

#[test]
fn no_network_at_all_can_be_asked_for_in_json() {
    assert_eq!(parse("[]").unwrap(), []);
}

fn refused(text: &str, words: &str) {
    let error = parse(text).unwrap_err();
    let told = error.to_string();
    assert!(told.contains(words), "{text}: {told}");
    assert!(told.starts_with("annotation k8s.v1.cni.cncf.io/networks: "), "{told}");
    assert!(!error.msg.contains('\n'), "{told}");
}

#[test]
fn every_error_of_the_short_form_names_annotation_element_key_and_value() {
    for (text, words) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("a,,b", r#"[1]: "": there is nothing between two commas"#),
        ("a,", r#"[1]: "": there is nothing"#),
        ("a/b/c", r#"[0]: "a/b/c": has more than one '/'"#),
        ("a@b@c", r#"[0]: "a@b@c": has more than one '@'"#),
        ("/a", r#"[0]: "/a": there is no namespace"#),
        ("a@", r#"[0]: "a@": there is no interface"#),
        ("ns/@eth1", "[0]: name is empty"),
        ("A", r#"[0]: name "A": is not the name of an object"#),
        ("a.b", r#"[0]: name "a.b": is not the name"#),
        ("-a", r#"name "-a""#),
        ("ns_1/a", r#"[0]: namespace "ns_1": is not the name"#),
        (
            "a@sixteen-bytes-xx",
            r#"interface "sixteen-bytes-xx" is not an interface name: it has more"#,
        ),
        ("a@e:0", r#"interface "e:0""#),
        ("a@..", r#"interface "..""#),
        ("a@x,b@x", r#"[1].interface "x": [0] has the same name"#),
    ] {
        refused(text, words);
    }
}

#[test]
fn every_error_of_the_json_form_names_annotation_element_key_and_value() {
    for (text, words) in [
        ("{", "the value is not JSON"),
        (r#"{"name": "a"}"#, "the value: must be a list of objects, not an object"),
        (r#"["a"]"#, "[0]: the element: must be an object, not a string"),
        ("[null]", "[0]: the element: must be an object, not null"),
        ("[{}]", "[0]: name is missing"),
        (r#"[{"name": 5}]"#, "[0]: name 5: must be"),
        (r#"[{"name": "a"}, {"name": ""}]"#, "[1]: name is missing"),
        (r#"[{"name": "a", "interface": "a b"}]"#, r#"interface "a b""#),
        (
            r#"[{"name": "a", "interface": "a", "interfaceRequest": "b"}]"#,
            r#"interfaceRequest "b": interface has another name"#,
        ),
        (
            r#"[{"name": "a", "mac": "02:00:00:00:00"}]"#,
            r#"mac "02:00:00:00:00": has 5 bytes, not 6, 8, 20"#,
        ),
        (r#"[{"name": "a", "mac": "02:00:00:00:00:zz"}]"#, "is no hardware address"),
        (r#"[{"name": "a", "mac": "02:00-00:00:00:01"}]"#, "is no hardware address"),
        (
            r#"[{"name": "a", "infiniband-guid": "02:00:00:00:00:01"}]"#,
            r#"infiniband-guid "02:00:00:00:00:01": has 6 bytes, not 8"#,
        ),
        (r#"[{"name": "a", "ips": "10.0.0.1"}]"#, r#"ips "10.0.0.1": must be"#),
        (
            r#"[{"name": "a", "ips": ["10.0.0.1", "10.0.0.300"]}]"#,
            r#"ips[1] "10.0.0.300": is no address"#,
        ),
        (r#"[{"name": "a", "ips": ["10.0.0.1/33"]}]"#, r#"ips[0] "10.0.0.1/33": is no address"#),
        (
            r#"[{"name": "a", "ips": ["10.0.0.1"], "ipam-claim-reference": "c"}]"#,
            r#"ipam-claim-reference "c": ips is asked for, too"#,
        ),
        (r#"[{"name": "a", "ipam-claim-reference": "C D"}]"#, r#"ipam-claim-reference "C D""#),
        (
            r#"[{"name": "a", "default-route": ["10.0.0.1/24"]}]"#,
            r#"default-route[0] "10.0.0.1/24": is no address"#,
        ),
        (r#"[{"name": "a", "default-route": [""]}]"#, r#"default-route[0] "": is no address"#),
        (r#"[{"name": "a", "default-route": "10.0.0.1"}]"#, "default-route"),
        (r#"[{"name": "a", "cni-args": [1]}]"#, "cni-args: must be an object, not a list"),
        (
            r#"[{"name": "a", "portMappings": [{"hostPort": 0, "containerPort": 80}]}]"#,
            "portMappings[0]: hostPort 0 or missing: must be a port from 1 to 65535",
        ),
        (
            r#"[{"name": "a", "portMappings": [{"hostPort": 80, "containerPort": 65536}]}]"#,
            "portMappings[0]: containerPort 65536: must be a port",
        ),
        (
            r#"[{"name": "a", "portMappings": [{"hostPort": -1, "containerPort": 1}]}]"#,
            "hostPort -1",
        ),
        (
            r#"[{"name": "a", "portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "icmp"}]}]"#,
            r#"protocol "icmp": must be TCP, UDP or SCTP"#,
        ),
        (
            r#"[{"name": "a", "portMappings": [{"hostPort": 1, "containerPort": 1, "hostIP": "x"}]}]"#,
            r#"hostIP "x""#,
        ),
        (
            r#"[{"name": "a", "bandwidth": {"ingressBurst": 5}}]"#,
            "bandwidth.ingressBurst 5: there is no bandwidth.ingressRate",
        ),
        (
            r#"[{"name": "a", "bandwidth": {"egressRate": -5}}]"#,
            "bandwidth.egressRate -5: cannot be negative",
        ),
        (r#"[{"name": "a", "bandwidth": {}}]"#, "bandwidth: limits nothing"),
        (r#"[{"name": "a", "deviceID": "../x"}]"#, r#"deviceID "../x": is no device id"#),
        (
            r#"[{"name": "a", "interface": "x"}, {"name": "b", "interface": "x"}]"#,
            r#"[1].interface "x": [0] has the same name"#,
        ),
    ] {
        refused(text, words);
    }
}
