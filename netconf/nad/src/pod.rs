//! What of a pod concerns its networks.

use std::collections::BTreeMap;

use cni::{Error, Json};

use crate::name;

/// The annotation that asks for networks.
pub const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// The annotation that asks for another default network.
pub const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace, `default` where the object names none.
    pub namespace: String,
    /// Its UID, empty before the object was made.
    pub uid: String,
    /// The annotation [`NETWORKS`].
    pub networks: Option<String>,
    /// The annotation [`DEFAULT_NETWORK`].
    pub default_network: Option<String>,
    /// The extended resources (those with a `/`) that its containers ask for, all together.
    pub resources: BTreeMap<String, u64>,
}

impl Pod {
    /// Reads a pod, or the pod that a Deployment, DaemonSet, StatefulSet, ReplicaSet, Job or CronJob
    /// makes. `None` for an object of another kind. Codes 6 and 7.
    pub fn from_json(object: &Json) -> Result<Option<Self>, Error> {
        let kind = name::text(object, &["kind"])?;
        let template: &[&str] = match kind {
            "Pod" => &[],
            "Deployment"
            | "DaemonSet"
            | "StatefulSet"
            | "ReplicaSet"
            | "Job"
            | "ReplicationController" => &["spec", "template"],
            "CronJob" => &["spec", "jobTemplate", "spec", "template"],
            _ => return Ok(None),
        };
        let mut pod = object;
        for key in template {
            pod = name::exact(pod, key).unwrap_or(&Json::Null);
        }
        let named = name::text(object, &["metadata", "name"])?;
        name::labels("metadata.name", named)?;
        let namespace = match name::text(object, &["metadata", "namespace"])? {
            "" => "default",
            namespace => namespace,
        };
        name::label("metadata.namespace", namespace)?;
        let at =
            if template.is_empty() { String::new() } else { format!("{}: ", template.join(".")) };
        let annotation = |key: &str| -> Result<Option<String>, Error> {
            let found = name::text(pod, &["metadata", "annotations", key]);
            let found = found.map_err(|e| if at.is_empty() { e } else { e.while_(&at) })?;
            let has = name::exact(pod, "metadata")
                .and_then(|m| name::exact(m, "annotations"))
                .is_some_and(|a| name::exact(a, key).is_some());
            Ok(has.then(|| found.to_owned()))
        };
        Ok(Some(Self {
            name: named.to_owned(),
            namespace: namespace.to_owned(),
            uid: name::text(object, &["metadata", "uid"])?.to_owned(),
            networks: annotation(NETWORKS)?,
            default_network: annotation(DEFAULT_NETWORK)?,
            resources: resources(pod),
        }))
    }

    /// `NAMESPACE/NAME`
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Extended resources cannot be had in fractions, and limits and requests of them are the same.
fn resources(pod: &Json) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let spec = name::exact(pod, "spec");
    let Some(Json::Array(containers)) = spec.and_then(|s| name::exact(s, "containers")) else {
        return all;
    };
    for container in containers {
        let resources = name::exact(container, "resources");
        let of = |key| resources.and_then(|r| name::exact(r, key));
        let Some(Json::Object(wanted)) = of("requests").or_else(|| of("limits")) else { continue };
        for (resource, amount) in wanted.iter().filter(|(name, _)| name.contains('/')) {
            let amount = match amount {
                Json::Number(amount) => amount.as_u64(),
                Json::String(amount) => amount.parse().ok(),
                _ => None,
            };
            let all: &mut u64 = all.entry(resource.clone()).or_default();
            *all = all.saturating_add(amount.unwrap_or(0));
        }
    }
    all
}
