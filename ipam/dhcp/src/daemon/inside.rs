//! The container's interface: found again, spoken through, and given another address.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use cni::{Code, Error};
use ipnetwork::{IpNetwork, Ipv4Network};
use kernel::link::{self, Link};
use kernel::route::{self, Installed, Route};
use kernel::{MacAddr, Netns, Socket, address, sysctl};
use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::lease::v4::Lease;
use crate::lease::{self, Family};

mod ear;

pub use ear::Ear;

/// A container's interface.
pub struct Inside {
    netns: Netns,
    socket: Socket,
    /// As it is now.
    pub link: Link,
    /// Its Ethernet address.
    pub mac: MacAddr,
}

/// A route through the interface that is not of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    dst: Ipv4Addr,
    prefix: u8,
    router: Option<Ipv4Addr>,
    /// The router was that of the lease.
    by_gateway: bool,
    priority: Option<u32>,
    scope: u8,
    #[serde(default)]
    mtu: Option<u32>,
    #[serde(default)]
    advmss: Option<u32>,
    /// The source, unless it was the lease's address.
    #[serde(default)]
    src: Option<Ipv4Addr>,
    #[serde(default)]
    by_address: bool,
    #[serde(default)]
    onlink: bool,
}

impl Inside {
    /// The interface for which an ADD asks, set up: nothing can be said through one that is down, or has
    /// no IPv6.
    pub fn of_add(path: &Path, ifname: &str, family: Family) -> Result<(Self, u64), Error> {
        let Some(netns) = Netns::find(path)? else {
            return Err(Error::new(
                Code::NETNS,
                format!(
                    "there is no network namespace at {} where the daemon looks",
                    path.display()
                ),
            )
            .details(
                "the daemon has to see the runtime's paths; -hostprefix puts a directory before",
            ));
        };
        let socket = netns.socket()?;
        let Some(found) = link::get(&socket, ifname)? else {
            return Err(Error::new(
                Code::UNKNOWN_CONTAINER,
                format!("there is no interface {ifname} in {}", path.display()),
            )
            .details(
                "dhcp speaks through the interface: the plugin that makes it has to do so first",
            ));
        };
        let Some(mac) = found.mac else {
            return Err(Error::config(
                "ipam.type",
                "\"dhcp\"",
                &format!("{ifname} is no Ethernet interface"),
            ));
        };
        if family == Family::Ipv6 {
            // Some runtimes switch it off in every container; whoever asks for such an address wants it.
            let key = format!("ipv6/conf/{ifname}/disable_ipv6");
            netns.enter(|| sysctl::ensure(&key, "0")).map_err(|e| match e.errno() {
                nix::libc::ENOENT => {
                    let why = format!("{ifname} has no IPv6");
                    Error::config("ipam.families", "\"ipv6\"", &why)
                        .details("its MTU is less than 1280, or the kernel runs without IPv6")
                }
                _ => e.into(),
            })?;
        }
        if !found.up {
            socket.run(link::set_up(found.index, &found.name))?;
        }
        let cookie = netns.cookie()?;
        Ok((Self { netns, socket, link: found, mac }, cookie))
    }

    /// The interface of a record; `None` when it or its namespace is gone, or another is there.
    pub fn find(record: &Record) -> kernel::Result<Option<Self>> {
        let Some(netns) = Netns::find(&record.netns)? else { return Ok(None) };
        if netns.cookie()? != record.cookie {
            return Ok(None);
        }
        let socket = netns.socket()?;
        let Some(link) = link::get_by_index(&socket, record.index)? else { return Ok(None) };
        let Some(mac) = link.mac else { return Ok(None) };
        Ok(Some(Self { netns, socket, link, mac }))
    }

    /// Gives the interface the network's MTU where its own is larger.
    pub fn limit_mtu(&self, lease: &lease::Lease) -> kernel::Result<()> {
        let lease::Lease::V4(Lease { mtu: Some(mtu), .. }) = lease else { return Ok(()) };
        match Some(u32::from(*mtu)).filter(|mtu| *mtu < self.link.mtu) {
            Some(mtu) => self.socket.run(link::set_mtu(self.link.index, &self.link.name, mtu)),
            None => Ok(()),
        }
    }

    /// Takes a lease's address and routes away. Gives the other routes, which the kernel may take
    /// away with the last address; those of IPv6 stay.
    pub fn withdraw(&self, lease: &lease::Lease) -> kernel::Result<Vec<Kept>> {
        match lease {
            lease::Lease::V4(lease) => self.withdraw_ipv4(lease),
            lease::Lease::V6(lease) => {
                match self.socket.run(address::delete(&self.link, lease.cidr())) {
                    Err(e) if !e.is_gone() => Err(e),
                    _ => Ok(Vec::new()),
                }
            }
        }
    }

    /// Gives the interface a lease's address and routes, and puts back the other routes.
    pub fn install(
        &self,
        lease: &lease::Lease,
        priority: u32,
        kept: &[Kept],
    ) -> kernel::Result<()> {
        match lease {
            lease::Lease::V4(own) => self.install_ipv4(own, priority, kept)?,
            lease::Lease::V6(_) => self.restore(lease)?,
        }
        self.limit_mtu(lease)?;
        // The neighbours may know another by this address. Not every kind of link can be told so.
        let _ = self.socket.run(link::announce(self.link.index, &self.link.name, self.mac));
        Ok(())
    }

