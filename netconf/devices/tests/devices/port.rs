use devices::Port;

#[test]
fn a_ports_name_tells_its_place_on_the_eswitch() {
    for (name, port) in [
        ("p0", Some(Port::Uplink(0))),
        ("p12", Some(Port::Uplink(12))),
        ("p1s3", Some(Port::Uplink(1))),
        ("pf0", Some(Port::Pf { controller: 0 })),
        ("c1pf0", Some(Port::Pf { controller: 1 })),
        ("pf0vf3", Some(Port::Vf { controller: 0, number: 3 })),
        ("c2pf1vf127", Some(Port::Vf { controller: 2, number: 127 })),
        ("pf0sf88", Some(Port::Sf { controller: 0, number: 88 })),
        ("c1pf0sf88", Some(Port::Sf { controller: 1, number: 88 })),
        ("7", Some(Port::Vf { controller: 0, number: 7 })),
        ("", None),
        ("p", None),
        ("pf", None),
        ("pf0vf", None),
        ("pf0vf1x", None),
        ("pf0vf99999999999", None),
        ("c1", None),
        ("c1p0", None),
        ("p0x", None),
        ("eth0", None),
    ] {
        assert_eq!(Port::parse(name), port, "{name:?}");
    }
}
