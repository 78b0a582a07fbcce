//! The tests that the docs call witnesses are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The names of all tests of this executable.
fn tests() -> BTreeSet<String> {
    let own = std::env::current_exe().expect("this executable");
    let output = Command::new(own).arg("--list").output().expect("the list of tests");
    let listed = String::from_utf8(output.stdout).expect("text");
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// True when a test bears the name, or its module does; tests of several kinds have these in between.
fn is_there(tests: &BTreeSet<String>, name: &str) -> bool {
    let ends = |name: &str| -> Option<(String, String)> {
        let (first, rest) = name.split_once("::")?;
        Some((first.to_owned(), rest.rsplit("::").next()?.to_owned()))
    };
    match ends(name) {
        Some(wanted) => tests.iter().any(|test| ends(test).as_ref() == Some(&wanted)),
        None => tests.iter().any(|test| test.starts_with(&format!("{name}::"))),
    }
}

#[test]
fn every_witness_in_the_table_of_weaknesses_is_a_test() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/README.md");
    let Ok(text) = fs::read_to_string(table) else {
        testkit::not_run("the sources are not here");
        return;
    };
    let tests = tests();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.chars().nth(2).is_some_and(char::is_numeric))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 30);
    for row in rows {
        let [number, _, here, witnesses] = row.as_slice() else { panic!("{row:?}") };
        let named: Vec<&str> = witnesses.split('`').skip(1).step_by(2).collect();
        for name in &named {
            assert!(is_there(&tests, name), "{number}: there is no test {name}");
        }
        let unsolved = here.starts_with("not solved") || here.contains("scripts/bench");
        assert!(unsolved || !named.is_empty(), "{number}: {here}: nothing shows it");
    }
}
