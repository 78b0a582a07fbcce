//! NetworkAttachmentDefinitions whose configuration is a file of the node.

use std::fs;
use std::path::Path;

use nad::{Definition, Network};
use tempfile::TempDir;

fn holding(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn look_up(directory: &Path) -> Result<Network, cni::Error> {
    let definition = Definition { config: None, ..crate::definition("net", "") };
    definition.network(directory)
}

const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "ptp"}]}"#;
const SINGLE: &str = r#"{"cniVersion": "1.0.0", "name": "net", "type": "bridge"}"#;
const OTHER: &str = r#"{"name": "other", "type": "vlan"}"#;

#[test]
fn the_first_file_of_the_name_counts() {
    let directory = holding(&[
        ("20.conflist", LIST),
        ("30.conf", SINGLE),
        ("10.json", OTHER),
        ("00.txt", "not looked at"),
        ("40.conf", "not reached"),
    ]);
    assert_eq!(look_up(directory.path()).unwrap().plugins[0].kind, "ptp");
    fs::rename(directory.path().join("30.conf"), directory.path().join("15.conf")).unwrap();
    assert_eq!(look_up(directory.path()).unwrap().plugins[0].kind, "bridge");
}

#[test]
fn directories_are_no_files() {
    let directory = holding(&[("20.conf", SINGLE)]);
    fs::create_dir(directory.path().join("10.conf")).unwrap();
    look_up(directory.path()).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_named() {
    for (name, text, words) in [
        ("10.conf", "{", "is not JSON"),
        ("10.conf", LIST, "type is missing"),
        ("10.conflist", r#"{"plugins": []}"#, "name is missing"),
        ("10.conflist", r#"{"name": "net", "plugins": []}"#, "plugins: the list is empty"),
        ("10.json", r#"{"name": 5, "type": "x"}"#, "name: must be a text"),
    ] {
        let directory = holding(&[(name, text), ("20.conf", SINGLE)]);
        let error = look_up(directory.path()).unwrap_err().to_string();
        let file = directory.path().join(name);
        assert!(error.contains(words), "{error}");
        assert!(error.contains(&format!("the file {}", file.display())), "{error}");
        assert!(error.contains("NetworkAttachmentDefinition default/net: "), "{error}");
    }
    let directory = holding(&[("20.conf", SINGLE)]);
    let link = directory.path().join("10.conf");
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    let error = look_up(directory.path()).unwrap_err();
    assert_eq!(error.code, cni::Code::IO);
    assert!(error.msg.contains(&link.display().to_string()), "{error}");
}

#[test]
fn a_search_without_a_match_says_what_is_there() {
    let directory =
        holding(&[("10.conf", OTHER), ("20.conflist", r#"{"name": "b", "plugins": 1}"#)]);
    let error = look_up(directory.path()).unwrap_err().to_string();
    assert!(error.contains(r#"has the name "net""#), "{error}");
    assert!(error.contains("10.conf, 20.conflist"), "{error}");
    let missing = directory.path().join("missing");
    let error = look_up(&missing).unwrap_err();
    assert_eq!(error.code, cni::Code::IO);
    assert!(error.msg.contains(&missing.display().to_string()), "{error}");
}
