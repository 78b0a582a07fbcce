use std::fs;
use std::path::PathBuf;

use cni::{Code, Plugin as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::HostLocal;
use crate::smallfs;
use crate::testcall::{addresses, call, gc, result, status};

struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A config with this `ipam`, whose store is the lab's.
    fn conf(&self, mut ipam: Value) -> Value {
        ipam["type"] = "host-local".into();
        ipam["dataDir"] = self.0.path().to_str().unwrap().into();
        json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam})
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("net")
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.dir()).unwrap();
        fs::write(self.dir().join(name), content).unwrap();
    }

    /// The addresses that have a file.
    fn leases(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir()) else { return Vec::new() };
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter(|name| name.parse::<std::net::IpAddr>().is_ok()).collect();
        names.sort();
        names
    }
}

fn add(conf: &Value, container: &str) -> Result<Vec<String>, cni::Error> {
    HostLocal.add(&call(conf, container, "eth0")).map(|result| addresses(&result))
}

fn del(conf: &Value, container: &str) {
    HostLocal.del(&call(conf, container, "eth0")).unwrap();
}

#[test]
fn one_address_of_each_set_with_gateway_routes_and_resolver() {
    let lab = Lab::new();
    let resolver = lab.0.path().join("resolv.conf");
    fs::write(&resolver, "nameserver 192.0.2.1\nsearch example.org\n").unwrap();
    let conf = lab.conf(json!({
        "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [
            {"dst": "0.0.0.0/0"},
            {"dst": "10.9.0.1/16", "gw": "10.1.0.7", "mtu": 1400, "advmss": 1360, "priority": 5,
             "table": 100, "scope": 253},
        ],
        "resolvConf": resolver.to_str().unwrap(),
    }));
    let result = HostLocal.add(&call(&conf, "c1", "eth0")).unwrap();
    assert_eq!(addresses(&result), ["10.1.0.2/16", "fd00:1::2/64"]);
    let gateways: Vec<String> =
        result.ips.iter().map(|ip| ip.gateway.unwrap().to_string()).collect();
    assert_eq!(gateways, ["10.1.0.1", "fd00:1::1"]);
    assert_eq!(result.dns.nameservers, ["192.0.2.1"]);
    assert_eq!(result.dns.search, ["example.org"]);
    let route = &result.routes[1];
    assert_eq!(route.dst.to_string(), "10.9.0.1/16");
    assert_eq!(route.gw.unwrap().to_string(), "10.1.0.7");
    assert_eq!(
        (route.mtu, route.advmss, route.priority, route.table, route.scope),
        (Some(1400), Some(1360), Some(5), Some(100), Some(253))
    );
    assert_eq!(result.routes[0].table, None);
    assert!(result.interfaces.is_empty());
}

#[test]
fn a_second_add_is_refused_and_changes_nothing() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    add(&conf, "c1").unwrap();
    let error = add(&conf, "c1").unwrap_err();
    assert_eq!(error.code, Code::CONFLICT);
    assert!(error.msg.contains("10.1.0.2") && error.msg.contains("c1"), "{error}");
    assert!(error.msg.contains("duplicate allocation is not allowed"), "{error}");
    assert_eq!(lab.leases(), ["10.1.0.2"]);
    HostLocal.add(&call(&conf, "c1", "eth1")).unwrap();
    assert_eq!(lab.leases(), ["10.1.0.2", "10.1.0.3"]);
}

#[test]
fn an_add_that_fails_half_way_gives_back_what_it_took() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"ranges": [
        [{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/30"}], [{"subnet": "fd00::/64"}],
    ]}));
    add(&conf, "c1").unwrap();
    let error = add(&conf, "c2").unwrap_err();
    assert_eq!(error.code, Code::EXHAUSTED);
    assert!(
        error.msg.contains("range set 1: 10.2.0.1-10.2.0.2: all 1 of 10.2.0.2-10.2.0.2 are taken"),
        "{error}"
    );
    assert_eq!(lab.leases(), ["10.1.0.2", "10.2.0.2", "fd00::2"]);
    del(&conf, "c1");
    add(&conf, "c2").unwrap();
}

