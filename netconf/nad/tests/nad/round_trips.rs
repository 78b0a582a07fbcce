//! There and back, on values nobody thought of; and no panic on any text.

use std::net::IpAddr;

use cni::Json;
use nad::device_info::{Device, DeviceInfo, PciInfo, VdpaDriver, VdpaInfo};
use nad::manifest::{Manifest, objects};
use nad::multus::{Devices, Multus, Sandbox, Verb};
use nad::selection::{Bandwidth, PortMapping};
use nad::status::Status;
use nad::{Definition, NETWORKS, Network, Pod, Selection};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?";

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<u32>().prop_map(Json::from),
        ".{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Json::Array),
            vec((".{0,4}", inner), 0..3).prop_map(Json::Object),
        ]
    })
}

prop_compose! {
    fn port_mapping()(
        host_port in 1_u16.., container_port in 1_u16.., protocol in of("tcp|UDP|Sctp"),
        host_ip in of(address().prop_map(|ip| ip.to_string())),
    ) -> PortMapping {
        PortMapping { host_port, container_port, protocol, host_ip }
    }
}

prop_compose! {
    fn bandwidth()(rates in (1_u64..1 << 40, 0_u64..1 << 40), burst in 0_u64..1 << 40) -> Bandwidth {
        let egress_burst = if rates.1 == 0 { 0 } else { burst };
        Bandwidth { ingress_rate: rates.0, ingress_burst: burst, egress_rate: rates.1, egress_burst }
    }
}

prop_compose! {
    fn selection()(
        names in (LABEL, of(LABEL), of("[a-zA-Z_][a-zA-Z0-9_.-]{0,13}x")),
        ips in vec(address().prop_map(|ip| ip.to_string()), 0..3),
        mac in of(any::<[u8; 6]>().prop_map(|b| b.map(|b| format!("{b:02x}")).join(":"))),
        guid in of(any::<[u8; 8]>().prop_map(|b| b.map(|b| format!("{b:02X}")).join("-"))),
        port_mappings in vec(port_mapping(), 0..3), bandwidth in of(bandwidth()),
        default_route in of(vec(address(), 0..3)),
        cni_args in of(vec((".{0,4}", value()), 0..3).prop_map(Json::Object)),
        device_id in of("[0-9a-f:.]{1,12}"), claim in of(LABEL),
    ) -> Selection {
        Selection {
            name: names.0,
            namespace: names.1,
            interface: names.2.map(|name| name.parse().unwrap()),
            ipam_claim: claim.filter(|_| ips.is_empty()),
            ips,
            mac,
            infiniband_guid: guid,
            port_mappings,
            bandwidth,
            default_route,
            cni_args,
            device_id,
        }
    }
}

fn definition() -> impl Strategy<Value = Definition> {
    (LABEL, LABEL, of("[a-z]{1,5}\\.[a-z]{1,3}/[a-z]{1,6}"), of("[^\\x00]{1,20}")).prop_map(
        |(name, namespace, resource, config)| Definition { name, namespace, resource, config },
    )
}

