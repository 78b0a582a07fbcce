//! This node's own lease: the one it has, the one it had, or any that is free.

use std::net::IpAddr;
use std::time::Duration;

use cni::{Code, Error};
use etcd_client::{Client, Compare, CompareOp, PutOptions, Txn, TxnOp};
use flannel::{Attributes, Backend, End, Lease, Network, Peer, Subnet};
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::route::{self, Kind};
use peers::Fault;

use super::choice::{choose, fits, is_free, is_within, taken};
use super::client::{Endpoints, answer};
use super::contest::Contest;
use super::found::{self, Found};
use super::memory::Memory;

/// How often another node may be faster, before it is called a failure.
const RACES: usize = 10;
/// A lease is renewed so often at the least: etcd may then be away for most of a day.
const OFTEN: Duration = Duration::from_hours(1);

/// What a lease is taken by.
#[derive(Debug)]
pub struct Claim {
    /// Where the network's keys are, with a slash at the end.
    pub prefix: String,
    /// This node's name.
    pub node: String,
    /// The way to the other nodes.
    pub backend: Backend,
    /// This node's addresses, where they were given.
    pub public_ips: Vec<IpAddr>,
    /// In seconds.
    pub ttl: i64,
    /// Where the subnet that it had is written down.
    pub memory: Memory,
}

/// A lease that this node has.
#[derive(Clone, Debug)]
pub struct Held {
    /// Of this subnet.
    pub subnet: Subnet,
    /// etcd's number of it; zero for a subnet that is reserved for ever.
    pub lease: i64,
    /// The revision that the key is there since: a later one is of somebody else, who took it when it was gone.
    pub created: i64,
    /// What was written.
    pub value: String,
    /// When to renew it; `None` for one that is reserved.
    pub renewal: Option<Duration>,
    /// This node as a peer file has it.
    pub local: Peer,
    /// All pods' networks.
    pub networks: Vec<IpNetwork>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

impl Claim {
    /// Holds the lease that this node has, or takes one.
    pub async fn hold(
        &self,
        client: &mut Client,
        endpoints: &Endpoints,
        held: Option<&Held>,
        contest: &mut Contest,
    ) -> Result<Held, Error> {
        let (network, ips) = self.survey(client, endpoints).await?;
        warn_of_strangers(&ips)?;
        for _ in 0..RACES {
            if let Some(held) = self.attempt(client, &network, &ips, held, contest).await? {
                tracing::info!(subnet = %held.subnet, "this node has its lease");
                return Ok(held);
            }
        }
        let why = format!("other nodes were faster {RACES} times in taking a lease");
        Err(Error::new(Code::TRY_AGAIN, why))
    }

    /// The lease that this node has, or the subnet that it would take again, which is a fault. Writes
    /// and renews nothing. Code 11 where there is neither.
    pub async fn look(
        &self,
        client: &mut Client,
        endpoints: &Endpoints,
    ) -> Result<(Held, Option<Fault>), Error> {
        let (network, ips) = self.survey(client, endpoints).await?;
        let (found, _) = found::read(client, &self.subnets()).await?;
        let held = |subnet, known: &Peer| {
            let (local, value) = self.entry(subnet, &ips, known);
            let (networks, fault) = (network.all().collect(), None);
            Held { subnet, lease: 0, created: 0, value, renewal: None, local, networks, fault }
        };
        // One that does not fit would be given back.
        let own = bearing(&found, &ips, self.memory.subnet());
        if let Some(own) = own.filter(|own| fits(&network, &own.subnet)) {
            return Ok((held(own.subnet, &own.peer(self.backend)), None));
        }
        let taken = taken(&found, None);
        let last = self.memory.subnet().filter(|s| fits(&network, s) && is_free(s, &taken));
        let why = || format!("this node has no lease below {}subnets/", self.prefix);
        let Some(subnet) = last else {
            return Err(Error::new(Code::TRY_AGAIN, why())
                .details("`podwire agent` and `podwire once` take one"));
        };
        let reason = format!("{}; its last one, {subnet}, would be taken again", why());
        Ok((held(subnet, &Peer::default()), Some(Fault { peer: self.node.clone(), reason })))
    }

    /// The network, and this node's addresses in it.
    async fn survey(
        &self,
        client: &mut Client,
        endpoints: &Endpoints,
    ) -> Result<(Network, Vec<IpAddr>), Error> {
        let config = format!("{}config", self.prefix);
        let got = answer(&format!("read {config}"), client.get(config.as_str(), None)).await?;
        let Some(pair) = got.kvs().first() else {
            return Err(Error::new(Code::TRY_AGAIN, format!("etcd has no key {config}")).details(
                r#"write the network into it, as in {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#,
            ));
        };
        let network = Network::parse(pair.value(), &config, self.backend)?;
        let ips = self.addresses(endpoints, &network)?;
        Ok((network, ips))
    }