#[test]
fn addresses_can_be_asked_for_in_three_places() {
    let lab = Lab::new();
    let mut conf = lab.conf(json!({"ranges": [
        [{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}], [{"subnet": "fd00::/64"}],
    ]}));
    conf["args"] = json!({"cni": {"ips": ["10.1.0.9"]}});
    conf["runtimeConfig"] = json!({"ips": ["fd00::77/9", "10.1.0.9/24"]});
    let mut call = call(&conf, "c1", "eth0");
    call.args = "IgnoreUnknown=1;IP=10.2.0.5;K8S_POD_NAME=p".into();
    let result = HostLocal.add(&call).unwrap();
    assert_eq!(addresses(&result), ["10.1.0.9/24", "10.2.0.5/24", "fd00::77/64"]);
}

#[test]
fn a_request_that_cannot_be_met_says_what_stands_against_it_and_takes_nothing() {
    let lab = Lab::new();
    let ipam = json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.100"}], [{"subnet": "fd00::/64"}]]});
    let conf = lab.conf(ipam);
    add(&conf, "c1").unwrap();
    lab.write("10.1.0.50", "c9");
    for (ips, code, words) in [
        (
            json!(["10.1.0.200"]),
            Code::CONFIG,
            "runtimeConfig.ips[0] 10.1.0.200|outside of 10.1.0.1-10.1.0.100",
        ),
        (json!(["192.0.2.1"]), Code::CONFIG, "runtimeConfig.ips[0] 192.0.2.1|outside"),
        (json!(["10.1.0.1"]), Code::CONFIG, "10.1.0.1|gateway of subnet 10.1.0.0/24"),
        (json!(["fd00::1"]), Code::CONFIG, "fd00::1|gateway of subnet fd00::/64"),
        (
            json!(["fd00::9", "10.1.0.2"]),
            Code::CONFLICT,
            "runtimeConfig.ips[1] 10.1.0.2|container c1, interface eth0",
        ),
        (json!(["10.1.0.50"]), Code::CONFLICT, "10.1.0.50|taken by container c9"),
        (
            json!(["10.1.0.7", "10.1.0.8"]),
            Code::CONFIG,
            "runtimeConfig.ips[1] 10.1.0.8|runtimeConfig.ips[0] asks for 10.1.0.7",
        ),
        (json!(["nonsense"]), Code::CONFIG, "runtimeConfig.ips[0]|nonsense"),
        (json!(["10.1.0.7/99"]), Code::CONFIG, "runtimeConfig.ips[0]|10.1.0.7/99"),
    ] {
        let mut conf = conf.clone();
        conf["runtimeConfig"] = json!({"ips": ips});
        let error = add(&conf, "c2").unwrap_err();
        assert_eq!(error.code, code, "{error}");
        for word in words.split('|') {
            assert!(error.to_string().contains(word), "{word} in {error}");
        }
        assert_eq!(lab.leases(), ["10.1.0.2", "10.1.0.50", "fd00::2"], "{error}");
    }
}

#[test]
fn malformed_input_is_refused_before_anything_is_made() {
    let lab = Lab::new();
    for ipam in [
        json!({}),
        json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "nonsense"}]}),
        json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0", "mtu": -1}]}),
        json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0", "scope": 256}]}),
        json!({"subnet": "10.1.0.0/24", "resolvConf": "/nonexistent"}),
        json!({"subnet": 5}),
        json!({"ranges": {}}),
    ] {
        add(&lab.conf(ipam.clone()), "c1").expect_err(&ipam.to_string());
        assert!(!lab.dir().exists(), "{ipam}");
    }
    let conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    let mut unknown = call(&conf, "c1", "eth0");
    unknown.args = "MAC=02:00:00:00:00:01".into();
    assert_eq!(HostLocal.add(&unknown).unwrap_err().code, Code::ENVIRONMENT);
    assert!(!lab.dir().exists());
}

#[test]
fn a_store_that_cannot_be_made_is_named() {
    let lab = Lab::new();
    fs::write(lab.0.path().join("file"), "").unwrap();
    let mut conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    conf["ipam"]["dataDir"] = lab.0.path().join("file").to_str().unwrap().into();
    let error = add(&conf, "c1").unwrap_err();
    assert_eq!(error.code, Code::IO);
    assert!(error.msg.contains("file/net") && error.details.contains("ipam.dataDir"), "{error}");
    let status = HostLocal.status(&status(&conf)).unwrap_err();
    assert_eq!(status.code, Code::NOT_AVAILABLE);
    assert!(status.msg.contains("ipam.dataDir"), "{status}");
}

