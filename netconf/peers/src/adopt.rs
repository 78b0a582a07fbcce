//! Devices that somebody else made and that become ours, as flannel's does; and what becomes of them when the
//! network goes.

use std::collections::BTreeSet;

use cni::Error;
use kernel::link::{self, Link};
use kernel::{Socket, address, fdb, neighbour, route};

use crate::difference::{Have, Tunnel, alias, difference};
use crate::plan::{Kind, Plan};
use crate::record::{Adopted, Record};
use crate::{Change, Options};

/// The plan's devices that somebody else made: those that are known as such, and in words those that are
/// taken over now. One that is in the record and lost its mark is ours.
pub fn adopted(
    socket: &Socket,
    plan: &Plan,
    before: &Record,
    options: &Options,
) -> Result<(Vec<Adopted>, Vec<String>), Error> {
    let (mut all, mut words) = (Vec::new(), Vec::new());
    let ours = alias(&options.network);
    for device in plan.devices.iter().filter(|device| device.kind != Kind::Fallback) {
        let name = device.name.to_string();
        let Some(found) = link::get(socket, &name)? else { continue };
        let one = Adopted { name: name.clone(), index: found.index };
        if before.adopted.contains(&one) {
            all.push(one);
        } else if found.alias.as_deref() != Some(ours.as_str()) && !before.devices.contains(&name) {
            words.push(format!("takes over the device {name}, which somebody else made"));
            all.push(one);
        }
    }
    Ok((all, words))
}

/// What takes everything out of a device that was taken over. All that it holds is ours by now: what is not
/// planned goes at each comparison.
pub fn emptying(
    socket: &Socket,
    link: &Link,
    ipv6: bool,
    options: &Options,
) -> Result<Vec<Change>, Error> {
    let is_vxlan = link.vxlan.is_some();
    let neighbours = if is_vxlan { neighbour::list(socket, link.index, ipv6)? } else { Vec::new() };
    let tunnel = Tunnel {
        link: link.clone(),
        addresses: address::list(socket, link.index, ipv6)?,
        neighbours,
        fdb: if is_vxlan { fdb::list(socket, link.index)? } else { Vec::new() },
    };
    let mut have = Have { routes: route::through(socket, ipv6, link.index)?, ..Have::default() };
    *have.tunnels.get_mut(ipv6) = Some(tunnel);
    let nothing = Plan {
        devices: Vec::new(),
        routes: BTreeSet::new(),
        mtu: 0,
        exempt: BTreeSet::new(),
        faults: Vec::new(),
    };
    Ok(difference(&nothing, &have, options, &[]))
}
