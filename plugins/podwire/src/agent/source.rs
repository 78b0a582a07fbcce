//! Where the fleet is described, and how the agent is told of it.
//!
//! A source yields whole descriptions, never changes: the agent compares with the kernel, so a
//! slow one sees the newest and misses nothing. What goes wrong with a source is a state, never
//! an end: the last good description holds meanwhile.

#[cfg(feature = "etcd")]
pub mod etcd;
mod file;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cni::{Code, Error};
use peers::{Fault, Fleet};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::arguments::{Arguments, Kind};
use super::network::Network;
use crate::plain::plain;

/// A description of the fleet as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What the plugins' file says: `version`, `clusterCIDRs`, `local`, `peers`.
    pub text: Vec<u8>,
    /// The same, read once for all who want to know.
    pub fleet: Arc<Fleet>,
    /// What of the source could not be read; the others are served.
    pub faults: Vec<Fault>,
}

impl Snapshot {
    /// Of a peer file's text, which `what` names in errors. Code 6 or 7 where it is none.
    pub fn of(text: Vec<u8>, faults: Vec<Fault>, what: &str) -> Result<Self, Error> {
        let fleet = Arc::new(Fleet::parse(&text, what)?);
        Ok(Self { text, fleet, faults })
    }

    /// Of a description that is the same for every node. Code 6 or 7.
    pub fn seen_from(text: &[u8], node: &str, what: &str) -> Result<Self, Error> {
        let (fleet, text) = Fleet::seen_from(text, node, what)?;
        Ok(Self { text, fleet: Arc::new(fleet), faults: Vec::new() })
    }
}

/// What a source has told so far.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The last good description.
    pub snapshot: Option<Arc<Snapshot>>,
    /// How many there were.
    pub version: u64,
    /// What is wrong with the source now.
    pub trouble: Option<Error>,
}

/// The way from a source to the agent.
#[derive(Debug)]
pub struct Feed {
    told: watch::Sender<Told>,
    #[allow(dead_code, reason = "for sources that tell others when this node is in place")]
    applied: watch::Receiver<u64>,
}

/// The agent's end of it.
#[derive(Debug)]
pub struct Listener {
    /// What was told.
    pub told: watch::Receiver<Told>,
    /// The version that the kernel has.
    pub applied: watch::Sender<u64>,
    following: Option<AbortHandle>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}

impl Feed {
    fn new() -> (Self, Listener) {
        let (told, hears) = watch::channel(Told::default());
        let (applies, applied) = watch::channel(0);
        (Self { told, applied }, Listener { told: hears, applied: applies, following: None })
    }

    /// The fleet is described so now.
    pub fn tell(&self, mut snapshot: Snapshot) {
        // Names of files and keys are anybody's words, and are shown by others from here on.
        for Fault { peer, reason } in &mut snapshot.faults {
            (*peer, *reason) = (plain(peer), plain(reason));
        }
        self.told.send_if_modified(|told| {
            let same = told.snapshot.as_deref() == Some(&snapshot);
            let recovers = told.trouble.take().is_some();
            if !same {
                told.snapshot = Some(Arc::new(snapshot));
                told.version += 1;
            }
            !same || recovers
        });
    }

    /// The source cannot be read; it is tried again.
    pub fn fail(&self, error: Error) {
        self.told.send_if_modified(|told| {
            let news = told.trouble.as_ref() != Some(&error);
            told.trouble = Some(error);
            news
        });
    }

