//! The journal's directory, damaged and tampered with.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use serde_json::json;
use testkit::Pod;

use super::{bare, conf, home, node, records, state};
use crate::conf::with;

#[test]
fn nobody_else_can_read_or_write_the_journal() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    assert_eq!(fs::metadata(state(&node)).expect("the directory").mode() & 0o777, 0o700);
    for entry in fs::read_dir(state(&node)).expect("the directory") {
        let entry = entry.expect("an entry");
        assert_eq!(entry.metadata().expect("a file").mode() & 0o777, 0o600, "{entry:?}");
    }
    node.del(&attached).ok();
    fs::set_permissions(state(&node), fs::Permissions::from_mode(0o777)).expect("a mode");
    node.add(&conf(&node), &pod, "eth0").fails().is(7, &["stateDir", "chmod"]);
}

#[test]
fn links_in_the_journal_lead_nowhere() {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let outside = node.directory().join("outside");
    fs::create_dir(state(&node)).expect("the directory");
    symlink(&outside, state(&node).join("link-dev0.lock")).expect("a link");
    node.add(&conf(&node), &pod, "eth0").fails().is(5, &["link-dev0.lock", "symbolic link"]);
    fs::remove_file(state(&node).join("link-dev0.lock")).expect("the link");
    assert!(!outside.exists());

    // A record that is a link is none, and is replaced, not followed.
    fs::write(&outside, "{}").expect("a file");
    symlink(&outside, state(&node).join("link-dev0.json")).expect("a link");
    symlink(&outside, state(&node).join(".link-dev0.json.new")).expect("a link");
    let attached = node.attach(&conf(&node), &pod);
    assert_eq!(fs::read_to_string(&outside).expect("the file"), "{}");
    let found = fs::symlink_metadata(state(&node).join("link-dev0.json")).expect("a record");
    assert!(found.is_file());
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(records(&node), [""; 0]);
}

#[test]
fn a_fifo_in_the_place_of_a_lock_is_refused_at_once() {
    let (node, pod) = (node(), Pod::new());
    fs::create_dir(state(&node)).expect("the directory");
    let lock = state(&node).join("link-dev0.lock");
    node.run(&["mkfifo", lock.to_str().expect("a path")]);
    node.add(&conf(&node), &pod, "eth0").fails().is(5, &["link-dev0.lock", "FIFO"]);
    fs::remove_file(&lock).expect("the FIFO");
    node.del(&node.attach(&conf(&node), &pod)).ok();
}

#[test]
fn a_damaged_record_is_named_and_costs_nothing_while_the_device_is_here() {
    let node = node();
    let was = home(&node, "dev0");
    fs::create_dir(state(&node)).expect("the directory");
    let record = state(&node).join("link-dev0.json");
    let long = "x".repeat(2 << 20);
    for text in
        ["", "{", "null", "[]", "{\"version\": 1}", "{\"version\": 77}", "\u{0}\u{0}", &long]
    {
        fs::write(&record, text).expect("a file");
        let pod = node.pod();
        let output = node.add(&conf(&node), &pod, "eth0");
        let attached = node.attached(&conf(&node), &pod, "eth0", &output);
        assert_eq!(output.stderr.matches("link-dev0.json").count(), 1, "{output}");
        node.check(&attached).ok();
        node.del(&attached).ok();
        assert_eq!(home(&node, "dev0"), was);
        assert_eq!(records(&node), [""; 0]);
    }
}

#[test]
fn a_damaged_record_of_a_device_that_is_away_keeps_it_from_being_lost() {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let attached = node.attach(&conf(&node), &pod);
    let record = state(&node).join("link-dev0.json");
    let text = fs::read(&record).expect("a record");
    for damaged in [&b""[..], b"{\"version\": 9}", &text[..text.len() / 2]] {
        fs::write(&record, damaged).expect("a file");
        let output = node.add(&conf(&node), &node.pod(), "eth0");
        let error = output.fails();
        assert!(error.text().contains("dev0"), "{error}");
        assert_eq!(output.stderr.matches("link-dev0.json").count(), 1, "{output}");
        let output = node.del(&attached);
        let error = output.fails();
        error.is(5, &["link-dev0.json", "eth0"]);
        assert!(pod.link("eth0").is_some());
        assert!(record.exists());
    }
    fs::write(&record, text).expect("a file");
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_record_under_another_s_name_is_none_of_that_one_s() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    let text = fs::read(state(&node).join("link-dev0.json")).expect("a record");
    fs::write(state(&node).join("link-far0.json"), text).expect("a file");
    let output = node.del(&attached);
    output.ok();
    assert!(output.stderr.contains("link-far0.json"), "{output}");
    assert!(node.link("far0").is_some());
    assert!(node.link("dev0").is_some());
}

#[test]
fn what_a_killed_writer_left_is_swept_away() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    fs::write(state(&node).join(".link-dev7.json.new"), "half").expect("a file");
    fs::write(state(&node).join("README"), "not ours").expect("a file");
    node.del(&attached).ok();
    assert_eq!(records(&node), ["README"]);
}

