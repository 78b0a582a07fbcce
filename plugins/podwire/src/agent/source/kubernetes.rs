//! The Node objects of Kubernetes: whose pods are where, and how flannel's daemons and ours are reached.

mod announce;
mod client;
mod describe;
mod node;
mod observe;
mod options;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use cni::Error;
use kube::Api;
use tokio::sync::watch;

use super::{Feed, Following, Purpose, Source};
use crate::agent::arguments::Arguments;
use crate::agent::backoff::Backoff;
use crate::agent::network::Network;
use announce::Announcer;
use describe::Description;
use node::Node;
use observe::Observer;
pub use options::Options;

/// The first wait after a failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
const MOST: Duration = Duration::from_secs(30);

/// The cluster that a kubeconfig names, or the one that this process runs in.
#[derive(Debug)]
pub struct Kubernetes {
    kubeconfig: Option<PathBuf>,
    description: Description,
    announces: bool,
}

impl Kubernetes {
    /// As the arguments say. Code 4 or 7.
    pub fn new(arguments: &Arguments, network: &Network, purpose: Purpose) -> Result<Self, Error> {
        let options = &arguments.kubernetes;
        Ok(Self {
            kubeconfig: arguments.from.clone(),
            description: Description {
                node: arguments.node()?,
                cluster: options.cluster_cidrs()?,
                backend: super::backend(&network.config.node.options.backend),
                keys: options.keys()?,
            },
            announces: purpose == Purpose::Serve && !options.silent,
        })
    }

    async fn run(self, feed: Feed) {
        let mut backoff = Backoff::new(FIRST, MOST);
        loop {
            match client::connect(self.kubeconfig.as_deref()).await {
                Ok(client) => self.session(&Api::all(client), &feed, &mut backoff).await,
                Err(error) => feed.fail(error),
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Ends when the credentials are no longer taken: they may have been renewed where they came from.
    async fn session(&self, api: &Api<Node>, feed: &Feed, backoff: &mut Backoff) {
        let (wish, wishes) = watch::channel(None);
        let (outcome, trouble) = watch::channel(None);
        let announcer = Announcer {
            api: api.clone(),
            node: self.description.node.clone(),
            applied: feed.applied.clone(),
            wishes,
            outcome,
        };
        let observer = Observer {
            api,
            feed,
            description: &self.description,
            wish: self.announces.then_some(wish),
            trouble,
        };
        tokio::select! {
            () = observer.run(backoff) => {}
            () = announcer.run() => {}
        }
    }
}

impl Source for Kubernetes {
    fn follow(self: Box<Self>, feed: Feed) -> Following {
        Box::pin(self.run(feed))
    }
}
