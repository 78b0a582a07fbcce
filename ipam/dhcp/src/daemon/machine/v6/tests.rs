use super::*;
use crate::daemon::message::v6::Association;

const SERVER: [u8; 4] = [0, 3, 0, 1];

fn at(seconds: u64) -> Moment {
    Duration::from_secs(1000 + seconds)
}

fn client() -> Client {
    Client::of("container/net/eth0")
}

fn patience() -> Patience {
    Patience { answer: Duration::from_secs(10), repeat: Duration::from_secs(62) }
}

fn machine() -> Machine {
    Machine::new(client(), patience(), 42, at(0))
}

fn own(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)
}

/// A server's word of an address with this valid lifetime, of which half is preferred.
fn reply(machine: &Machine, said: Said, last: u16, valid: u32) -> Reply {
    let association = Association::of(&[(own(last), valid / 2, valid)], None);
    Reply {
        said,
        xid: machine.xid,
        server: SERVER.to_vec(),
        is_rapid: false,
        status: None,
        association: Some(association),
        name_servers: Vec::new(),
        search: Vec::new(),
        longest_pause: None,
    }
}

/// One that says how it went instead.
fn refusal(machine: &Machine, said: Said, code: u16) -> Reply {
    Reply { association: Some(Association::of(&[], Some(code))), ..reply(machine, said, 0, 0) }
}

const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const RELEASE: u8 = 8;

/// The types of the messages that are sent.
fn sent<'a>(effects: impl IntoIterator<Item = &'a Effect>) -> Vec<u8> {
    let packets = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { to, packet } => {
            assert_eq!(*to, ALL_SERVERS);
            Some(packet[0])
        }
        _ => None,
    });
    packets.collect()
}

/// A machine with a lease of fd00::7 since `at(0)`, to be renewed at a quarter and rebound at two
/// fifths of its time.
fn bound(seconds: u32) -> Machine {
    let mut machine = machine();
    assert_eq!(sent(&machine.on_time(at(0))), [SOLICIT]);
    let advertise = reply(&machine, Said::Advertise, 7, seconds);
    assert_eq!(sent(&machine.on_reply(&advertise, at(0))), [REQUEST]);
    assert_ne!(machine.xid, advertise.xid);
    let granted = reply(&machine, Said::Reply, 7, seconds);
    assert_eq!(machine.on_reply(&granted, at(0)), [Effect::Bound]);
    assert!(!machine.listens());
    machine
}

#[test]
fn it_asks_again_and_again_while_somebody_waits_and_less_and_less_often() {
    let mut machine = machine();
    let (mut pauses, mut moment) = (Vec::new(), at(0));
    for _ in 0..10 {
        assert_eq!(sent(&machine.on_time(moment)), [SOLICIT]);
        assert!(machine.listens());
        pauses.push(machine.due().saturating_sub(moment).as_secs());
        assert_eq!(machine.on_time(moment), []);
        moment = machine.due();
    }
    assert_eq!(pauses[..3], [1, 2, 4]);
    assert!(pauses[7..].iter().all(|pause| (62..=68).contains(pause)), "{pauses:?}");
}

#[test]
fn a_reply_at_once_is_a_lease_only_where_it_says_so() {
    let mut machine = machine();
    machine.on_time(at(0));
    let mut granted = reply(&machine, Said::Reply, 7, 80);
    assert_eq!(machine.on_reply(&granted, at(0)), []);
    granted.is_rapid = true;
    assert_eq!(machine.on_reply(&granted, at(0)), [Effect::Bound]);
    assert_eq!(machine.held().unwrap().lease.address, own(7));
}

#[test]
fn an_advertisement_that_is_never_granted_is_given_up_for_another() {
    let mut machine = machine();
    machine.on_time(at(0));
    let advertise = reply(&machine, Said::Advertise, 7, 60);
    machine.on_reply(&advertise, at(0));
    let mut kinds = Vec::new();
    while kinds.last() != Some(&SOLICIT) {
        kinds.extend(sent(&machine.on_time(machine.due())));
    }
    assert!(kinds[..kinds.len() - 1].iter().all(|kind| *kind == REQUEST), "{kinds:?}");
    assert!(machine.due() < at(20));
}

