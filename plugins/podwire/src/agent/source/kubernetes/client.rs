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
