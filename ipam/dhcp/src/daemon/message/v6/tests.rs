use super::reply::options_of;
use super::*;

const SERVER: [u8; 4] = [0, 3, 0, 1];

fn client() -> Client {
    Client::of("container/net/eth0")
}

#[test]
fn a_client_is_the_same_whenever_it_is_made_and_another_for_another_interface() {
    let duid = client().duid;
    assert_eq!(duid, client().duid);
    assert_ne!(duid, Client::of("container/net/eth1").duid);
    assert_eq!((duid.len(), &duid[..2]), (18, &[0, 4][..]));
    assert_eq!((duid[8] >> 4, duid[10] >> 6), (8, 2));
}

#[test]
fn each_message_says_what_it_has_to() {
    let own: Ipv6Addr = "fd00::7".parse().unwrap();
    let server = SERVER.to_vec();
    let all = [
        (Asked::Solicit(None), 1, false, false),
        (Asked::Solicit(Some(own)), 1, false, true),
        (Asked::Request { address: own, server: server.clone() }, 3, true, true),
        (Asked::Renew { address: own, server: server.clone() }, 5, true, true),
        (Asked::Rebind(own), 6, false, true),
        (Asked::Release { address: own, server }, 8, true, true),
    ];
    for (asked, kind, names_server, names_address) in all {
        let bytes = client().message(&asked, 0x0012_3456, Duration::from_millis(1230)).unwrap();
        assert_eq!(bytes[..4], [kind, 0x12, 0x34, 0x56], "{asked:?}");
        let options = options_of(&bytes[4..]).unwrap();
        let get = |code: u16| options.iter().find(|(c, _)| *c == code).map(|(_, v)| v.to_vec());
        assert_eq!(get(1), Some(client().duid), "{asked:?}");
        assert_eq!(get(2), names_server.then(|| SERVER.to_vec()), "{asked:?}");
        assert_eq!(get(8), Some(vec![0, 123]), "{asked:?}");
        // The association, and in it the address, whose times are the server's to choose.
        let mut association = [1, 0, 0].map(u32::to_be_bytes).concat();
        if names_address {
            association.extend([&[0, 5, 0, 24][..], &own.octets(), &[0; 8]].concat());
        }
        assert_eq!(get(3), Some(association), "{asked:?}");
        assert_eq!(get(6), (kind != 8).then(|| vec![0, 23, 0, 24, 0, 82]), "{asked:?}");
        assert_eq!(get(14).is_some(), kind == 1, "{asked:?}");
    }
}
