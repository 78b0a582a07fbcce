//! `loopback`: sets up `lo` in the container. See README.md.

use std::process::ExitCode;

use cni::{AddResult, Call, Code, Error, GcCall, Interface, IpConfig, Plugin, StatusCall};
use kernel::address::{self, Address};
use kernel::link::{self, Link};
use kernel::{Netns, Socket};

/// The one interface this is about, whatever CNI_IFNAME says.
const LO: &str = "lo";

struct Loopback;

impl Plugin for Loopback {
    const NAME: &'static str = "loopback";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let netns = Netns::open(call.netns()?)?;
        let socket = netns.socket()?;
        let lo = look_up(&socket, &netns)?;
        // Looked at before, so that a refused ADD changes nothing.
        addresses(&socket, &lo)?;
        socket.run(link::set_up(lo.index, LO))?;
        // Going up gave it its own.
        let addresses = addresses(&socket, &lo)?;
        if let Some(prev) = &call.prev_result {
            return Ok(prev.clone());
        }
        let first = |ipv6: bool| addresses.iter().find(move |a| a.address.is_ipv6() == ipv6);
        let ip = |a: &Address| IpConfig { interface: Some(0), address: a.address, gateway: None };
        Ok(AddResult {
            interfaces: vec![Interface {
                name: LO.to_owned(),
                mac: "00:00:00:00:00:00".to_owned(),
                sandbox: netns.path().to_string_lossy().into_owned(),
                ..Interface::default()
            }],
            ips: [first(false), first(true)].into_iter().flatten().map(ip).collect(),
            ..AddResult::default()
        })
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        let Some(path) = &call.netns else { return Ok(()) };
        let Some(netns) = Netns::find(path)? else { return Ok(()) };
        let socket = netns.socket()?;
        match link::get(&socket, LO)? {
            Some(lo) => Ok(socket.run(link::set_down(lo.index, LO))?),
            None => Ok(()),
        }
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        let netns = Netns::open(call.netns()?)?;
        let socket = netns.socket()?;
        let lo = look_up(&socket, &netns)?;
        if !lo.up {
            let msg = format!("lo is down in {}", netns.path().display());
            return Err(Error::new(Code::CHECK, msg));
        }
        // Addresses that the container itself put there since are its own affair.
        Ok(())
    }

    /// Loopback interfaces end with their namespaces.
    fn gc(&self, _: &GcCall) -> Result<(), Error> {
        Ok(())
    }

    /// Every kernel with network namespaces can serve.
    fn status(&self, _: &StatusCall) -> Result<(), Error> {
        Ok(())
    }
}

fn look_up(socket: &Socket, netns: &Netns) -> Result<Link, Error> {
    link::get(socket, LO)?.ok_or_else(|| {
        Error::new(
            Code::UNKNOWN_CONTAINER,
            format!("there is no interface lo in {}", netns.path().display()),
        )
    })
}

/// The addresses of `lo`, all of which must be loopback addresses: another one would be answered
/// for on no link at all.
fn addresses(socket: &Socket, lo: &Link) -> Result<Vec<Address>, Error> {
    let mut all = address::list(socket, lo.index, false)?;
    all.extend(address::list(socket, lo.index, true)?);
    match all.iter().find(|a| !a.address.ip().is_loopback()) {
        None => Ok(all),
        Some(a) => Err(Error::new(
            Code::CONFLICT,
            format!("lo has the address {}, which is no loopback address", a.address),
        )),
    }
}

fn main() -> ExitCode {
    cni::run(&Loopback)
}