#[test]
fn del_works_twice_for_unknown_ids_and_with_a_config_that_cannot_add() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    del(&conf, "c1");
    assert!(!lab.dir().exists(), "DEL made the directory");
    for broken in [
        json!({}),
        json!({"subnet": "10.1.0.0/33"}),
        json!({"subnet": 5, "ranges": "x", "routes": [5], "resolvConf": {}}),
        json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/24"}]]}),
    ] {
        add(&conf, "c1").unwrap();
        let mut broken = lab.conf(broken);
        broken["args"] = json!("nonsense");
        let mut call = call(&broken, "c1", "eth0");
        call.args = "==".into();
        let released = HostLocal.release(&call).unwrap();
        assert_eq!(released.len(), 1, "{broken}");
        assert_eq!(lab.leases(), [""; 0]);
        assert_eq!(HostLocal.release(&call).unwrap(), released[..0]);
    }
}

#[test]
fn del_frees_the_interface_and_not_its_siblings() {
    let lab = Lab::new();
    let conf =
        lab.conf(json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]}));
    add(&conf, "c1").unwrap();
    HostLocal.add(&call(&conf, "c1", "eth1")).unwrap();
    add(&conf, "c2").unwrap();
    del(&conf, "c1");
    assert_eq!(lab.leases(), ["10.1.0.3", "10.1.0.4", "fd00::3", "fd00::4"]);
}

#[test]
fn a_file_without_interface_name_is_any_interfaces() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    lab.write("10.1.0.2", "c1");
    let error = add(&conf, "c1").unwrap_err();
    assert_eq!(error.code, Code::CONFLICT);
    let mut check = call(&conf, "c1", "net7");
    check.prev_result = Some(result(&["10.1.0.2/24"]));
    HostLocal.check(&check).unwrap();
    assert_eq!(HostLocal.leases(&check).unwrap().len(), 1);
    // With files of both kinds, the interface's own goes and the old one stays, as with the reference.
    lab.write("10.1.0.9", "c1\r\neth1");
    HostLocal.del(&call(&conf, "c1", "eth1")).unwrap();
    assert_eq!(lab.leases(), ["10.1.0.2"]);
    HostLocal.del(&call(&conf, "c1", "eth0")).unwrap();
    assert_eq!(lab.leases(), [""; 0]);
}

#[test]
fn check_compares_leases_and_previous_result() {
    let lab = Lab::new();
    let conf =
        lab.conf(json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]}));
    let mut call = call(&conf, "c1", "eth0");
    let given = HostLocal.add(&call).unwrap();
    call.prev_result = Some(given);
    HostLocal.check(&call).unwrap();

    // Addresses of other managers do not matter.
    call.prev_result = Some(result(&["10.1.0.2/24", "fd00::2/64", "192.0.2.1/24"]));
    HostLocal.check(&call).unwrap();

    call.prev_result = Some(result(&["10.1.0.3/24", "fd00::2/64"]));
    let error = HostLocal.check(&call).unwrap_err();
    assert_eq!(error.code, Code::CHECK);
    assert!(error.msg.contains("prevResult has 10.1.0.3, which is leased to nobody"), "{error}");
    assert!(error.msg.contains("10.1.0.2 is leased to net/c1/eth0"), "{error}");

    call.prev_result = Some(result(&["10.1.0.2/24", "fd00::2/64"]));
    lab.write("10.1.0.2", "c7\r\neth0");
    let error = HostLocal.check(&call).unwrap_err();
    assert!(error.msg.contains("leased to container c7, interface eth0 and not"), "{error}");

    fs::remove_dir_all(lab.dir()).unwrap();
    call.prev_result = Some(result(&[]));
    let error = HostLocal.check(&call).unwrap_err();
    assert!(error.msg.contains("no address is leased to net/c1/eth0"), "{error}");
    call.prev_result = None;
    assert_eq!(HostLocal.check(&call).unwrap_err().code, Code::CONFIG);
}

#[test]
fn gc_keeps_what_is_listed_and_nothing_else() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    for container in ["c1", "c2", "c3"] {
        add(&conf, container).unwrap();
    }
    HostLocal.add(&call(&conf, "c1", "eth1")).unwrap();
    lab.write("10.1.0.20", "");
    lab.write("10.1.0.21", "c1");
    lab.write("10.1.0.22", "c9");
    lab.write("10.1.0.23", "for the printer");
    lab.write("notes", "c9\r\neth0");
    let gc_of = |valid| HostLocal.gc(&gc(&conf, valid)).unwrap();
    gc_of(None);
    assert_eq!(lab.leases().len(), 8);
    gc_of(Some(&[("c1", "eth0"), ("c3", "eth0")]));
    assert_eq!(lab.leases(), ["10.1.0.2", "10.1.0.21", "10.1.0.23", "10.1.0.4"]);
    assert!(lab.dir().join("notes").exists(), "what is no address is not ours");
    del(&conf, "c3");
    assert_eq!(lab.leases(), ["10.1.0.2", "10.1.0.21", "10.1.0.23"]);
    gc_of(Some(&[]));
    assert_eq!(lab.leases(), ["10.1.0.23"]);
    fs::remove_dir_all(lab.dir()).unwrap();
    gc_of(Some(&[]));
    assert!(!lab.dir().exists());
}

