//! The manifests in `examples/agent/kubernetes`: what they run works here as it stands.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::need;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agent/kubernetes")
}

fn objects(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(directory().join(file)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn daemonset() -> Value {
    objects("daemonset.yaml").remove(0)
}

/// The file that the ConfigMap holds.
fn conflist() -> (String, String) {
    let map = objects("conflist.yaml").remove(0);
    let data = map["data"].as_object().unwrap();
    assert_eq!(data.len(), 1);
    let (name, text) = data.iter().next().unwrap();
    (name.clone(), text.as_str().unwrap().to_owned())
}

fn words(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap();
    list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_objects_belong_together() {
    need!(Sources);
    let (set, rbac) = (daemonset(), objects("rbac.yaml"));
    let pod = &set["spec"]["template"]["spec"];
    let account = rbac.iter().find(|object| object["kind"] == "ServiceAccount").unwrap();
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    assert_eq!(set["metadata"]["namespace"], account["metadata"]["namespace"]);
    let binding = rbac.iter().find(|object| object["kind"] == "ClusterRoleBinding").unwrap();
    assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["namespace"], account["metadata"]["namespace"]);
    let role = rbac.iter().find(|object| object["kind"] == "ClusterRole").unwrap();
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let map = &objects("conflist.yaml")[0];
    let volume = pod["volumes"].as_array().unwrap().iter().find(|v| v["name"] == "networks");
    assert_eq!(volume.unwrap()["configMap"]["name"], map["metadata"]["name"]);
    assert_eq!(
        set["spec"]["selector"]["matchLabels"],
        set["spec"]["template"]["metadata"]["labels"]
    );
    assert_eq!(pod["hostNetwork"], true);
    let image = fs::read_to_string(directory().join("Containerfile")).unwrap();
    let copied = image.lines().find_map(|line| line.strip_prefix("COPY ")).unwrap();
    let network: Value = serde_json::from_str(&conflist().1).unwrap();
    for plugin in network["plugins"].as_array().unwrap() {
        let kind = plugin["type"].as_str().unwrap();
        assert!(copied.split(' ').any(|word| word == kind), "{kind} is not in the image");
    }
}

#[test]
fn what_is_installed_takes_the_place_of_what_runs() {
    need!(Sources);
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    for name in ["plugins", "bin", "networks", "conf"] {
        fs::create_dir(at(name)).unwrap();
    }
    let sleep = ["/bin/sleep", "/usr/bin/sleep"].into_iter().find(|path| Path::new(path).exists());
    // One of an older version runs, which could not be written over.
    fs::copy(sleep.unwrap(), at("bin/vxlan")).unwrap();
    let mut running = Command::new(at("bin/vxlan")).arg("60").spawn().unwrap();
    let old = fs::metadata(at("bin/vxlan")).unwrap().ino();
    for name in ["podwire", "vxlan"] {
        fs::write(at("plugins").join(name), name).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(at("plugins").join(name), mode).unwrap();
    }
    let (list, text) = conflist();
    // As a ConfigMap is mounted.
    fs::create_dir(at("networks/..data")).unwrap();
    fs::write(at("networks/..data").join(&list), &text).unwrap();
    std::os::unix::fs::symlink(Path::new("..data").join(&list), at("networks").join(&list))
        .unwrap();
    let install = &daemonset()["spec"]["template"]["spec"]["initContainers"][0];
    let command = words(&install["command"]);
    let status = Command::new(&command[0])
        .args(&command[1..])
        .env("PLUGINS", at("plugins"))
        .env("CNI_BIN", at("bin"))
        .env("NETWORKS", at("networks"))
        .env("CNI_CONF", at("conf"))
        .status();
    let runs = running.try_wait().unwrap().is_none();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(status.unwrap().success());
    assert!(runs, "what ran goes on");
    let new = fs::metadata(at("bin/vxlan")).unwrap();
    assert_ne!(new.ino(), old, "another file has its place");
    assert_eq!(new.permissions().mode() & 0o777, 0o755);
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(at(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("bin"), ["podwire", "vxlan"], "nothing else is left behind");
    assert_eq!(names("conf"), std::slice::from_ref(&list));
    let installed = at("conf").join(&list);
    assert!(fs::symlink_metadata(&installed).unwrap().is_file(), "a link would lead nowhere");
    assert_eq!(fs::read_to_string(installed).unwrap(), text);
}

#[test]
fn the_agent_takes_its_arguments_and_the_conflist() {
    need!(Sources);
    let home = tempfile::tempdir().unwrap();
    let (list, text) = conflist();
    fs::write(home.path().join(&list), text).unwrap();
    let agent = &daemonset()["spec"]["template"]["spec"]["containers"][0];
    let command = words(&agent["command"]);
    assert_eq!(command[..2], ["/plugins/podwire", "agent"]);
    let here = |word: &String| {
        word.replace("/networks", home.path().to_str().unwrap()).replace("$(NODE_NAME)", "n1")
    };
    let nowhere = home.path().join("kubeconfig");
    // The same arguments; without an API server there is nothing to plan for.
    let output = Command::new(testkit::directory().join("podwire"))
        .arg("plan")
        .args(command[2..].iter().map(here))
        .arg("--from")
        .arg(&nowhere)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(nowhere.to_str().unwrap()), "it came to the kubeconfig: {told}");
}
