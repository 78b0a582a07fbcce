//! Many at once.

use std::sync::{Arc, Barrier};
use std::thread;

use cni::Attachment;
use firewall::{Wanted, add, check, del, exempt};

use crate::kit::{
    Namespace, antispoof, attachment, elements, exempted, ips, masquerade, networks, ruleset,
};

const MANY: u8 = 50;

fn wanted(n: u8) -> Wanted {
    // Two subnets, so that chains come and go under each other too.
    let address = format!("10.{}.0.{n}/16", n % 2 + 1);
    let mut wanted = masquerade(who(n), &[&address, &format!("fd00:{}::{n}/64", n % 2 + 1)]);
    wanted.antispoof =
        antispoof(who(n), &format!("veth{n}"), &format!("0a:58:00:00:00:{n:02x}")).antispoof;
    wanted
}

fn who(n: u8) -> Attachment {
    attachment("net", &format!("c{n}"))
}

fn remove(n: u8) {
    let known = ips(&[&format!("10.{}.0.{n}", n % 2 + 1), &format!("fd00:{}::{n}", n % 2 + 1)]);
    del(&who(n), Some(&known), Some(&format!("veth{n}").parse().unwrap())).unwrap();
}

/// Does it for each number in a thread of its own, all starting together.
fn at_once(numbers: impl Iterator<Item = u8>, job: impl Fn(u8) + Copy + Send + 'static) {
    let numbers: Vec<_> = numbers.collect();
    let start = Arc::new(Barrier::new(numbers.len()));
    let threads: Vec<_> = numbers
        .into_iter()
        .map(|n| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                job(n);
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a verb that succeeds");
    }
}

#[test]
fn fifty_first_adds_at_once_all_succeed_and_fifty_dels_leave_nothing() {
    Namespace::new().run(|| {
        for _ in 0..3 {
            at_once(0..MANY, |n| add(&wanted(n)).unwrap());
            assert_eq!(elements("inet", "addresses4").len(), usize::from(MANY));
            assert_eq!(elements("inet", "addresses6").len(), usize::from(MANY));
            assert_eq!(elements("bridge", "allowed").len(), usize::from(MANY));
            for n in 0..MANY {
                assert_eq!(check(&wanted(n)).unwrap(), Vec::<String>::new());
            }
            at_once(0..MANY, remove);
            assert_eq!(ruleset(), "");
        }
    });
}

#[test]
fn of_many_changes_of_what_a_network_exempts_one_holds_at_the_end() {
    Namespace::new().run(|| {
        let network = who(0).network;
        // Each number's wish overlaps with some and is apart from others.
        let wish = |n: u8| {
            let low = u32::from(n) * 7;
            let mut wish: Vec<_> = (low..low + 40).map(crate::scale::node).collect();
            wish.extend(networks(&format!("10.{}.0.0/{} fd00:{n}::/32", n / 3, 16 + n % 3)));
            wish
        };
        for round in 0..10_u8 {
            at_once(0..20, move |n| {
                exempt::set(&who(n).network, &wish(n)).unwrap();
                // Other transactions come in between.
                if n % 2 == round % 2 { add(&wanted(n)).unwrap() } else { remove(n) }
            });
            let same = (0..20).filter(|n| exempt::check(&network, &wish(*n)).unwrap().is_empty());
            assert_eq!(same.count(), 1, "{:?}", exempted());
            assert_eq!(exempted().len(), 42);
        }
        at_once(0..20, remove);
        at_once(0..4, |n| exempt::remove(&who(n).network).unwrap());
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn adds_and_dels_that_meet_do_not_harm_each_other() {
    Namespace::new().run(|| {
        for round in 0..6_u8 {
            // The even ones come while the odd ones go, and the other way round.
            at_once(
                0..MANY,
                move |n| {
                    if n % 2 == round % 2 { add(&wanted(n)).unwrap() } else { remove(n) }
                },
            );
            for n in (0..MANY).filter(|n| n % 2 == round % 2) {
                assert_eq!(check(&wanted(n)).unwrap(), Vec::<String>::new());
            }
            assert_eq!(elements("inet", "addresses4").len(), usize::from(MANY / 2));
            assert_eq!(elements("bridge", "guarded").len(), usize::from(MANY / 2));
        }
        at_once(0..MANY, remove);
        assert_eq!(ruleset(), "");
    });
}