#[test]
fn status_tells_an_exhausted_set() {
    let lab = Lab::new();
    let conf =
        lab.conf(json!({"ranges": [[{"subnet": "fd00::/64"}], [{"subnet": "10.1.0.0/29"}]]}));
    let ask = || HostLocal.status(&status(&conf));
    ask().unwrap();
    assert!(!lab.dir().exists(), "STATUS made the directory");
    for n in 0..5 {
        ask().unwrap();
        add(&conf, &format!("c{n}")).unwrap();
    }
    let error = ask().unwrap_err();
    assert_eq!(error.code, Code::NOT_AVAILABLE);
    assert!(
        error.msg.contains("range set 1: 10.1.0.1-10.1.0.6: all 5 of 10.1.0.2-10.1.0.6 are taken"),
        "{error}"
    );
    del(&conf, "c3");
    ask().unwrap();
    // The ranges may come with the runtime's configuration, which STATUS does not have.
    HostLocal.status(&status(&lab.conf(json!({})))).unwrap();
    let error = HostLocal.status(&status(&lab.conf(json!({"subnet": "10.1.0.1/24"})))).unwrap_err();
    assert_eq!(error.code, Code::CONFIG);
}

#[test]
fn an_address_whose_file_was_emptied_in_place_is_found_before_the_pool_is_exhausted() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"subnet": "10.1.0.0/29"}));
    for n in 0..5 {
        add(&conf, &format!("c{n}")).unwrap();
    }
    assert_eq!(add(&conf, "c5").unwrap_err().code, Code::EXHAUSTED);
    lab.write("10.1.0.4", "");
    HostLocal.status(&status(&conf)).unwrap();
    assert_eq!(add(&conf, "c5").unwrap(), ["10.1.0.4/29"]);
    lab.write("10.1.0.2", "");
    assert_eq!(add(&conf, "c6").unwrap(), ["10.1.0.2/29"]);
    assert_eq!(add(&conf, "c7").unwrap_err().code, Code::EXHAUSTED);
    assert_eq!(lab.leases(), ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"]);
}

#[test]
fn status_tells_a_full_file_system() {
    for (options, files, wanting) in [
        ("size=16k,nr_inodes=0", &[16 << 10][..], Some("no free blocks")),
        ("size=1m,nr_inodes=3", &[0, 0], Some("no free inodes")),
        ("size=1m,nr_inodes=4", &[0, 0], None),
        ("size=0,nr_inodes=0", &[16 << 10], None),
    ] {
        smallfs::with(options, |root| {
            for (n, length) in files.iter().enumerate() {
                fs::write(root.join(format!("file{n}")), vec![1; *length]).unwrap();
            }
            let ipam = json!({"type": "host-local", "subnet": "10.1.0.0/24", "dataDir": root});
            let conf =
                json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam});
            let answer = HostLocal.status(&status(&conf));
            let Some(wanting) = wanting else { return answer.unwrap() };
            let error = answer.unwrap_err();
            assert_eq!(error.code, Code::NOT_AVAILABLE, "{options}");
            assert!(error.msg.contains(wanting) && error.msg.contains("ipam.dataDir"), "{error}");
            assert_eq!(add(&conf, "c1").unwrap_err().code, Code::IO, "{options}");
        });
    }
}

#[test]
fn leases_can_be_asked_for() {
    let lab = Lab::new();
    let conf = lab.conf(json!({"subnet": "10.1.0.0/24"}));
    let call = call(&conf, "c1", "eth0");
    assert_eq!(HostLocal.leases(&call), None);
    HostLocal.add(&call).unwrap();
    assert_eq!(HostLocal.leases(&call).unwrap(), ["10.1.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(
        HostLocal.release(&call).unwrap(),
        ["10.1.0.2".parse::<std::net::IpAddr>().unwrap()]
    );
}
