//! A Node object, of which little is kept: what the kubelet reports of images and conditions is a
//! hundred times what is needed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::ClusterResourceScope;
use serde::Deserialize;

/// The object.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Raw")]
pub struct Node {
    meta: ObjectMeta,
    /// Its pods' networks.
    pub pod_cidrs: Vec<String>,
    /// Its own addresses in the cluster.
    pub internal_ips: Vec<String>,
    /// The status of its condition `NetworkUnavailable`.
    pub network_unavailable: Option<String>,
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    /// Its annotations.
    pub fn into_annotations(self) -> BTreeMap<String, String> {
        self.meta.annotations.unwrap_or_default()
    }
}

/// As it is written. Everything may be missing, and so may every value (`null`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    resource_version: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    addresses: Option<Vec<Address>>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
struct Address {
    r#type: String,
    address: String,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl From<Raw> for Node {
    fn from(raw: Raw) -> Self {
        let Raw { metadata, spec, status } = raw;
        let first = spec.pod_cidr.filter(|cidr| !cidr.is_empty());
        let pod_cidrs = spec.pod_cidrs.filter(|cidrs| !cidrs.is_empty());
        let addresses = status.addresses.into_iter().flatten();
        let mut conditions = status.conditions.into_iter().flatten();
        Self {
            meta: ObjectMeta {
                name: metadata.name,
                resource_version: metadata.resource_version,
                annotations: metadata.annotations,
                ..ObjectMeta::default()
            },
            pod_cidrs: pod_cidrs.unwrap_or_else(|| first.into_iter().collect()),
            internal_ips: addresses
                .filter(|address| address.r#type == "InternalIP")
                .map(|address| address.address)
                .collect(),
            network_unavailable: conditions
                .find(|condition| condition.r#type == "NetworkUnavailable")
                .map(|condition| condition.status),
        }
    }
}

impl Resource for Node {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Node".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "nodes".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_kept() {
        let node: Node = serde_json::from_str(
            r#"{"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n1", "resourceVersion": "7", "annotations": {"a": "b"}, "managedFields": [{}]},
            "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
            "status": {"addresses": [
                {"type": "InternalIP", "address": "192.168.2.1"}, {"type": "Hostname", "address": "n1"}],
              "conditions": [{"type": "Ready", "status": "True"},
                {"type": "NetworkUnavailable", "status": "True", "reason": "NoRouteCreated"}],
              "images": [{"names": ["x"]}]}}"#,
        )
        .unwrap();
        assert_eq!((node.name(), node.meta().resource_version.as_deref()), ("n1", Some("7")));
        assert_eq!(node.pod_cidrs, ["10.244.1.0/24", "fd00:1::/64"]);
        assert_eq!(node.internal_ips, ["192.168.2.1"]);
        assert_eq!(node.network_unavailable.as_deref(), Some("True"));
        assert_eq!(node.into_annotations().len(), 1);
    }

    #[test]
    fn anything_may_be_missing() {
        for text in [
            "{}",
            r#"{"metadata": {"annotations": null}, "spec": {"podCIDR": "", "podCIDRs": null}, "status": {}}"#,
            r#"{"status": {"addresses": null, "conditions": null}}"#,
        ] {
            let node: Node = serde_json::from_str(text).unwrap();
            assert!(node.name().is_empty() && node.pod_cidrs.is_empty(), "{text}");
        }
        let old = r#"{"spec": {"podCIDR": "10.244.1.0/24"}}"#;
        let node: Node = serde_json::from_str(old).unwrap();
        assert_eq!(node.pod_cidrs, ["10.244.1.0/24"]);
    }
}
