use devices::{DeviceId, PciAddress};
use proptest::prelude::*;

fn refusal(text: &str) -> String {
    text.parse::<DeviceId>().expect_err(text).to_string()
}

#[test]
fn a_pci_address_is_written_as_sysfs_writes_it() {
    for (text, canonical) in [
        ("0000:01:10.0", "0000:01:10.0"),
        ("0000:AF:1F.7", "0000:af:1f.7"),
        ("00000000:01:10.0", "0000:01:10.0"),
        ("10000:E1:00.0", "10000:e1:00.0"),
        ("FFFFFFFF:ff:1f.7", "ffffffff:ff:1f.7"),
    ] {
        let id: DeviceId = text.parse().expect(text);
        assert_eq!(id.to_string(), canonical);
        assert_eq!(id.file_name(), format!("pci-{canonical}"));
    }
}

#[test]
fn what_is_no_pci_address_is_refused_and_named() {
    for text in [
        "",
        "0000",
        "0000:01:10",
        "000:01:10.0",
        "000000000:01:10.0",
        "0000:1:10.0",
        "0000:001:10.0",
        "0000:01:20.0",
        "0000:01:10.8",
        "0000:01:10.00",
        "0000:01:10.g",
        "+000:01:10.0",
        "0000:+1:10.0",
        "0000:01:-1.0",
        " 0000:01:10.0",
        "0000:01:10.0\n",
        "0000:01:10.0/..",
        "../../0000:01:10.0",
        "0000:01:10.0\0",
        "0000:01:１0.0",
    ] {
        let error = text.parse::<PciAddress>().expect_err(text);
        assert_eq!(error.code, cni::Code::CONFIG, "{text:?}");
        assert!(error.msg.contains(&format!("{text:?}")), "{error}");
        assert!(error.details.contains("0000:01:10.0"), "{error}");
        text.parse::<DeviceId>().expect_err(text);
    }
}

#[test]
fn an_address_without_its_domain_earns_the_one_that_was_meant() {
    assert!(refusal("AF:10.1").contains("write the domain, too: 0000:af:10.1"));
}

#[test]
fn a_name_of_the_auxiliary_bus_is_taken_as_it_is() {
    for name in ["mlx5_core.sf.4", "ice.sf.0", "a-b.c_d.4294967295"] {
        let id: DeviceId = name.parse().expect(name);
        assert_eq!(id.to_string(), name);
        assert_eq!(id.file_name(), format!("aux-{name}"));
    }
    for name in [
        "mlx5_core.sf",
        "mlx5_core.sf.",
        "mlx5_core..4",
        ".sf.4",
        "..",
        "...",
        "a/b.sf.4",
        "../x.sf.4",
        "mlx5_core.sf.4294967296",
        "mlx5_core.sf.04",
        "mlx5_core.sf.+4",
        "mlx5_core.sf.4\n",
        "ä.sf.4",
    ] {
        assert!(refusal(name).contains("mlx5_core.sf.4"), "{name:?}");
    }
}

#[test]
fn a_long_text_is_quoted_in_part() {
    let error = refusal(&"9".repeat(1 << 20));
    assert!(error.len() < 400, "{} bytes", error.len());
}

#[test]
fn ids_travel_as_json_with_their_bus() {
    for text in ["pci:0000:01:10.0", "aux:mlx5_core.sf.4", "link:eth3", "link:a.b", "link:aux"] {
        let json = format!("{text:?}");
        let id: DeviceId = serde_json::from_str(&json).expect(text);
        assert_eq!(serde_json::to_string(&id).expect("JSON"), json);
        assert_eq!(id.file_name(), text.replacen(':', "-", 1));
    }
    for text in [
        "0000:01:10.0",
        "pci:",
        "pci:eth3",
        "aux:eth3",
        "link:",
        "link:.",
        "link:..",
        "link:a/b",
        "link:a b",
        "link:a:b",
        "link:0123456789abcdef",
        "usb:1-1",
        "",
    ] {
        serde_json::from_value::<DeviceId>(text.into()).expect_err(text);
    }
}

proptest! {
    #[test]
    fn no_text_becomes_a_path_that_leads_elsewhere(text in ".*|(pci|aux|link):[./a-z0-9:]*") {
        for id in [text.parse::<DeviceId>().ok(), DeviceId::try_from(text.clone()).ok()].into_iter().flatten() {
            let name = id.file_name();
            prop_assert!(!name.contains('/') && !name.contains('\0') && name.len() < 255, "{}", name);
            prop_assert!(!id.to_string().is_empty() && id.to_string() != "." && id.to_string() != "..");
        }
    }

    #[test]
    fn an_address_survives_being_written_and_read(
        domain in any::<u32>(), bus in any::<u8>(), device in 0_u8..32, function in 0_u8..8,
    ) {
        let text = format!("{domain:04x}:{bus:02x}:{device:02x}.{function}");
        let address: PciAddress = text.to_uppercase().parse().expect("an address");
        prop_assert_eq!(address.to_string(), text);
    }
}