#[test]
fn a_record_of_an_earlier_boot_is_a_hint_at_most() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&bare(&node), &pod);
    let record = state(&node).join("link-dev0.json");
    let text = fs::read_to_string(&record).expect("a record");
    node.del(&attached).ok();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the boot's id");
    let before = text.replace(boot.trim(), "11111111-2222-3333-4444-555555555555");
    assert_ne!(before, text);
    node.batch("link set dev0 mtu 1200\n");
    let was = home(&node, "dev0");
    // Another container may have it at once, and nothing of old is set back.
    fs::write(&record, &before).expect("a record");
    let other = node.pod();
    let second = node.attach(&bare(&node), &other);
    node.check(&second).ok();
    node.del(&second).ok();
    assert_eq!(home(&node, "dev0"), was);
    // And a DEL of the one that had it before the boot ends at once.
    fs::write(&record, &before).expect("a record");
    node.del(&attached).ok();
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(records(&node), [""; 0]);
}

#[test]
fn another_namespace_at_the_owner_s_path_is_not_the_owner() {
    let node = node();
    let home_of_path = tempfile::tempdir().expect("a directory");
    let path = home_of_path.path().join("net");
    let (first, second) = (node.pod(), node.pod());
    symlink(first.path(), &path).expect("a link");
    let text = path.to_str().expect("UTF-8");
    let call = node.add_call(&bare(&node), &first, "eth0").env("CNI_NETNS", text);
    let mut attached = node.attached(&bare(&node), &first, "eth0", &call.run());
    attached.netns = text.to_owned();
    node.check(&attached).ok();
    fs::remove_file(&path).expect("the link");
    symlink(second.path(), &path).expect("a link");
    second.batch("link add eth0 type veth peer name peer0\n");
    assert_eq!(node.check(&attached).fails().code, 103);
    node.del(&attached).ok();
    assert!(second.link("eth0").is_some());
}

#[test]
fn a_lock_that_is_held_is_told_with_its_holder() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&bare(&node), &pod);
    node.del(&attached).ok();
    let lock = state(&node).join("link-dev0.lock");
    let file = fs::File::open(&lock).expect("the lock");
    file.lock().expect("the lock");
    let conf = with(bare(&node), json!({"lockTimeout": 0}));
    let error = node.add(&conf, &node.pod(), "eth0").fails();
    error.is(11, &["link-dev0.lock", "DEL of net/", &pod.id]);
    drop(file);
    let attached = node.attach(&conf, &node.pod());
    node.del(&attached).ok();
}

#[test]
fn what_a_del_has_begun_the_next_add_ends() {
    let (node, pod) = (node(), Pod::new());
    let was = home(&node, "dev0");
    let attached = node.attach(&conf(&node), &pod);
    let record = state(&node).join("link-dev0.json");
    let text = fs::read_to_string(&record).expect("a record");
    fs::write(&record, text.replace("\"ready\"", "\"releasing\"")).expect("a record");
    // The first container lives on, and has the device, until another one comes.
    let other = node.pod();
    let second = node.attach(&conf(&node), &other);
    assert_eq!(pod.links(), ["lo"]);
    node.check(&second).ok();
    node.del(&attached).ok();
    node.check(&second).ok();
    node.del(&second).ok();
    assert_eq!(home(&node, "dev0"), was);
}

#[test]
fn a_journal_of_another_user_is_refused() {
    let (node, pod) = (node(), Pod::new());
    fs::create_dir(state(&node)).expect("the directory");
    fs::set_permissions(state(&node), fs::Permissions::from_mode(0o700)).expect("a mode");
    if std::os::unix::fs::chown(state(&node), Some(4711), None).is_err() {
        testkit::not_run("only root can give a directory away");
        return;
    }
    node.add(&conf(&node), &pod, "eth0").fails().is(7, &["stateDir", "another user"]);
}

#[test]
fn a_record_that_no_add_wrote_moves_nothing() {
    for (pointer, value) in [
        ("/original/name", json!("lo")),
        ("/original/name", json!("../../x")),
        ("/owner/ifname", json!("lo")),
        ("/identity/index", json!(1)),
        ("/identity/inside", json!(1)),
    ] {
        let (node, pod) = (node(), Pod::new());
        let attached = node.attach(&conf(&node), &pod);
        let path = state(&node).join("link-dev0.json");
        let text = fs::read_to_string(&path).expect("the record");
        let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        *record.pointer_mut(pointer).expect(pointer) = value.clone();
        fs::write(&path, record.to_string()).expect("the record");
        let output = node.del(&attached);
        assert!(output.stderr.contains("link-dev0.json"), "{pointer} {value}: {output}");
        assert!(pod.link("lo").is_some() && pod.link("eth0").is_some(), "{pointer} {value}");
        assert!(node.link("lo").is_some(), "{pointer} {value}");
    }
}
