use super::*;

fn conf(ipam: &str) -> Conf {
    let text = format!(r#"{{"cniVersion": "1.1.0", "name": "net", "ipam": {ipam}}}"#);
    Conf::read(&NetConf::parse(text.into_bytes()).unwrap()).unwrap()
}

#[test]
fn options_are_provided_by_name_and_number_from_config_and_arguments() {
    let conf = conf(
        r#"{"provide": [
            {"option": "host-name", "fromArg": "K8S_POD_NAME"},
            {"option": "60", "value": "podwire"},
            {"option": "user-class", "value": "a", "fromArg": "CLASS"},
            {"option": "dhcp-client-identifier", "fromArg": "MISSING"}
        ]}"#,
    );
    let provide = conf.provide("IgnoreUnknown=1;K8S_POD_NAME=web;CLASS=x=y;odd").unwrap();
    assert_eq!(
        provide,
        [(12, b"web".to_vec()), (60, b"podwire".to_vec()), (77, b"x=y".to_vec())].into()
    );
}

#[test]
fn more_is_asked_for_or_only_what_is_named() {
    let default = conf("{}").request().unwrap();
    assert_eq!(default, ASKED.into());
    let more = conf(r#"{"request": [{"option": "42"}]}"#).request().unwrap();
    assert!(more.is_superset(&default) && more.contains(&42));
    let only = r#"{"request": [{"option": "routers", "skipDefault": true}, {"option": "1"}]}"#;
    assert_eq!(conf(only).request().unwrap(), [1, 3].into());
}

#[test]
fn families_are_as_named_and_ipv4_where_they_are_not() {
    use Family::{Ipv4, Ipv6};
    for (ipam, families) in [
        ("{}", &[Ipv4][..]),
        (r#"{"families": null}"#, &[Ipv4]),
        (r#"{"families": ["ipv6"]}"#, &[Ipv6]),
        (r#"{"families": ["ipv6", "ipv4"]}"#, &[Ipv6, Ipv4]),
    ] {
        assert_eq!(conf(ipam).families().unwrap(), families, "{ipam}");
    }
}

#[test]
fn what_is_wrong_is_named_with_key_and_value() {
    let long = format!(r#"{{"provide": [{{"option": "12", "value": "{}"}}]}}"#, "x".repeat(256));
    for (ipam, words) in [
        (
            r#"{"provide": [{"option": "hostname", "value": "x"}]}"#,
            ["provide[0].option", "hostname"],
        ),
        (r#"{"provide": [{"option": "256", "value": "x"}]}"#, ["provide[0].option", "256"]),
        (r#"{"provide": [{"option": "53", "value": "x"}]}"#, ["provide[0].option", "53"]),
        (&long, ["provide[0].value", "256"]),
        (r#"{"request": [{"option": "-1"}]}"#, ["request[0].option", "-1"]),
        (r#"{"request": [{}]}"#, ["request[0].option", "\"\""]),
        (r#"{"families": []}"#, ["ipam.families", "[]"]),
        (r#"{"families": ["ipv4", "IPv6"]}"#, ["ipam.families[1]", "IPv6"]),
        (r#"{"families": ["ipv6", "ipv6"]}"#, ["ipam.families[1]", "twice"]),
        (r#"{"priority": -1}"#, ["ipam.priority", "-1"]),
        (r#"{"priority": 4294967296}"#, ["ipam.priority", "4294967296"]),
    ] {
        let conf = conf(ipam);
        let errors = [
            conf.provide("").err(),
            conf.request().err(),
            conf.priority().err(),
            conf.families().err(),
        ];
        let error = errors.into_iter().flatten().next().unwrap_or_else(|| panic!("{ipam}"));
        assert_eq!(error.code, cni::Code::CONFIG);
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{ipam}: {error}");
    }
}
