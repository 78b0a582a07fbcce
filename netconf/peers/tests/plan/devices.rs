//! Devices that exist, compared with what is planned.

use kernel::link::{Ipip, Link, Vxlan};
use peers::{Device, Kind, Mend, Verdict, alias, compare};

use crate::sample::{fleet, ip, ipip, mac, node, node4, plan, vxlan};

const ALIAS: &str = "podwire:pods";

/// The link that is as planned.
fn right(device: &Device) -> Link {
    let link = Link {
        index: 10,
        name: device.name.to_string(),
        alias: Some(ALIAS.to_owned()),
        mtu: device.mtu,
        up: true,
        ..Link::default()
    };
    match &device.kind {
        Kind::Vxlan(vxlan, mac) => Link {
            kind: "vxlan".to_owned(),
            mac: Some(*mac),
            no_address_generation: true,
            vxlan: Some(vxlan.clone()),
            ..link
        },
        Kind::Ipip(ipip) => Link { kind: "ipip".to_owned(), ipip: Some(ipip.clone()), ..link },
        Kind::Fallback => {
            Link { kind: "ipip".to_owned(), ipip: Some(Ipip::default()), alias: None, ..link }
        }
    }
}

fn device(backend: peers::Backend) -> Device {
    plan(&fleet(node4(1), vec![]), backend).devices.remove(0)
}

fn verdict(device: &Device, change: impl FnOnce(&mut Link)) -> Verdict {
    let mut link = right(device);
    change(&mut link);
    compare(device, &link, ALIAS)
}

/// The verdict on a VXLAN device with one attribute changed.
fn vxlan_verdict(change: impl FnOnce(&mut Vxlan)) -> Verdict {
    verdict(&device(vxlan(false)), |link| change(link.vxlan.as_mut().unwrap()))
}

fn ipip_verdict(change: impl FnOnce(&mut Ipip)) -> Verdict {
    verdict(&device(ipip("ipip.pods", false)), |link| change(link.ipip.as_mut().unwrap()))
}

fn mended(text: &str) -> Verdict {
    Verdict::Mend(vec![Mend::Kind(text.to_owned())])
}

fn remade(texts: &[&str]) -> Verdict {
    Verdict::Remake(texts.iter().map(|&text| text.to_owned()).collect())
}

#[test]
fn a_device_that_is_as_planned_is_left_alone() {
    for backend in [vxlan(false), ipip("ipip.pods", false), ipip("tunl0", false)] {
        assert_eq!(verdict(&device(backend), |_| {}), Verdict::Mend(vec![]));
    }
    let both = plan(&fleet(node(1), vec![]), vxlan(false)).devices;
    assert_eq!(verdict(&both[1], |_| {}), Verdict::Mend(vec![]));
}

#[test]
fn vxlan_attributes_are_mended_where_the_kernel_allows_it() {
    assert_eq!(
        vxlan_verdict(|has| has.local = Some(ip("192.168.2.9"))),
        mended("local 192.168.2.9 instead of 192.168.2.1")
    );
    assert_eq!(vxlan_verdict(|has| has.local = None), mended("local none instead of 192.168.2.1"));
    assert_eq!(
        vxlan_verdict(|has| (has.underlay, has.learning) = (Some(7), true)),
        mended("underlay 7 instead of 40, learning on instead of off")
    );
    assert_eq!(vxlan_verdict(|has| has.udp_checksum = false), Verdict::Mend(vec![]));
}

#[test]
fn vxlan_attributes_that_stay_as_they_were_made_need_another_device() {
    assert_eq!(
        vxlan_verdict(|has| (has.vni, has.port, has.learning) = (4096, 4789, true)),
        remade(&["vni 4096 instead of 1", "port 4789 instead of 8472"])
    );
    assert_eq!(
        vxlan_verdict(|has| {
            (has.gbp, has.external, has.proxy) = (true, true, true);
            (has.l2miss, has.l3miss, has.group) = (true, true, Some(ip("239.1.1.1")));
        }),
        remade(&[
            "gbp on instead of off",
            "external on instead of off",
            "group 239.1.1.1 instead of none",
            "proxy on instead of off",
            "l2miss on instead of off",
            "l3miss on instead of off",
        ])
    );
    assert_eq!(
        vxlan_verdict(|has| has.local = Some(ip("fd00:2::1"))),
        remade(&["local fd00:2::1 instead of 192.168.2.1"])
    );
    let v6 = &plan(&fleet(node(1), vec![]), vxlan(false)).devices[1];
    assert_eq!(
        verdict(v6, |link| link.vxlan.as_mut().unwrap().local = None),
        remade(&["local none instead of fd00:2::1"])
    );
}

