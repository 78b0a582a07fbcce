//! `podwire devices` on real functions.

use serde_json::{Value, json};
use testkit::{Pod, need};

use super::Ground;

#[test]
fn the_tool_names_the_adapter_its_vfs_and_who_has_them() {
    need!(Sriov);
    let ground = Ground::new(2);
    let pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, json!({})), &pod);
    let podwire = testkit::directory().join("podwire");
    let command =
        [podwire.to_str().unwrap(), "devices", "--json", "--state-dir", &ground.state_dir()];
    let all: Vec<Value> = serde_json::from_str(&ground.node.run(&command)).unwrap();
    let entry = |id: &str| {
        let found = all.iter().find(|entry| entry["id"] == format!("pci:{id}"));
        found.unwrap_or_else(|| panic!("{id} is not among {all:#?}")).to_string()
    };
    let has = |id: &str, words: &[&str]| {
        for word in words {
            assert!(entry(id).contains(word), "{word} in {}", entry(id));
        }
    };
    has(&ground.pf.address, &["Intel", "82576 Gigabit Network Connection", "igb", &ground.pf.name]);
    has(&ground.pf.vf(0), &["82576 Virtual Function", "igbvf", &pod.id, "net1"]);
    has(&ground.pf.vf(1), &["82576 Virtual Function", &ground.pf.link(1)]);
    assert!(!entry(&ground.pf.vf(1)).contains(&pod.id));
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}
