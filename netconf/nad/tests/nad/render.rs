//! What each plugin is handed.

use cni::Json;
use nad::multus::{Delegate, Devices, Multus, Sandbox, Verb};
use nad::{Definition, Network, Pod};

use crate::{definition, json};

fn pod(networks: &str) -> Pod {
    Pod {
        name: "p".to_owned(),
        namespace: "default".to_owned(),
        uid: "u-1".to_owned(),
        networks: Some(networks.to_owned()),
        ..Pod::default()
    }
}

fn sandbox() -> Sandbox {
    Sandbox {
        container: "c1".to_owned(),
        netns: "/run/netns/c1".to_owned(),
        interface: "eth0".parse().unwrap(),
        path: "/opt/cni/bin".to_owned(),
    }
}

fn delegates(pod: &Pod, definitions: &[Definition], devices: &str) -> Vec<Delegate> {
    Multus::default().delegates(pod, definitions, &devices.parse().unwrap()).unwrap()
}

fn refusal(multus: &Multus, pod: &Pod, definitions: &[Definition]) -> String {
    multus.delegates(pod, definitions, &Devices::default()).unwrap_err().to_string()
}

fn handed(
    delegate: &Delegate,
    pod: &Pod,
    verb: Verb,
    place: usize,
    result: Option<&Json>,
) -> String {
    let multus = Multus::default();
    let call = delegate.invocation(&multus, pod, &sandbox(), (verb, place), result);
    call.unwrap().unwrap().bytes()
}

fn of_resource(name: &str, config: &str) -> Definition {
    Definition { resource: Some("intel.com/vf".to_owned()), ..definition(name, config) }
}

const SRIOV: &str = r#"{"vlan": 100, "type": "sriov", "cniVersion": "1.0.0",
    "capabilities": {"mac": true, "deviceID": true, "CNIDeviceInfoFile": true, "ips": false}}"#;

#[test]
fn a_plugin_is_handed_name_version_device_and_what_it_is_capable_of() {
    let pod = pod(r#"[{"name": "fast", "mac": "02:00:00:00:00:01", "ips": ["10.1.2.3/24"]}]"#);
    let delegates = delegates(&pod, &[of_resource("fast", SRIOV)], "intel.com/vf=0000:01:10.0");
    let [delegate] = &delegates[..] else { panic!("{delegates:?}") };
    let expected = concat!(
        r#"{"capabilities":{"CNIDeviceInfoFile":true,"deviceID":true,"ips":false,"mac":true},"#,
        r#""cniVersion":"1.0.0","deviceID":"0000:01:10.0","name":"fast","pciBusID":"0000:01:10.0","#,
        r#""runtimeConfig":{"CNIDeviceInfoFile":"/var/run/k8s.cni.cncf.io/devinfo/cni/default-fast-c1_net1","#,
        r#""deviceID":"0000:01:10.0","mac":"02:00:00:00:00:01"},"type":"sriov","vlan":100}"#,
    );
    assert_eq!(handed(delegate, &pod, Verb::Add, 0, None), expected);
    let call = delegate
        .invocation(&Multus::default(), &pod, &sandbox(), (Verb::Add, 0), None)
        .unwrap()
        .unwrap();
    assert_eq!(call.plugin, "sriov");
    assert_eq!(
        call.environment,
        [
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", "/run/netns/c1"),
            ("CNI_ARGS", "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u-1;MAC=02:00:00:00:00:01;IP=10.1.2.3/24"),
            ("CNI_IFNAME", "net1"),
            ("CNI_PATH", "/opt/cni/bin"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
    );
    let told: Vec<String> = delegate.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            r#"ips: no plugin of default/fast has the capability (add "capabilities": {"ips": true} to a plugin)"#
        ]
    );
    assert_eq!(
        delegate.invocation(&Multus::default(), &pod, &sandbox(), (Verb::Add, 1), None),
        Ok(None)
    );
}

#[test]
fn capabilities_go_where_the_specification_is_followed() {
    let pod = pod("fast");
    let multus = Multus { removes_capabilities: true, ..Multus::default() };
    let devices = "intel.com/vf=0000:01:10.0".parse().unwrap();
    let delegates = multus.delegates(&pod, &[of_resource("fast", SRIOV)], &devices).unwrap();
    let call = delegates[0].invocation(&multus, &pod, &sandbox(), (Verb::Add, 0), None);
    let stdin = call.unwrap().unwrap().stdin;
    assert_eq!(stdin.get("capabilities"), None);
    assert_eq!(
        stdin.get("runtimeConfig").unwrap().get("deviceID").unwrap().as_str(),
        Some("0000:01:10.0")
    );
}

const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "chain", "dns": {}, "plugins": [
    {"type": "bridge", "capabilities": {"ips": true}, "args": {"cni": {"a": 1, "b": 2}, "x": 3}},
    {"type": "tuning"},
    {"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": true}}]}"#;

