//! `podwire devices` on trees that stand in for sysfs, judged by what it prints.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod inventory;
mod owners;
mod table;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::Sysfs;

/// Calls it with a tree and a directory of records.
fn call(tree: &Sysfs, records: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podwire"))
        .args(["devices", "--state-dir"])
        .arg(records)
        .args(more)
        .envs(tree.environment())
        .output()
        .expect("podwire")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

/// The JSON of a call that has nothing to complain about.
fn json(tree: &Sysfs, records: &Path) -> Vec<Value> {
    let output = call(tree, records, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(complaints(&output), Vec::<&str>::new());
    serde_json::from_slice(&output.stdout).expect("an array")
}

/// What a call complains of, but for processes that it may not examine: not even root may all, when a
/// container or a policy confines it.
fn complaints(output: &Output) -> Vec<&str> {
    let all = text(&output.stderr).lines();
    all.filter(|c| !c.starts_with("podwire: who holds devices is not known of all")).collect()
}

/// The entry of a device.
fn entry(all: &[Value], id: &str) -> Value {
    all.iter().find(|e| e["id"] == id).unwrap_or_else(|| panic!("{id} in {all:#?}")).clone()
}

/// Where no device was ever handed over.
fn nowhere() -> &'static Path {
    Path::new("/nonexistent/records")
}
