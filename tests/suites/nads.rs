//! The NetworkAttachmentDefinitions in `examples/nad/`, and what is known of the plugins' keys.

use std::path::{Path, PathBuf};

use nad::lint::{keys_of, lint};
use nad::manifest::Manifest;
use nad::multus::{Delegate, Devices, Multus, Sandbox, Verb};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn examples() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(root().join("examples/nad")).expect("examples");
    let files = files.map(|entry| entry.expect("an example").path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
            (name, std::fs::read(path).expect("an example"))
        })
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{}", files.len());
    files
}

fn sandbox() -> Sandbox {
    Sandbox {
        container: "c1".to_owned(),
        netns: "/run/netns/c1".to_owned(),
        interface: "eth0".parse().expect("a name"),
        path: "/opt/cni/bin".to_owned(),
    }
}

#[test]
fn nothing_is_wrong_with_the_examples() {
    testkit::need!(Sources);
    let findings: Vec<String> = lint(&examples(), None).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn every_example_is_rendered_with_all_that_its_pod_asks_for() {
    testkit::need!(Sources);
    let readme = std::fs::read_to_string(root().join("examples/nad/README.md")).expect("a README");
    for (file, text) in examples() {
        assert!(
            readme.contains(&format!("| [{file}]({file}.yaml) |")),
            "{file} is not in README.md"
        );
        let manifest = Manifest::parse(&text, &file).unwrap_or_else(|e| panic!("{e}"));
        let [definition] = &manifest.definitions[..] else { panic!("{file}: one network") };
        let [pod] = &manifest.pods[..] else { panic!("{file}: one pod") };
        assert_eq!((&definition.name, &pod.name), (&file, &file));
        let mut devices = Devices::default();
        for i in 0..pod.resources.values().sum() {
            devices.add(
                definition.resource.as_deref().expect("a resource"),
                &format!("0000:01:10.{i}"),
            );
        }
        let multus = Multus::default();
        let delegates = multus
            .delegates(pod, &manifest.definitions, &devices)
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(!delegates.is_empty(), "{file}");
        for delegate in &delegates {
            assert_eq!(delegate.warnings, [], "{file}");
            assert_eq!(delegate.device_id.is_some(), definition.resource.is_some(), "{file}");
            for verb in [Verb::Add, Verb::Check, Verb::Del] {
                hands_over(&file, delegate, &multus, pod, verb);
            }
        }
    }
}

fn hands_over(file: &str, delegate: &Delegate, multus: &Multus, pod: &nad::Pod, verb: Verb) {
    let mut stdins = Vec::new();
    for place in delegate.order(verb) {
        let call = delegate.invocation(multus, pod, &sandbox(), (verb, place), None);
        let call = call.unwrap_or_else(|e| panic!("{file}: {e}")).expect("a plugin");
        // What a plugin of ours would make of it.
        let conf = cni::NetConf::parse(call.bytes().into_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(conf.network.as_str(), file);
        stdins.push(conf.tree().clone());
    }
    let asked = |key: &str| {
        let mut of = stdins.iter().filter_map(|stdin| stdin.get("runtimeConfig"));
        of.any(|config| config.get(key).is_some())
    };
    assert_eq!(asked("mac"), delegate.selection.mac.is_some(), "{file}");
    assert_eq!(asked("ips"), !delegate.selection.ips.is_empty(), "{file}");
    assert_eq!(asked("CNIDeviceInfoFile"), delegate.device_id.is_some(), "{file}");
    for stdin in &stdins {
        let device = stdin.get("pciBusID").and_then(|id| id.as_str());
        assert_eq!(device, delegate.device_id.as_deref(), "{file}");
    }
}

/// The keys in the tables of a plugin's README: first cells of one word.
fn told(plugin: &str) -> Option<Vec<String>> {
    let readme = root().join("plugins").join(plugin).join("README.md");
    let text = std::fs::read_to_string(readme).ok()?;
    let (_, options) = text.split_once("\n## Options")?;
    let options = options.split("\n## ").next().unwrap_or_default();
    let cells = options.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let keys = cells.flat_map(|cell| cell.split(", ")).map(|key| key.trim_matches('`').to_owned());
    Some(keys.filter(|key| !key.contains(['.', ' ', '['])).collect())
}

/// Keys of several plugins, which READMEs may tell of.
const ANY: &[&str] = &["ipam", "dns", "deviceID", "pciBusID", "args", "capabilities"];

#[test]
fn lint_knows_the_keys_that_the_plugins_readmes_tell_of() {
    testkit::need!(Sources);
    for plugin in ["bridge", "ptp", "host-device", "sriov"] {
        let known = keys_of(plugin).expect("a plugin that is known");
        // A plugin without a README is told of elsewhere.
        let Some(told) = told(plugin) else { continue };
        assert!(told.len() > 2, "{plugin}: {told:?}");
        for key in &told {
            let is = known.contains(&key.as_str()) || ANY.contains(&key.as_str());
            assert!(is, "{plugin}: {key} is not known to lint");
        }
        for key in known {
            assert!(told.iter().any(|told| told == key), "{plugin}: {key} is not in README.md");
        }
    }
}
