//! Files of objects.

use std::fmt::Write as _;

use nad::manifest::{Manifest, objects};

const YAML: &str = r#"# networks
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: fast
  namespace: apps
  annotations:
    k8s.v1.cni.cncf.io/resourceName: intel.com/sriov_fast
spec:
  config: |
    {"type": "sriov"}
---
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: by-file}
---
apiVersion: v1
kind: Service
metadata: {name: passed-over}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: apps}
spec:
  template:
    metadata:
      annotations:
        k8s.v1.cni.cncf.io/networks: fast@dp0
    spec:
      containers:
        - name: a
          resources:
            requests: {intel.com/sriov_fast: "2", cpu: 100m}
            limits: {intel.com/sriov_fast: "2"}
        - name: b
          resources:
            limits: {intel.com/sriov_fast: 1}
"#;

#[test]
fn yaml_of_several_documents_is_read() {
    let read = Manifest::parse(YAML.as_bytes(), "f").unwrap();
    let [fast, by_file] = &read.definitions[..] else { panic!("{read:?}") };
    assert_eq!(fast.path(), "apps/fast");
    assert_eq!(fast.resource.as_deref(), Some("intel.com/sriov_fast"));
    assert_eq!(fast.config.as_deref(), Some("{\"type\": \"sriov\"}\n"));
    assert_eq!((by_file.path().as_str(), &by_file.config), ("default/by-file", &None));
    let [pod] = &read.pods[..] else { panic!("{read:?}") };
    assert_eq!(pod.path(), "apps/d");
    assert_eq!(pod.networks.as_deref(), Some("fast@dp0"));
    assert_eq!(pod.resources["intel.com/sriov_fast"], 3);
    assert_eq!(pod.resources.len(), 1);
}

#[test]
fn json_is_read_and_so_are_lists() {
    let text = r#"{"kind": "List", "items": [
	{"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
	 "metadata": {"name": "a"}, "spec": {"config": "{}"}},
	{"kind": "Pod", "metadata": {"name": "p", "uid": "u-1"}}]}"#;
    let read = Manifest::parse(text.as_bytes(), "f").unwrap();
    assert_eq!((read.definitions.len(), read.pods[0].uid.as_str()), (1, "u-1"));
}

#[test]
fn every_error_says_in_which_object() {
    let nad = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n";
    for (text, words) in [
        ("a: [", "f:"),
        ("a: 1\na: 2\n", "f:2:1: not YAML"),
        ("{\"a\": ", "f is not JSON"),
        ("kind: 5", "kind: must be a text"),
        ("- 1", "the document: must be an object, not a list"),
        (
            &format!("{nad}metadata: {{name: A}}"),
            "NetworkAttachmentDefinition A: metadata.name \"A\": is not the name",
        ),
        (&format!("{nad}metadata: {{}}"), "metadata.name is empty"),
        (&format!("{nad}metadata: [1]"), "metadata: must be an object, not a list"),
        (&format!("{nad}metadata: {{name: a, namespace: b.c}}"), "metadata.namespace \"b.c\""),
        (
            &format!("{nad}metadata: {{name: a}}\nspec: {{config: {{type: x}}}}"),
            "spec.config: must be a text with JSON in it, not an object",
        ),
        (&format!("{nad}metadata: {{name: a}}\nspec: 5"), "spec: must be an object"),
        (
            &format!(
                "{nad}metadata: {{name: a, annotations: {{k8s.v1.cni.cncf.io/resourceName: 5}}}}"
            ),
            "metadata.annotations.k8s.v1.cni.cncf.io/resourceName: must be a text; quote it",
        ),
        (
            &format!(
                "{nad}metadata: {{name: a, annotations: {{k8s.v1.cni.cncf.io/resourceName: x}}}}"
            ),
            "\"x\": is no resource",
        ),
        (
            "kind: NetworkAttachmentDefinition\nmetadata: {name: a}",
            "apiVersion \"\": must be k8s.cni.cncf.io/v1",
        ),
        (
            "kind: Pod\nmetadata: {name: p, annotations: {k8s.v1.cni.cncf.io/networks: [a]}}",
            "k8s.v1.cni.cncf.io/networks: must be a text",
        ),
        ("x: &a [*a]", "f:"),
    ] {
        let error = Manifest::parse(text.as_bytes(), "f").unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}, ", i - 1).repeat(10);
        writeln!(text, "a{i}: &a{i} [{before}]").unwrap();
    }
    objects(text.as_bytes(), "f").unwrap_err();
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(10_000), "- ".repeat(10_000), "{\"a\":".repeat(10_000)] {
        objects(text.as_bytes(), "f").unwrap_err();
    }
}
