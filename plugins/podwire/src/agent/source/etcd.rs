//! etcd, as flannel lays it out: the network's `config`, and a leased key for each node's subnet, this
//! node's among them.

mod choice;
mod claim;
mod client;
mod contest;
mod found;
mod leases;
mod memory;
mod options;
mod precedence;

use std::time::Duration;

use cni::{Code, Error};
use etcd_client::{Client, Event, EventType, GetOptions, WatchOptions, WatchResponse, WatchStream};
use flannel::Backend;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Feed, Following, Purpose, Snapshot, Source};
use crate::agent::arguments::Arguments;
use crate::agent::backoff::Backoff;
use crate::agent::network::Network;
use claim::{Claim, Held};
use client::{Endpoints, answer, broken};
use contest::Contest;
use leases::{Leases, Standing};
use memory::Memory;
pub use options::Options;

/// The first wait after a failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
const MOST: Duration = Duration::from_secs(15);
/// Between two descriptions of the fleet, so that many changes at once make one.
const PAUSE: Duration = Duration::from_millis(50);

/// A network in etcd.
#[derive(Debug)]
pub struct Etcd {
    endpoints: Endpoints,
    /// Where its keys are, with a slash at the end.
    prefix: String,
    claim: Claim,
    purpose: Purpose,
    contest: Contest,
}

impl Etcd {
    /// As the arguments say. Code 4 or 7.
    pub fn new(arguments: &Arguments, network: &Network, purpose: Purpose) -> Result<Self, Error> {
        let options = &arguments.etcd;
        let prefix = format!("{}/", options.prefix.trim_end_matches('/'));
        let backend = super::backend(&network.config.node.options.backend);
        if backend == Backend::Ipip && options.public_ips()?.iter().any(std::net::IpAddr::is_ipv6) {
            return Err(Error::config("--public-ip", "of IPv6", "ipip leads to IPv4 pods alone"));
        }
        Ok(Self {
            endpoints: Endpoints::new(arguments.from.as_deref(), options)?,
            claim: Claim {
                prefix: prefix.clone(),
                node: arguments.node()?,
                backend,
                public_ips: options.public_ips()?,
                ttl: options.lease_ttl,
                memory: Memory::new(network, arguments.subnet_env.as_deref()),
            },
            prefix,
            purpose,
            contest: Contest::default(),
        })
    }

    async fn run(mut self, feed: Feed) {
        if self.purpose == Purpose::Look {
            return match Box::pin(self.look()).await {
                Ok(snapshot) => feed.tell(snapshot),
                Err(error) => feed.fail(error.while_(&self.endpoints)),
            };
        }
        let mut backoff = Backoff::new(FIRST, MOST);
        let mut held = None;
        loop {
            if let Err(error) = Box::pin(self.session(&feed, &mut held, &mut backoff)).await {
                feed.fail(error.while_(&self.endpoints));
            }
            sleep(backoff.next()).await;
        }
    }

    /// What the leases say, of which none is taken or renewed.
    async fn look(&self) -> Result<Snapshot, Error> {
        let mut client = self.endpoints.connect().await?;
        let (own, fault) = self.claim.look(&mut client, &self.endpoints).await?;
        let (leases, _) = self.leases(&mut client).await?;
        let mut snapshot = leases.describe(&own)?;
        snapshot.faults.extend(fault);
        Ok(snapshot)
    }

    /// All leases, and the revision of etcd that they are of.
    async fn leases(&self, client: &mut Client) -> Result<(Leases, i64), Error> {
        let options = GetOptions::new().with_prefix();
        let got = answer("read the leases", client.get(self.subnets(), Some(options))).await?;
        let mut leases = Leases::new(self.subnets(), self.claim.backend);
        for pair in got.kvs() {
            leases.put(pair);
        }
        Ok((leases, got.header().map_or(0, etcd_client::ResponseHeader::revision)))
    }

