use proptest::prelude::*;

use super::super::Client;
use super::*;

const SERVER: [u8; 4] = [0, 3, 0, 1];

fn client() -> Client {
    Client::of("container/net/eth0")
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

fn address(text: &str, preferred: u32, valid: u32, more: &[u8]) -> Vec<u8> {
    let ip: Ipv6Addr = text.parse().unwrap();
    let times = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
    option(5, &[&ip.octets()[..], &times, more].concat())
}

fn association(id: u32, t1: u32, t2: u32, inner: &[u8]) -> Vec<u8> {
    let head = [id, t1, t2].map(u32::to_be_bytes).concat();
    option(3, &[&head[..], inner].concat())
}

/// A message of the server to the client, with these options beside who they are.
fn message(kind: u8, more: &[u8]) -> Vec<u8> {
    let who = [option(1, &client().duid), option(2, &SERVER)].concat();
    [&[kind, 0x12, 0x34, 0x56], &who[..], more].concat()
}

fn read(kind: u8, more: &[u8]) -> Reply {
    Reply::read(&message(kind, more), &client().duid).unwrap()
}

fn why(more: &[u8]) -> Refused {
    read(7, more).lease(None).unwrap_err()
}

#[test]
fn a_reply_is_a_lease_with_resolvers_and_times() {
    let dns: Vec<u8> =
        ["fd00::53", "::", "fd00::53", "fe80::1", "::1", "::ffff:10.0.0.1", "fd00::54"]
            .iter()
            .flat_map(|text| text.parse::<Ipv6Addr>().unwrap().octets())
            .collect();
    let more = [
        association(2, 1, 2, &address("fd00::8", 60, 90, &[])),
        association(1, 20, 40, &address("fd00::7", 60, 90, &option(13, &[0, 0]))),
        option(13, b"\0\0fine"),
        option(23, &dns),
        option(24, b"\x01c\x07example\0\x00\x01d\x07example\0"),
        option(82, &3600_u32.to_be_bytes()),
        option(4711, b"?"),
    ]
    .concat();
    let reply = read(7, &more);
    assert_eq!((reply.xid, reply.said), (0x0012_3456, Said::Reply));
    assert_eq!(reply.longest_pause, Some(Duration::from_hours(1)));
    let lease = reply.lease(None).unwrap();
    assert_eq!(lease.cidr().to_string(), "fd00::7/128");
    assert_eq!(lease.server, SERVER);
    assert_eq!(lease.search, ["c.example", "d.example"]);
    assert_eq!(lease.result().dns.nameservers, ["fd00::53", "fd00::54"]);
    assert_eq!(lease.times, Times { renewal: 20, rebinding: 40, end: 90 });
}

#[test]
fn of_several_addresses_the_wanted_one_is_taken() {
    let both = [address("fd00::7", 60, 90, &[]), address("fd00::8", 60, 90, &[])].concat();
    let reply = read(7, &association(1, 0, 0, &both));
    let of = |wanted: Option<&str>| reply.lease(wanted.map(|w| w.parse().unwrap())).unwrap();
    assert_eq!(of(None).address.to_string(), "fd00::7");
    assert_eq!(of(Some("fd00::8")).address.to_string(), "fd00::8");
    assert_eq!(of(Some("fd00::9")).address.to_string(), "fd00::7");
    let moved = [address("fd00::7", 0, 0, &[]), address("fd00::8", 60, 90, &[])].concat();
    let reply = read(7, &association(1, 0, 0, &moved));
    let own = "fd00::7".parse().unwrap();
    assert!(reply.withdraws(own) && !reply.withdraws("fd00::8".parse().unwrap()));
    assert_eq!(reply.lease(Some(own)).unwrap().address.to_string(), "fd00::8");
}

#[test]
fn what_is_no_lease_is_refused_in_words() {
    let one =
        |text: &str, preferred, valid| association(1, 0, 0, &address(text, preferred, valid, &[]));
    for (more, code, words) in [
        (Vec::new(), None, "no IA_NA"),
        (association(2, 0, 0, &address("fd00::7", 60, 90, &[])), None, "no IA_NA"),
        (association(1, 0, 0, &[]), None, "no address"),
        (association(1, 0, 0, &option(13, b"\0\x02none left")), Some(2), "NoAddrsAvail (2): none"),
        (association(1, 0, 0, &option(13, b"\0\x03")), Some(3), "NoBinding"),
        (association(1, 0, 0, &option(13, b"\0\x04")), Some(4), "NotOnLink"),
        ([one("fd00::7", 60, 90), option(13, b"\0\x01\x1b[31moh")].concat(), Some(1), "[31moh"),
        (association(1, 0, 0, &address("fd00::7", 60, 90, &option(13, &[0, 2]))), Some(2), "NoAdd"),
        (association(1, 50, 40, &address("fd00::7", 60, 90, &[])), None, "T1 50 s, T2 40 s"),
        (one("fd00::7", 90, 60), None, "preferred 90 s, valid 60 s"),
        (one("fd00::7", 0, 0), None, "valid 0 s"),
        (one("fe80::7", 60, 90), None, "fe80::7 is no host's"),
        (one("ff02::7", 60, 90), None, "ff02::7 is no host's"),
        (one("::1", 60, 90), None, "::1 is no host's"),
        (one("::ffff:10.0.0.1", 60, 90), None, "no host's"),
        (one("::10.0.0.1", 60, 90), None, "no host's"),
    ] {
        let refused = why(&more);
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.why.contains(words) && !refused.why.contains('\x1b'), "{refused:?}");
    }
}

