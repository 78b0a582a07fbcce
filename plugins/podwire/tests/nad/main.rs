//! `podwire nad`, judged by what it prints.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nad");
    path.join(name).with_extension("yaml").to_str().expect("UTF-8").to_owned()
}

fn call(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_podwire"))
        .arg("nad")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("podwire");
    child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()).expect("stdin is read");
    child.wait_with_output().expect("podwire")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

const NETWORK: &str = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n\
    metadata: {name: a}\nspec:\n  config: '{\"cniVersion\": \"1.0.0\", \"type\": \"sriov\", \
    \"deviceID\": \"0000:01:10.0\", \"max-tx-rate\": 5}'\n";

#[test]
fn lint_is_silent_where_all_is_well() {
    let output = call(&["lint", &example("sriov"), &example("bridge")], "");
    assert!(output.status.success(), "{output:?}");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", ""));
}

#[test]
fn lint_tells_errors_and_warnings_by_file_and_object() {
    let output = call(&["lint", "-"], NETWORK);
    let warning = "stdin: NetworkAttachmentDefinition a: warning: \
        spec.config.max-tx-rate is not known (is max_tx_rate meant?)\n";
    assert_eq!((text(&output.stdout), output.status.code()), (warning, Some(0)));
    assert_eq!(call(&["lint", "--strict", "-"], NETWORK).status.code(), Some(1));
    let wrong = NETWORK.replace("sriov", "");
    let output = call(&["lint", "-", &example("macvlan")], &wrong);
    let error = "stdin: NetworkAttachmentDefinition a: spec.config: there is neither a type";
    assert!(text(&output.stdout).starts_with(error), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for arguments in [
        &["lint", "/nowhere.yaml"][..],
        &["render", "--nad", "/nowhere.yaml", "--pod", "/nowhere.yaml"],
    ] {
        let output = call(arguments, "");
        assert!(text(&output.stderr).starts_with("podwire: read /nowhere.yaml: "), "{output:?}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn lint_looks_networks_without_a_configuration_up_where_it_is_told_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let network =
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: a}\n";
    assert!(call(&["lint", "-"], network).status.success());
    let conf_dir: PathBuf = directory.path().to_owned();
    let arguments = ["lint", "-", "--conf-dir", conf_dir.to_str().expect("UTF-8")];
    let output = call(&arguments, network);
    assert!(text(&output.stdout).contains("has the name \"a\""), "{output:?}");
    let conf = r#"{"cniVersion": "1.0.0", "name": "a", "type": "bridge"}"#;
    std::fs::write(conf_dir.join("10.conf"), conf).expect("a file");
    assert!(call(&arguments, network).status.success());
}

#[test]
fn render_shows_environment_and_stdin() {
    let file = example("sriov");
    let device = "intel.com/sriov_netdevice=0000:01:10.0";
    let output = call(&["render", "--nad", &file, "--pod", &file, "--device", device], "");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let shown = text(&output.stdout);
    let head = "pod default/sriov\n\nfast0: default/sriov, device 0000:01:10.0 of \
        intel.com/sriov_netdevice\n\n  sriov\n    CNI_COMMAND=ADD\n    CNI_CONTAINERID=sandbox\n";
    assert!(shown.starts_with(head), "{shown}");
    assert!(shown.contains("    CNI_IFNAME=fast0\n"), "{shown}");
    assert!(shown.contains("        \"pciBusID\": \"0000:01:10.0\",\n"), "{shown}");
}

#[test]
fn render_warns_of_what_multus_would_drop() {
    let file = example("sriov");
    let output = call(&["render", "--nad", &file, "--pod", &file], "");
    assert!(output.status.success(), "{output:?}");
    let warning =
        "podwire: warning: default/sriov: the pod has no device of intel.com/sriov_netdevice";
    assert!(text(&output.stderr).starts_with(warning), "{output:?}");
}

#[test]
fn render_prints_json() {
    let file = example("macvlan");
    let arguments = ["render", "--nad", &file, "--pod", &file, "--json", "--verb", "del"];
    let output = call(&arguments, "");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(all[0]["interface"], "net1");
    assert_eq!(all[0]["warnings"], json!([]));
    let calls = all[0]["calls"].as_array().expect("calls");
    let order: Vec<_> = calls.iter().map(|c| (&c["plugin"], &c["prevResultOf"])).collect();
    let (tuning, macvlan) = (json!("tuning"), json!("macvlan"));
    assert_eq!(order, [(&tuning, &tuning), (&macvlan, &tuning)]);
    assert_eq!(calls[0]["environment"]["CNI_COMMAND"], "DEL");
    assert_eq!(calls[0]["stdin"]["runtimeConfig"], json!({"mac": "02:00:00:00:30:01"}));
}

#[test]
fn render_refuses_what_cannot_be() {
    let file = example("bridge");
    let two = format!(
        "{}---\n{}",
        std::fs::read_to_string(example("bridge")).expect("an example"),
        std::fs::read_to_string(example("sriov")).expect("an example")
    );
    for (arguments, stdin, words) in [
        (&["--pod", "-"][..], NETWORK, "stdin has no pod"),
        (&["--pod", "-"], &two, "stdin has more than one pod: default/bridge, default/sriov"),
        (&["--pod", &file, "--device", "x"], "", "device \"x\": must be RESOURCE=ID"),
        (
            &["--pod", "-"],
            "kind: Pod\nmetadata: {name: p, annotations: {k8s.v1.cni.cncf.io/networks: c}}",
            "[0] default/c: there is no NetworkAttachmentDefinition of this name (known: default/bridge)",
        ),
    ] {
        let arguments = [&["render", "--nad", &file][..], arguments].concat();
        let output = call(&arguments, stdin);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(words), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

/// Characters that steer a terminal, or turn what follows around: as JSON and YAML write them, and as they
/// are.
const STEERING: [(&str, char); 6] = [
    ("\\u001b", '\u{1b}'),
    ("\\u0007", '\u{7}'),
    ("\\u009b", '\u{9b}'),
    ("\\u202e", '\u{202e}'),
    ("\\u2066", '\u{2066}'),
    ("\\u2069", '\u{2069}'),
];

/// Asserts that none of them came through, and that what messages hold of them was written out: control
/// characters are blanks there.
#[track_caller]
fn is_tame(shown: &[u8]) {
    let shown = text(shown);
    for (written, raw) in STEERING {
        assert!(!shown.contains(raw), "{written} came through: {shown:?}");
    }
    assert!(shown.contains("\\u202e\\u2066\\u2069"), "{shown:?}");
}

#[test]
fn manifests_cannot_steer_the_terminal() {
    let evil: String = STEERING.iter().map(|(written, _)| *written).collect();
    let conf = format!(r#"{{"cniVersion": "1.0.0", "type": "bridge", "{evil}k": "{evil}v"}}"#);
    let network = json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "a"}, "spec": {"config": conf},
    });
    // A key of the configuration, and the object's name.
    is_tame(&call(&["lint", "-"], &network.to_string()).stdout);
    let evil: String = STEERING.iter().map(|(_, raw)| *raw).collect();
    let mut named = network.clone();
    named["metadata"]["name"] = json!(evil);
    is_tame(&call(&["lint", "-"], &named.to_string()).stdout);

    let pod = |networks: &str| {
        let annotations = json!({"k8s.v1.cni.cncf.io/networks": networks});
        json!({"kind": "Pod", "metadata": {"name": "p", "annotations": annotations}}).to_string()
    };
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a.json");
    std::fs::write(&file, network.to_string()).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let arguments = ["render", "--nad", file, "--pod", "-"];
    let output = call(&arguments, &pod("a"));
    assert!(output.status.success(), "{output:?}");
    is_tame(&output.stdout);
    let output = call(&[&arguments[..], &["--json"]].concat(), &pod("a"));
    is_tame(&output.stdout);
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(all[0]["calls"][0]["stdin"][format!("{evil}k")], format!("{evil}v"));
    // The error names what is wrong.
    is_tame(&call(&arguments, &pod(&format!("{evil}/x"))).stderr);
}
