//! Each verb fails, or is killed, at each of its changes of the disk.

use std::fs;

use serde_json::Value;

use crate::lab::{Lab, Outcome, ours, run};

const DUAL: &[&str] = &["10.1.0.0/24", "fd00::/64"];

/// Prepares a store, so that the verb under test meets it in this state.
type Ground = fn(&Lab);

const GROUNDS: &[(&str, Ground)] = &[
    ("a new store", |_| {}),
    ("a store in use", |lab| {
        lab.run("ADD", "neighbour").addresses();
    }),
    ("a store that the reference has written to", |lab| {
        lab.run("ADD", "neighbour").addresses();
        fs::write(lab.dir().join("10.1.0.77"), "foreign\r\neth0").unwrap();
    }),
    ("a store with torn files", |lab| {
        lab.run("ADD", "neighbour").addresses();
        fs::write(lab.dir().join("10.1.0.3"), "").unwrap();
        fs::write(lab.dir().join("last_reserved_ip.0"), "").unwrap();
    }),
    ("a store whose index must grow", |lab| {
        for n in 0..21 {
            lab.run("ADD", &format!("n{n}")).addresses();
        }
    }),
];

fn faulty(verb: &str, conf: &Value, order: &str) -> Outcome {
    run(&ours(), verb, conf, "c1", &[("PODWIRE_FAULT", order)])
}

/// How many points the verb passes when nothing goes wrong.
fn points(verb: &str, conf: &Value) -> usize {
    let file = tempfile::NamedTempFile::new().unwrap();
    let order = format!("count:{}", file.path().display());
    let outcome = faulty(verb, conf, &order);
    assert!(outcome.ok, "{}", outcome.json);
    fs::read_to_string(file.path()).unwrap().lines().count()
}

fn of(lab: &Lab, container: &str) -> Vec<String> {
    let leases = lab.leases().into_iter().filter(|(_, holder)| holder == container);
    leases.map(|(address, _)| address).collect()
}

/// After whatever happened, a DEL cleans up, neighbours have what they had, and an ADD works.
#[track_caller]
fn recovers(lab: &Lab, neighbours: &[(String, String)], what: &str) {
    let del = lab.run("DEL", "c1");
    assert!(del.ok, "{what}: {}", del.json);
    assert_eq!(lab.strays(), [""; 0], "{what}");
    let left = lab.leases();
    assert!(left.iter().all(|(_, holder)| holder != "c1"), "{what}: {left:?}");
    let kept = |leases: &[(String, String)]| -> Vec<(String, String)> {
        leases.iter().filter(|(_, holder)| !holder.is_empty()).cloned().collect()
    };
    assert_eq!(kept(&left), kept(neighbours), "{what}");
    let added = lab.run("ADD", "c1");
    assert_eq!(of(lab, "c1"), added.addresses(), "{what}");
    assert!(lab.check("c1", &added).ok, "{what}");
    assert!(lab.run("DEL", "c1").ok, "{what}");
    for (_, holder) in kept(neighbours) {
        assert!(lab.run("DEL", &holder).ok, "{what}");
    }
    assert_eq!(kept(&lab.leases()), [], "{what}");
}

#[test]
fn add_fails_at_every_point_and_is_whole_or_nothing() {
    for (ground, prepare) in GROUNDS {
        let lab = Lab::new(DUAL);
        prepare(&lab);
        let all = points("ADD", &lab.conf());
        assert!(all >= 7, "{ground}: only {all} points");
        for n in 1..=all {
            let what = format!("{ground}, ADD failing at {n} of {all}");
            let lab = Lab::new(DUAL);
            prepare(&lab);
            let neighbours = lab.leases();
            let outcome = faulty("ADD", &lab.conf(), &format!("fail:{n}"));
            assert!(!outcome.killed, "{what}");
            if outcome.ok {
                assert_eq!(of(&lab, "c1"), outcome.addresses(), "{what}");
                assert!(lab.check("c1", &outcome).ok, "{what}");
            } else {
                assert_eq!(outcome.json["code"], 5, "{what}: {}", outcome.json);
                assert_eq!(of(&lab, "c1"), [""; 0], "{what}");
            }
            recovers(&lab, &neighbours, &what);
        }
    }
}

#[test]
fn add_is_killed_at_every_point_and_leaves_nothing_torn() {
    for (ground, prepare) in GROUNDS {
        let lab = Lab::new(DUAL);
        prepare(&lab);
        let all = points("ADD", &lab.conf());
        for n in 1..=all {
            let what = format!("{ground}, ADD killed at {n} of {all}");
            let lab = Lab::new(DUAL);
            prepare(&lab);
            let neighbours = lab.leases();
            assert!(faulty("ADD", &lab.conf(), &format!("die:{n}")).killed, "{what}");
            for address in of(&lab, "c1") {
                let content = fs::read(lab.dir().join(address)).unwrap();
                assert_eq!(content, b"c1\r\neth0", "{what}");
            }
            recovers(&lab, &neighbours, &what);
        }
    }
}

#[test]
fn del_fails_or_is_killed_at_every_point_and_a_second_one_finishes() {
    for (ground, prepare) in GROUNDS {
        for order in ["fail", "die"] {
            let ready = || {
                let lab = Lab::new(DUAL);
                prepare(&lab);
                let neighbours = lab.leases();
                lab.run("ADD", "c1").addresses();
                (lab, neighbours)
            };
            let all = points("DEL", &ready().0.conf());
            assert!(all >= 2, "{ground}: only {all} points");
            for n in 1..=all {
                let what = format!("{ground}, DEL, {order} at {n} of {all}");
                let (lab, neighbours) = ready();
                let outcome = faulty("DEL", &lab.conf(), &format!("{order}:{n}"));
                assert_eq!(outcome.killed, order == "die", "{what}");
                if outcome.ok {
                    assert_eq!(of(&lab, "c1"), [""; 0], "{what}");
                } else if !outcome.killed {
                    assert_eq!(outcome.json["code"], 5, "{what}: {}", outcome.json);
                    assert!(of(&lab, "c1").len() < 2, "{what}: it did not go on");
                }
                recovers(&lab, &neighbours, &what);
            }
        }
    }
}

#[test]
fn gc_fails_or_is_killed_at_every_point_and_a_second_one_finishes() {
    for order in ["fail", "die"] {
        let ready = || {
            let lab = Lab::new(DUAL);
            for container in ["c1", "c2", "c3"] {
                lab.run("ADD", container).addresses();
            }
            fs::write(lab.dir().join("10.1.0.99"), "").unwrap();
            let mut conf = lab.conf();
            conf["cni.dev/valid-attachments"] =
                serde_json::json!([{"containerID": "c2", "ifname": "eth0"}]);
            (lab, conf)
        };
        let (lab, conf) = ready();
        let all = points("GC", &conf);
        assert!(all >= 6, "only {all} points");
        drop(lab);
        for n in 1..=all {
            let (lab, conf) = ready();
            let outcome = faulty("GC", &conf, &format!("{order}:{n}"));
            let what = format!("GC, {order} at {n} of {all}");
            assert_eq!(outcome.killed, order == "die", "{what}");
            assert_eq!(of(&lab, "c2").len(), 2, "{what}");
            let again = run(&ours(), "GC", &conf, "", &[]);
            assert!(again.ok, "{what}: {}", again.json);
            assert_eq!(lab.leases().len(), 2, "{what}");
            assert_eq!(lab.strays(), [""; 0], "{what}");
        }
    }
}
