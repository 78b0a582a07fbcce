use super::*;
use crate::lease::v4::{Options, option};

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const NEIGHBOUR: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const ALL: MacAddr = MacAddr([0xff; 6]);
const SERVER: [u8; 4] = [10, 5, 0, 1];

fn at(seconds: u64) -> Moment {
    Duration::from_secs(1000 + seconds)
}

fn client() -> Client {
    Client {
        mac: MAC,
        id: vec![0, 1],
        broadcast: false,
        provide: Options::new(),
        request: vec![1, 3],
    }
}

fn patience() -> Patience {
    Patience { answer: Duration::from_secs(10), repeat: Duration::from_secs(62) }
}

fn machine() -> Machine {
    Machine::new(client(), patience(), 42, at(0))
}

fn reply(machine: &Machine, said: Said, seconds: u32) -> Reply {
    let options: Options = [
        (option::SUBNET_MASK, vec![255, 255, 255, 0]),
        (option::SERVER, SERVER.to_vec()),
        (option::LEASE_TIME, seconds.to_be_bytes().to_vec()),
    ]
    .into();
    Reply { said, xid: machine.xid, options, search: Vec::new(), neighbour: NEIGHBOUR }
}

fn address(last: u8) -> Ipv4Addr {
    [10, 5, 0, last].into()
}

/// The neighbour that each packet goes to, and its message type.
fn sent(effects: &[Effect]) -> Vec<(MacAddr, u8)> {
    let kind = |packet: &[u8]| {
        let options = &packet[268..];
        let at = options.windows(2).position(|pair| pair == [53, 1]).unwrap();
        options[at + 2]
    };
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { to, packet } => Some((*to, kind(packet))),
            _ => None,
        })
        .collect()
}

/// A machine with a lease of so many seconds since `at(0)`.
fn bound(seconds: u32) -> Machine {
    let mut machine = machine();
    assert_eq!(sent(&machine.on_time(at(0))), [(ALL, 1)]);
    let offer = reply(&machine, Said::Offer(address(7)), seconds);
    assert_eq!(sent(&machine.on_reply(&offer, at(0))), [(ALL, 3)]);
    let ack = reply(&machine, Said::Ack(address(7)), seconds);
    assert_eq!(machine.on_reply(&ack, at(0)), [Effect::Bound]);
    assert!(!machine.listens());
    machine
}

#[test]
fn it_asks_again_and_again_while_somebody_waits_and_less_and_less_often() {
    let mut machine = machine();
    let mut pauses = Vec::new();
    let mut moment = at(0);
    for _ in 0..10 {
        assert_eq!(sent(&machine.on_time(moment)), [(ALL, 1)]);
        assert!(machine.listens());
        pauses.push(machine.due().saturating_sub(moment).as_secs());
        assert_eq!(machine.on_time(moment), []);
        moment = machine.due();
    }
    assert_eq!(pauses[..3], [1, 2, 4]);
    assert!(pauses[7..].iter().all(|pause| (62..=68).contains(pause)), "{pauses:?}");
}

#[test]
fn an_offer_that_is_never_granted_is_given_up_for_another() {
    let mut machine = machine();
    machine.on_time(at(0));
    let offer = reply(&machine, Said::Offer(address(7)), 60);
    machine.on_reply(&offer, at(0));
    let mut kinds = Vec::new();
    while kinds.last() != Some(&1) {
        kinds.extend(sent(&machine.on_time(machine.due())).iter().map(|(_, kind)| *kind));
    }
    assert!(kinds[..kinds.len() - 1].iter().all(|kind| *kind == 3), "{kinds:?}");
    assert!(machine.due() < at(20));
}

#[test]
fn a_lease_is_renewed_by_its_server_at_half_of_its_time() {
    let mut machine = bound(80);
    assert_eq!(machine.due(), at(40));
    assert_eq!(machine.on_time(at(39)), []);
    assert_eq!(sent(&machine.on_time(at(40))), [(NEIGHBOUR, 3)]);
    let ack = reply(&machine, Said::Ack(address(7)), 100);
    assert_eq!(machine.on_reply(&ack, at(41)), [Effect::Bound]);
    // The times count from the moment of the question.
    assert_eq!(machine.due(), at(90));
}

