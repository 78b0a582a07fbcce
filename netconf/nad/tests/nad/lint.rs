//! What is found in files.

use nad::lint::{Severity, lint};

fn findings(text: &str) -> Vec<String> {
    let files = [("f.yaml".to_owned(), text.as_bytes().to_vec())];
    lint(&files, None).iter().map(ToString::to_string).collect()
}

fn network(name: &str, config: &str) -> String {
    format!(
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: {name}\nspec:\n  config: '{config}'\n---\n"
    )
}

fn pod(networks: &str) -> String {
    format!(
        "kind: Pod\nmetadata:\n  name: p\n  annotations:\n    k8s.v1.cni.cncf.io/networks: '{networks}'\n---\n"
    )
}

const BRIDGE: &str = r#"{"cniVersion": "1.0.0", "type": "bridge", "bridge": "br1"}"#;

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(findings(&(network("a", BRIDGE) + &pod("a, default/a@dp0"))), [""; 0]);
    assert_eq!(findings(""), [""; 0]);
    assert_eq!(findings("kind: Service\nmetadata: {name: s}"), [""; 0]);
}

#[test]
fn errors_and_warnings_name_file_and_object() {
    let own = |rest: &str| format!("f.yaml: NetworkAttachmentDefinition a: {rest}");
    for (text, expected) in [
        (network("a", "{"), own("spec.config: the configuration is not JSON")),
        (network("a", r#"{"type": "bridge"}"#), own("warning: spec.config: cniVersion is missing")),
        (
            network("a", r#"{"cniVersion": "1.0.0", "type": "sriov", "deviceID": "x", "max-tx-rate": 5}"#),
            own("warning: spec.config.max-tx-rate is not known (is max_tx_rate meant?)"),
        ),
        (
            network("a", r#"{"cniVersion": "1.0.0", "plugins": [{"type": "bridge", "vlann": 5}]}"#),
            own("warning: spec.config: plugins[0].vlann is not known (is vlan meant?)"),
        ),
        (
            network("a", r#"{"cniVersion": "1.0.0", "type": "sriov"}"#),
            own("warning: spec.config.sriov: is given no device (add the annotation k8s.v1.cni.cncf.io/resourceName"),
        ),
        (
            network("a", r#"{"cniVersion": "1.0.0", "type": "x", "runtimeConfig": {}}"#),
            own("warning: spec.config.runtimeConfig: is for the runtime to set"),
        ),
        (
            network("a", r#"{"cniVersion": "1.0.0", "type": "x", "capabilities": {"deviceid": true}}"#),
            own("warning: spec.config.capabilities.deviceid: no runtime knows it (is deviceID meant?)"),
        ),
        (network("a.b", BRIDGE), "f.yaml: NetworkAttachmentDefinition a.b: warning: metadata.name \"a.b\": the short form".to_owned()),
        (network("a", BRIDGE).replace("config:", "Config:"), own("warning: spec.Config is not known (is config meant?)")),
        (network("a", BRIDGE).replace("  config:", "  config: ''\n  conf:"), own("warning: spec.conf is not known")),
        (network("a", BRIDGE).replace("name: a\n", "name: a\n  annotations: {k8s.v1.cni.cncf.io/resourcename: a/b}\n"), own("warning: annotation k8s.v1.cni.cncf.io/resourcename is not known")),
        (network("a", BRIDGE).replace("NetworkAttachmentDefinition", "NetworkAttachmentDefinitio"), "f.yaml: NetworkAttachmentDefinitio a: warning: kind \"NetworkAttachmentDefinitio\": is passed over (is NetworkAttachmentDefinition meant?)".to_owned()),
        (network("a", BRIDGE) + &network("a", BRIDGE), own("there is another NetworkAttachmentDefinition default/a")),
        ("metadata: {}".to_owned(), "f.yaml: the object: kind is missing".to_owned()),
        ("a: [".to_owned(), "f.yaml: ".to_owned()),
    ] {
        let found = findings(&text);
        assert!(found.iter().any(|f| f.starts_with(&expected)), "{expected}\n{found:#?}");
    }
}

#[test]
fn pods_are_held_against_the_networks() {
    let networks = network("a", BRIDGE)
        + &network(
            "v",
            r#"{"cniVersion": "1.0.0", "type": "sriov", "capabilities": {"mac": true}}"#,
        )
        .replace(
            "name: v\n",
            "name: v\n  annotations: {k8s.v1.cni.cncf.io/resourceName: intel.com/vf}\n",
        );
    let own = |rest: &str| format!("f.yaml: Pod p: {rest}");
    for (pod, expected) in [
        (
            pod("a/b/c"),
            own("annotation k8s.v1.cni.cncf.io/networks: [0]: \"a/b/c\": has more than one '/'"),
        ),
        (
            pod("b"),
            own("warning: annotation k8s.v1.cni.cncf.io/networks: default/b is not in these files"),
        ),
        (pod("a,a@net1"), own("interface \"net1\"")),
        (
            pod(r#"[{"name": "a", "ips": ["10.0.0.1"]}]"#),
            own("warning: default/a: ips: no plugin of default/a has the capability"),
        ),
        (
            pod(r#"[{"name": "a", "cniArgs": {}}]"#),
            own(
                "warning: annotation k8s.v1.cni.cncf.io/networks: [0].cniArgs is not known (is cni-args meant?)",
            ),
        ),
        (
            pod(r#"[{"name": "a", "interfaceRequest": "x"}]"#),
            own(
                "warning: annotation k8s.v1.cni.cncf.io/networks: [0].interfaceRequest: is an old name",
            ),
        ),
        (
            pod(r#"[{"name": "a", "mac": "03:00:00:00:00:01"}]"#),
            own(
                "warning: annotation k8s.v1.cni.cncf.io/networks: [0]: mac \"03:00:00:00:00:01\": a multicast address",
            ),
        ),
        (pod("v"), own("warning: default/v: the pod has no device of intel.com/vf (request it")),
        (pod("v,v") + "", own("warning: default/v: the pod has no device")),
        (
            pod("a").replace("io/networks:", "io/network:"),
            own(
                "warning: annotation k8s.v1.cni.cncf.io/network is not known (is k8s.v1.cni.cncf.io/networks meant?)",
            ),
        ),
        (
            pod(""),
            own(
                "warning: annotation k8s.v1.cni.cncf.io/networks: is empty (the pod gets its default network only)",
            ),
        ),
    ] {
        let found = findings(&(networks.clone() + &pod));
        assert!(found.iter().any(|f| f.starts_with(&expected)), "{expected}\n{found:#?}");
    }
    let requests = "spec:\n  containers: [{resources: {requests: {intel.com/vf: 1}}}]\n---\n";
    let enough = pod("v").replace("---\n", requests);
    assert_eq!(findings(&(networks.clone() + &enough)), [""; 0]);
    let short = pod("v,v").replace("---\n", requests);
    let found = findings(&(networks + &short));
    assert!(found[0].contains("has no device of intel.com/vf left (request as many"), "{found:#?}");
}

#[test]
fn a_key_with_a_domain_is_anybodys() {
    let text = network("a", BRIDGE) + &pod(r#"[{"name": "a", "example.com/x": 1}]"#);
    assert_eq!(findings(&text), [""; 0]);
}

#[test]
fn warnings_are_told_from_errors() {
    let files = [("f".to_owned(), network("a", r#"{"type": "x"}"#).into_bytes())];
    assert_eq!(lint(&files, None)[0].severity, Severity::Warning);
}
