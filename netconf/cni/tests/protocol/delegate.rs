//! Delegates: real executables, which here are shell scripts.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;

use cni::{Attachment, Call, GcCall, NetConf, PluginPath, StatusCall, delegate};
use tempfile::TempDir;

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// An executable with that body.
    fn with(self, name: &str, body: &str) -> Self {
        let file = self.0.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn path(&self) -> PluginPath {
        PluginPath(vec![self.0.path().to_owned()])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn call(&self) -> Call {
        self.call_with(r#"{"cniVersion": "1.0.0", "name": "net", "odd": [1,  2]}"#)
    }

    fn call_with(&self, conf: &str) -> Call {
        Call {
            attachment: Attachment {
                network: "net".parse().unwrap(),
                container: "c1".parse().unwrap(),
                ifname: "eth0".parse().unwrap(),
            },
            netns: Some("/run/netns/c1".into()),
            args: "IP=10.0.0.9".to_owned(),
            path: self.path(),
            conf: NetConf::parse(conf.as_bytes().to_vec()).unwrap(),
            prev_result: None,
        }
    }
}

const ADDRESS: &str = r#"cat >/dev/null; echo '{"ips": [{"address": "10.0.0.9/8"}]}'"#;

#[test]
fn a_plugin_is_found_in_the_order_of_the_path() {
    let first = Directory::new();
    let second = Directory::new().with("ipam", "").with("other", "");
    let path = PluginPath(vec![
        PathBuf::new(),
        "/does/not/exist".into(),
        first.0.path().to_owned(),
        second.0.path().to_owned(),
    ]);
    assert_eq!(path.find("ipam").unwrap(), second.file("ipam"));

    fs::create_dir(first.file("ipam")).unwrap(); // no regular file
    assert_eq!(path.find("ipam").unwrap(), second.file("ipam"));

    symlink(second.file("other"), first.file("other")).unwrap();
    assert_eq!(path.find("other").unwrap(), first.file("other"));
}

#[test]
fn a_plugin_that_cannot_be_found_is_named_with_the_places_searched() {
    let directory = Directory::new();
    for (kind, says) in [
        ("", "no plugin is named"),
        ("none", "type \"none\": no such plugin in CNI_PATH"),
        ("../ipam", "type \"../ipam\": names a path, not a plugin"),
        ("/bin/sh", "names a path"),
        (".", "names a path"),
        ("..", "names a path"),
        ("a\0b", "no such plugin"),
    ] {
        let error = directory.path().find(kind).unwrap_err();
        assert_eq!(error.code.0, 7);
        assert!(error.msg.contains(says), "{error}");
    }
    let error = delegate::add("none", &directory.call()).unwrap_err();
    assert!(error.details.contains(&directory.0.path().display().to_string()), "{error}");

    let call = StatusCall { path: directory.path(), conf: directory.call().conf };
    assert_eq!(delegate::status("none", &call).unwrap_err().code.0, 50);
}

#[test]
fn a_delegate_gets_the_same_bytes_and_variables_and_the_verb() {
    let directory =
        Directory::new().with("ipam", r#"cd "$(dirname "$0")"; cat >stdin; env >env; echo '{}'"#);
    let call = directory.call();
    for verb in ["ADD", "DEL", "CHECK"] {
        match verb {
            "ADD" => drop(delegate::add("ipam", &call).unwrap()),
            "DEL" => delegate::del("ipam", &call).unwrap(),
            _ => delegate::check("ipam", &call).unwrap(),
        }
        assert_eq!(fs::read(directory.file("stdin")).unwrap(), call.conf.raw);
        let env = fs::read_to_string(directory.file("env")).unwrap();
        let dir = directory.0.path().display();
        for line in [
            &format!("CNI_COMMAND={verb}"),
            "CNI_CONTAINERID=c1",
            "CNI_NETNS=/run/netns/c1",
            "CNI_IFNAME=eth0",
            "CNI_ARGS=IP=10.0.0.9",
            &format!("CNI_PATH={dir}"),
            &format!("PATH={}", std::env::var("PATH").unwrap()), // what is not CNI's goes along
        ] {
            assert!(env.lines().any(|found| found == line), "{line} is not in\n{env}");
        }
    }

    let call = GcCall { path: call.path, conf: call.conf, valid: None };
    delegate::gc("ipam", &call).unwrap();
    assert_eq!(fs::read(directory.file("stdin")).unwrap(), call.conf.raw);
    assert!(fs::read_to_string(directory.file("env")).unwrap().contains("CNI_COMMAND=GC\n"));
    let call = StatusCall { path: call.path, conf: call.conf };
    delegate::status("ipam", &call).unwrap();
    assert!(fs::read_to_string(directory.file("env")).unwrap().contains("CNI_COMMAND=STATUS\n"));
}

#[test]
fn a_delegate_of_a_del_without_a_namespace_gets_none() {
    let directory =
        Directory::new().with("ipam", r#"cd "$(dirname "$0")"; env >env; cat >/dev/null"#);
    delegate::del("ipam", &Call { netns: None, ..directory.call() }).unwrap();
    let env = fs::read_to_string(directory.file("env")).unwrap();
    assert!(!env.contains("CNI_NETNS="), "{env}");
}

#[test]
fn a_delegates_result_is_read_in_its_own_version_or_the_configs() {
    let old = r#"cat >/dev/null; echo '{"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.9/8"}}'"#;
    let directory = Directory::new()
        .with("ipam", ADDRESS)
        .with("old", old)
        .with("null", "cat >/dev/null; echo null");
    let call = directory.call();
    for kind in ["ipam", "old"] {
        let result = delegate::add(kind, &call).unwrap();
        assert_eq!(result.ips[0].address.to_string(), "10.0.0.9/8", "{kind}");
    }
    assert_eq!(delegate::add("null", &call).unwrap(), cni::AddResult::default());
}

#[test]
fn a_delegates_error_comes_back_as_it_is() {
    let directory = Directory::new()
        .with(
            "ipam",
            r#"cat >/dev/null; echo '{"code": 11, "msg": "full", "details": "later"}'; exit 1"#,
        )
        .with("terse", r#"echo '{"msg": "no", "details": null}'; exit 3"#);
    let call = directory.call();
    let error = delegate::add("ipam", &call).unwrap_err();
    assert_eq!((error.code.0, error.msg.as_str(), error.details.as_str()), (11, "full", "later"));
    let error = delegate::del("terse", &call).unwrap_err();
    assert_eq!((error.code.0, error.msg.as_str(), error.details.as_str()), (0, "no", ""));
}

#[test]
fn a_delegate_that_ends_otherwise_is_named() {
    let directory = Directory::new()
        .with("killed", "kill -9 $$")
        .with("silent", "cat >/dev/null; exit 7")
        .with("chatty", "cat >/dev/null; echo oh dear; exit 1")
        .with("empty", "cat >/dev/null; echo '{}'; exit 1")
        .with("mute", "cat >/dev/null")
        .with("garbled", "cat >/dev/null; echo hello")
        .with("wrong", r#"cat >/dev/null; echo '{"ips": [{"address": 5}]}'"#);
    fs::write(directory.file("data"), "no program").unwrap();
    fs::set_permissions(directory.file("data"), Permissions::from_mode(0o644)).unwrap();
    let call = directory.call();
    for (kind, code, says) in [
        ("killed", 5, "ADD by killed ended with signal: 9 (SIGKILL) and no error object"),
        ("silent", 5, "ADD by silent ended with exit status: 7 and no error object"),
        ("chatty", 5, "it printed \"oh dear\""),
        ("empty", 5, "it printed \"{}\""),
        ("mute", 6, "the result of mute is not JSON: EOF"),
        ("garbled", 6, "the result of garbled is not JSON"),
        ("wrong", 6, "the result of wrong: ips[0].address 5: must be a string"),
        ("data", 5, "ADD by data: executing"),
    ] {
        let error = delegate::add(kind, &call).unwrap_err();
        assert_eq!(error.code.0, code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn neither_side_waits_for_the_others_full_pipe() {
    let directory = Directory::new()
        .with("big", "head -c 300000 /dev/zero | tr '\\0' ' '; cat >/dev/null; echo '{}'")
        .with("deaf", "echo '{}'");
    let filler = "x".repeat(300_000);
    let call = directory
        .call_with(&format!(r#"{{"cniVersion": "1.0.0", "name": "net", "f": "{filler}"}}"#));
    delegate::add("big", &call).unwrap();
    delegate::add("deaf", &call).unwrap();
}

/// How often a thread has waited for something.
fn waits(thread: &Path) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(thread).join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_executable_that_is_being_written_is_tried_again() {
    // Of a script the interpreter is executed, so it takes a program.
    let directory = Directory::new();
    let file = directory.file("ipam");
    fs::copy("/bin/true", &file).unwrap();
    let writer = OpenOptions::new().append(true).open(&file).unwrap();
    let call = directory.call();
    thread::scope(|scope| {
        let (tell, told) = channel();
        let delegate = scope.spawn(|| {
            tell.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
            drop(tell);
            delegate::del("ipam", &call)
        });
        let its_task = told.recv().unwrap();
        let before = waits(&its_task);
        while !delegate.is_finished() && waits(&its_task) < before + 6 {
            thread::yield_now();
        }
        drop(writer);
        delegate.join().unwrap().unwrap();
    });
}

#[test]
fn an_executable_that_stays_open_for_writing_is_given_up() {
    let directory = Directory::new();
    let file = directory.file("ipam");
    fs::copy("/bin/true", &file).unwrap();
    let _writer = OpenOptions::new().append(true).open(&file).unwrap();
    let error = delegate::del("ipam", &directory.call()).unwrap_err();
    assert!(error.msg.starts_with("DEL by ipam: executing"), "{error}");
    assert!(error.msg.contains("Text file busy"), "{error}");
}