#[test]
fn any_server_is_asked_when_its_own_is_silent_and_then_it_ends() {
    let mut machine = bound(80);
    let mut told = Vec::new();
    while machine.due() < at(200) && told.len() < 5 {
        let moment = machine.due();
        let effects = machine.on_time(moment);
        for (to, kind) in sent(&effects) {
            told.push((moment.saturating_sub(at(0)).as_secs(), to, kind));
        }
        if let Some(Effect::Lost(held, _)) = effects.first() {
            assert_eq!(held.lease.address, address(7));
            break;
        }
    }
    assert_eq!(told, [(40, NEIGHBOUR, 3), (70, ALL, 3), (80, ALL, 1)]);
    assert!(machine.held().is_none());
    assert_eq!(machine.wish(), Some(address(7)));
}

#[test]
fn a_long_lease_is_asked_for_several_times_and_no_more_than_once_a_minute() {
    let mut machine = bound(8000);
    let mut asked = Vec::new();
    while machine.due() < at(8000) {
        let moment = machine.due();
        if !sent(&machine.on_time(moment)).is_empty() {
            asked.push(moment.saturating_sub(at(0)).as_secs());
        }
    }
    assert!(asked.len() > 6, "{asked:?}");
    let pairs = asked.windows(2).filter(|pair| pair[1] != 7000);
    assert!(pairs.clone().all(|pair| pair[1] - pair[0] >= 60), "{asked:?}");
    assert!(asked.contains(&4000) && asked.contains(&7000), "{asked:?}");
}

#[test]
fn a_refusal_ends_the_lease_at_once_and_another_is_asked_for() {
    let mut machine = bound(80);
    machine.on_time(at(40));
    let nak = reply(&machine, Said::Nak, 0);
    let effects = machine.on_reply(&nak, at(41));
    assert!(matches!(effects.first(), Some(Effect::Lost(..))), "{effects:?}");
    assert_eq!(sent(&effects), [(ALL, 1)]);
    assert_eq!(machine.wish(), None);
    let offer = reply(&machine, Said::Offer(address(8)), 80);
    assert_eq!(sent(&machine.on_reply(&offer, at(41))), [(ALL, 3)]);
    let ack = reply(&machine, Said::Ack(address(8)), 80);
    assert_eq!(machine.on_reply(&ack, at(41)), [Effect::Bound]);
    assert_eq!(machine.held().unwrap().lease.address, address(8));
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
fn answers_to_others_and_late_ones_change_nothing() {
    let mut machine = machine();
    machine.on_time(at(0));
    let mut offer = reply(&machine, Said::Offer(address(7)), 60);
    offer.xid ^= 1;
    assert_eq!(machine.on_reply(&offer, at(0)), []);
    let ack = reply(&machine, Said::Ack(address(7)), 60);
    assert_eq!(machine.on_reply(&ack, at(0)), []);
    let mut machine = bound(80);
    let nak = reply(&machine, Said::Nak, 80);
    assert_eq!(machine.on_reply(&nak, at(1)), []);
    // A server that we did not choose has nothing to refuse.
    let mut machine = self::machine();
    machine.on_time(at(0));
    let offer = reply(&machine, Said::Offer(address(7)), 60);
    machine.on_reply(&offer, at(0));
    let mut nak = reply(&machine, Said::Nak, 0);
    nak.options.insert(option::SERVER, vec![10, 5, 0, 99]);
    assert_eq!(machine.on_reply(&nak, at(0)), []);
}

#[test]
fn a_lease_goes_on_after_a_restart_where_it_was() {
    let held = bound(80).held().unwrap().clone();
    let resumed = |now: u64| Machine::resume(client(), patience(), 7, at(now), held.clone());
    assert_eq!(resumed(10).due(), at(40));
    assert_eq!(sent(&resumed(50).on_time(at(50))), [(NEIGHBOUR, 3)]);
    assert_eq!(sent(&resumed(75).on_time(at(75))), [(ALL, 3)]);
    let effects = resumed(90).on_time(at(90));
    assert!(matches!(effects.first(), Some(Effect::Lost(..))), "{effects:?}");
}

#[test]
fn an_offer_that_is_no_lease_is_not_taken_and_remembered_in_words() {
    let mut machine = machine();
    machine.on_time(at(0));
    let mut offer = reply(&machine, Said::Offer(address(7)), 60);
    offer.options.remove(&option::SUBNET_MASK);
    assert_eq!(machine.on_reply(&offer, at(0)), []);
    assert!(machine.trouble.contains("option 1"), "{}", machine.trouble);
}

#[test]
fn a_lease_is_given_back_once() {
    let mut machine = bound(80);
    assert_eq!(sent(machine.release(at(1)).as_slice()), [(NEIGHBOUR, 7)]);
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
    assert_eq!(sent(&machine.on_time(early)), [(ALL, 1)]);
    assert!(machine.due() < early + Duration::from_secs(2));
}
