//! Verbs that fail or die at every request in turn. The switch holds for a whole process, so each
//! verb is done by a process of its own: this test executable again.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use firewall::{Wanted, add, del, exempt, gc};

use crate::kit::{
    Namespace, antispoof, attachment, exempted, ips, masquerade, network_exempt, networks, ruleset,
};

const VERB: &str = "FIREWALL_TEST_VERB";

pub fn wanted() -> Wanted {
    let mut wanted = masquerade(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
    wanted.antispoof = antispoof(attachment("net", "c1"), "veth1", "0a:58:0a:01:00:05").antispoof;
    wanted
}

/// The same with the exemptions of its network.
fn heeding() -> Wanted {
    let with = network_exempt(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
    Wanted { masquerade: with.masquerade, ..wanted() }
}

const EXEMPT: &str = "192.0.2.1/32 192.0.2.2/32 10.0.0.0/8 fd00::/8 2001:db8::1/128";

/// The verbs, as the processes do them.
#[test]
fn a_process_does_the_verb_it_is_told() {
    let Ok(verb) = std::env::var(VERB) else { return };
    let veth1 = "veth1".parse().unwrap();
    let c1 = attachment("net", "c1");
    match verb.as_str() {
        "add" => add(&wanted()).unwrap(),
        "del" => del(&c1, Some(&ips(&["10.1.0.5", "fd00:1::5"])), Some(&veth1)).unwrap(),
        "del without addresses" => del(&c1, None, Some(&veth1)).unwrap(),
        "del of the link" => del(&c1, Some(&[]), Some(&veth1)).unwrap(),
        "add with exemptions" => add(&heeding()).unwrap(),
        "exempt" => drop(exempt::set(&c1.network, &networks(EXEMPT)).unwrap()),
        "look for exemptions" => assert!(exempt::is_there(&c1.network).unwrap()),
        "remove exemptions" => exempt::remove(&c1.network).unwrap(),
        "gc" => gc(&c1.network, &BTreeSet::new()).unwrap(),
        other => panic!("no verb {other}"),
    }
}

/// Does a verb in a process of its own, in the calling thread's namespace.
pub fn process(verb: &str, fault: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fault::a_process_does_the_verb_it_is_told", "--nocapture"])
        .env(VERB, verb)
        .env("PODWIRE_FAULT", fault)
        .output()
        .unwrap()
}

/// Does a verb with a fault at its first, second, ... request, until one has fewer requests.
fn at_every_request(verb: &'static str, begin: fn(), end: fn(&str)) {
    Namespace::new().run(move || {
        for fault in ["fail", "die"] {
            for n in 1.. {
                assert!(n < 100, "{verb} never succeeds");
                begin();
                let output = process(verb, &format!("{fault}:{n}"));
                let at = format!("{verb}, {fault} at {n}");
                if output.status.success() {
                    assert!(n > 2, "{at}: the fault was not met");
                    end(&at);
                    break;
                }
                if fault == "fail" {
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(
                        said.contains("os error 5") || said.contains("code: 5"),
                        "{at}: {said}"
                    );
                }
                end(&at);
            }
        }
    });
}

#[test]
fn after_an_add_that_failed_or_died_anywhere_del_leaves_nothing() {
    at_every_request(
        "add",
        || {},
        |at| {
            let text = ruleset();
            let whole =
                text.contains("10.1.0.5") && text.contains("fd00:1::5") && text.contains("veth1");
            assert!(text.is_empty() || whole, "{at} left a half: {text}");
            assert!(process("del", "").status.success(), "{at}");
            assert_eq!(ruleset(), "", "{at}");
        },
    );
}

#[test]
fn a_del_or_gc_that_failed_or_died_anywhere_is_made_good_by_the_next() {
    for verb in ["del", "del without addresses", "gc"] {
        at_every_request(
            verb,
            || add(&wanted()).unwrap(),
            |at| {
                assert!(process("del", "").status.success(), "{at}");
                assert_eq!(ruleset(), "", "{at}");
            },
        );
    }
}

#[test]
fn exemptions_are_as_before_or_as_wanted_after_a_change_that_failed_or_died_anywhere() {
    at_every_request(
        "exempt",
        || {
            drop(
                exempt::set(&"net".parse().unwrap(), &networks("10.0.0.0/16 192.0.2.1/32"))
                    .unwrap(),
            );
        },
        |at| {
            let found = exempted();
            let before = found == ["10.0.0.0/16", "192.0.2.1/32"];
            assert!(before || found.len() == 5, "{at}: {found:?}");
            assert!(process("exempt", "").status.success(), "{at}");
            assert_eq!(exempted().len(), 5, "{at}");
        },
    );
    at_every_request(
        "remove exemptions",
        || drop(exempt::set(&"net".parse().unwrap(), &networks(EXEMPT)).unwrap()),
        |at| {
            assert!(process("remove exemptions", "").status.success(), "{at}");
            assert_eq!(ruleset(), "", "{at}");
        },
    );
}
