//! Tunnel devices: made where they are missing, mended where they differ, never taken from others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use cni::{Code, Error};
use kernel::link::{self, Ipip, Link, Vxlan};
use kernel::{MacAddr, Netns, Socket, offload, sysctl};

use crate::Options;
use crate::backend::Offload;
use crate::device::{Mend, Verdict, compare};
use crate::difference::alias;
use crate::plan::{Device, Kind};

/// Refuses what is in the device's place and not ours to change, before anything is changed: what
/// bears its name, and where it has to be made, what has its identifier, ends or port. The links
/// that are `leaving` are in nobody's way. Code 101.
pub fn check_place(
    socket: &Socket,
    device: &Device,
    options: &Options,
    leaving: &[Link],
) -> Result<(), Error> {
    let found = link::get(socket, device.name.as_str())?;
    let alias = alias(&options.network);
    match found.as_ref().map(|found| compare(device, found, &alias)) {
        Some(Verdict::Mend(_)) => return Ok(()),
        Some(Verdict::Foreign(kind)) => return Err(foreign(device, &kind)),
        Some(Verdict::Remake(why))
            if found.as_ref().and_then(|l| l.alias.as_deref()) != Some(alias.as_str()) =>
        {
            return Err(not_ours(device, &why));
        }
        Some(Verdict::Remake(_)) | None => {}
    }
    let links = link::list(socket)?;
    let stays = |link: &&Link| {
        let goes = |other: &Link| other.index == link.index;
        !leaving.iter().any(goes) && !found.as_ref().is_some_and(goes)
    };
    if let Some(rival) = links.iter().filter(stays).find(|link| excludes(device, link)) {
        return Err(taken(device, Some(rival)));
    }
    let Kind::Vxlan(vxlan, _) = &device.kind else { return Ok(()) };
    // Devices share the port among themselves.
    if links.iter().any(|link| link.vxlan.as_ref().is_some_and(|has| has.port == vxlan.port)) {
        return Ok(());
    }
    let any: IpAddr =
        if device.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    match UdpSocket::bind((any, vxlan.port)) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(port_in_use(vxlan.port)),
        _ => Ok(()),
    }
}

/// True when the kernel makes no such device beside that link (drivers/net/vxlan/vxlan_core.c
/// `vxlan_vni_in_use`, net/ipv4/ip_tunnel.c `ip_tunnel_find`).
pub fn excludes(device: &Device, link: &Link) -> bool {
    match &device.kind {
        Kind::Vxlan(wanted, _) => link.vxlan.as_ref().is_some_and(|has| {
            let is_ipv6 = has.local.is_some_and(|ip| ip.is_ipv6());
            has.vni == wanted.vni
                && has.port == wanted.port
                && is_ipv6 == device.ipv6
                && !has.external
        }),
        Kind::Ipip(wanted) => link.ipip.as_ref().is_some_and(|has| {
            has.local == wanted.local && has.remote == wanted.remote && !has.external
        }),
        Kind::Fallback => false,
    }
}

/// Makes or mends the device and gives it as it is then. Code 101 when something stands in its
/// place that is not ours to change.
pub fn ensure(socket: &Socket, device: &Device, options: &Options) -> Result<Link, Error> {
    let name = device.name.as_str();
    let alias = alias(&options.network);
    let Some(found) = link::get(socket, name)? else {
        return make(socket, device, options, &alias);
    };
    match compare(device, &found, &alias) {
        Verdict::Foreign(kind) => Err(foreign(device, &kind)),
        Verdict::Mend(mends) => {
            mend(socket, device, &found, &alias, &mends)?;
            finish(socket, device, options, &found)
        }
        Verdict::Remake(why) if found.alias.as_deref() == Some(alias.as_str()) => {
            match socket.run(link::delete(found.index, name)) {
                Err(e) if !e.is_gone() => {
                    Err(Error::from(e).while_(format!("{name} has {}", why.join(", "))))
                }
                _ => make(socket, device, options, &alias),
            }
        }
        Verdict::Remake(why) => Err(not_ours(device, &why)),
    }
}

/// Makes the device and sets it up; one that cannot be set up goes again.
fn make(socket: &Socket, device: &Device, options: &Options, alias: &str) -> Result<Link, Error> {
    let (made, is_new) = create(socket, device, alias)?;
    let finished = match compare(device, &made, alias) {
        Verdict::Mend(mends) => mend(socket, device, &made, alias, &mends)
            .and_then(|()| finish(socket, device, options, &made)),
        Verdict::Foreign(kind) => Err(foreign(device, &kind)),
        Verdict::Remake(why) => Err(not_ours(device, &why)),
    };
    if finished.is_err() && is_new {
        // The error tells why; that it cannot be removed either would be news to nobody.
        let _ = socket.run(link::delete(made.index, &made.name));
    }
    finished
}

fn finish(
    socket: &Socket,
    device: &Device,
    options: &Options,
    found: &Link,
) -> Result<Link, Error> {
    let name = device.name.as_str();
    prepare(device);
    set_offload(name, options.offload)?;
    link::get(socket, name)?.filter(|now| now.index == found.index).ok_or_else(|| {
        Error::new(Code::TRY_AGAIN, format!("device {name} was removed while it was set up"))
    })
}

