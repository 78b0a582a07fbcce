use dhcproto::v4::DhcpOptions;
use proptest::prelude::*;

use super::*;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const SERVER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn client() -> Client {
    Client {
        mac: MAC,
        id: vec![0, b'c', b'1'],
        broadcast: false,
        provide: [(12, b"web".to_vec()), (60, vec![7; 200])].into(),
        request: vec![1, 3, 121],
    }
}

/// What another decoder reads in a packet of ours.
fn sent(client: &Client, kind: Asked) -> v4::Message {
    let ask = Ask { kind, xid: 0x0102_0304, seconds: 7 };
    let packet = client.packet(&ask, [10, 5, 0, 7].into(), [10, 5, 0, 1].into()).unwrap();
    assert_eq!(checksum(&packet[..IP_HEADER]), 0, "the header's checksum");
    let udp = &packet[IP_HEADER..];
    let length = u16::try_from(udp.len()).unwrap().to_be_bytes();
    let pseudo = [&packet[12..20], &[0, UDP], &length, udp].concat();
    assert_eq!(checksum(&pseudo), 0, "the datagram's checksum");
    assert_eq!(udp[..6], [[0, 68], [0, 67], length].concat());
    v4::Message::decode(&mut Decoder::new(&udp[UDP_HEADER..])).unwrap()
}

/// A server's message as a packet.
fn answer(kind: MessageType, xid: u32, mac: MacAddr, options: &[DhcpOption]) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = v4::Message::new_with_id(xid, none, [10, 5, 0, 7].into(), none, none, &mac.0);
    message.set_opcode(Opcode::BootReply);
    let mut all = DhcpOptions::new();
    all.insert(DhcpOption::MessageType(kind));
    for one in options {
        all.insert(one.clone());
    }
    message.set_opts(all);
    let mut packet =
        packet([10, 5, 0, 1].into(), [10, 5, 0, 7].into(), &message.to_vec().unwrap()).unwrap();
    packet[IP_HEADER..IP_HEADER + 4].copy_from_slice(&[0, 67, 0, 68]);
    packet
}

#[test]
fn messages_have_what_rfc_2131_wants_in_them() {
    let address = Ipv4Addr::new(10, 5, 0, 7);
    let server = Ipv4Addr::new(10, 5, 0, 1);
    let has = |message: &v4::Message, code: u8| message.opts().get(code.into()).cloned();
    let discover = sent(&client(), Asked::Discover(Some(address)));
    assert_eq!((discover.xid(), discover.secs()), (0x0102_0304, 7));
    assert_eq!(discover.chaddr(), MAC.0);
    assert_eq!(has(&discover, 53), Some(DhcpOption::MessageType(MessageType::Discover)));
    assert_eq!(has(&discover, 50), Some(DhcpOption::RequestedIpAddress(address)));
    assert_eq!(has(&discover, 61), Some(DhcpOption::ClientIdentifier(vec![0, b'c', b'1'])));
    assert_eq!(has(&discover, 12), Some(DhcpOption::Hostname("web".to_owned())));
    assert!(has(&discover, 54).is_none());
    let select = sent(&client(), Asked::Select { address, server });
    assert_eq!(has(&select, 54), Some(DhcpOption::ServerIdentifier(server)));
    assert_eq!((select.ciaddr(), has(&select, 50).is_some()), (Ipv4Addr::UNSPECIFIED, true));
    let keep = sent(&client(), Asked::Keep(address));
    assert_eq!((keep.ciaddr(), has(&keep, 50), has(&keep, 54)), (address, None, None));
    let release = sent(&client(), Asked::Release { address, server });
    assert_eq!(has(&release, 53), Some(DhcpOption::MessageType(MessageType::Release)));
    assert_eq!((release.ciaddr(), has(&release, 12), has(&release, 55)), (address, None, None));
}

#[test]
fn an_identifier_of_the_configuration_replaces_ours_and_broadcast_is_said() {
    let mut client = client();
    client.provide.insert(61, b"mine".to_vec());
    client.broadcast = true;
    for kind in [
        Asked::Discover(None),
        Asked::Release { address: [10, 5, 0, 7].into(), server: [10, 5, 0, 1].into() },
    ] {
        let message = sent(&client, kind);
        let id = message.opts().get(OptionCode::ClientIdentifier).cloned();
        assert_eq!(id, Some(DhcpOption::ClientIdentifier(b"mine".to_vec())));
        assert!(message.flags().broadcast());
    }
}

#[test]
fn a_servers_message_is_read_also_where_options_come_in_parts() {
    let long: Vec<Ipv4Addr> = (0..70).map(|n| Ipv4Addr::new(10, 5, 1, n)).collect();
    let options = [
        DhcpOption::ServerIdentifier([10, 5, 0, 1].into()),
        DhcpOption::DomainNameServer(long.clone()),
    ];
    let packet = answer(MessageType::Ack, 9, MAC, &options);
    let reply = Reply::read(&packet, MAC, SERVER).unwrap();
    assert_eq!((reply.said.clone(), reply.xid), (Said::Ack([10, 5, 0, 7].into()), 9));
    assert_eq!(reply.server(), Some([10, 5, 0, 1].into()));
    assert_eq!(reply.options[&option::NAME_SERVERS].len(), 4 * long.len());
    assert_eq!(reply.neighbour, SERVER);
    // Padding of the frame is none of the packet.
    let padded = [packet.clone(), vec![0xee; 9]].concat();
    assert_eq!(Reply::read(&padded, MAC, SERVER), Some(reply));
    assert_eq!(Reply::read(&packet, SERVER, SERVER), None, "for another client");
}

#[test]
fn domains_are_read_compressed_and_not_at_all_where_they_are_garbage() {
    let value = b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04";
    assert_eq!(domains(value), ["eng.apple.com", "marketing.apple.com"]);
    for garbage in [&b"\xc0\x00"[..], b"\x3f", b"\x01", b"\xff\xff\xff"] {
        assert_eq!(domains(garbage), [""; 0], "{garbage:?}");
    }
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = Reply::read(&packet, MAC, SERVER);
    }

    #[test]
    fn no_options_make_it_panic(
        options in proptest::collection::vec(any::<u8>(), 0..400),
        fields in proptest::collection::vec(any::<u8>(), 192),
        overload in 0_u8..4,
    ) {
        let mut packet = answer(MessageType::Offer, 9, MAC, &[]);
        let begin = IP_HEADER + UDP_HEADER;
        packet[begin + 44..begin + 236].copy_from_slice(&fields);
        packet.truncate(begin + 240);
        packet.extend([53, 1, 2, 52, 1, overload]);
        packet.extend(options);
        let total = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[IP_HEADER + 4..IP_HEADER + 6].copy_from_slice(&(total - 20).to_be_bytes());
        if let Some(reply) = Reply::read(&packet, MAC, SERVER) {
            prop_assert_eq!(reply.xid, 9);
            let _ = crate::lease::v4::Lease::of([10, 5, 0, 7].into(), &reply.options, reply.search);
        }
    }

    #[test]
    fn one_changed_byte_makes_it_no_panic(at in 0_usize..300, byte in any::<u8>()) {
        let options = [
            DhcpOption::ServerIdentifier([10, 5, 0, 1].into()),
            DhcpOption::SubnetMask([255, 255, 255, 0].into()),
            DhcpOption::AddressLeaseTime(60),
        ];
        let mut packet = answer(MessageType::Ack, 9, MAC, &options);
        if let Some(place) = packet.get_mut(at) {
            *place = byte;
        }
        let _ = Reply::read(&packet, MAC, SERVER);
    }
}