    /// This node's addresses, IPv4 first.
    fn addresses(&self, endpoints: &Endpoints, network: &Network) -> Result<Vec<IpAddr>, Error> {
        let mut ips = self.public_ips.clone();
        if ips.is_empty() {
            ips.push(endpoints.own_address()?);
        }
        ips.sort_unstable();
        for (ipv6, needed) in [(false, true), (true, network.v6.is_some())] {
            if needed && !ips.iter().any(|ip| ip.is_ipv6() == ipv6) {
                let family = if ipv6 { "IPv6" } else { "IPv4" };
                let why = format!(
                    "the network has {family} subnets, and no {family} address of this node is known"
                );
                return Err(Error::new(Code::CONFIG, why).details("give it with --public-ip"));
            }
        }
        Ok(ips)
    }

    /// `None` when another node was faster.
    async fn attempt(
        &self,
        client: &mut Client,
        network: &Network,
        ips: &[IpAddr],
        held: Option<&Held>,
        contest: &mut Contest,
    ) -> Result<Option<Held>, Error> {
        let (found, revision) = found::read(client, &self.subnets()).await?;
        let wanted = held.map(|held| held.subnet).or_else(|| self.memory.subnet());
        let written = held.and_then(|held| written(&found, held));
        let own = match written {
            // Who may have it instead is the fleet's owner to say.
            Some(own) if own.ip().is_some() && !own.is_of(ips) && contest.is_lost() => {
                tracing::warn!(
                    subnet = %own.subnet,
                    "this node's own entry was overwritten again and again; giving in, its pods have to be made anew"
                );
                None
            }
            Some(own) => Some((own, held)),
            None => bearing(&found, ips, wanted)
                .or_else(|| found.iter().find(|f| wanted == Some(f.subnet) && f.ip().is_none()))
                .map(|own| (own, None)),
        };
        let Some((own, held)) = own else {
            let subnet = choose(network, &taken(&found, None), wanted)?;
            let place = Place { subnet, revision, former: None };
            let took = self.take(client, network, ips, &place).await?;
            if took.is_some() {
                contest.end();
            }
            return Ok(took);
        };
        if fits(network, &own.subnet) {
            return self.keep(client, network, ips, own, held, contest).await;
        }
        // The network was divided anew.
        match choose(network, &taken(&found, Some(own)), wanted) {
            Ok(subnet) => {
                let place = Place { subnet, revision, former: Some(own) };
                self.take(client, network, ips, &place).await
            }
            Err(error) if is_within(network, &own.subnet) => {
                let kept = self.keep(client, network, ips, own, held, contest).await?;
                let reason = format!(
                    "{} is outside of what {}config leaves to nodes, and kept as long as there is no other: {}",
                    own.subnet, self.prefix, error.msg
                );
                let fault = Fault { peer: self.node.clone(), reason };
                Ok(kept.map(|kept| Held { fault: Some(fault), ..kept }))
            }
            Err(error) => {
                // The others are to find it as long as there is nothing else.
                if own.id != 0 {
                    alive(client, own.id).await?;
                }
                Err(error)
            }
        }
    }

    /// Goes on with a lease that is this node's: what it holds, which may have been overwritten, or what bears its
    /// address, written by a former life or by flannel.
    async fn keep(
        &self,
        client: &mut Client,
        network: &Network,
        ips: &[IpAddr],
        own: &Found,
        held: Option<&Held>,
        contest: &mut Contest,
    ) -> Result<Option<Held>, Error> {
        let known = held.map_or_else(|| own.peer(self.backend), |held| held.local.clone());
        let (local, value) = self.entry(own.subnet, ips, &known);
        let is_same = value.as_bytes() == own.value;
        let (mut id, has_one) = match held {
            // Somebody reserved it for this node.
            _ if own.id == 0 && is_same => (0, true),
            Some(held) => (held.lease, true),
            None => (own.id, own.is_of(ips)),
        };
        let mut renewal = None;
        if id != 0 || !has_one {
            if has_one {
                renewal = alive(client, id).await?;
            }
            if renewal.is_none() {
                id = self.grant(client).await?;
                renewal = Some(interval(self.ttl));
            }
        }
        if id != own.id || !is_same {
            let options = PutOptions::new().with_lease(id);
            let key = own.key.as_str();
            let same = Compare::mod_revision(key, CompareOp::Equal, own.revision);
            let put = TxnOp::put(key, value.as_str(), Some(options));
            let put = Txn::new().when([same]).and_then([put]);
            if !answer(&format!("write {key}"), client.txn(put)).await?.succeeded() {
                return Ok(None);
            }
            if held.is_some_and(|held| held.value.as_bytes() != own.value || held.lease != own.id) {
                tracing::warn!(key, "this node's own entry was overwritten, and is put back");
                contest.note();
            }
        }
        let networks = network.all().collect();
        let (subnet, lease, created) = (own.subnet, id, own.created);
        Ok(Some(Held { subnet, lease, created, value, renewal, local, networks, fault: None }))
    }