    /// Has a lease, reads the others', and follows them until what is told no longer says all, the network is
    /// another one, or this node's lease is gone: all is read anew then.
    async fn session(
        &mut self,
        feed: &Feed,
        held: &mut Option<Held>,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        let mut client = self.endpoints.connect().await?;
        let (endpoints, contest) = (&self.endpoints, &mut self.contest);
        let own = self.claim.hold(&mut client, endpoints, held.as_ref(), contest).await?;
        *held = Some(own.clone());
        let (mut leases, revision) = self.leases(&mut client).await?;
        if !is_held(&leases, &own)? {
            return Ok(());
        }
        let options = WatchOptions::new()
            .with_prefix()
            .with_progress_notify()
            .with_start_revision(revision.saturating_add(1));
        let watching = client.watch(self.prefix.as_str(), Some(options));
        let mut watch = answer("watch the leases", watching).await?;
        feed.tell(leases.describe(&own)?);
        if self.contest.is_quiet() {
            backoff.reset();
        }
        tokio::select! {
            ended = self.follow(&mut watch, &mut leases, &own, feed) => ended,
            ended = renew(client.clone(), &own) => ended,
        }
    }

    async fn follow(
        &self,
        watch: &mut WatchStream,
        leases: &mut Leases,
        own: &Held,
        feed: &Feed,
    ) -> Result<(), Error> {
        let mut due: Option<Instant> = None;
        loop {
            let at = due;
            tokio::select! {
                message = watch.message() => {
                    let response = message.map_err(|e| broken("watch the leases", &e))?;
                    let Some(response) = response else {
                        return Err(Error::new(Code::TRY_AGAIN, "watch the leases: it has ended"));
                    };
                    if !self.take_up(&response, leases, own)? {
                        return Ok(());
                    }
                    if !response.events().is_empty() {
                        due.get_or_insert_with(|| Instant::now() + PAUSE);
                    }
                }
                () = async { if let Some(at) = at { sleep_until(at).await } }, if at.is_some() => {
                    due = None;
                    feed.tell(leases.describe(own)?);
                }
            }
        }
    }

    /// False when all is to be read anew.
    fn take_up(
        &self,
        response: &WatchResponse,
        leases: &mut Leases,
        own: &Held,
    ) -> Result<bool, Error> {
        if response.compact_revision() != 0 {
            tracing::info!("etcd has compacted what was to be watched; reading all leases anew");
            return Ok(false);
        }
        if response.canceled() {
            let why = response.cancel_reason();
            return Err(Error::new(Code::TRY_AGAIN, format!("watch the leases: {why}")));
        }
        for event in response.events() {
            let Some(pair) = event.kv() else { continue };
            if !pair.key().starts_with(self.subnets().as_bytes()) {
                return Ok(false);
            }
            match event.event_type() {
                EventType::Put => leases.put(pair),
                EventType::Delete => leases.delete(pair.key()),
            }
        }
        let is_freed = |event: &Event| event.event_type() == EventType::Delete;
        if own.fault.is_some() && response.events().iter().any(is_freed) {
            // There may be a subnet for this node now.
            return Ok(false);
        }
        is_held(leases, own)
    }

    fn subnets(&self) -> String {
        format!("{}subnets/", self.prefix)
    }
}

/// False when this node's lease is to be taken again. Code 11 when somebody has overwritten it, so that this is
/// told before it is mended.
fn is_held(leases: &Leases, own: &Held) -> Result<bool, Error> {
    match leases.standing(own) {
        Standing::Ours => Ok(true),
        Standing::Reserved => {
            tracing::info!(subnet = %own.subnet, "the subnet is reserved for this node from now on");
            Ok(false)
        }
        Standing::Gone => {
            tracing::warn!(subnet = %own.subnet, "this node's lease is gone; taking a new one");
            Ok(false)
        }
        Standing::Overwritten(how) => {
            let what = format!("this node's own entry, {}, was overwritten: {how}", own.subnet);
            Err(Error::new(Code::TRY_AGAIN, what)
                .details("find out who writes it; it is put back, or another subnet taken"))
        }
    }
}

/// Keeps the lease alive without writing anything: nobody is woken by it.
async fn renew(mut client: Client, own: &Held) -> Result<(), Error> {
    let mut due = own.renewal;
    loop {
        match due {
            // Reserved for this node for ever.
            None => return std::future::pending().await,
            Some(wait) => sleep(wait).await,
        }
        let Some(held) = claim::alive(&mut client, own.lease).await? else {
            tracing::warn!(subnet = %own.subnet, "this node's lease has expired; taking a new one");
            return Ok(());
        };
        due = Some(held);
    }
}

impl Source for Etcd {
    fn follow(self: Box<Self>, feed: Feed) -> Following {
        Box::pin(self.run(feed))
    }
}