#[test]
fn ipip_attributes_are_mended_but_for_the_other_end() {
    assert_eq!(
        ipip_verdict(|has| (has.local, has.path_mtu_discovery) = (None, false)),
        mended("local none instead of 192.168.2.1, pmtudisc off instead of on")
    );
    assert_eq!(ipip_verdict(|has| has.underlay = Some(3)), mended("underlay 3 instead of none"));
    assert_eq!(
        ipip_verdict(|has| (has.remote, has.external) = (Some([10, 0, 0, 1].into()), true)),
        remade(&["remote 10.0.0.1 instead of none", "external on instead of off"])
    );
}

#[test]
fn a_time_to_live_matters_only_without_path_mtu_discovery() {
    assert_eq!(ipip_verdict(|has| has.ttl = 64), Verdict::Mend(vec![]));
    let mut device = device(ipip("ipip.pods", false));
    let Kind::Ipip(wanted) = &mut device.kind else { panic!("{device:?}") };
    wanted.path_mtu_discovery = false;
    let verdict = verdict(&device, |link| link.ipip.as_mut().unwrap().ttl = 64);
    assert_eq!(verdict, mended("ttl 64 instead of 0"));
}

#[test]
fn what_every_link_has_is_mended_the_way_up_last() {
    let spoil = |link: &mut Link| {
        link.mac = Some(mac("66:00:00:00:00:01"));
        (link.mtu, link.up, link.no_address_generation) = (1500, false, false);
        link.alias = None;
    };
    let all = [Mend::Mac, Mend::Mtu, Mend::Alias, Mend::AddressGeneration, Mend::Down];
    assert_eq!(verdict(&device(vxlan(false)), spoil), Verdict::Mend(all.to_vec()));
    assert_eq!(
        verdict(&device(ipip("ipip.pods", false)), spoil),
        Verdict::Mend(vec![Mend::Mtu, Mend::Alias, Mend::Down])
    );
    assert_eq!(
        verdict(&device(ipip("tunl0", false)), spoil),
        Verdict::Mend(vec![Mend::Mtu, Mend::Down]),
        "others may use the kernel's own device"
    );
}

#[test]
fn another_kind_of_link_is_never_touched() {
    for backend in [vxlan(false), ipip("ipip.pods", false), ipip("tunl0", false)] {
        for (kind, said) in
            [("bridge", "a bridge"), ("", "a physical interface"), ("ipvlan", "an ipvlan")]
        {
            let verdict = verdict(&device(backend.clone()), |link| link.kind = kind.to_owned());
            assert_eq!(verdict, Verdict::Foreign(said.to_owned()));
        }
    }
    assert_eq!(
        verdict(&device(vxlan(false)), |link| link.vxlan = None),
        Verdict::Foreign("a vxlan without attributes".to_owned())
    );
    assert_eq!(
        verdict(&device(ipip("tunl0", false)), |link| {
            link.ipip.as_mut().unwrap().remote = Some([10, 0, 0, 1].into());
        }),
        Verdict::Foreign("an ipip device with another end of its own".to_owned())
    );
}

#[test]
fn a_device_of_another_network_is_never_touched() {
    let other = |link: &mut Link| link.alias = Some("podwire:other".to_owned());
    let said = "another network's device, with the alias \"podwire:other\"";
    assert_eq!(verdict(&device(vxlan(false)), other), Verdict::Foreign(said.to_owned()));
    let flannel = |link: &mut Link| link.alias = Some("flannel".to_owned());
    assert_eq!(verdict(&device(vxlan(false)), flannel), Verdict::Mend(vec![Mend::Alias]));
    assert_eq!(verdict(&device(ipip("tunl0", false)), other), Verdict::Mend(vec![]));
}

#[test]
fn an_alias_fits_and_is_no_attachments() {
    assert_eq!(alias(&"pods".parse().unwrap()), ALIAS);
    let long = |letter: &str| alias(&letter.repeat(248).parse().unwrap());
    for alias in [long("a"), long("b")] {
        assert!(alias.len() <= 255);
        assert!(alias.starts_with("podwire:#"), "{alias}");
        assert_eq!(alias.matches(':').count(), 1, "{alias}");
    }
    assert_ne!(long("a"), long("b"));
    assert_eq!(alias(&"a".repeat(247).parse().unwrap()).len(), 255);
}
