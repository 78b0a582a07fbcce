use serde_json::{Value, json};

use super::*;

fn parse(more: &Value) -> Result<Config, Error> {
    let mut conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
    conf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Config::parse(&NetConf::parse(conf.to_string().into_bytes()).unwrap())
}

fn one(mapping: &Value) -> Result<Mapping, Error> {
    parse(&json!({"runtimeConfig": {"portMappings": [mapping]}})).map(|conf| conf.mappings[0])
}

#[test]
fn mappings_are_read_as_every_runtime_writes_them() {
    let podman = json!({"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""});
    let containerd =
        json!({"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""});
    let least = json!({"hostPort": 8080, "containerPort": 80});
    let wanted =
        Mapping { protocol: Protocol::Tcp, at: At::Every, host_port: 8080, container_port: 80 };
    for mapping in [podman, containerd, least] {
        assert_eq!(one(&mapping).unwrap(), wanted);
    }
    let at =
        |ip: &str| one(&json!({"hostPort": 1, "containerPort": 65535, "hostIP": ip})).unwrap().at;
    assert_eq!(at("0.0.0.0"), At::Family { v6: false });
    assert_eq!(at("::"), At::Family { v6: true });
    assert_eq!(at("127.0.0.1"), At::One([127, 0, 0, 1].into()));
    assert_eq!(at("::ffff:127.0.0.1"), At::One([127, 0, 0, 1].into()));
    for nothing in
        [json!(null), json!({}), json!({"portMappings": null}), json!({"PortMappings": []})]
    {
        assert!(parse(&json!({"runtimeConfig": nothing})).unwrap().mappings.is_empty());
    }
}

#[test]
fn a_mapping_that_is_impossible_is_named() {
    for (mapping, words) in [
        (json!({"hostPort": 0, "containerPort": 80}), ["portMappings[0].hostPort", "0"]),
        (json!({"hostPort": 70000, "containerPort": 80}), ["hostPort", "70000"]),
        (json!({"hostPort": 80, "containerPort": -1}), ["containerPort", "-1"]),
        (json!({"hostPort": 80}), ["containerPort", "0"]),
        (json!({"hostPort": 80, "containerPort": 80, "protocol": "icmp"}), ["protocol", "icmp"]),
        (json!({"hostPort": 80, "containerPort": 80, "hostIP": "host"}), ["hostIP", "host"]),
        (json!(null), ["hostPort", "0"]),
    ] {
        let error = one(&mapping).unwrap_err();
        assert_eq!(error.code, cni::Code::CONFIG, "{mapping}");
        for word in words {
            assert!(error.msg.contains(word), "{mapping}: {error}");
        }
    }
}

#[test]
fn the_same_twice_counts_once_and_two_ways_from_one_port_are_refused() {
    let both = |second: u16| {
        parse(&json!({"runtimeConfig": {"portMappings": [
            {"hostPort": 80, "containerPort": 8080}, {"hostPort": 80, "containerPort": second},
        ]}}))
    };
    assert_eq!(both(8080).unwrap().mappings.len(), 1);
    let error = both(8081).unwrap_err();
    assert!(error.msg.contains("80/tcp") && error.msg.contains("8081"), "{error}");
}

#[test]
fn the_back_end_follows_from_what_only_one_knows() {
    let iptables = |more: Value| matches!(parse(&more).unwrap().backend, Backend::Iptables(_));
    assert!(!iptables(json!({})));
    assert!(!iptables(json!({"backend": null, "markMasqBit": 14})));
    assert!(!iptables(json!({"conditionsV4": ["ip", "daddr", "!=", "192.0.2.0/24"]})));
    assert!(iptables(json!({"backend": "iptables"})));
    assert!(iptables(json!({"externalSetMarkChain": "KUBE-MARK-MASQ"})));
    assert!(iptables(json!({"conditionsV4": ["!", "-d", "192.0.2.0/24"], "conditionsV6": []})));
}

#[test]
fn options_that_contradict_each_other_are_named() {
    for (more, words) in [
        (json!({"backend": "ipfw"}), ["backend", "ipfw"]),
        (json!({"snat": false, "masqAll": true}), ["masqAll", "snat"]),
        (json!({"markMasqBit": 32}), ["markMasqBit", "32"]),
        (json!({"markMasqBit": -1}), ["markMasqBit", "-1"]),
        (
            json!({"markMasqBit": 3, "externalSetMarkChain": "X"}),
            ["markMasqBit", "externalSetMarkChain"],
        ),
        (
            json!({"backend": "nftables", "externalSetMarkChain": "KUBE"}),
            ["externalSetMarkChain", "KUBE"],
        ),
        (json!({"externalSetMarkChain": "a b"}), ["externalSetMarkChain", "a b"]),
        (
            json!({"backend": "nftables", "conditionsV4": ["-d", "192.0.2.1"]}),
            ["conditionsV4", "192.0.2.1"],
        ),
        (
            json!({"backend": "iptables", "conditionsV6": ["ip6 saddr ::1"]}),
            ["conditionsV6", "::1"],
        ),
        (
            json!({"conditionsV4": ["!", "-d", "192.0.2.1"], "conditionsV6": ["ip6 saddr ::1"]}),
            ["conditionsV6", "::1"],
        ),
        (json!({"conditionsV4": ["ip", "ttl", "5"]}), ["conditionsV4", "ip ttl"]),
    ] {
        let error = parse(&more).unwrap_err();
        assert_eq!(error.code, cni::Code::CONFIG, "{more}");
        for word in words {
            assert!(error.to_string().contains(word), "{more}: {error}");
        }
    }
}
