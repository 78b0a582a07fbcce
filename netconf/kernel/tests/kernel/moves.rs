//! Links that change name and namespace, and namespaces.

use std::path::Path;
use std::thread;
use std::time::Duration;

use kernel::{Netns, Socket, link};

use super::{inside, ip};

fn opened(netns: &testkit::Netns) -> Netns {
    Netns::find(Path::new(netns.path())).unwrap().unwrap()
}

/// A pair `v0` and `v1` in the namespace; gives the index of `v0`.
fn pair(netns: &testkit::Netns, socket: &Socket) -> u32 {
    ip(netns, "link add v0 type veth peer name v1");
    link::get(socket, "v0").unwrap().unwrap().index
}

#[test]
fn a_link_moves_and_is_renamed_by_one_request() {
    inside(|here| {
        let socket = Socket::open().unwrap();
        let there = testkit::Netns::new();
        let index = pair(here, &socket);
        socket.run(link::relocate(index, "v0", &opened(&there), "net1")).unwrap();
        assert_eq!(there.links(), ["lo", "net1"]);
        assert_eq!(here.links(), ["lo", "v1"]);
        let home = Netns::own().unwrap();
        let inner = opened(&there).socket().unwrap();
        let moved = link::get(&inner, "net1").unwrap().unwrap();
        inner.run(link::relocate(moved.index, "net1", &home, "v0")).unwrap();
        assert_eq!(there.links(), ["lo"]);
        assert!(here.link("v0").is_some());
    });
}

#[test]
fn its_old_name_may_be_taken_where_it_goes_but_not_its_new_one() {
    inside(|here| {
        let socket = Socket::open().unwrap();
        let there = testkit::Netns::new();
        let index = pair(here, &socket);
        ip(&there, "link add v0 type veth peer name taken");
        let refused =
            socket.run(link::relocate(index, "v0", &opened(&there), "taken")).unwrap_err();
        assert!(refused.is_exists(), "{refused}");
        assert!(refused.to_string().contains("taken"), "{refused}");
        assert!(here.link("v0").is_some());
        socket.run(link::relocate(index, "v0", &opened(&there), "net1")).unwrap();
        assert!(there.link("net1").is_some());
        assert!(here.link("v0").is_none());
    });
}

#[test]
fn alternative_names_are_added_read_and_taken_away() {
    inside(|here| {
        let socket = Socket::open().unwrap();
        let index = pair(here, &socket);
        for name in ["enp1s0", "a-name-longer-than-fifteen-bytes"] {
            socket.run(link::add_altname(index, "v0", name)).unwrap();
        }
        let shown = &here.link("v0").unwrap()["altnames"];
        assert_eq!(shown.as_array().unwrap().len(), 2, "{shown}");
        let mut names = link::get(&socket, "v0").unwrap().unwrap().alternative_names;
        names.sort();
        assert_eq!(names, ["a-name-longer-than-fifteen-bytes", "enp1s0"]);
        assert!(socket.run(link::add_altname(index, "v0", "v1")).unwrap_err().is_exists());
        socket.run(link::delete_altname(index, "v0", "enp1s0")).unwrap();
        assert!(socket.run(link::delete_altname(index, "v0", "enp1s0")).is_err());
        assert_eq!(here.link("v0").unwrap()["altnames"][0], "a-name-longer-than-fifteen-bytes");
        // They go along.
        let there = testkit::Netns::new();
        socket.run(link::relocate(index, "v0", &opened(&there), "net1")).unwrap();
        assert_eq!(there.link("net1").unwrap()["altnames"][0], "a-name-longer-than-fifteen-bytes");
    });
}

#[test]
fn names_aliases_and_modes_are_changed() {
    inside(|here| {
        let socket = Socket::open().unwrap();
        let index = pair(here, &socket);
        socket.run(link::set_name(index, "v0", "w0")).unwrap();
        let taken = socket.run(link::set_name(index, "w0", "v1")).unwrap_err();
        assert!(taken.is_exists() && taken.on.contains("v1"), "{taken}");
        socket.run(link::set_alias("w0", "for tests")).unwrap();
        assert_eq!(here.link("w0").unwrap()["ifalias"], "for tests");
        socket.run(link::clear_alias(index, "w0")).unwrap();
        assert!(here.link("w0").unwrap()["ifalias"].is_null());
        assert_eq!(link::get(&socket, "w0").unwrap().unwrap().alias, None);
        for on in [true, false] {
            socket.run(link::set_all_multicast(index, "w0", on)).unwrap();
            let flags = here.link("w0").unwrap()["flags"].to_string();
            assert_eq!(flags.contains("ALLMULTI"), on, "{flags}");
            assert_eq!(link::get(&socket, "w0").unwrap().unwrap().all_multicast, on);
        }
    });
}

#[test]
fn a_link_without_virtual_functions_lists_none_and_takes_no_settings() {
    inside(|here| {
        let socket = Socket::open().unwrap();
        let index = pair(here, &socket);
        assert_eq!(link::list_vfs(&socket, index, "v0").unwrap(), []);
        let refused =
            socket.run(link::set_vf(index, "v0", 3, link::VfSetting::Trust(true))).unwrap_err();
        assert!(refused.to_string().contains("v0 vf 3 (trust on)"), "{refused}");
    });
}

#[test]
fn namespaces_have_cookies_of_their_own() {
    let (one, two) = (testkit::Netns::new(), testkit::Netns::new());
    let cookie = |netns: &testkit::Netns| opened(netns).cookie().unwrap();
    assert_eq!(cookie(&one), cookie(&one));
    assert_ne!(cookie(&one), cookie(&two));
    one.enter(|| assert_eq!(Netns::own().unwrap().cookie().unwrap(), cookie(&one)));
}

#[test]
fn who_waits_in_vain_for_a_locked_namespace_may_try_again() {
    let there = testkit::Netns::new();
    let [held, other] = [opened(&there), opened(&there)];
    held.lock(Duration::ZERO).unwrap();
    for patience in [Duration::ZERO, Duration::from_millis(1)] {
        let refused = opened(&there).lock(patience).unwrap_err();
        assert!(refused.to_string().contains(there.path()), "{refused}");
        assert_eq!(cni::Error::from(refused).code, cni::Code::TRY_AGAIN);
    }
    let waits = thread::spawn(move || other.lock(Duration::from_mins(1)));
    drop(held);
    waits.join().unwrap().unwrap();
}