#[test]
fn every_plugin_of_a_list_is_handed_device_and_arguments_and_the_result_before_it() {
    let pod =
        pod(r#"[{"name": "n", "interface": "dp0", "cni-args": {"b": {"z": [], "y": 1}, "c": null},
        "portMappings": [{"hostPort": 80, "containerPort": 8080, "protocol": "tcp"}],
        "bandwidth": {"ingressRate": 1000}}]"#);
    let delegates = delegates(&pod, &[of_resource("n", LIST)], "intel.com/vf=x");
    let [delegate] = &delegates[..] else { panic!("{delegates:?}") };
    let result = json(r#"{"ips": [{"b": 1, "address": "10.0.0.1/8"}], "cniVersion": "1.0.0"}"#);
    assert_eq!(
        handed(delegate, &pod, Verb::Add, 0, Some(&result)),
        r#"{"args":{"cni":{"a":1,"b":{"y":1,"z":[]},"c":null},"x":3},"capabilities":{"ips":true},"cniVersion":"1.0.0","deviceID":"x","name":"chain","pciBusID":"x","type":"bridge"}"#
    );
    assert_eq!(
        handed(delegate, &pod, Verb::Add, 1, Some(&result)),
        r#"{"args":{"cni":{"b":{"y":1,"z":[]},"c":null}},"cniVersion":"1.0.0","deviceID":"x","name":"chain","pciBusID":"x","prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/8","b":1}]},"type":"tuning"}"#
    );
    let check =
        Json::parse(handed(delegate, &pod, Verb::Check, 2, Some(&result)).as_bytes(), "").unwrap();
    let asked = r#"{"bandwidth":{"ingressRate":1000,"ingressBurst":0,"egressRate":0,"egressBurst":0},"portMappings":[{"hostPort":80,"containerPort":8080,"protocol":"tcp"}]}"#;
    assert_eq!(check.get("runtimeConfig").unwrap().to_string(), asked);
    // Multus' memory of the attachment lacks both.
    let del =
        Json::parse(handed(delegate, &pod, Verb::Del, 2, Some(&result)).as_bytes(), "").unwrap();
    assert_eq!(del.get("runtimeConfig"), None);
    assert!(del.get("prevResult").is_some());
    assert_eq!(delegate.order(Verb::Add), [0, 1, 2]);
    assert_eq!(delegate.order(Verb::Del), [2, 1, 0]);
    assert_eq!(delegate.interface(&"eth0".parse().unwrap()).unwrap().as_str(), "dp0");
}

