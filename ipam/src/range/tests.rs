use std::net::IpAddr;

use cni::{Code, Version};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn ranges(source: &Value) -> Result<Ranges, Error> {
    ranges_for(source, Version::V1_1_0)
}

fn ranges_for(source: &Value, version: Version) -> Result<Ranges, Error> {
    let list = |key: &str| -> Vec<Vec<RangeConf>> {
        serde_json::from_value(source.get(key).cloned().unwrap_or(json!([]))).unwrap()
    };
    let single: RangeConf = serde_json::from_value(source.clone()).unwrap();
    let sources = Sources { runtime: &list("ipRanges"), single: &single, ranges: &list("ranges") };
    Ranges::new(sources, version)
}

fn only(source: &Value) -> Range {
    ranges(source).unwrap().sets()[0].ranges()[0].clone()
}

#[test]
fn a_range_goes_by_default_from_the_first_host_to_the_last() {
    let v4 = only(&json!({"ranges": [[{"subnet": "10.1.2.0/24"}]]}));
    assert_eq!(v4.to_string(), "10.1.2.1-10.1.2.254");
    assert_eq!(v4.gateway().to_string(), "10.1.2.1");
    let v6 = only(&json!({"ranges": [[{"subnet": "fd00:1::/64"}]]}));
    assert_eq!(v6.to_string(), "fd00:1::1-fd00:1::ffff:ffff:ffff:ffff");
    assert_eq!(v6.gateway().to_string(), "fd00:1::1");
    let all = only(&json!({"ranges": [[{"subnet": "::/0"}]]}));
    assert_eq!(all.end().to_string(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

#[test]
fn start_end_and_gateway_are_taken_from_the_config() {
    let range = only(&json!({"subnet": "10.1.0.0/16", "rangeStart": "10.1.2.10",
                             "rangeEnd": "10.1.2.20", "gateway": "10.1.255.254"}));
    assert_eq!(range.to_string(), "10.1.2.10-10.1.2.20");
    assert_eq!(range.gateway().to_string(), "10.1.255.254");
    let onlink = only(&json!({"subnet": "10.1.0.0/16", "gateway": "169.254.1.1"}));
    assert_eq!(onlink.gateway().to_string(), "169.254.1.1");
}

#[test]
fn the_runtimes_sets_come_first_and_the_single_range_before_the_list() {
    let all = ranges(&json!({
        "subnet": "10.2.0.0/24", "ranges": [[{"subnet": "10.3.0.0/24"}]],
        "ipRanges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.4.0.0/24"}]],
    }))
    .unwrap();
    let sets: Vec<String> = all.sets().iter().map(ToString::to_string).collect();
    assert_eq!(
        sets,
        ["10.1.0.1-10.1.0.254,10.4.0.1-10.4.0.254", "10.2.0.1-10.2.0.254", "10.3.0.1-10.3.0.254"]
    );
}

