//! The frame around a real process: `cargo test` builds the example that is run here.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use cni::Json;

const CONF: &str = r#"{"cniVersion": "1.1.0", "name": "net", "address": "10.1.2.3/24"}"#;

fn command(verb: &str) -> Command {
    let mut file: PathBuf = std::env::current_exe().unwrap();
    file.pop();
    file.pop();
    file.push("examples/smallest");
    assert!(file.exists(), "{} is missing: run cargo test -p cni", file.display());
    let mut command = Command::new(file);
    command
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", "c1")
        .env("CNI_NETNS", "/run/netns/does-not-exist")
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/opt/cni/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(mut command: Command, stdin: &str) -> Output {
    let mut child = command.spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> Json {
    Json::parse(&output.stdout, "stdout").unwrap()
}

#[test]
fn a_call_comes_from_the_environment_and_stdin_and_goes_to_stdout() {
    let output = run(command("ADD"), CONF);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty());
    assert!(stdout(&output).get("ips").is_some());

    let output = run(command("DEL"), CONF);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));

    let output = run(command("ADD"), "{");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output).get("code"), Some(&Json::from(6_u64)));
}

#[test]
fn version_and_about_do_not_wait_for_stdin() {
    for verb in ["VERSION", ""] {
        let mut child = command(verb).spawn().unwrap();
        let open = child.stdin.take(); // held open until the plugin has ended
        let output = child.wait_with_output().unwrap();
        drop(open);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout.is_empty(), verb.is_empty());
        assert_eq!(output.stderr.is_empty(), !verb.is_empty());
    }
}

#[test]
fn stdin_that_cannot_be_read_has_code_5() {
    let mut command = command("ADD");
    command.stdin(File::open("/").unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output).get("code"), Some(&Json::from(5_u64)));
}

#[test]
fn a_panic_in_any_thread_is_one_error_object_with_code_110() {
    for place in ["here", "thread"] {
        let conf = format!(r#"{{"cniVersion": "1.1.0", "name": "net", "panic": "{place}"}}"#);
        for verb in ["ADD", "DEL"] {
            let output = run(command(verb), &conf);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let json = stdout(&output);
            assert_eq!(json.get("code"), Some(&Json::from(110_u64)));
            assert!(json.get("msg").unwrap().as_str().unwrap().contains("told to"), "{json}");
            assert!(json.get("details").unwrap().as_str().unwrap().contains("smallest.rs"));
        }
    }
}

#[test]
fn a_runtime_that_went_away_is_an_exit_status_and_no_signal() {
    let mut child = command("ADD").spawn().unwrap();
    drop(child.stdout.take()); // nobody will read
    drop(child.stdin.take().unwrap().write_all(CONF.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Broken pipe"), "{output:?}");
}

#[test]
fn a_full_disk_behind_stdout_is_an_exit_status() {
    let mut command = command("ADD");
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let output = run(command, CONF);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}

#[test]
fn our_own_namespace_is_recognised_by_its_file() {
    let mut add = command("ADD");
    add.env("CNI_NETNS", format!("/proc/{}/ns/net", std::process::id()));
    let output = run(add, CONF);
    assert_eq!(stdout(&output).get("code"), Some(&Json::from(8_u64)));

    let mut allowed = command("ADD");
    allowed.env("CNI_NETNS", "/proc/self/ns/net").env("CNI_NETNS_OVERRIDE", "true");
    assert_eq!(run(allowed, CONF).status.code(), Some(0));

    let mut del = command("DEL");
    del.env("CNI_NETNS", "/proc/self/ns/net");
    let output = run(del, CONF);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}
