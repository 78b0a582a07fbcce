//! DEL: the interface leaves its VRF, with its routes; the last one takes the VRF along.

use attach::undo::Undo;
use cni::{Call, Error};
use kernel::link::{self, Link};
use kernel::route::MAIN;
use kernel::{Netns, Socket};

use super::config;
use super::port::{self, Belongings};
use crate::tables;

/// Takes the interface out of the VRF. Succeeds when namespace, interface or VRF are gone.
pub fn del(call: &Call) -> Result<(), Error> {
    let Some(path) = &call.netns else { return Ok(()) };
    let Some(netns) = Netns::find(path)? else { return Ok(()) };
    let socket = netns.socket()?;
    tables::lock(&netns)?;
    let named = config::name(&call.conf);
    let interface = link::get(&socket, call.attachment.ifname.as_str())?;
    if let Some(interface) = &interface
        && let Some(vrf) = vrf_of(&socket, interface)?
        && named.as_ref().is_none_or(|name| *name == vrf.name)
    {
        let has = Belongings::of(&socket, interface)?;
        let table = vrf.vrf_table.unwrap_or_default();
        // An interface without its routes would tell the next DEL nothing of them.
        let mut undo = Undo::default();
        undo.push(|| port::enslave(&socket, interface, &has, vrf.index, (table, table)));
        port::enslave(&socket, interface, &has, 0, (table, MAIN)).map_err(|e| undo.run(e))?;
        return port::delete_if_empty(&socket, &vrf);
    }
    let left = match &named {
        Some(name) => link::get(&socket, name)?.filter(|link| link.vrf_table.is_some()),
        None => None,
    };
    left.map_or(Ok(()), |vrf| port::delete_if_empty(&socket, &vrf))
}

/// The VRF that an interface is a port of.
pub fn vrf_of(socket: &Socket, interface: &Link) -> kernel::Result<Option<Link>> {
    let Some(master) = interface.master else { return Ok(None) };
    Ok(link::get_by_index(socket, master)?.filter(|master| master.vrf_table.is_some()))
}