#[test]
fn every_mistake_is_named_with_key_and_value() {
    let cases = [
        (json!({}), "no IP ranges", ""),
        (json!({"ranges": [[]]}), "ipam.ranges[0]", "empty range set"),
        (json!({"ranges": [[{}]]}), "ipam.ranges[0][0].subnet", "needs a subnet"),
        (
            json!({"ranges": [[{"subnet": "10.1.0.5/24"}]]}),
            "ipam.ranges[0][0].subnet 10.1.0.5/24",
            "host bits",
        ),
        (json!({"subnet": "10.1.0.0"}), "ipam.subnet", "prefix length is missing"),
        (json!({"subnet": "10.1.0.0/31"}), "ipam.subnet 10.1.0.0/31", "too small"),
        (json!({"subnet": "10.1.0.0/32"}), "ipam.subnet 10.1.0.0/32", "too small"),
        (json!({"subnet": "fd00::/127"}), "ipam.subnet fd00::/127", "too small"),
        (json!({"subnet": "::ffff:10.1.0.0/120"}), "ipam.subnet", "written as IPv6"),
        (
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.1.1"}),
            "ipam.rangeStart 10.1.1.1",
            "outside",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"}),
            "ipam.rangeEnd 10.2.0.1",
            "outside",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeStart": "fd00::1"}),
            "ipam.rangeStart fd00::1",
            "family",
        ),
        (json!({"subnet": "10.1.0.0/24", "rangeEnd": "x"}), "ipam.rangeEnd \"x\"", "not an IP"),
        (json!({"subnet": "10.1.0.0/24", "gateway": "fd00::1"}), "ipam.gateway fd00::1", "family"),
        (
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}),
            "ipam.rangeEnd 10.1.0.8",
            "begin",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.255"}),
            "ipam.rangeStart 10.1.0.255",
            "begin",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.1"}),
            "ipam 10.1.0.1-10.1.0.1",
            "gateway",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}),
            "ipam.ranges[0][1].subnet fd00::/64",
            "family",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/25"}]]}),
            "ipam.ranges[0][0]",
            "overlaps with ipam.ranges[0][1]",
        ),
        (
            json!({"ranges": [[{"subnet": "fd00::/64"}], [{"subnet": "fd00::/64"}]]}),
            "ipam.ranges[1][0]",
            "overlaps with ipam.ranges[0][0]",
        ),
        (
            json!({"ipRanges": [[{"subnet": "10.1.0.0/24"}]], "subnet": "10.1.0.0/16"}),
            "ipam 10.1.0.1",
            "overlaps with runtimeConfig.ipRanges[0][0] 10.1.0.1",
        ),
    ];
    for (source, place, why) in cases {
        let error = ranges(&source).expect_err(&source.to_string());
        assert_eq!(error.code, Code::CONFIG, "{source}");
        assert!(error.msg.contains(place), "{source}: {error}");
        assert!(error.to_string().contains(why), "{source}: {error}");
    }
}

#[test]
fn before_0_3_0_there_is_one_address_per_family() {
    let two = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]});
    let error = ranges_for(&two, Version::V0_2_0).unwrap_err();
    assert!(
        error.msg.contains("cniVersion 0.2.0") && error.msg.contains("2 range sets"),
        "{error}"
    );
    ranges_for(&two, Version::V0_3_0).unwrap();
    let dual = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]});
    ranges_for(&dual, Version::V0_1_0).unwrap();
}

/// The reference's walk, address by address.
fn walk(set: &RangeSet, last: Option<IpAddr>) -> Vec<IpAddr> {
    let all: Vec<(IpAddr, bool)> = set
        .ranges()
        .iter()
        .flat_map(|range| {
            (number(range.start())..=number(range.end())).map(|n| {
                let address = range.family().address(n);
                (address, address == range.gateway())
            })
        })
        .collect();
    let from = last.and_then(|last| all.iter().position(|(a, _)| *a == last)).map_or(0, |p| p + 1);
    let (before, after) = all.split_at(from);
    after.iter().chain(before).filter(|(_, gateway)| !gateway).map(|(a, _)| *a).collect()
}

fn flat(set: &RangeSet, last: Option<IpAddr>) -> Vec<IpAddr> {
    set.spans_after(last)
        .iter()
        .flat_map(|(span, _)| (span.first..=span.last).map(|n| span.family.address(n)))
        .collect()
}

prop_compose! {
    /// A range inside of the `n`-th /24, with whatever start, end and gateway.
    fn range_conf(n: u8)(prefix in 24_u8..=30, a in any::<u8>(), b in any::<u8>(), g in any::<Option<u8>>(),
                         v6 in Just(n >= 128)) -> RangeConf {
        let size = 1_u16 << (32 - u16::from(prefix));
        let at = |host: u8| {
            let host = u16::from(host) % size;
            if v6 { format!("fd00::{n:x}:{host:x}") } else { format!("10.0.{n}.{host}") }
        };
        let length = if v6 { prefix + 96 } else { prefix };
        let (start, end) = (u16::from(a) % size, u16::from(b) % size);
        RangeConf {
            subnet: Some(format!("{}/{length}", at(0))),
            range_start: Some(at(u8::try_from(start.min(end)).unwrap())),
            range_end: Some(at(u8::try_from(start.max(end)).unwrap())),
            gateway: g.map(at),
        }
    }
}

