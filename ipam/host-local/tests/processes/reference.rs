//! Beside the reference: on one directory, at the same time, each cleaning up for the other.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use crate::lab::{Lab, ours, run};

/// The reference; none, and a record of it, where it is not installed. Where everything must run,
/// and nobody reads the record, that is a failure.
fn reference() -> Option<PathBuf> {
    let file = testkit::reference_directory().map(|directory| directory.join("host-local"));
    if file.is_none() {
        testkit::not_run("the reference plugins are not installed");
        let all = std::env::var_os("PODWIRE_TESTS").is_some_and(|which| which == "all");
        assert!(!all || std::env::var_os("PODWIRE_NOT_RUN").is_some(), "all tests must run");
    }
    file
}

#[test]
fn each_deletes_and_checks_what_the_other_added() {
    let Some(reference) = reference() else { return };
    for (adds, other) in [(ours(), reference.clone()), (reference, ours())] {
        let lab = Lab::new(&["10.1.0.0/24", "fd00:1::/64"]);
        let mut conf = lab.old_conf();
        let mut given = Vec::new();
        for n in 0..3 {
            let added = run(&adds, "ADD", &conf, &format!("c{n}"), &[]);
            given.push((added.addresses(), added));
        }
        // The other goes on where the one stopped, and refuses to add for it.
        let next = run(&other, "ADD", &conf, "c3", &[]);
        assert_eq!(next.addresses(), ["10.1.0.5", "fd00:1::5"]);
        let twice = run(&other, "ADD", &conf, "c1", &[]);
        assert!(twice.json["msg"].as_str().unwrap().contains("duplicate allocation"), "{twice:?}");

        for (n, (_, added)) in given.iter().enumerate() {
            conf["prevResult"] = added.json.clone();
            let container = format!("c{n}");
            let check = run(&other, "CHECK", &conf, &container, &[]);
            assert!(check.ok, "{}", check.json);
            assert!(run(&other, "DEL", &conf, &container, &[]).ok);
            assert!(!run(&adds, "CHECK", &conf, &container, &[]).ok);
            assert!(!run(&other, "CHECK", &conf, &container, &[]).ok);
        }
        assert!(run(&adds, "DEL", &conf, "c3", &[]).ok);
        assert_eq!(lab.leases(), []);
        assert_eq!(lab.strays(), [""; 0]);
    }
}

#[test]
fn both_give_the_same_addresses_in_the_same_order() {
    let Some(reference) = reference() else { return };
    let subnets = ["10.1.0.0/28", "fd00:1::/124"];
    let labs = [(Lab::new(&subnets), ours()), (Lab::new(&subnets), reference)];
    let mut histories = Vec::new();
    for (lab, file) in &labs {
        let mut history = Vec::new();
        for n in 0..40 {
            let added = run(file, "ADD", &lab.old_conf(), &format!("c{n}"), &[]);
            history.push(if added.ok { added.json["ips"].to_string() } else { "full".into() });
            // Every third stays, until the pool is full.
            if n % 3 != 0 {
                assert!(run(file, "DEL", &lab.old_conf(), &format!("c{n}"), &[]).ok);
            }
        }
        histories.push(history);
    }
    assert_eq!(histories[0], histories[1]);
    assert_eq!(labs[0].0.leases(), labs[1].0.leases());
    assert_eq!(histories[0].last().unwrap(), "full");
}

#[test]
fn both_at_once_on_one_directory_never_give_an_address_twice() {
    let Some(reference) = reference() else { return };
    let lab = Lab::new(&["10.1.0.0/26", "fd00:1::/64"]);
    let in_use = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for worker in 0..8 {
            let (lab, in_use, reference) = (&lab, &in_use, &reference);
            scope.spawn(move || {
                let ours = ours();
                for round in 0..25 {
                    let files = [&ours, reference];
                    let (adds, dels) =
                        (files[(worker + round) % 2], files[(worker + round / 2) % 2]);
                    let container = format!("w{worker}r{round}");
                    let added = run(adds, "ADD", &lab.old_conf(), &container, &[]);
                    let given = added.addresses();
                    for address in &given {
                        assert!(in_use.lock().unwrap().insert(address.clone()), "{address} twice");
                    }
                    let mut conf = lab.old_conf();
                    conf["prevResult"] = added.json;
                    let check = run(&ours, "CHECK", &conf, &container, &[]);
                    assert!(check.ok, "{}", check.json);
                    // Before the DEL: another may have them as soon as they are free.
                    for address in &given {
                        in_use.lock().unwrap().remove(address);
                    }
                    let del = run(dels, "DEL", &lab.old_conf(), &container, &[]);
                    assert!(del.ok, "{}", del.json);
                }
            });
        }
    });
    assert_eq!(lab.leases(), []);
}