#[test]
fn a_server_that_takes_its_word_back_is_asked_again_after_a_while() {
    for code in [1, status::NO_ADDRESSES, status::NOT_ON_LINK] {
        let mut machine = machine();
        machine.on_time(at(0));
        let advertise = reply(&machine, Said::Advertise, 7, 60);
        machine.on_reply(&advertise, at(0));
        let refused = refusal(&machine, Said::Reply, code);
        assert_eq!(machine.on_reply(&refused, at(0)), []);
        assert!(machine.trouble.contains(&format!("({code})")), "{}", machine.trouble);
        assert!(machine.due() >= at(1) && !machine.listens());
        assert_eq!(sent(&machine.on_time(machine.due())), [SOLICIT]);
    }
}

#[test]
fn a_server_without_addresses_is_remembered_in_words_and_another_is_waited_for() {
    let mut machine = machine();
    machine.on_time(at(0));
    let none = refusal(&machine, Said::Advertise, status::NO_ADDRESSES);
    assert_eq!(machine.on_reply(&none, at(0)), []);
    assert!(machine.trouble.contains("NoAddrsAvail"), "{}", machine.trouble);
    let advertise = reply(&machine, Said::Advertise, 7, 60);
    assert_eq!(sent(&machine.on_reply(&advertise, at(0))), [REQUEST]);
}

#[test]
fn a_lease_is_renewed_by_its_server_at_half_of_its_preferred_time() {
    let mut machine = bound(160);
    assert_eq!(machine.due(), at(40));
    assert_eq!(machine.on_time(at(39)), []);
    assert_eq!(sent(&machine.on_time(at(40))), [RENEW]);
    let mut other = reply(&machine, Said::Reply, 7, 200);
    other.server.push(9);
    assert_eq!(machine.on_reply(&other, at(41)), []);
    let granted = reply(&machine, Said::Reply, 7, 200);
    assert_eq!(machine.on_reply(&granted, at(41)), [Effect::Bound]);
    // The times count from the moment of the question.
    assert_eq!(machine.due(), at(90));
}

#[test]
fn any_server_is_asked_when_its_own_is_silent_and_then_it_ends() {
    let mut machine = bound(160);
    let mut told: Vec<(u64, u8)> = Vec::new();
    while told.last().is_none_or(|(_, kind)| *kind != SOLICIT) {
        let moment = machine.due();
        let effects = machine.on_time(moment);
        if let Some(Effect::Lost(held, why)) = effects.first() {
            assert_eq!((held.lease.address, *why, moment), (own(7), "it has expired", at(160)));
        }
        let seconds = moment.saturating_sub(at(0)).as_secs();
        told.extend(sent(&effects).into_iter().map(|kind| (seconds, kind)));
    }
    let first = |kind| told.iter().find(|(_, k)| *k == kind).unwrap().0;
    assert_eq!((first(RENEW), first(REBIND), first(SOLICIT)), (40, 64, 160), "{told:?}");
    // Ten seconds after the first, then twenty.
    let rebinds: Vec<u64> = told.iter().filter(|(_, k)| *k == REBIND).map(|(s, _)| *s).collect();
    assert!((74..=75).contains(&rebinds[1]) && (94..=97).contains(&rebinds[2]), "{told:?}");
    assert!(machine.held().is_none());
    assert_eq!(machine.wish(), Some(own(7)));
}

#[test]
fn between_two_attempts_nothing_is_listened_to() {
    let mut machine = bound(16000);
    let (mut listened, mut attempts) = (Duration::ZERO, 0);
    while machine.due() < at(16000) {
        let moment = machine.due();
        attempts += sent(&machine.on_time(moment)).len();
        if machine.listens() {
            listened += machine.due().saturating_sub(moment);
        }
    }
    assert!((15..60).contains(&attempts), "{attempts}");
    assert!(listened <= Duration::from_secs(10 * attempts as u64), "{listened:?}");
}