fn not_ours(device: &Device, why: &[String]) -> Error {
    let name = &device.name;
    let msg = format!("device {name}: exists, is not ours and has {}", why.join(", "));
    Error::new(Code::CONFLICT, msg)
        .details("configure what it has, name another device, or remove it")
}

fn foreign(device: &Device, kind: &str) -> Error {
    let wanted = if matches!(device.kind, Kind::Vxlan(..)) { "a VXLAN" } else { "an IPIP" };
    let name = &device.name;
    let msg = format!("device {name}: exists and is {kind}, not {wanted} device of this network");
    Error::new(Code::CONFLICT, msg).details("name another device, or remove that interface")
}

/// Makes the device, down and marked as ours. False when somebody else, or the module, was first.
fn create(socket: &Socket, device: &Device, alias: &str) -> Result<(Link, bool), Error> {
    let name = device.name.as_str();
    let request = match &device.kind {
        Kind::Vxlan(vxlan, mac) => link::create_vxlan(name, vxlan, *mac, Some(device.mtu)),
        Kind::Ipip(ipip) => link::create_ipip(name, ipip, Some(device.mtu)),
        // The kernel looks for the module first, which makes the device.
        Kind::Fallback => link::create_ipip(name, &Ipip::default(), None),
    };
    let is_new = match socket.run(request) {
        Ok(()) => true,
        Err(e) if e.is_exists() => false,
        Err(e) => return Err(lacking(e, device)),
    };
    let Some(made) = link::get(socket, name)? else {
        let links = link::list(socket)?;
        return Err(taken(device, links.iter().find(|link| excludes(device, link))));
    };
    if is_new && device.kind != Kind::Fallback {
        if let Err(refused) = socket.run(link::set_alias(name, alias)) {
            // Nobody would know whose it is.
            let _ = socket.run(link::delete(made.index, name));
            return Err(refused.into());
        }
        return Ok((Link { alias: Some(alias.to_owned()), ..made }, true));
    }
    Ok((made, is_new))
}

/// The kernel's refusal of a device, with a hint where it does not know the kind.
fn lacking(refused: kernel::Error, device: &Device) -> Error {
    let unknown = refused.errno() == libc::EOPNOTSUPP;
    let error = Error::from(refused);
    if unknown {
        let kind = kind(device);
        return error
            .details(format!("does this kernel have the module {kind}? (modprobe {kind})"));
    }
    error
}

/// Makes a device of the kind in a namespace that ends with the trial.
pub fn try_kind(device: &Device) -> Result<(), Error> {
    let request = match &device.kind {
        Kind::Vxlan(..) => {
            let any = Vxlan { vni: 1, port: 8472, ..Vxlan::default() };
            link::create_vxlan("trial", &any, MacAddr([2, 0, 0, 0, 0, 1]), None)
        }
        Kind::Ipip(_) | Kind::Fallback => {
            let local = Some([192, 0, 2, 1].into());
            link::create_ipip("trial", &Ipip { local, ..Ipip::default() }, None)
        }
    };
    Netns::trial(|| Socket::open()?.run(request)).map_err(|e| lacking(e, device))
}

fn kind(device: &Device) -> &'static str {
    if matches!(device.kind, Kind::Vxlan(..)) { "vxlan" } else { "ipip" }
}

/// The error of a device whose name is free, but not what makes it unique: the identifier and port
/// of a VXLAN, the ends of an IPIP tunnel. Names who has them.
fn taken(device: &Device, rival: Option<&Link>) -> Error {
    let owner = rival.map_or("another device", |link| link.name.as_str());
    let name = &device.name;
    let what = match &device.kind {
        Kind::Vxlan(vxlan, _) => format!("vni {} on port {}", vxlan.vni, vxlan.port),
        _ => "the same ends".to_owned(),
    };
    let alias = rival.and_then(|link| link.alias.as_deref()).unwrap_or_default();
    let mend = match alias.strip_prefix("podwire:") {
        Some(network) => {
            format!("it is that of the network {network:?}: choose another vni or port")
        }
        None => format!("choose another vni or port, or set device to {owner} to take it over"),
    };
    Error::new(Code::CONFLICT, format!("device {name}: {owner} has {what}")).details(mend)
}