#[test]
fn old_versions_have_no_check_and_no_result_at_del() {
    for (version, has) in [("", false), ("0.3.1", false), ("0.4.0", true), ("1.1.0", true)] {
        let config = format!(r#"{{"type": "x", "cniVersion": "{version}"}}"#);
        let delegates = delegates(&pod("n"), &[definition("n", &config)], "");
        let delegate = &delegates[0];
        assert_eq!(delegate.can_check(), has);
        let del = handed(delegate, &pod("n"), Verb::Del, 0, Some(&json("{}")));
        assert_eq!(del.contains("prevResult"), has, "{del}");
        assert!(del.contains(&format!(r#""cniVersion":"{version}""#)), "{del}");
    }
    let list = r#"{"cniVersion": "1.0.0", "disableCheck": "TRUE", "plugins": [{"type": "x"}]}"#;
    assert!(!delegates(&pod("n"), &[definition("n", list)], "")[0].can_check());
}

#[test]
fn json_goes_through_go() {
    let config = r#"{"Type": "x", "type": "y", "type": "z", "n": [1.0, 1e2, 9007199254740993, -7, 0.5], "NAME": "kept", "s": "<&>\u2028"}"#;
    let delegates = delegates(&pod("n"), &[definition("n", config)], "");
    let told = handed(&delegates[0], &pod("n"), Verb::Add, 0, None);
    assert_eq!(
        told,
        r#"{"NAME":"kept","Type":"x","cniVersion":"","n":[1,100,9007199254740992,-7,0.5],"name":"kept","s":"\u003c\u0026\u003e\u2028","type":"z"}"#
    );
}

#[test]
fn interfaces_are_called_by_their_place_and_never_alike() {
    let definitions = [definition("a", r#"{"type": "x"}"#), definition("b", r#"{"type": "x"}"#)];
    let eth0 = "eth0".parse().unwrap();
    let names = |delegates: &[Delegate]| -> Vec<String> {
        delegates.iter().map(|d| d.interface(&eth0).unwrap().to_string()).collect()
    };
    assert_eq!(names(&delegates(&pod("a,b@dp0,a"), &definitions, "")), ["net1", "dp0", "net3"]);
    for networks in ["a,b@net1", "b@eth0"] {
        let told = refusal(&Multus::default(), &pod(networks), &definitions);
        assert!(told.contains("would have an interface of this name"), "{told}");
    }
    let cluster = Network::parse(br#"{"name": "pods", "type": "bridge"}"#, "").unwrap();
    let multus = Multus { default_network: Some(cluster), ..Multus::default() };
    let all = multus.delegates(&pod("a"), &definitions, &Devices::default()).unwrap();
    assert_eq!(names(&all), ["eth0", "net1"]);
    assert_eq!((all[0].is_checked(), all[1].is_checked()), (true, false));
}

#[test]
fn the_default_network_of_the_annotation_gets_its_device_and_no_runtime_config() {
    let networks = r#"[{"name": "fast", "mac": "02:00:00:00:00:01", "interface": "first0"}]"#;
    let pod = Pod { default_network: Some(networks.to_owned()), ..pod("") };
    let fast = Definition { namespace: "kube-system".to_owned(), ..of_resource("fast", SRIOV) };
    let delegates = delegates(&pod, &[fast], "intel.com/vf=0000:01:10.0");
    let told = handed(&delegates[0], &pod, Verb::Add, 0, None);
    assert!(told.contains(r#""deviceID":"0000:01:10.0""#), "{told}");
    assert!(!told.contains("runtimeConfig"), "{told}");
    let eth0 = "eth0".parse().unwrap();
    assert_eq!(delegates[0].interface(&eth0).unwrap().as_str(), "first0");
    for bad in ["[]", "a,b"] {
        let pod = Pod { default_network: Some(bad.to_owned()), ..pod.clone() };
        let told = refusal(&Multus::default(), &pod, &[]);
        assert!(told.contains("must name exactly one network"), "{told}");
    }
}

#[test]
fn devices_are_given_in_order_and_what_is_missing_is_said() {
    let definitions = [of_resource("fast", SRIOV)];
    let delegates =
        delegates(&pod("fast,fast,fast"), &definitions, "intel.com/vf=a,intel.com/vf=b");
    let ids: Vec<_> = delegates.iter().map(|d| d.device_id.as_deref()).collect();
    assert_eq!(ids, [Some("a"), Some("b"), None]);
    let told = delegates[2].warnings[0].to_string();
    assert!(told.contains("the pod has no device of intel.com/vf left"), "{told}");
    let none = Multus::default().delegates(&pod("fast"), &definitions, &Devices::default());
    let told = none.unwrap()[0].warnings[0].to_string();
    assert!(told.contains("no device of intel.com/vf (request it"), "{told}");
    assert!("intel.com/vf".parse::<Devices>().unwrap_err().to_string().contains("RESOURCE=ID"));
}

#[test]
fn a_device_asked_for_by_the_pod_counts_where_no_resource_gives_one() {
    let asked = pod(r#"[{"name": "fast", "deviceID": "0000:02:10.0"}]"#);
    let with = delegates(&asked, &[definition("fast", SRIOV)], "");
    let told = handed(&with[0], &asked, Verb::Add, 0, None);
    assert!(told.contains(r#""runtimeConfig":{"CNIDeviceInfoFile""#), "{told}");
    assert!(!told.contains("pciBusID"), "{told}");
    let with = delegates(&asked, &[of_resource("fast", SRIOV)], "intel.com/vf=0000:01:10.0");
    assert_eq!(with[0].device_id.as_deref(), Some("0000:01:10.0"));
    assert!(with[0].warnings[0].msg.contains("deviceID \"0000:02:10.0\": is ignored"));
}

#[test]
fn what_the_runtime_handed_multus_goes_on() {
    let multus = Multus {
        args: "IgnoreUnknown=1;K8S_POD_UID=u-2;X=a=b;broken".to_owned(),
        runtime_config: Some(json(r#"{"mac": "02:00:00:00:00:09", "other": 1}"#)),
        ..Multus::default()
    };
    let pod = Pod { uid: String::new(), ..pod("fast") };
    let delegates =
        multus.delegates(&pod, &[definition("fast", SRIOV)], &Devices::default()).unwrap();
    let call = delegates[0].invocation(&multus, &pod, &sandbox(), (Verb::Add, 0), None);
    let call = call.unwrap().unwrap();
    assert_eq!(
        call.variable("CNI_ARGS"),
        Some(
            "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u-2;IgnoreUnknown=1;X=a=b"
        )
    );
    assert!(call.bytes().contains(r#""runtimeConfig":{"mac":"02:00:00:00:00:09"}"#));
}

#[test]
fn default_routes_stay_with_the_one_attachment_that_is_asked_for_them() {
    let definitions = [definition("a", r#"{"type": "x"}"#), definition("b", r#"{"type": "x"}"#)];
    let losses = |networks: &str| -> Vec<(bool, bool)> {
        let delegates = delegates(&pod(networks), &definitions, "");
        delegates.iter().map(|d| (d.loses_v4_default, d.loses_v6_default)).collect()
    };
    assert_eq!(losses("a,b"), [(false, false); 2]);
    let v4 = r#"[{"name": "a", "default-route": ["10.0.0.1"]}, {"name": "b"}]"#;
    assert_eq!(losses(v4), [(false, true), (true, true)]);
    let both = r#"[{"name": "a", "default-route": ["10.0.0.1"]}, {"name": "b", "default-route": ["fd00::1"]}]"#;
    assert_eq!(losses(both), [(false, true), (true, false)]);
    let twice = r#"[{"name": "a", "default-route": ["10.0.0.1"]}, {"name": "b", "default-route": ["10.0.1.1"]}]"#;
    let told = refusal(&Multus::default(), &pod(twice), &definitions);
    assert!(
        told.contains("default-route 10.0.1.1: 10.0.0.1 is asked for as the IPv4 default gateway"),
        "{told}"
    );
    let empty = delegates(&pod(r#"[{"name": "a", "default-route": []}]"#), &definitions, "");
    assert!(empty[0].loses_v4_default && empty[0].warnings[0].msg.contains("default-route []"));
}

#[test]
fn networks_of_other_namespaces_can_be_forbidden() {
    let global = definition("g", r#"{"type": "x"}"#);
    let other = Definition { namespace: "other".to_owned(), ..global.clone() };
    let multus = Multus { namespace_isolation: true, ..Multus::default() };
    let definitions = [global, other];
    let pod = |networks: &str| Pod { namespace: "mine".to_owned(), ..pod(networks) };
    multus.delegates(&pod("default/g"), &definitions, &Devices::default()).unwrap();
    let told = refusal(&multus, &pod("other/g"), &definitions);
    assert!(
        told.contains(r#"[0] other/g: namespace "other": a pod of namespace mine cannot have"#),
        "{told}"
    );
    Multus::default().delegates(&pod("other/g"), &definitions, &Devices::default()).unwrap();
    let told = refusal(&multus, &pod("g"), &definitions);
    assert!(told.contains("[0] mine/g: there is no NetworkAttachmentDefinition"), "{told}");
    assert!(told.contains("known: default/g, other/g"), "{told}");
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_and_where() {
    for (config, words) in [
        ("{", "the configuration is not JSON"),
        ("[]", "must be a JSON object, not a list"),
        ("{}", "there is neither a type nor a list of plugins"),
        (r#"{"type": 5}"#, "type 5: must be"),
        (r#"{"type": "../x"}"#, r#"type "../x": names a path"#),
        (r#"{"name": "a b", "type": "x"}"#, r#"name "a b" is not a network name"#),
        (r#"{"cniVersion": "9", "type": "x"}"#, r#"cniVersion "9": no such version of CNI"#),
        (r#"{"type": "x", "capabilities": {"mac": "yes"}}"#, "capabilities.mac \"yes\": must be"),
        (r#"{"type": "x", "capabilities": []}"#, "capabilities: must be"),
        (r#"{"plugins": {}}"#, "plugins: must be"),
        (r#"{"plugins": []}"#, "plugins: the list is empty"),
        (r#"{"plugins": [5]}"#, "plugins[0]: must be an object, not a number"),
        (r#"{"plugins": [{"type": "x"}, {}]}"#, "plugins[1]: type is missing"),
        (
            r#"{"plugins": [{"type": "x"}], "disableCheck": 1}"#,
            "disableCheck 1: must be true or false",
        ),
    ] {
        let told = refusal(&Multus::default(), &pod("n"), &[definition("n", config)]);
        assert!(told.contains(words), "{config}: {told}");
        assert!(told.contains("NetworkAttachmentDefinition default/n: spec.config: "), "{told}");
    }
    let asked = pod(r#"[{"name": "n", "cni-args": {"a": 1}}]"#);
    for (config, words) in [
        (r#"{"type": "x", "args": 5}"#, "args: must be an object, not a number"),
        (r#"{"type": "x", "args": {"cni": []}}"#, "args.cni: must be an object, not a list"),
        (r#"{"plugins": [{"type": "x"}, {"type": "x", "args": []}]}"#, "plugins[1]: args: must be"),
    ] {
        let told = refusal(&Multus::default(), &asked, &[definition("n", config)]);
        assert!(told.contains(words), "{config}: {told}");
    }
    for config in [r#"{"type": "x", "args": null}"#, r#"{"type": "x", "args": {"cni": null}}"#] {
        let told = handed(
            &delegates(&asked, &[definition("n", config)], "")[0],
            &asked,
            Verb::Add,
            0,
            None,
        );
        assert!(told.contains(r#""args":{"cni":{"a":1}}"#), "{told}");
    }
}
