//! The way to the API server, and its answers as errors of ours.

use std::path::Path;

use cni::{Code, Error};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// The right to do something with a resource.
pub struct Right {
    /// The resource.
    pub resource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
}

/// All that is done here, which is what a role has to grant.
pub const RIGHTS: [Right; 2] = [
    Right { resource: "nodes", verbs: &["get", "list", "watch"] },
    Right { resource: "nodes/status", verbs: &["patch"] },
];

/// A client of the cluster that the file names; without one, of that of `KUBECONFIG` or the home
/// directory, or else of the one that this process runs in.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, Error> {
    let config = match kubeconfig {
        None => Config::infer().await.map_err(|e| refused("kubeconfig", &e)),
        Some(path) => {
            let what = format!("--from {}", path.display());
            let file = Kubeconfig::read_from(path).map_err(|e| refused(&what, &e))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .map_err(|e| refused(&what, &e))
        }
    }?;
    let server = config.cluster_url.to_string();
    Client::try_from(config).map_err(|e| refused(&server, &e))
}

fn refused(what: &str, error: &dyn std::error::Error) -> Error {
    Error::new(Code::CONFIG, format!("{what}: {}", chain(error)))
}

/// What the API server, or the way to it, had against it.
pub fn failure(doing: &str, error: &kube::Error) -> Error {
    let kube::Error::Api(status) = error else {
        return Error::new(Code::TRY_AGAIN, format!("{doing}: {}", chain(error)));
    };
    let why = if status.message.is_empty() { &status.reason } else { &status.message };
    let error = Error::new(Code::TRY_AGAIN, format!("{doing}: {why} ({})", status.code));
    if status.code != 403 {
        return error;
    }
    let rights = RIGHTS.map(|right| format!("{} {}", right.resource, right.verbs.join(", ")));
    error.details(format!("the agent's role has to grant {}", rights.join("; ")))
}

/// The words of an error and of what is behind it: the outermost says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}

/// True when the credentials are no longer taken.
pub fn is_unauthorized(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 401)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_shipped_role_grants_what_is_done_and_nothing_else() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/agent/kubernetes/rbac.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let role = objects.iter().find(|object| object["kind"] == "ClusterRole").unwrap();
        let words = |value: &Value| -> Vec<String> {
            let list = value.as_array().unwrap();
            list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let mut granted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for rule in role["rules"].as_array().unwrap() {
            assert_eq!(words(&rule["apiGroups"]), [""]);
            for resource in words(&rule["resources"]) {
                granted.entry(resource).or_default().extend(words(&rule["verbs"]));
            }
        }
        let done: BTreeMap<String, Vec<String>> = RIGHTS
            .iter()
            .map(|right| {
                let verbs = right.verbs.iter().map(|verb| (*verb).to_owned());
                (right.resource.to_owned(), verbs.collect())
            })
            .collect();
        assert_eq!(granted, done);
    }
}
