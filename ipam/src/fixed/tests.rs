use cni::{Code, Plugin as _};
use serde_json::{Value, json};

use super::*;
use crate::testcall::{addresses, call, gc, status};

fn conf(mut ipam: Value) -> Value {
    ipam["type"] = "static".into();
    json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam})
}

fn two() -> Value {
    conf(json!({
        "addresses": [{"address": "10.1.2.3/24", "gateway": "10.1.2.1"}, {"address": "fd00::3/64"}],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd01::/64", "gw": "fd00::1", "mtu": 1400}],
        "dns": {"nameservers": ["192.0.2.1"], "domain": "d", "search": ["s"], "options": ["o"]},
    }))
}

fn gateways(result: &AddResult) -> Vec<String> {
    let text = |ip: &IpConfig| ip.gateway.map_or("none".to_owned(), |g| g.to_string());
    result.ips.iter().map(text).collect()
}

#[test]
fn the_config_is_the_result() {
    let result = Static.add(&call(&two(), "c1", "eth0")).unwrap();
    assert_eq!(addresses(&result), ["10.1.2.3/24", "fd00::3/64"]);
    assert_eq!(gateways(&result), ["10.1.2.1", "none"]);
    assert_eq!(result.routes.len(), 2);
    assert_eq!(result.routes[1].mtu, Some(1400));
    assert_eq!(result.dns.nameservers, ["192.0.2.1"]);
    assert_eq!(
        (result.dns.domain.as_str(), &result.dns.search[0], &result.dns.options[0]),
        ("d", &"s".into(), &"o".into())
    );
}

#[test]
fn cni_args_add_addresses_and_gateways() {
    let mut call = call(&two(), "c1", "eth0");
    call.args = "IP=10.5.0.9/16, fd05::9/64;GATEWAY=10.5.0.1,fd00::1".into();
    let result = Static.add(&call).unwrap();
    assert_eq!(addresses(&result), ["10.1.2.3/24", "fd00::3/64", "10.5.0.9/16", "fd05::9/64"]);
    assert_eq!(gateways(&result), ["10.1.2.1", "fd00::1", "10.5.0.1", "none"]);
}

#[test]
fn args_cni_replaces_and_the_runtime_replaces_again() {
    let mut conf = two();
    conf["args"] = json!({"cni": {"ips": ["10.7.0.1/24"]}});
    let mut with_args = call(&conf, "c1", "eth0");
    with_args.args = "IP=10.5.0.9/16".into();
    let result = Static.add(&with_args).unwrap();
    assert_eq!(addresses(&result), ["10.7.0.1/24"]);
    assert_eq!(gateways(&result), ["none"]);
    conf["runtimeConfig"] = json!({"ips": ["10.8.0.1/24", "fd08::1/64"]});
    let call = call(&conf, "c1", "eth0");
    assert_eq!(addresses(&Static.add(&call).unwrap()), ["10.8.0.1/24", "fd08::1/64"]);
    assert_eq!(Static.leases(&call).len(), 2);
}

#[test]
fn mistakes_are_named_with_key_and_value() {
    let cases = [
        (
            json!({"addresses": [{"address": "10.1.2.3"}]}),
            "",
            "ipam.addresses[0].address|10.1.2.3|prefix",
        ),
        (json!({"addresses": [{}]}), "", "ipam.addresses[0].address"),
        (
            json!({"addresses": [{"address": "10.1.2.3/24", "gateway": "x"}]}),
            "",
            "ipam.addresses[0].gateway|x",
        ),
        (
            json!({"addresses": [{"address": "10.1.2.3/24", "gateway": "fd00::1"}]}),
            "",
            "ipam.addresses[0].gateway|fd00::1|family",
        ),
        (json!({"routes": [{"dst": "10.0.0.0"}]}), "", "ipam.routes[0].dst|10.0.0.0"),
        (json!({}), "IP=10.1.2.3", "CNI_ARGS IP|10.1.2.3"),
        (json!({}), "GATEWAY=nobody", "CNI_ARGS GATEWAY|nobody"),
    ];
    for (ipam, args, words) in cases {
        let mut call = call(&conf(ipam), "c1", "eth0");
        call.args = args.into();
        let error = Static.add(&call).unwrap_err();
        assert_eq!(error.code, Code::CONFIG, "{error}");
        for word in words.split('|') {
            assert!(error.to_string().contains(word), "{word} in {error}");
        }
    }
    let mut old =
        conf(json!({"addresses": [{"address": "10.1.2.3/24"}, {"address": "10.1.2.4/24"}]}));
    old["cniVersion"] = "0.2.0".into();
    let error = Static.add(&call(&old, "c1", "eth0")).unwrap_err();
    assert!(error.msg.contains("cniVersion 0.2.0"), "{error}");
}

type Change = fn(&mut AddResult);

#[test]
fn check_compares_addresses_gateways_and_routes() {
    let mut call = call(&two(), "c1", "eth0");
    let good = Static.add(&call).unwrap();
    let mut check = |change: &dyn Fn(&mut AddResult)| {
        let mut result = good.clone();
        change(&mut result);
        call.prev_result = Some(result);
        Static.check(&call)
    };
    check(&|_| {}).unwrap();
    // The main plugin fills in what the config left open.
    check(&|r| r.ips[1].gateway = Some("fd00::1".parse().unwrap())).unwrap();
    check(&|r| r.routes[0].gw = Some("10.1.2.1".parse().unwrap())).unwrap();
    let cases: [(Change, &str); 4] = [
        (|r| r.ips.truncate(0), "lacks 10.1.2.3/24"),
        (
            |r| r.ips[0].address = "10.1.2.3/16".parse().unwrap(),
            "10.1.2.3/16 in place of 10.1.2.3/24",
        ),
        (|r| r.ips[0].gateway = None, "none in place of 10.1.2.1"),
        (|r| r.routes.truncate(1), "lacks the route to fd01::/64"),
    ];
    for (change, words) in cases {
        let error = check(&change).unwrap_err();
        assert_eq!(error.code, Code::CHECK);
        assert!(error.msg.contains(words), "{error}");
    }
}

#[test]
fn the_other_verbs_have_nothing_to_do() {
    let broken = conf(json!({"addresses": "x"}));
    Static.del(&call(&broken, "c1", "eth0")).unwrap();
    Static.gc(&gc(&broken, Some(&[]))).unwrap();
    Static.status(&status(&broken)).unwrap();
    assert!(Static.leases(&call(&broken, "c1", "eth0")).is_empty());
}
