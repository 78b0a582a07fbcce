//! What is sent to the server, and what its options become.

use serde_json::json;
use testkit::Pod;

use super::ground::{Ground, SERVER};

#[test]
fn resolver_domain_mtu_and_routes_arrive() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let options = [
        "--dhcp-option=option:dns-server,10.5.0.53,10.5.0.54",
        "--dhcp-option=option:domain-name,c.example",
        "--dhcp-option=option:domain-search,a.example,b.a.example",
        "--dhcp-option=option:mtu,1400",
        "--dhcp-option=121,192.168.9.0/24,10.5.0.3,10.9.9.9/32,0.0.0.0,0.0.0.0/0,10.5.0.1",
    ];
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &options);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let mut conf = ground.conf();
    conf["ipam"]["priority"] = json!(77);
    let attached = node.attach(&conf, &pod);
    assert_eq!(
        attached.result["dns"],
        json!({"nameservers": ["10.5.0.53", "10.5.0.54"], "domain": "c.example",
            "search": ["a.example", "b.a.example"]})
    );
    assert_eq!(attached.result["interfaces"][2]["mtu"], 1400);
    assert_eq!(pod.link("eth0").unwrap()["mtu"], 1400);
    let routes = pod.routes("-4", "main");
    let via = |dst: &str| {
        let route = routes.iter().find(|r| r["dst"] == dst).unwrap_or_else(|| panic!("{routes:?}"));
        assert_eq!(route["metric"], 77, "{route}");
        route["gateway"].as_str().map(str::to_owned)
    };
    assert_eq!(via("192.168.9.0/24").as_deref(), Some("10.5.0.3"));
    assert_eq!(via("10.9.9.9"), None);
    assert_eq!(via("default").as_deref(), Some(SERVER));
    node.check(&attached).ok();
}

#[test]
fn classful_routes_come_with_the_default() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let options = ["--dhcp-option=option:static-route,172.16.0.0,10.5.0.9"];
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &options);
    let _daemon = ground.daemon();
    let pod = Pod::new();
    ground.node.attach(&ground.conf(), &pod);
    let routes = pod.routes("-4", "main");
    let has = |dst: &str, via: &str| routes.iter().any(|r| r["dst"] == dst && r["gateway"] == via);
    assert!(has("172.16.0.0/16", "10.5.0.9") && has("default", SERVER), "{routes:?}");
}

#[test]
fn the_server_hears_identifier_name_class_and_what_is_asked_for() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.dnsmasq(
        "10.5.0.50,10.5.0.99,2m",
        &["--dhcp-option=option:ntp-server,10.5.0.123", "--dhcp-option=option:mtu,1400"],
    );
    let _daemon = ground.daemon();
    let mut conf = ground.conf();
    conf["ipam"]["provide"] = json!([
        {"option": "host-name", "fromArg": "K8S_POD_NAME"},
        {"option": "vendor-class-identifier", "value": "podwire-test"},
    ]);
    conf["ipam"]["request"] = json!([
        {"option": "subnet-mask", "skipDefault": true}, {"option": "routers"}, {"option": "42"},
    ]);
    let pod = Pod::new();
    let add = ground.node.add_call(&conf, &pod, "eth0").args("IgnoreUnknown=1;K8S_POD_NAME=web");
    let attached = ground.node.attached(&conf, &pod, "eth0", &add.run());
    assert_eq!(pod.link("eth0").unwrap()["mtu"], 1500, "the MTU was not asked for");
    let log = server.log();
    assert!(log.contains("vendor class: podwire-test"), "{log}");
    assert!(log.contains("client provides name: web"), "{log}");
    assert!(log.contains("ntp-server"), "{log}");
    let id = format!("{}/net/eth0", pod.id);
    let id: Vec<String> = id.bytes().map(|byte| format!("{byte:02x}")).collect();
    let leases = std::fs::read_to_string(ground.file("dnsmasq.leases")).unwrap();
    assert!(leases.contains(&format!("00:{}", id.join(":"))), "{leases}");
    ground.node.del(&attached).ok();
}