    /// Resolves when the kernel has what this version said, or a later one; never, when the agent ends
    /// before. For what a source tells others of this node once it can be reached.
    #[allow(dead_code, reason = "for sources that tell others when this node is in place")]
    pub async fn applied(&mut self, version: u64) {
        if self.applied.wait_for(|applied| *applied >= version).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What [`Source::follow`] gives.
pub type Following = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the fleet is described.
pub trait Source: Send {
    /// Reads the description and follows it for as long as the future is polled. Errors go to
    /// [`Feed::fail`], and are tried again later and later; what is wrong with one node is a fault of
    /// the snapshot.
    fn follow(self: Box<Self>, feed: Feed) -> Following;
}

/// What a source is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve this node: where the source hands out subnets, it takes one; where it tells the others
    /// of their nodes, it tells them of this one.
    Serve,
    /// To see what it says. Nothing is written.
    Look,
}

/// The source that the arguments name. Code 2, 4 or 7.
pub fn open(arguments: &Arguments, network: &Network) -> Result<Box<dyn Source>, Error> {
    open_to(Purpose::Serve, arguments, network)
}

/// As [`open`], for this purpose.
pub fn open_to(
    #[cfg_attr(
        not(any(feature = "kubernetes", feature = "etcd")),
        expect(unused_variables, reason = "nobody writes files but their owners")
    )]
    purpose: Purpose,
    arguments: &Arguments,
    network: &Network,
) -> Result<Box<dyn Source>, Error> {
    match (arguments.source, &arguments.from) {
        (Kind::File, Some(from)) => {
            let same = |path: &std::path::Path| std::fs::canonicalize(path).ok();
            if *from == network.peers_file
                || same(from).is_some_and(|from| same(&network.peers_file) == Some(from))
            {
                let why = "that is the plugin's peersFile, which the agent writes";
                return Err(Error::config("--from", from.display(), why)
                    .details("leave --from out to follow the file that somebody else writes"));
            }
            Ok(Box::new(file::Files::new(from.clone(), Some(arguments.node()?))))
        }
        (Kind::File, None) => Ok(Box::new(file::Files::new(network.peers_file.clone(), None))),
        #[cfg(feature = "kubernetes")]
        (Kind::Kubernetes, _) => {
            Ok(Box::new(kubernetes::Kubernetes::new(arguments, network, purpose)?))
        }
        #[cfg(not(feature = "kubernetes"))]
        (Kind::Kubernetes, _) => lacking("kubernetes"),
        #[cfg(feature = "etcd")]
        (Kind::Etcd, _) => Ok(Box::new(etcd::Etcd::new(arguments, network, purpose)?)),
        #[cfg(not(feature = "etcd"))]
        (Kind::Etcd, _) => lacking("etcd"),
    }
}

/// This build has been made without it.
#[cfg(not(all(feature = "kubernetes", feature = "etcd")))]
fn lacking(name: &str) -> Result<Box<dyn Source>, Error> {
    let why = "this build of podwire has no such source";
    Err(Error::config("--source", name, why).details(format!("build it with --features {name}")))
}

/// The way to other nodes, as flannel has it.
#[cfg(any(feature = "kubernetes", feature = "etcd"))]
fn backend(backend: &peers::Backend) -> flannel::Backend {
    match backend {
        peers::Backend::HostGw => flannel::Backend::HostGw,
        peers::Backend::Ipip(_) => flannel::Backend::Ipip,
        peers::Backend::Vxlan(options) => flannel::Backend::Vxlan { vni: options.vni },
    }
}

/// Starts to follow until nobody listens any more; to be called inside of a runtime.
pub fn start(source: Box<dyn Source>) -> Listener {
    let (feed, mut listener) = Feed::new();
    listener.following = Some(tokio::spawn(source.follow(feed)).abort_handle());
    listener
}

/// The first description that a source gives. Fails when it cannot be read now.
pub async fn first(source: Box<dyn Source>) -> Result<Arc<Snapshot>, Error> {
    let mut listener = start(source);
    let ended = || Error::new(Code::INTERNAL, "the source has ended");
    loop {
        let told = listener.told.borrow_and_update().clone();
        match told {
            Told { snapshot: Some(snapshot), .. } => return Ok(snapshot),
            Told { trouble: Some(error), .. } => return Err(error),
            _ => listener.told.changed().await.map_err(|_| ended())?,
        }
    }
}
