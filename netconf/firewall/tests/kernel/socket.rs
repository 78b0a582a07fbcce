//! `kernel::netfilter` itself: what it makes of refusals and of dumps under change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use firewall::{add, del};
use kernel::netfilter::{Attributes, Request, Socket};

use crate::kit::{Namespace, attachment, ips, masquerade, ruleset};
use crate::scale::populate;

const INET: u8 = 1;
const NEW_TABLE: (u8, u8) = (10, 0);
const NEW_RULE: (u8, u8) = (10, 6);
const GET_ELEMENT: (u8, u8) = (10, 13);
const DEL_TABLE: (u8, u8) = (10, 2);

fn named(name: &str) -> Attributes {
    Attributes::new().with_text(1, name)
}

#[test]
fn a_refused_transaction_tells_every_fault_and_leaves_nothing() {
    Namespace::new().run(|| {
        let batch = [
            Request::new(("create the table", "inet a"), NEW_TABLE, 0, INET, named("a")),
            Request::new(("add a rule to", "inet b c"), NEW_RULE, 0x400, INET, named("b")),
            Request::new(("create the table", "inet d"), NEW_TABLE, 0, INET, named("d")),
            Request::new(("delete the table", "inet e"), DEL_TABLE, 0, INET, named("e")),
        ];
        let refused = Socket::open().unwrap().transact(&batch, None).unwrap_err();
        let faults: Vec<_> = refused.refusals.iter().map(|r| (r.index, r.errno)).collect();
        assert_eq!(faults, [(Some(1), libc::ENOENT), (Some(3), libc::ENOENT)]);
        let error = kernel::Error::from(refused);
        let text = error.to_string();
        assert!(text.starts_with("add a rule to inet b c: No such file"), "{text}");
        assert!(text.contains("\"b\", is at fault"), "{text}");
        assert!(text.contains("also: delete the table inet e"), "{text}");
        assert!(error.is_gone());
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn a_transaction_on_an_old_generation_is_refused_as_a_whole() {
    Namespace::new().run(|| {
        let create =
            |name| [Request::new(("create the table", name), NEW_TABLE, 0, INET, named(name))];
        let mut socket = Socket::open().unwrap();
        let generation =
            Request::new(("ask for", "the generation"), (10, 16), 0, 0, Attributes::new());
        let before = socket.get(generation).unwrap().unwrap().attributes().number(1);
        socket.transact(&create("a"), before).unwrap();
        let refused = socket.transact(&create("b"), before).unwrap_err();
        assert!(refused.has(libc::ERESTART) && refused.refusals[0].index.is_none());
        assert!(!ruleset().contains("inet b"));
        socket.transact(&create("b"), None).unwrap();
        assert!(ruleset().contains("inet b"));
    });
}

#[test]
fn what_is_too_long_for_an_attribute_is_refused_before_it_is_sent() {
    Namespace::new().run(|| {
        let long = Attributes::new().with(1, &vec![b'a'; 70_000]);
        let batch = [Request::new(("create the table", "a long one"), NEW_TABLE, 0, INET, long)];
        let refused = Socket::open().unwrap().transact(&batch, None).unwrap_err();
        assert!(refused.has(libc::EMSGSIZE), "{refused}");
    });
}

#[test]
fn a_dump_during_constant_change_ends_and_misses_next_to_nothing() {
    Namespace::new().run(|| {
        populate(0..2);
        let stop = Arc::new(AtomicBool::new(false));
        let churn = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    add(&masquerade(attachment("net", "x"), &["10.9.0.1/16"])).unwrap();
                    del(&attachment("net", "x"), Some(&ips(&["10.9.0.1"])), None).unwrap();
                }
            })
        };
        let all = Request::new(
            ("list", "addresses4"),
            GET_ELEMENT,
            0,
            INET,
            named("podwire").with_text(2, "addresses4"),
        );
        let mut socket = Socket::open().unwrap();
        let mut whole = 0;
        for _ in 0..200 {
            let objects = match socket.dump(&all) {
                Ok(objects) => objects,
                Err(error) if error.errno() == libc::EAGAIN => continue,
                Err(error) => panic!("{error}"),
            };
            let elements: usize = objects.iter().map(|o| o.attributes().nest(3).count()).sum();
            // A dump that begins in the middle of a commit may miss one without being told.
            assert!((495..=505).contains(&elements), "{elements}");
            whole += 1;
        }
        stop.store(true, Ordering::Relaxed);
        churn.join().unwrap();
        assert!(whole > 0, "no dump succeeded");
    });
}