fn mend(
    socket: &Socket,
    device: &Device,
    found: &Link,
    alias: &str,
    mends: &[Mend],
) -> Result<(), Error> {
    let (name, index) = (device.name.as_str(), found.index);
    for mend in mends {
        match mend {
            Mend::Kind(_) => match &device.kind {
                Kind::Vxlan(vxlan, _) => socket.run(link::change_vxlan(index, name, vxlan))?,
                Kind::Ipip(ipip) => socket.run(link::change_ipip(index, name, ipip))?,
                Kind::Fallback => {}
            },
            Mend::Mac => {
                if let Kind::Vxlan(_, mac) = &device.kind {
                    socket.run(link::set_mac(index, name, *mac))?;
                }
            }
            Mend::Mtu => socket.run(link::set_mtu(index, name, device.mtu))?,
            Mend::Alias => socket.run(link::set_alias(name, alias))?,
            Mend::AddressGeneration => match socket.run(link::disable_address_generation(name)) {
                // The kernel has no IPv6.
                Err(e) if e.errno() == libc::EAFNOSUPPORT => {}
                other => other?,
            },
            Mend::Master => socket.run(link::set_master(index, name, 0))?,
            Mend::Down => {
                prepare(device);
                match socket.run(link::set_up(index, name)) {
                    Err(e) if e.errno() == libc::EADDRINUSE => return Err(refused(e, device)),
                    other => other?,
                }
            }
        }
    }
    Ok(())
}

fn refused(refused: kernel::Error, device: &Device) -> Error {
    match &device.kind {
        Kind::Vxlan(vxlan, _) => port_in_use(vxlan.port),
        _ => refused.into(),
    }
}

fn port_in_use(port: u16) -> Error {
    Error::new(Code::CONFLICT, format!("port {port} is in use by another program"))
        .details("choose another port, on every node, or end that program (ss -ulpn)")
}

/// The switches of a router's tunnel: what comes out of it is forwarded (for IPv6 one switch tells of all
/// interfaces: net/ipv6/ip6_output.c, `ip6_forward`), there are no addresses or routes from what is
/// announced there, and packets may come from where the way back is another (with direct routing the two
/// ways differ while it changes).
pub fn switches(device: &Device) -> Vec<(String, &'static str)> {
    let name = &device.name;
    let forwarding = (format!("ipv4/conf/{name}/forwarding"), "1");
    if matches!(device.kind, Kind::Fallback) {
        return vec![forwarding];
    }
    let mut all = vec![
        (format!("ipv4/conf/{name}/rp_filter"), "2"),
        (format!("ipv6/conf/{name}/accept_ra"), "0"),
    ];
    if device.ipv6 {
        all.push((format!("ipv6/conf/{name}/disable_ipv6"), "0"));
    } else {
        all.push(forwarding);
    }
    all
}

/// Sets them. Best effort: some are missing where the kernel has no IPv6; what cannot do without
/// will say so.
fn prepare(device: &Device) {
    for (key, value) in switches(device) {
        let _ = sysctl::ensure(&key, value);
    }
}

/// What checksum offload is to be; `None` where it is left alone.
pub fn offload_wanted(wanted: Offload) -> Option<bool> {
    match wanted {
        Offload::Auto => offload::is_broken_here().then_some(false),
        Offload::On => Some(true),
        Offload::Off => Some(false),
    }
}

fn set_offload(name: &str, wanted: Offload) -> Result<(), Error> {
    let Some(wanted) = offload_wanted(wanted) else { return Ok(()) };
    if offload::transmit_checksum(name)? != wanted {
        offload::set_transmit_checksum(name, wanted)?;
    }
    Ok(())
}

/// What differs of the device that there is, in words.
pub fn differences(
    socket: &Socket,
    device: &Device,
    options: &Options,
) -> Result<(Option<Link>, Vec<String>), Error> {
    let name = &device.name;
    let Some(found) = link::get(socket, name.as_str())? else {
        return Ok((None, vec![format!("device {name} is missing")]));
    };
    let mut words = match compare(device, &found, &alias(&options.network)) {
        Verdict::Foreign(kind) => return Ok((None, vec![foreign(device, &kind).msg])),
        Verdict::Remake(why) => why.iter().map(|why| format!("device {name} has {why}")).collect(),
        Verdict::Mend(mends) => {
            mends.iter().map(|mend| describe(mend, device, &found)).collect::<Vec<_>>()
        }
    };
    for (key, wanted) in switches(device) {
        if let Ok(has) = sysctl::read(&key)
            && has != wanted
        {
            words.push(format!("the sysctl net/{key} is {has} instead of {wanted}"));
        }
    }
    if let Some(wanted) = offload_wanted(options.offload)
        && offload::transmit_checksum(name.as_str())? != wanted
    {
        let is = if wanted { "off" } else { "on" };
        words.push(format!("device {name}: checksum offload is {is}"));
    }
    Ok((Some(found), words))
}

fn describe(mend: &Mend, device: &Device, found: &Link) -> String {
    let name = &device.name;
    match mend {
        Mend::Kind(what) => format!("device {name} has {what}"),
        Mend::Mac => {
            let has = found.mac.map(|mac| mac.to_string()).unwrap_or_default();
            let wanted = match &device.kind {
                Kind::Vxlan(_, mac) => mac.to_string(),
                _ => String::new(),
            };
            format!("device {name} has the hardware address {has} instead of {wanted}")
        }
        Mend::Mtu => {
            format!("device {name} has the MTU {} instead of {}", found.mtu, device.mtu)
        }
        Mend::Alias => format!("device {name} does not bear our mark"),
        Mend::AddressGeneration => format!("device {name} may make a link-local address"),
        Mend::Master => format!("device {name} is a port of another device"),
        Mend::Down => format!("device {name} is down"),
    }
}
