//! This node's own lease: the one it has, the one it had, or any that is free.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use cni::{Code, Error};
use etcd_client::{Client, Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp};
use flannel::{Attributes, Backend, End, Lease, Network, Peer, Subnet};
use ipnetwork::IpNetwork;
use peers::Fault;

use super::client::{Endpoints, answer};
use super::memory::{Memory, subnet};

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
    /// When to renew it; `None` for one that is reserved.
    pub renewal: Option<Duration>,
    /// This node as a peer file has it.
    pub local: Peer,
    /// All pods' networks.
    pub networks: Vec<IpNetwork>,
}

/// A lease as it was read.
struct Found {
    key: String,
    lease: Lease,
    id: i64,
    revision: i64,
    value: Vec<u8>,
}

impl Found {
    /// It bears one of these addresses.
    fn is_of(&self, ips: &[IpAddr]) -> bool {
        self.lease.public_ip().is_some_and(|ip| ips.contains(&IpAddr::V4(ip)))
    }
}

impl Claim {
    /// Holds the lease that this node has, or takes one.
    pub async fn hold(
        &self,
        client: &mut Client,
        endpoints: &Endpoints,
        held: Option<Held>,
    ) -> Result<Held, Error> {
        let (network, ips) = self.survey(client, endpoints).await?;
        let wanted = held.map(|held| held.subnet).or_else(|| self.memory.subnet());
        for _ in 0..RACES {
            if let Some(held) = self.attempt(client, &network, &ips, wanted).await? {
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
        let (mut found, _) = self.leases(client).await?;
        let held = |subnet, known: &Peer| {
            let (local, _) = self.entry(subnet, &ips, known);
            Held { subnet, lease: 0, renewal: None, local, networks: network.all().collect() }
        };
        if let Some(at) = found.iter().position(|f| f.is_of(&ips)) {
            // One that does not fit would be given back.
            let Found { lease, .. } = found.swap_remove(at);
            if fits(&network, &lease.subnet) {
                let known = lease.peer(self.backend).0.unwrap_or_default();
                return Ok((held(lease.subnet, &known), None));
            }
        }
        let taken = taken(&found);
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
        wanted: Option<Subnet>,
    ) -> Result<Option<Held>, Error> {
        let (found, revision) = self.leases(client).await?;
        let own = found.iter().find(|f| f.is_of(ips));
        if let Some(own) = own {
            if fits(network, &own.lease.subnet) {
                return self.take_over(client, network, ips, own).await;
            }
            // The network was divided anew.
            let gone = Txn::new()
                .when([Compare::mod_revision(own.key.as_str(), CompareOp::Equal, own.revision)])
                .and_then([TxnOp::delete(own.key.as_str(), None)]);
            answer(&format!("delete {}", own.key), client.txn(gone)).await?;
            return Ok(None);
        }
        let taken = taken(&found);
        let subnet = match wanted.filter(|s| fits(network, s) && is_free(s, &taken)) {
            Some(subnet) => subnet,
            None => random(network, &taken)?,
        };
        self.take(client, network, ips, subnet, revision).await
    }

    async fn leases(&self, client: &mut Client) -> Result<(Vec<Found>, i64), Error> {
        let prefix = format!("{}subnets/", self.prefix);
        let options = GetOptions::new().with_prefix();
        let got = answer("read the leases", client.get(prefix.as_str(), Some(options))).await?;
        let found = got.kvs().iter().filter_map(|pair| {
            let key = pair.key_str().ok()?;
            // What cannot be read is named with the other leases.
            let lease = Lease::parse(key.strip_prefix(&prefix)?, pair.value()).ok()?;
            Some(Found {
                key: key.to_owned(),
                lease,
                id: pair.lease(),
                revision: pair.mod_revision(),
                value: pair.value().to_owned(),
            })
        });
        Ok((found.collect(), got.header().map_or(0, etcd_client::ResponseHeader::revision)))
    }

    /// Goes on with a lease that bears this node's address, written by a former life or by flannel.
    async fn take_over(
        &self,
        client: &mut Client,
        network: &Network,
        ips: &[IpAddr],
        own: &Found,
    ) -> Result<Option<Held>, Error> {
        let known = own.lease.peer(self.backend).0.unwrap_or_default();
        let (local, value) = self.entry(own.lease.subnet, ips, &known);
        let mut id = own.id;
        let mut renewal = None;
        if id != 0 {
            renewal = alive(client, id).await?;
            if renewal.is_none() {
                id = self.grant(client).await?;
                renewal = Some(interval(self.ttl));
            }
        }
        if id != own.id || value.as_bytes() != own.value {
            let options = PutOptions::new().with_lease(id);
            let key = own.key.as_str();
            let same = Compare::mod_revision(key, CompareOp::Equal, own.revision);
            let put = Txn::new().when([same]).and_then([TxnOp::put(key, value, Some(options))]);
            if !answer(&format!("write {key}"), client.txn(put)).await?.succeeded() {
                return Ok(None);
            }
        }
        let networks = network.all().collect();
        Ok(Some(Held { subnet: own.lease.subnet, lease: id, renewal, local, networks }))
    }

    async fn take(
        &self,
        client: &mut Client,
        network: &Network,
        ips: &[IpAddr],
        subnet: Subnet,
        revision: i64,
    ) -> Result<Option<Held>, Error> {
        let (local, value) = self.entry(subnet, ips, &Peer::default());
        let key = format!("{}subnets/{subnet}", self.prefix);
        let id = self.grant(client).await?;
        let mut when = vec![Compare::version(key.as_str(), CompareOp::Equal, 0)];
        if subnet.v6.is_some() {
            // Another key may have half of it.
            let all = format!("{}subnets/", self.prefix);
            let later = revision.saturating_add(1);
            when.push(Compare::mod_revision(all, CompareOp::Less, later).with_prefix());
        }
        let put = TxnOp::put(key.as_str(), value, Some(PutOptions::new().with_lease(id)));
        let put = Txn::new().when(when).and_then([put]);
        match answer(&format!("take {key}"), client.txn(put)).await {
            Ok(done) if done.succeeded() => {
                let renewal = Some(interval(self.ttl));
                let networks = network.all().collect();
                Ok(Some(Held { subnet, lease: id, renewal, local, networks }))
            }
            lost => {
                // It would only expire.
                let _ = answer("give back a lease", client.lease_revoke(id)).await;
                lost.map(|_| None)
            }
        }
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

/// Any that is free.
fn random(network: &Network, taken: &[IpNetwork]) -> Result<Subnet, Error> {
    let pick = |range: &flannel::Range| {
        let free = range.free(taken);
        // The hasher's keys are random.
        let noise =
            usize::try_from(RandomState::new().hash_one(free.len()) >> 33).unwrap_or_default();
        let at = noise.checked_rem(free.len()).unwrap_or_default();
        free.get(at).copied().ok_or_else(|| {
            Error::new(Code::EXHAUSTED, format!("{}: all its subnets are leased", range.network))
        })
    };
    let mut networks = vec![pick(&network.v4)?];
    if let Some(range) = &network.v6 {
        networks.push(pick(range)?);
    }
    subnet(&networks).ok_or_else(|| Error::new(Code::INTERNAL, "a subnet of no family"))
}

fn fits(network: &Network, subnet: &Subnet) -> bool {
    network.v4.has(subnet.v4.into())
        && match (network.v6, subnet.v6) {
            (Some(range), Some(v6)) => range.has(v6.into()),
            (None, None) => true,
            _ => false,
        }
}

fn taken(found: &[Found]) -> Vec<IpNetwork> {
    found.iter().flat_map(|f| f.lease.subnet.networks()).collect()
}

fn is_free(subnet: &Subnet, taken: &[IpNetwork]) -> bool {
    !subnet.networks().any(|net| taken.iter().any(|other| overlaps(net, *other)))
}

fn overlaps(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}
