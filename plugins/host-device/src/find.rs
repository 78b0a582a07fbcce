//! Finding the device that a configuration names.

use cni::{Code, Error};
use devices::{Device, Roots};
use kernel::link::{self, Link};
use kernel::{MacAddr, Socket};

use crate::config::{By, Config};

/// The device, and the name of its network interface on the node; `None` where a program drives it. Code
/// 7, with what is there instead.
pub fn device(config: &Config) -> Result<(Device, Option<String>), Error> {
    let roots = Roots::system();
    let host = Socket::open()?;
    match &config.by {
        None => Err(Error::new(Code::CONFIG, "no device is named")),
        Some(By::Id(id)) => Ok(with_interface(roots.device(id)?)),
        Some(By::Path(path)) => Ok(with_interface(roots.device_at(path)?)),
        Some(By::Name(name)) => match link::get(&host, name)? {
            Some(link) => of_link(&roots, &link),
            None => Err(unknown(&host, "device", name)?),
        },
        Some(By::Mac(mac)) => match by_mac(&host, *mac)? {
            Some(link) => of_link(&roots, &link),
            None => Err(unknown(&host, "hwaddr", &mac.to_string())?),
        },
    }
}

/// A device's first port, as the reference has it.
fn with_interface(device: Device) -> (Device, Option<String>) {
    let userspace = device.class.is_userspace();
    let name = device.netdevs.first().filter(|_| !userspace).map(|netdev| netdev.name.clone());
    (device, name)
}

fn of_link(roots: &Roots, link: &Link) -> Result<(Device, Option<String>), Error> {
    Ok((handover::device_of(roots, link)?, Some(link.name.clone())))
}

/// The interface of a hardware address. Several may have it: VLANs have that of the link they are made
/// upon, and a bond's ports that of the bond. A physical one goes first.
fn by_mac(host: &Socket, mac: MacAddr) -> Result<Option<Link>, Error> {
    let mut all: Vec<Link> =
        link::list(host)?.into_iter().filter(|link| link.mac == Some(mac)).collect();
    all.sort_by_key(|link| !link.kind.is_empty());
    let physical = all.iter().filter(|link| link.kind.is_empty()).count();
    let (first, more) = (all.first().cloned(), all.len() > 1 && physical != 1);
    match first {
        Some(_) if more => {
            let names: Vec<&str> = all.iter().map(|link| link.name.as_str()).collect();
            Err(Error::config("hwaddr", mac, &format!("{} have it", names.join(" and ")))
                .details("name the one that is meant by device"))
        }
        first => Ok(first),
    }
}

/// How many links an error lists.
const LISTED: usize = 30;

fn unknown(host: &Socket, key: &str, value: &str) -> Result<Error, Error> {
    let links = link::list(host)?.into_iter().filter(|link| link.index != 1);
    let mut names: Vec<String> = links
        .map(|link| match link.mac {
            Some(mac) if key == "hwaddr" => format!("{} ({mac})", link.name),
            _ => link.name,
        })
        .collect();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let there = if names.is_empty() { "none but lo".to_owned() } else { names.join(", ") };
    Ok(Error::config(key, value, "the node has no such network interface")
        .details(format!("it has {there}")))
}