proptest! {
    #[test]
    fn a_selection_told_in_json_is_read_back(selection in selection()) {
        let text = format!("[{}]", selection.to_json());
        prop_assert_eq!(Selection::parse(NETWORKS, &text).unwrap(), [selection]);
    }

    #[test]
    fn a_selection_told_in_short_is_read_back(selections in vec(selection(), 1..4)) {
        let short: Vec<Selection> = selections.iter().enumerate().map(|(i, s)| Selection {
            name: s.name.clone(),
            namespace: s.namespace.clone(),
            interface: s.interface.as_ref().map(|_| format!("i{i}").parse().unwrap()),
            ..Selection::default()
        }).collect();
        let items: Vec<String> = short.iter().map(|s| {
            let namespace = s.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
            let interface = s.interface.as_ref().map(|i| format!("@{i}")).unwrap_or_default();
            format!("{namespace}{}{interface}", s.name)
        }).collect();
        prop_assert_eq!(Selection::parse(NETWORKS, &items.join(" ,")).unwrap(), short);
    }

    #[test]
    fn a_definition_told_in_json_is_read_back(definition in definition()) {
        let told = definition.to_json();
        prop_assert_eq!(&Definition::from_json(&told).unwrap(), &definition);
        let read = Manifest::parse(told.to_string().as_bytes(), "f").unwrap();
        prop_assert_eq!(read.definitions, [definition]);
    }

    #[test]
    fn json_that_is_read_as_yaml_is_the_same(value in value()) {
        // A comment in front keeps it from being read as JSON.
        let text = format!("# \n{value}");
        if let (Ok(read), false) = (objects(text.as_bytes(), "f"), value == Json::Null) {
            prop_assert_eq!(read, [value]);
        }
    }

    #[test]
    fn rendering_twice_renders_the_same(
        selections in vec(selection(), 0..4), args in value(), name in LABEL,
    ) {
        let config = Json::Object(vec![
            ("type".to_owned(), "x".into()),
            ("cniVersion".to_owned(), "1.0.0".into()),
            ("capabilities".to_owned(), crate::json(r#"{"mac": true, "ips": true, "bandwidth": true}"#)),
            ("args".to_owned(), args),
        ]);
        let definitions: Vec<Definition> = selections
            .iter()
            .map(|s| Definition {
                name: s.name.clone(),
                namespace: s.namespace.clone().unwrap_or_else(|| "default".to_owned()),
                resource: None,
                config: Some(config.to_string()),
            })
            .collect();
        let networks: Json = Json::Array(selections.iter().map(Selection::to_json).collect());
        let pod = Pod {
            name,
            namespace: "default".to_owned(),
            networks: Some(networks.to_string()),
            ..Pod::default()
        };
        let multus = Multus::default();
        if let Ok(delegates) = multus.delegates(&pod, &definitions, &Devices::default()) {
            let sandbox = Sandbox {
                container: "c".to_owned(),
                netns: "/ns".to_owned(),
                interface: "eth0".parse().unwrap(),
                path: "/bin".to_owned(),
            };
            for delegate in delegates {
                let call = delegate.invocation(&multus, &pod, &sandbox, (Verb::Add, 0), None);
                let call = call.unwrap().unwrap();
                let read = Json::parse(call.bytes().as_bytes(), "stdin").unwrap();
                prop_assert_eq!(&read, &call.stdin);
                // What is asked for comes in the order of Go's types, not of its maps.
                let mut again = Network::parse(call.bytes().as_bytes(), "").unwrap();
                let mut first = call.stdin;
                for tree in [&mut again.plugins[0].tree, &mut first] {
                    tree.set("runtimeConfig", Json::Null);
                }
                prop_assert_eq!(&again.plugins[0].tree, &first);
            }
        }
    }

    #[test]
    fn a_status_told_is_read_back(
        texts in ("[a-z/]{0,6}", ".{0,4}", ".{0,4}"), ips in vec(".{0,6}", 0..3), mtu in of(1_u32..),
        is_default: bool, gateways in vec(address(), 0..3), pf in of("[0-9:.]{1,8}"), vdpa: bool,
    ) {
        let device = if vdpa {
            Device::Vdpa(VdpaInfo {
                parent_device: "v".to_owned(), driver: VdpaDriver::Virtio, path: None,
                pci_address: None, pf_pci_address: pf, representor_device: None,
            })
        } else {
            Device::Pci(PciInfo { pci_address: "p".to_owned(), pf_pci_address: pf, ..PciInfo::default() })
        };
        let (name, interface, mac) = texts;
        let status = Status {
            name, interface, ips, mac, mtu, is_default, gateways,
            dns: cni::Dns::default(), device_info: Some(DeviceInfo::from(device)),
        };
        let entries = vec![status.clone(), status];
        prop_assert_eq!(Status::parse(&Status::print(&entries)).unwrap(), entries);
    }

    #[test]
    fn no_text_is_too_strange(text in "(?s).{0,60}", label in "[\\[{\"]?[-a-z0-9/@, .]{0,20}") {
        for text in [&text, &label] {
            drop(Selection::parse(NETWORKS, text));
            drop(Manifest::parse(text.as_bytes(), "f"));
            drop(Network::parse(text.as_bytes(), "n"));
            drop(Status::parse(text));
            drop(DeviceInfo::parse(text.as_bytes(), "f"));
            drop(text.parse::<Devices>());
            drop(nad::lint::lint(&[("f".to_owned(), text.clone().into_bytes())], None));
        }
    }
}
