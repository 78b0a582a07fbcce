//! An IPAM plugin of somebody else: what it is handed, and what becomes of its answer.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use testkit::{Call, Node, Pod};

/// Writes the script `foreign-ipam` beside the node's files, and returns the `CNI_PATH` that has it.
/// It keeps what it was handed and answers `answer` to ADD, exiting with `status`.
fn foreign(node: &Node, answer: &str, status: u8) -> String {
    let script = format!(
        "#!/bin/sh\nenv > \"$KEEP/env.$CNI_COMMAND\"\ncat > \"$KEEP/stdin.$CNI_COMMAND\"\n\
         echo a word from the delegate >&2\n\
         [ \"$CNI_COMMAND\" = ADD ] || exit 0\ncat <<'END'\n{answer}\nEND\nexit {status}\n"
    );
    let path = node.directory().join("foreign-ipam");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", node.plugins().display(), node.directory().display())
}

fn kept(node: &Node, what: &str) -> Option<String> {
    std::fs::read_to_string(node.directory().join(what)).ok()
}

fn call<'a>(node: &'a Node, pod: &Pod, kind: &str, path: &str) -> Call<'a> {
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": kind, "bridge": "br0",
        "ipam": {"type": "foreign-ipam", "own": {"key": 1}},
    });
    let keep = node.directory().to_str().unwrap().to_owned();
    node.add_call(&conf, pod, "eth0").env("CNI_PATH", path).env("KEEP", &keep)
}

const ANSWER: &str = r#"{"cniVersion": "1.1.0",
    "ips": [{"address": "10.1.0.7/24", "gateway": "10.1.0.1"}],
    "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["10.1.0.53"]}}"#;

#[test]
fn a_delegate_gets_stdin_and_the_whole_environment() {
    for kind in ["bridge", "ptp"] {
        let (node, pod) = (Node::new(), Pod::new());
        let path = foreign(&node, ANSWER, 0);
        let call = call(&node, &pod, kind, &path).env("TRACEPARENT", "00-0af7-b7ad-01");
        let output = call.args("IgnoreUnknown=1;K8S_POD_NAME=web").run();
        let result = output.ok();
        assert_eq!(result["ips"][0]["address"], "10.1.0.7/24");
        assert_eq!(result["dns"]["nameservers"], json!(["10.1.0.53"]));
        assert_eq!(pod.addresses("eth0"), ["10.1.0.7/24"]);
        assert!(output.stderr.contains("a word from the delegate"), "{output}");
        let env = kept(&node, "env.ADD").unwrap();
        for line in [
            "CNI_COMMAND=ADD",
            &format!("CNI_CONTAINERID={}", pod.id),
            &format!("CNI_NETNS={}", pod.path()),
            "CNI_IFNAME=eth0",
            "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web",
            "TRACEPARENT=00-0af7-b7ad-01",
            &format!("CNI_PATH={path}"),
        ] {
            assert!(env.lines().any(|l| l == line), "{line} is not in\n{env}");
        }
        let stdin: Value = serde_json::from_str(&kept(&node, "stdin.ADD").unwrap()).unwrap();
        assert_eq!(stdin["ipam"]["own"]["key"], 1);
    }
}

#[test]
fn every_verb_reaches_the_delegate() {
    let (node, pod) = (Node::new(), Pod::new());
    let path = foreign(&node, ANSWER, 0);
    let add = call(&node, &pod, "bridge", &path);
    let result = add.run().ok();
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
        "ipam": {"type": "foreign-ipam"}, "prevResult": result,
        "cni.dev/valid-attachments": [{"containerID": pod.id, "ifname": "eth0"}],
    });
    for verb in ["CHECK", "STATUS", "GC", "DEL"] {
        add.clone().verb(verb).conf(&conf).run().ok();
        assert!(kept(&node, &format!("stdin.{verb}")).is_some(), "{verb}");
    }
}

#[test]
fn a_delegates_error_arrives_with_its_code_and_nothing_is_left() {
    let (node, pod) = (Node::new(), Pod::new());
    let error =
        r#"{"cniVersion": "1.1.0", "code": 117, "msg": "the vault is shut", "details": "at noon"}"#;
    let path = foreign(&node, error, 1);
    for kind in ["bridge", "ptp"] {
        let call = call(&node, &pod, kind, &path);
        call.run().fails().is(117, &["the vault is shut", "at noon"]);
        assert_eq!(pod.links(), ["lo"]);
        assert!(!node.links().iter().any(|l| l.starts_with("veth")));
    }
}

#[test]
fn an_answer_that_is_no_result_is_refused_and_the_delegate_is_told() {
    for answer in [
        "null",
        "",
        "{",
        "[]",
        r#"{"cniVersion": "1.1.0"}"#,
        r#"{"ips": [{"address": "10.1.0.7"}]}"#,
    ] {
        let (node, pod) = (Node::new(), Pod::new());
        let path = foreign(&node, answer, 0);
        let error = call(&node, &pod, "bridge", &path).run().fails();
        assert!(error.text().contains("foreign-ipam"), "{answer}: {error}");
        assert!(kept(&node, "env.DEL").is_some(), "{answer}: its ADD was not undone");
        assert_eq!(pod.links(), ["lo"]);
    }
}

#[test]
fn an_answer_of_another_version_is_understood() {
    let old = r#"{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.7/24", "gateway": "10.1.0.1",
        "routes": [{"dst": "0.0.0.0/0"}]}}"#;
    let unsaid = r#"{"ips": [{"address": "10.1.0.7/24", "gateway": "10.1.0.1"}], "routes": [{"dst": "0.0.0.0/0"}]}"#;
    for answer in [old, unsaid] {
        let (node, pod) = (Node::new(), Pod::new());
        let path = foreign(&node, answer, 0);
        let result = call(&node, &pod, "bridge", &path).run().ok();
        assert_eq!(result["cniVersion"], "1.1.0");
        assert_eq!(result["ips"][0]["address"], "10.1.0.7/24");
        assert_eq!(pod.routes("-4", "main").iter().filter(|r| r["dst"] == "default").count(), 1);
    }
}

#[test]
fn a_delegate_that_is_nowhere_is_named_with_where_it_was_looked_for() {
    let (node, pod) = (Node::new(), Pod::new());
    for kind in ["bridge", "ptp"] {
        let error = call(&node, &pod, kind, "/nowhere:/nothing").run().fails();
        error.is(error.code, &["foreign-ipam", "/nowhere"]);
        assert_eq!(pod.links(), ["lo"]);
    }
}
