//! What pods are told.

use cni::{AddResult, Version};
use nad::device_info::{Device, DeviceInfo, PciInfo};
use nad::status::Status;

use crate::json;

fn result(text: &str) -> AddResult {
    AddResult::parse(&json(text), Version::V1_1_0).unwrap()
}

#[test]
fn an_attachment_with_one_interface_has_one_entry() {
    let result = result(
        r#"{"interfaces": [{"name": "net1", "mac": "02:00:00:00:00:01", "mtu": 1500, "sandbox": "/ns"}],
        "ips": [{"address": "10.1.2.3/24"}, {"address": "fd00::3/64", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.1"}, {"dst": "10.9.0.0/16", "gw": "10.1.2.2"}],
        "dns": {"nameservers": ["10.1.2.1"]}}"#,
    );
    let info = PciInfo { pci_address: "0000:01:10.0".to_owned(), ..PciInfo::default() };
    let info = DeviceInfo::from(Device::Pci(info));
    let entries = Status::of("ns/n", &result, false, Some(&info));
    let text = Status::print(&entries);
    let expected = r#"[{
    "name": "ns/n",
    "interface": "net1",
    "ips": [
        "10.1.2.3",
        "fd00::3"
    ],
    "mac": "02:00:00:00:00:01",
    "mtu": 1500,
    "dns": {
        "nameservers": [
            "10.1.2.1"
        ]
    },
    "device-info": {
        "type": "pci",
        "version": "1.1.0",
        "pci": {
            "pci-address": "0000:01:10.0"
        }
    },
    "gateway": [
        "10.1.2.1"
    ]
}]"#;
    assert_eq!(text, expected);
    assert_eq!(Status::parse(&text).unwrap(), entries);
}

#[test]
fn of_several_interfaces_those_of_the_container_have_entries() {
    let result = result(
        r#"{"interfaces": [{"name": "br0"}, {"name": "a", "sandbox": "/ns"}, {"name": "b", "sandbox": "/ns"}],
        "ips": [{"address": "10.1.0.3/24", "interface": 1, "gateway": "10.1.0.1"},
                {"address": "10.2.0.3/24", "interface": 2}, {"address": "10.3.0.3/24"},
                {"address": "10.4.0.3/24", "interface": 0}]}"#,
    );
    let entries = Status::of("pods", &result, true, None);
    let told: Vec<_> =
        entries.iter().map(|e| (e.interface.as_str(), e.is_default, e.ips.join(" "))).collect();
    assert_eq!(
        told,
        [("a", true, "10.1.0.3".to_owned()), ("b", false, "10.2.0.3 10.3.0.3".to_owned())]
    );
}

#[test]
fn a_result_without_interfaces_is_told_all_the_same() {
    let entries = Status::of("n", &result(r#"{"ips": [{"address": "10.1.2.3/24"}]}"#), true, None);
    assert_eq!(entries[0].ips, ["10.1.2.3"]);
    assert!(entries[0].is_default && entries[0].interface.is_empty());
    assert!(Status::of("n", &AddResult::default(), false, None)[0].ips.is_empty());
}

#[test]
fn what_others_wrote_is_read() {
    let text = r#"[{"name": "pods", "interface": "eth0", "ips": ["192.0.2.2/24"], "default": true,
        "default-route": ["192.0.2.1"]}, {"name": "n", "gateway": ["<nil>"], "dns": {}, "device-info": null}]"#;
    let read = Status::parse(text).unwrap();
    assert_eq!(read[0].gateways, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(read[1].name, "n");
    for (text, words) in [
        ("x", "the value is not JSON"),
        ("{}", "the value: must be a list of objects"),
        ("[5]", "[0]: the entry: must be an object"),
        (r#"[{}, {"ips": 5}]"#, "[1]: ips 5: must be"),
        (r#"[{"gateway": ["x"]}]"#, r#"[0]: gateway "x": is no address"#),
        (r#"[{"device-info": {"type": "x"}}]"#, r#"[0]: device-info: type "x": no such type"#),
    ] {
        let told = Status::parse(text).unwrap_err().to_string();
        assert!(told.contains(words) && told.contains("network-status"), "{told}");
    }
}