#[test]
fn another_server_may_take_over_what_is_rebound() {
    let mut machine = bound(160);
    assert_eq!(sent(&machine.on_time(at(64))), [REBIND]);
    let mut granted = reply(&machine, Said::Reply, 7, 200);
    granted.server.push(9);
    assert_eq!(machine.on_reply(&granted, at(65)), [Effect::Bound]);
    assert_eq!(machine.held().unwrap().lease.server, granted.server);
}

#[test]
fn a_server_that_has_forgotten_is_asked_anew_while_the_address_stays() {
    let mut machine = bound(160);
    machine.on_time(at(40));
    let none = refusal(&machine, Said::Reply, status::NO_BINDING);
    assert_eq!(sent(&machine.on_reply(&none, at(40))), [REQUEST]);
    assert!(machine.held().is_some());
    let granted = reply(&machine, Said::Reply, 8, 160);
    assert_eq!(machine.on_reply(&granted, at(41)), [Effect::Bound]);
    assert_eq!(machine.held().unwrap().lease.address, own(8));
}

#[test]
fn a_server_that_has_forgotten_and_grants_nothing_is_not_asked_without_end() {
    let mut machine = bound(160);
    let mut sends = Vec::new();
    while machine.held().is_some() {
        let moment = machine.due();
        let mut effects = machine.on_time(moment);
        // It answers every question at once, and never as one would like.
        for _ in 0..3 {
            let kinds = sent(&effects);
            sends.extend(kinds.iter().map(|kind| (moment, *kind)));
            let code = match kinds.as_slice() {
                [RENEW | REBIND] => status::NO_BINDING,
                [REQUEST] => status::NO_ADDRESSES,
                _ => break,
            };
            let answer = refusal(&machine, Said::Reply, code);
            effects = machine.on_reply(&answer, moment);
        }
    }
    assert!(sends.len() < 20, "{sends:?}");
    assert!(sends.iter().any(|(_, kind)| *kind == REBIND), "{sends:?}");
    assert_eq!(machine.wish(), Some(own(7)));
}

#[test]
fn an_address_that_is_taken_back_is_lost_at_once() {
    for (answer, wish) in [(0, None), (status::NOT_ON_LINK, None)] {
        let mut machine = bound(160);
        machine.on_time(at(40));
        let taken = match answer {
            0 => reply(&machine, Said::Reply, 7, 0),
            code => refusal(&machine, Said::Reply, code),
        };
        let effects = machine.on_reply(&taken, at(41));
        assert!(matches!(effects.first(), Some(Effect::Lost(..))), "{effects:?}");
        assert_eq!(sent(&effects), [SOLICIT]);
        assert_eq!(machine.wish(), wish);
    }
}

#[test]
fn an_address_comes_in_place_of_one_that_is_taken_back_and_not_of_one_that_is_not() {
    let mut machine = bound(160);
    machine.on_time(at(40));
    let other = reply(&machine, Said::Reply, 8, 160);
    assert_eq!(machine.on_reply(&other, at(41)), []);
    assert_eq!(machine.held().unwrap().lease.address, own(7));
    let both = Association::of(&[(own(7), 0, 0), (own(8), 80, 160)], None);
    let moved = Reply { association: Some(both), ..other };
    assert_eq!(machine.on_reply(&moved, at(41)), [Effect::Bound]);
    assert_eq!(machine.held().unwrap().lease.address, own(8));
}

#[test]
fn a_server_that_fails_to_renew_for_now_does_not_end_the_lease() {
    let mut machine = bound(160);
    machine.on_time(at(40));
    for code in [1, status::NO_ADDRESSES] {
        let failed = refusal(&machine, Said::Reply, code);
        assert_eq!(machine.on_reply(&failed, at(41)), []);
    }
    assert!(machine.held().is_some() && machine.due() > at(41));
}