    async fn take(
        &self,
        client: &mut Client,
        network: &Network,
        ips: &[IpAddr],
        place: &Place<'_>,
    ) -> Result<Option<Held>, Error> {
        let Place { subnet, revision, former } = *place;
        let known = former.map(|former| former.peer(self.backend)).unwrap_or_default();
        let (local, value) = self.entry(subnet, ips, &known);
        let key = format!("{}{subnet}", self.subnets());
        let id = self.grant(client).await?;
        let mut when = vec![Compare::version(key.as_str(), CompareOp::Equal, 0)];
        if subnet.v6.is_some() {
            // Another key may have half of it.
            let later = revision.saturating_add(1);
            let all = Compare::mod_revision(self.subnets(), CompareOp::Less, later);
            when.push(all.with_prefix());
        }
        let options = PutOptions::new().with_lease(id);
        let mut then = vec![TxnOp::put(key.as_str(), value.as_str(), Some(options))];
        if let Some(former) = former {
            let former_key = former.key.as_str();
            when.push(Compare::mod_revision(former_key, CompareOp::Equal, former.revision));
            then.push(TxnOp::delete(former_key, None));
        }
        let put = Txn::new().when(when).and_then(then);
        match answer(&format!("take {key}"), client.txn(put)).await {
            Ok(done) if done.succeeded() => {
                let renewal = Some(interval(self.ttl));
                let networks = network.all().collect();
                let created = done.header().map_or(0, etcd_client::ResponseHeader::revision);
                let (lease, fault) = (id, None);
                Ok(Some(Held { subnet, lease, created, value, renewal, local, networks, fault }))
            }
            lost => {
                // It would only expire.
                let _ = answer("give back a lease", client.lease_revoke(id)).await;
                lost.map(|_| None)
            }
        }
    }

    fn subnets(&self) -> String {
        format!("{}subnets/", self.prefix)
    }

    async fn grant(&self, client: &mut Client) -> Result<i64, Error> {
        let granted = answer("ask for a lease", client.lease_grant(self.ttl, None)).await?;
        Ok(granted.id())
    }

    /// This node in the peer file and in etcd, with the hardware addresses that the others know.
    fn entry(&self, subnet: Subnet, ips: &[IpAddr], known: &Peer) -> (Peer, String) {
        let mut local = Peer {
            name: self.node.clone(),
            pod_cidrs: subnet.networks().map(|net| net.to_string()).collect(),
            ..Peer::default()
        };
        let mut attributes = Attributes::default();
        let vxlan = matches!(self.backend, Backend::Vxlan { .. });
        for ipv6 in [false, true] {
            let ip = ips.iter().copied().find(|ip| ip.is_ipv6() == ipv6);
            let Some(ip) = ip.filter(|_| local.has_pods(ipv6)) else { continue };
            let known = if ipv6 { known.vtep_mac_v6 } else { known.vtep_mac };
            let vtep = vxlan.then(|| known.unwrap_or_else(|| peers::vtep_mac(&self.node, ipv6)));
            let end = End { ip, vtep };
            local.reached_at(end);
            *(if ipv6 { &mut attributes.v6 } else { &mut attributes.v4 }) = Some(end);
        }
        (local, Lease::value(self.backend, &attributes))
    }
}

/// Renews a lease: how long to wait before the next time, or `None` when there is no such lease.
pub async fn alive(client: &mut Client, lease: i64) -> Result<Option<Duration>, Error> {
    let doing = "renew this node's lease";
    let (mut keeper, mut answers) = answer(doing, client.lease_keep_alive(lease)).await?;
    answer(doing, keeper.keep_alive()).await?;
    let told = answer(doing, answers.message()).await?;
    Ok(told.map(|told| told.ttl()).filter(|ttl| *ttl > 0).map(interval))
}

fn interval(ttl: i64) -> Duration {
    let third = u64::try_from(ttl / 3).unwrap_or_default().max(1);
    OFTEN.min(Duration::from_secs(third))
}

/// What is to be taken.
struct Place<'f> {
    subnet: Subnet,
    /// Of etcd, when it was free.
    revision: i64,
    /// The lease that is given back for it.
    former: Option<&'f Found>,
}

/// The key that this node wrote, whatever it says now.
fn written<'f>(found: &'f [Found], held: &Held) -> Option<&'f Found> {
    found.iter().find(|f| f.subnet == held.subnet && f.created == held.created)
}

/// The lease that bears this node's address: of several the one that it wants, else the oldest.
fn bearing<'f>(found: &'f [Found], ips: &[IpAddr], wanted: Option<Subnet>) -> Option<&'f Found> {
    let all = found.iter().filter(|f| f.is_of(ips));
    all.min_by_key(|f| (Some(f.subnet) != wanted, f.id == 0, f.created))
}

/// Says which of this node's addresses are none. They may be those that a router puts in the place of
/// its own, so the lease is taken all the same.
fn warn_of_strangers(ips: &[IpAddr]) -> Result<(), Error> {
    let answers = route::look_up(&Socket::open()?, ips);
    for (ip, answer) in std::iter::zip(ips, answers) {
        if !answer?.is_some_and(|found| found.kind == Kind::Local) {
            tracing::warn!(
                %ip,
                "no interface of this node has the address that its lease tells the others, see --public-ip"
            );
        }
    }
    Ok(())
}