#[test]
fn what_is_not_for_this_client_is_not_read() {
    let duid = client().duid;
    let good = message(7, &association(1, 0, 0, &address("fd00::7", 60, 90, &[])));
    assert!(Reply::read(&good, &duid).is_some());
    assert!(Reply::read(&good, &Client::of("other").duid).is_none());
    for kind in [1, 3, 5, 8, 10, 12, 13, 0, 255] {
        let mut other = good.clone();
        other[0] = kind;
        assert!(Reply::read(&other, &duid).is_none(), "{kind}");
    }
    let head = [7, 0x12, 0x34, 0x56];
    let without = |options: &[u8]| [&head[..], options].concat();
    assert!(Reply::read(&without(&option(1, &duid)), &duid).is_none());
    assert!(Reply::read(&without(&option(2, &SERVER)), &duid).is_none());
    let long = [option(1, &duid), option(2, &[7; 131])].concat();
    assert!(Reply::read(&without(&long), &duid).is_none());
    // Nothing that is cut off half-way is anything, unless it was cut between two options.
    let whole = 4 + [option(1, &duid), option(2, &SERVER)].concat().len();
    for end in (0..good.len()).filter(|end| *end != whole) {
        assert!(Reply::read(&good[..end], &duid).is_none(), "{end}");
    }
}

#[test]
fn names_that_a_resolver_could_misread_are_left_out() {
    for bad in [
        &b"\x01a"[..],
        b"\x05a",
        b"\x03a b\0",
        b"\x03a.b\0",
        b"\x02a\n\0",
        b"\xc0\0",
        b"\x02$(\0",
        b"\x02\xc3\xa4\0",
    ] {
        assert!(domains(bad).is_empty(), "{bad:?}");
    }
    assert_eq!(domains(b"\0\x01a\x01b\0"), ["a.b"]);
    assert!(domains(&[&[64][..], &[b'a'; 64], &[0]].concat()).is_empty());
    let long: Vec<u8> = (0..5).flat_map(|_| [&[63][..], &[b'a'; 63]].concat()).chain([0]).collect();
    assert!(domains(&long).is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(more in prop::collection::vec(any::<u8>(), 0..300), kind in 0..14_u8) {
        let duid = client().duid;
        let _ = Reply::read(&more, &duid);
        if let Some(reply) = Reply::read(&message(kind, &more), &duid) {
            let _ = reply.lease(None);
        }
    }

    #[test]
    fn no_change_of_a_good_one_makes_it_panic(at in 0..200_usize, byte in any::<u8>()) {
        let inner = [address("fd00::7", 60, 90, &option(13, &[0, 0])), option(13, b"\0\0x")].concat();
        let more = [association(1, 20, 40, &inner), option(24, b"\x01c\x07example\0")].concat();
        let mut bytes = message(7, &more);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(reply) = Reply::read(&bytes, &client().duid) {
            let _ = reply.lease(None);
        }
    }
}