#[test]
fn a_lease_for_ever_is_never_asked_about() {
    let machine = bound(NEVER);
    assert!(machine.due() > at(u64::from(u32::MAX / 8)));
    let mut forever = self::machine();
    forever.on_time(at(0));
    let association = Association::of(&[(own(7), NEVER, NEVER)], None);
    let granted = Reply {
        association: Some(association),
        is_rapid: true,
        ..reply(&forever, Said::Reply, 7, 80)
    };
    assert_eq!(forever.on_reply(&granted, at(0)), [Effect::Bound]);
    assert_eq!(forever.due(), Moment::MAX);
}

#[test]
fn without_anybody_who_waits_it_listens_only_now_and_then() {
    let mut machine = Machine::seek(client(), patience(), 42, at(0), None);
    let (mut listened, mut moment) = (Duration::ZERO, at(0));
    while moment < at(600) {
        machine.on_time(moment);
        let next = machine.due();
        if machine.listens() {
            listened += next.saturating_sub(moment);
        }
        moment = next;
    }
    assert!(listened < Duration::from_secs(200), "{listened:?}");
}

#[test]
fn a_server_may_say_how_seldom_it_is_to_be_asked() {
    let mut machine = Machine::seek(client(), patience(), 42, at(0), None);
    machine.on_time(at(0));
    let seldom = Some(Duration::from_hours(1));
    let none = refusal(&machine, Said::Advertise, status::NO_ADDRESSES);
    machine.on_reply(&Reply { longest_pause: seldom, ..none }, at(0));
    let (mut moment, mut asked) = (at(0), 0);
    while moment < at(36000) {
        asked += sent(&machine.on_time(moment)).len();
        moment = machine.due();
    }
    assert!(asked < 100, "{asked}");
}

#[test]
fn answers_to_others_and_late_ones_change_nothing() {
    let mut machine = machine();
    machine.on_time(at(0));
    let mut advertise = reply(&machine, Said::Advertise, 7, 60);
    advertise.xid ^= 1;
    assert_eq!(machine.on_reply(&advertise, at(0)), []);
    let mut machine = bound(160);
    let taken = reply(&machine, Said::Reply, 7, 0);
    assert_eq!(machine.on_reply(&taken, at(1)), []);
    // A server that we did not choose has nothing to say.
    let mut machine = self::machine();
    machine.on_time(at(0));
    let advertise = reply(&machine, Said::Advertise, 7, 60);
    machine.on_reply(&advertise, at(0));
    let mut granted = reply(&machine, Said::Reply, 7, 60);
    granted.server.push(9);
    assert_eq!(machine.on_reply(&granted, at(0)), []);
}

#[test]
fn a_lease_goes_on_after_a_restart_where_it_was() {
    let held = bound(160).held().unwrap().clone();
    let resumed = |now: u64| Machine::resume(client(), patience(), 7, at(now), held.clone());
    assert_eq!(resumed(10).due(), at(40));
    assert_eq!(sent(&resumed(50).on_time(at(50))), [RENEW]);
    assert_eq!(sent(&resumed(75).on_time(at(75))), [REBIND]);
    let effects = resumed(170).on_time(at(170));
    assert!(matches!(effects.first(), Some(Effect::Lost(..))), "{effects:?}");
}

#[test]
fn a_lease_is_given_back_once() {
    let mut machine = bound(160);
    assert_eq!(sent(machine.release(at(1)).as_slice()), [RELEASE]);
    assert_eq!(machine.release(at(1)), None);
}

#[test]
fn somebody_who_comes_to_wait_waits_out_no_pause() {
    let mut machine = Machine::seek(client(), patience(), 42, at(0), None);
    let mut moment = at(0);
    for _ in 0..20 {
        machine.on_time(moment);
        moment = machine.due();
    }
    while machine.listens() {
        machine.on_time(moment);
        moment = machine.due();
    }
    let early = moment.saturating_sub(Duration::from_secs(1));
    assert_eq!(machine.on_time(early), []);
    machine.hurry(early);
    assert_eq!(sent(&machine.on_time(early)), [SOLICIT]);
    assert!(machine.due() < early + Duration::from_secs(2));
}
