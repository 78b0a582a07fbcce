use proptest::prelude::*;

use super::*;

fn options(more: &[(u8, &[u8])]) -> Options {
    let least: [(u8, &[u8]); 3] = [
        (option::SUBNET_MASK, &[255, 255, 255, 0]),
        (option::SERVER, &[10, 5, 0, 1]),
        (option::LEASE_TIME, &[0, 0, 0, 80]),
    ];
    least.iter().chain(more).map(|(code, value)| (*code, value.to_vec())).collect()
}

fn lease(more: &[(u8, &[u8])]) -> Lease {
    Lease::of([10, 5, 0, 7].into(), &options(more), Vec::new()).unwrap()
}

fn routes(lease: &Lease) -> Vec<String> {
    let text = |r: &Through| {
        let router = r.router.map_or("link".to_owned(), |router| router.to_string());
        format!("{}/{} {router}", r.dst, r.prefix)
    };
    lease.routes.iter().map(text).collect()
}

#[test]
fn a_lease_tells_address_gateway_resolver_and_mtu() {
    let lease = lease(&[
        (option::ROUTERS, &[10, 5, 0, 1, 10, 5, 0, 2]),
        (option::NAME_SERVERS, &[10, 5, 0, 53, 10, 5, 0, 54]),
        (option::DOMAIN, b"example.org\0"),
        (option::MTU, &[5, 120]),
    ]);
    assert_eq!(lease.cidr().to_string(), "10.5.0.7/24");
    assert_eq!(lease.times, Some(Times { renewal: 40, rebinding: 70, end: 80 }));
    assert_eq!(lease.mtu, Some(1400));
    let result = lease.result(77);
    assert_eq!(result.ips[0].gateway, Some("10.5.0.1".parse().unwrap()));
    assert_eq!(result.dns.nameservers, ["10.5.0.53", "10.5.0.54"]);
    assert_eq!(result.dns.domain, "example.org");
    assert_eq!(routes(&lease), ["0.0.0.0/0 10.5.0.1"]);
    assert_eq!(result.routes[0].priority, Some(77));
}

#[test]
fn classless_routes_stand_alone_and_the_router_0_is_the_link() {
    let value = [24, 192, 168, 9, 10, 5, 0, 3, 32, 10, 9, 9, 9, 0, 0, 0, 0, 0, 10, 5, 0, 1, 33, 1];
    let lease = lease(&[
        (option::CLASSLESS_ROUTES, &value),
        (option::STATIC_ROUTES, &[172, 16, 1, 1, 10, 5, 0, 9]),
        (option::ROUTERS, &[10, 5, 0, 1]),
    ]);
    assert_eq!(
        routes(&lease),
        ["192.168.9.0/24 10.5.0.3", "10.9.9.9/32 link", "0.0.0.0/0 10.5.0.1"]
    );
    assert_eq!(lease.result(0).routes[1].scope, Some(253));
    assert_eq!(lease.gateway, Some([10, 5, 0, 1].into()));
}

#[test]
fn static_routes_are_of_their_class_and_the_default_comes_with_them() {
    let pairs = [172, 16, 1, 1, 10, 5, 0, 9, 0, 0, 0, 0, 10, 5, 0, 8, 230, 0, 0, 1, 10, 5, 0, 8];
    let lease = lease(&[(option::STATIC_ROUTES, &pairs), (option::ROUTERS, &[10, 5, 0, 1])]);
    assert_eq!(routes(&lease), ["172.16.0.0/16 10.5.0.9", "0.0.0.0/0 10.5.0.1"]);
}

#[test]
fn times_that_do_not_hold_together_are_ours_to_choose() {
    let times = |t1: u32, t2: u32, end: u32| {
        let (t1, t2, end) = (t1.to_be_bytes(), t2.to_be_bytes(), end.to_be_bytes());
        lease(&[
            (option::RENEWAL_TIME, &t1),
            (option::REBINDING_TIME, &t2),
            (option::LEASE_TIME, &end),
        ])
        .times
        .map(|t| (t.renewal, t.rebinding, t.end))
    };
    assert_eq!(times(10, 20, 30), Some((10, 20, 30)));
    assert_eq!(times(40, 20, 30), Some((15, 20, 30)));
    assert_eq!(times(10, 90, 80), Some((10, 70, 80)));
    assert_eq!(times(0, 0, 1), Some((1, 1, 1)));
    assert_eq!(times(1, 2, u32::MAX), None);
}

#[test]
fn what_is_no_lease_is_refused_in_words() {
    for (address, code, value, word) in [
        ([0, 0, 0, 0], 0, &[][..], "0.0.0.0"),
        ([224, 0, 0, 1], 0, &[], "224.0.0.1"),
        ([10, 5, 0, 7], option::SUBNET_MASK, &[255, 0, 255, 0], "255.0.255.0"),
        ([10, 5, 0, 7], option::SUBNET_MASK, &[255, 0], "option 1"),
        ([10, 5, 0, 7], option::SERVER, &[], "option 54"),
        ([10, 5, 0, 7], option::LEASE_TIME, &[0, 0, 0, 0], "option 51"),
        ([10, 5, 0, 7], option::LEASE_TIME, &[1], "option 51"),
    ] {
        let why = Lease::of(address.into(), &options(&[(code, value)]), Vec::new()).unwrap_err();
        assert!(why.contains(word), "{why}");
    }
}

proptest! {
    #[test]
    fn no_options_make_it_panic_or_give_a_route_with_host_bits(
        more in proptest::collection::btree_map(any::<u8>(), proptest::collection::vec(any::<u8>(), 0..64), 0..12),
        address in any::<[u8; 4]>(),
    ) {
        let mut options = options(&[]);
        options.extend(more);
        if let Ok(lease) = Lease::of(address.into(), &options, Vec::new()) {
            for route in lease.result(1).routes {
                prop_assert_eq!(route.dst.ip(), route.dst.network());
            }
            if let Some(times) = lease.times {
                prop_assert!(times.renewal <= times.rebinding && times.rebinding <= times.end);
            }
            prop_assert!(lease.domain.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