    /// Puts an IPv6 address back that is missing: the kernel takes those of a link away that goes down,
    /// and leaves IPv4's.
    pub fn restore(&self, lease: &lease::Lease) -> kernel::Result<()> {
        let lease::Lease::V6(own) = lease else { return Ok(()) };
        match self.socket.run(address::add(&self.link, own.cidr(), address::Options::default())) {
            Err(e) if !e.is_exists() => Err(e),
            _ => Ok(()),
        }
    }

    fn withdraw_ipv4(&self, lease: &Lease) -> kernel::Result<Vec<Kept>> {
        let found = route::through(&self.socket, false, self.link.index)?;
        let (own, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| is_of(one, lease));
        let kept: Vec<Kept> = others.iter().filter_map(|one| Kept::of(one, lease)).collect();
        let by_gateway = others.iter().filter(|one| is_through(one, lease.gateway));
        let mut requests: Vec<_> =
            own.iter().chain(by_gateway).map(|one| route::delete(one, &self.link.name)).collect();
        requests.push(address::delete(&self.link, lease.cidr()));
        for outcome in self.sparing_others(|| self.socket.run_all(&requests)) {
            match outcome {
                Err(e) if !e.is_gone() => return Err(e),
                _ => {}
            }
        }
        Ok(kept)
    }

    /// Runs `work` such that the removal of an address leaves the others of its subnet: the kernel takes
    /// them along otherwise, unless it has been told to promote them (Documentation/networking/ip-sysctl.rst).
    fn sparing_others<T>(&self, work: impl FnOnce() -> T) -> T {
        let key = format!("ipv4/conf/{}/promote_secondaries", self.link.name);
        let set = |value: &str| self.netns.enter(|| sysctl::write(&key, value));
        let off = self.netns.enter(|| sysctl::read(&key)).is_ok_and(|value| value == "0");
        // Where it cannot be written nobody is worse off than without.
        let switched = off && set("1").is_ok();
        let outcome = work();
        if switched {
            let _ = set("0");
        }
        outcome
    }

    /// True when the interface has another address in a lease's subnet, which its traffic would have.
    fn has_neighbour_of(&self, lease: &Lease) -> bool {
        let own = lease.cidr();
        // Without an answer the lease is installed as if it were alone.
        let all = address::list(&self.socket, self.link.index, false).unwrap_or_default();
        let is_neighbour = |other: &IpNetwork| {
            (other.network(), other.prefix()) == (own.network(), own.prefix()) && *other != own
        };
        all.iter().any(|other| is_neighbour(&other.address))
    }

    fn install_ipv4(&self, lease: &Lease, priority: u32, kept: &[Kept]) -> kernel::Result<()> {
        let mut requests =
            vec![address::add(&self.link, lease.cidr(), address::Options::default())];
        let src = self.has_neighbour_of(lease).then_some(lease.address.into());
        let own = lease.result(priority);
        let own = own.routes.iter().map(|r| Route {
            gw: r.gw,
            src,
            priority: r.priority,
            scope: r.scope.unwrap_or(route::SCOPE_GLOBAL),
            ..Route::to(r.dst)
        });
        requests.extend(own.map(|one| route::replace(Some(&self.link), &one)));
        let others = kept.iter().filter_map(|kept| kept.route(lease));
        // One that does not fit the new subnet is lost, as it is when a host gets another address.
        let lenient = requests.len();
        requests.extend(others.map(|one| route::replace(Some(&self.link), &one)));
        for (n, outcome) in self.socket.run_all(&requests).into_iter().enumerate() {
            match outcome {
                Err(e) if n < lenient && !e.is_exists() => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_of(one: &Installed, lease: &Lease) -> bool {
    lease.routes.iter().any(|route| {
        one.route.dst.ip() == IpAddr::V4(route.dst)
            && one.route.dst.prefix() == route.prefix
            && one.route.gw == route.router.map(Into::into)
    })
}

fn is_through(one: &Installed, gateway: Option<Ipv4Addr>) -> bool {
    gateway.is_some() && one.route.gw == gateway.map(IpAddr::V4)
}

impl Kept {
    fn of(one: &Installed, lease: &Lease) -> Option<Self> {
        let IpNetwork::V4(dst) = one.route.dst else { return None };
        let router = match one.route.gw {
            Some(IpAddr::V4(router)) => Some(router),
            Some(IpAddr::V6(_)) => return None,
            None => None,
        };
        let src = match one.route.src {
            Some(IpAddr::V4(src)) => Some(src),
            _ => None,
        };
        Some(Self {
            dst: dst.ip(),
            prefix: dst.prefix(),
            router,
            by_gateway: is_through(one, lease.gateway),
            priority: one.route.priority,
            scope: one.route.scope,
            mtu: one.route.mtu,
            advmss: one.route.advmss,
            src: src.filter(|src| *src != lease.address),
            by_address: src == Some(lease.address),
            onlink: one.route.onlink,
        })
    }

    fn route(&self, lease: &Lease) -> Option<Route> {
        let dst = Ipv4Network::new(self.dst, self.prefix).ok()?;
        let router = if self.by_gateway { Some(lease.gateway?) } else { self.router };
        Some(Route {
            gw: router.map(Into::into),
            src: if self.by_address { Some(lease.address) } else { self.src }.map(Into::into),
            priority: self.priority,
            scope: self.scope,
            mtu: self.mtu,
            advmss: self.advmss,
            onlink: self.onlink,
            ..Route::to(dst.into())
        })
    }
}