proptest! {
    #[test]
    fn spans_are_the_references_walk(one in range_conf(1), two in range_conf(2), three in range_conf(3), last in any::<(u8, u8)>()) {
        let runtime: [Vec<RangeConf>; 0] = [];
        let confs = [vec![one, two, three]];
        let single = RangeConf::default();
        let sources = Sources { runtime: &runtime, single: &single, ranges: &confs };
        let Ok(ranges) = Ranges::new(sources, Version::V1_1_0) else { return Ok(()) };
        let set = &ranges.sets()[0];
        let last = IpAddr::from([10, 0, last.0 % 5, last.1]);
        for last in [None, Some(last), Some(set.ranges()[1].end()), Some(set.ranges()[2].start())] {
            prop_assert_eq!(flat(set, last), walk(set, last));
        }
        prop_assert_eq!(set.capacity(), walk(set, None).len() as u128);
        prop_assert!(walk(set, None).iter().all(|a| set.range_of(*a).is_some()));
    }

    #[test]
    fn an_ipv6_range_is_walked_in_the_same_way(conf in range_conf(200), last in any::<u8>()) {
        let confs = [vec![conf]];
        let single = RangeConf::default();
        let sources = Sources { runtime: &[], single: &single, ranges: &confs };
        let Ok(ranges) = Ranges::new(sources, Version::V1_1_0) else { return Ok(()) };
        let set = &ranges.sets()[0];
        let last = format!("fd00::c8:{last:x}").parse().unwrap();
        prop_assert_eq!(flat(set, Some(last)), walk(set, Some(last)));
    }

    #[test]
    fn no_text_makes_a_panic(subnet in ".{0,24}|[0-9a-f:./]{0,24}", start in "[0-9a-f:.]{0,16}", end in "[0-9a-f:.]{0,16}", gateway in "[0-9a-f:.]{0,16}") {
        let conf = RangeConf { subnet: Some(subnet), range_start: Some(start), range_end: Some(end), gateway: Some(gateway) };
        let single = RangeConf::default();
        let confs = [vec![conf]];
        let _ = Ranges::new(Sources { runtime: &[], single: &single, ranges: &confs }, Version::V1_1_0);
    }

    #[test]
    fn ranges_overlap_exactly_when_they_share_an_address(confs in prop::collection::vec(range_conf(1), 2..5)) {
        let each: Vec<Range> = confs.iter().filter_map(|c| Range::new(c, "k").ok()).collect();
        prop_assume!(each.len() == confs.len());
        // A range of nothing but its gateway is refused before.
        prop_assume!(each.iter().all(|r| r.start() != r.end()));
        let sets: Vec<Vec<RangeConf>> = confs.into_iter().map(|c| vec![c]).collect();
        let single = RangeConf::default();
        let made = Ranges::new(Sources { runtime: &[], single: &single, ranges: &sets }, Version::V1_1_0);
        let shared = (0..each.len()).any(|i| (0..i).any(|j| {
            each[i].start() <= each[j].end() && each[j].start() <= each[i].end()
        }));
        match made {
            Ok(_) => prop_assert!(!shared),
            Err(error) => prop_assert_eq!(error.msg.contains("overlaps"), shared, "{}", error),
        }
    }
}

#[test]
fn a_huge_range_is_two_numbers() {
    let all = ranges(&json!({"subnet": "fd00::/8", "gateway": "fd00::1:0"})).unwrap();
    let spans = all.sets()[0].spans_after(Some("fd12::5".parse().unwrap()));
    assert_eq!(spans.len(), 4 - 1);
    let first = spans[0].0;
    assert_eq!(first.family.address(first.first).to_string(), "fd12::6");
    assert_eq!(all.sets()[0].capacity(), (1_u128 << 120) - 2);
}
