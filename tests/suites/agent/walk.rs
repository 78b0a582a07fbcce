//! `once` and `cleanup` fail and die at every one of their changes of the world; whoever calls them again finds
//! nothing in the way and leaves nothing behind.

use std::fs;

use serde_json::json;
use testkit::{Snapshot, need};

use super::ground::{Printed, Site};
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;
use crate::walk::stride;

each_mode! {
    once_at_every_point,
    cleanup_at_every_point,
}

/// A site, and what node 1 has while there is nothing of the network.
fn ground(mode: Mode) -> (Site, Snapshot) {
    let site = Site::of(mode, json!({"ipMasq": true}));
    assert_eq!(site.command(1, "once", &[]).code, Some(0));
    // What a cleanup leaves: locks.
    assert_eq!(site.command(1, "cleanup", &[]).code, Some(0));
    let empty = site.node(1).snapshot();
    (site, empty)
}

fn run(site: &Site, command: &str, order: &str) -> Printed {
    site.command_in(1, command, &site.arguments(1), &[("PODWIRE_FAULT", order)])
}

#[track_caller]
fn succeeds(site: &Site, command: &str, after: &str) {
    let printed = site.command(1, command, &[]);
    assert_eq!(printed.code, Some(0), "{command} after {after}: {printed:?}");
}

/// The points that a command passes when nothing goes wrong.
fn points(site: &Site, command: &str) -> usize {
    let file = site.home().join("points");
    let _ = fs::remove_file(&file);
    let printed = run(site, command, &format!("count:{}", file.display()));
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let count = fs::read_to_string(&file).unwrap().lines().count();
    assert!((10..1000).contains(&count), "{count} points");
    count
}

/// One that was ordered to die is dead; one that was ordered to fail says what, or does without.
#[track_caller]
fn obeyed(what: &str, order: &str, printed: &Printed) {
    if order.starts_with("die") {
        assert_eq!(printed.code, None, "{what}: {printed:?}");
        return;
    }
    assert!(printed.code.is_some_and(|code| [0, 1, 3].contains(&code)), "{what}: {printed:?}");
    if printed.code == Some(1) {
        assert!(printed.err.starts_with("podwire: "), "{what}: {printed:?}");
    }
}

fn once_at_every_point(mode: Mode) {
    need!(Nft);
    if mode != Mode::Ipip {
        need!(Speed);
    }
    let (site, empty) = ground(mode);
    let count = points(&site, "once");
    succeeds(&site, "cleanup", "nothing");
    for fault in ["fail", "die"] {
        for at in (1..=count).step_by(stride(9)) {
            let order = format!("{fault}:{at}");
            obeyed(&format!("once with {order}"), &order, &run(&site, "once", &order));
            if at % 2 == 0 {
                succeeds(&site, "once", &order);
                site.cluster.holds(1);
                let plan = site.command(1, "plan", &[]);
                assert_eq!(plan.out, "", "after {order}: {plan:?}");
            }
            succeeds(&site, "cleanup", &order);
            let difference = empty.difference(&site.node(1).snapshot());
            assert!(difference.is_empty(), "after once with {order} and a cleanup:\n{difference}");
        }
    }
}

fn cleanup_at_every_point(mode: Mode) {
    need!(Nft);
    if mode != Mode::Ipip {
        need!(Speed);
    }
    let (site, empty) = ground(mode);
    succeeds(&site, "once", "nothing");
    let count = points(&site, "cleanup");
    for fault in ["fail", "die"] {
        for at in (1..=count).step_by(stride(9)) {
            let order = format!("{fault}:{at}");
            succeeds(&site, "once", &order);
            obeyed(&format!("cleanup with {order}"), &order, &run(&site, "cleanup", &order));
            if at % 2 == 0 {
                // Somebody thinks better of it.
                succeeds(&site, "once", &order);
                site.cluster.holds(1);
            }
            succeeds(&site, "cleanup", &order);
            let difference = empty.difference(&site.node(1).snapshot());
            assert!(difference.is_empty(), "after cleanup with {order} and another:\n{difference}");
        }
    }
}
