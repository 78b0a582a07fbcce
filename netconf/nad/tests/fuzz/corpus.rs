//! What is in use.

pub const NETWORKS: &[&str] = &[
    r#"{"cniVersion": "1.0.0", "name": "n", "type": "sriov", "vlan": 100, "spoofchk": "on", "capabilities": {"mac": true, "ips": true, "deviceID": true, "CNIDeviceInfoFile": true}, "ipam": {"type": "static"}}"#,
    r#"{"cniVersion": "0.3.1", "plugins": [{"type": "bridge", "args": {"cni": {"a": [1]}}, "capabilities": {"ips": true}}, {"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": true}}], "disableCheck": "true", "cniVersions": ["0.4.0", "9.0.0"]}"#,
    r#"{"type": "host-device", "device": "eth3", "runtimeConfig": null, "args": null}"#,
];

pub const SELECTIONS: &[&str] = &[
    r#"[{"name": "n", "namespace": "default", "ips": ["10.1.2.3/24", "fd00::3"], "mac": "02:00:00:00:00:01", "infiniband-guid": "02:00:00:00:00:00:00:01", "interface": "dp0", "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "TCP", "hostIP": "192.0.2.1"}], "bandwidth": {"ingressRate": 1000, "ingressBurst": 10, "egressRate": 5, "egressBurst": 1}, "default-route": ["10.1.2.1"], "cni-args": {"a": {"b": null}}, "deviceID": "0000:01:10.0"}]"#,
    r#"[{"name": "n", "ipam-claim-reference": "claim"}, {"name": "n", "interfaceRequest": "old0", "default-route": []}]"#,
];

pub const OBJECTS: &[&str] = &[
    r#"{"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "n", "namespace": "default", "annotations": {"k8s.v1.cni.cncf.io/resourceName": "intel.com/vf"}}, "spec": {"config": "{\"cniVersion\": \"1.0.0\", \"type\": \"sriov\"}"}}"#,
    r#"{"kind": "List", "items": [{"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "n"}, "spec": {"config": "{\"cniVersion\": \"1.0.0\", \"type\": \"bridge\"}"}}, {"kind": "Pod", "metadata": {"name": "p", "annotations": {"k8s.v1.cni.cncf.io/networks": "n, default/n@dp0"}}, "spec": {"containers": [{"resources": {"requests": {"intel.com/vf": "1"}}}]}}]}"#,
    r#"{"kind": "CronJob", "metadata": {"name": "c"}, "spec": {"jobTemplate": {"spec": {"template": {"metadata": {"annotations": {"v1.multus-cni.io/default-network": "n"}}}}}}}"#,
];

pub const YAML: &str = "# networks\napiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: &m\n  name: net\n  annotations: {\"k8s.v1.cni.cncf.io/resourceName\": 'intel.com/vf'}\nspec:\n  config: |\n    {\"cniVersion\": \"1.0.0\",\n     \"type\": \"bridge\"}\n---\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    k8s.v1.cni.cncf.io/networks: >-\n      net,\n      net@dp0\nspec:\n  containers:\n  - name: a\n    resources: {limits: {intel.com/vf: 2}}\n";

pub const TOLD: &[&str] = &[
    r#"{"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:01:10.0", "vhost-net": "/dev/vhost-net", "rdma-device": "mlx5_1", "pf-pci-address": "0000:01:00.0", "representor-device": "eth3", "x": 1}}"#,
    r#"{"type": "vdpa", "version": "1.0.0", "vdpa": {"parent-device": "vdpa3", "driver": "vhost", "path": "/dev/vhost-vdpa-3"}}"#,
    r#"{"type": "memif", "version": "1.1.0", "memif": {"role": "slave", "path": "/run/m", "mode": "punt"}, "vhost-user": null}"#,
    r#"[{"name": "default/n", "interface": "net1", "ips": ["10.1.2.3"], "mac": "02:00:00:00:00:01", "mtu": 1500, "default": false, "dns": {"nameservers": ["10.1.2.1"]}, "device-info": {"type": "vhost-user", "version": "1.1.0", "vhost-user": {"mode": "client", "path": "/run/v"}}, "gateway": ["10.1.2.1"]}]"#,
];

pub const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "65536",
    "18446744073709551616",
    "1e999",
    "0.1",
    "\"\"",
    "[]",
    "{}",
    "[null]",
    "[{}]",
    "{\"\":null}",
    "\"1.1.0\"",
    "\"10.0.0.1/8\"",
    "\"::/0\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\\n\"",
    "\"a/b\"",
    "\"..\"",
    "\"net1\"",
    "\"a@b@c\"",
    "\"\u{212a}\"",
];
