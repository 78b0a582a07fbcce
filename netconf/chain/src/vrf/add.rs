//! ADD: the VRF is made where it is missing, and gets the interface for a port.

use attach::ends::Ends;
use attach::undo::Undo;
use cni::{AddResult, Call, Code, Error};
use kernel::Socket;
use kernel::link::{self, Link};
use kernel::route::MAIN;

use super::config::Config;
use super::port::{self, Belongings};
use crate::previous::{inside, previous};
use crate::tables;

/// Puts the interface into the VRF. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let mut result = previous(call, "vrf")?.clone();
    let ends = Ends::open(call)?;
    let interface = inside(&ends)?;
    tables::lock(&ends.netns)?;
    let mut undo = Undo::default();
    join(&conf, &ends.inner, &interface, &mut result, &mut undo)
        .map(|()| result)
        .map_err(|e| undo.run(e).while_(format!("in {}", ends.sandbox())))
}

fn join<'a>(
    conf: &Config,
    socket: &'a Socket,
    interface: &Link,
    result: &mut AddResult,
    undo: &mut Undo<'a>,
) -> Result<(), Error> {
    let name = conf.name.as_str();
    let vrf = match link::get(socket, name)? {
        Some(vrf) => existing(conf, vrf)?,
        None => make(conf, socket, undo)?,
    };
    let table = vrf.vrf_table.unwrap_or_default();
    match interface.master {
        Some(master) if master == vrf.index => return Ok(()),
        Some(master) => {
            let master = link::get_by_index(socket, master)?.map_or_else(String::new, |m| m.name);
            return Err(Error::new(
                Code::CONFLICT,
                format!("{} has the master {master} already", interface.name),
            ));
        }
        None => {}
    }
    let has = Belongings::of(socket, interface)?;
    for route in has.routes_in(MAIN) {
        for told in &mut result.routes {
            let same = told.dst.network() == route.dst.network()
                && told.dst.prefix() == route.dst.prefix()
                && told.table.is_none_or(|t| t == 0 || t == MAIN);
            if same {
                told.table = Some(table);
            }
        }
    }
    let (back, link) = (has.clone(), interface.clone());
    undo.push(move || port::enslave(socket, &link, &back, 0, (table, MAIN)));
    port::enslave(socket, interface, &has, vrf.index, (MAIN, table))
}

/// A VRF that is there, if it is as wanted.
fn existing(conf: &Config, vrf: Link) -> Result<Link, Error> {
    let name = &vrf.name;
    let conflict = |why: String| Err(Error::new(Code::CONFLICT, format!("vrfname {name}: {why}")));
    match (vrf.vrf_table, conf.table) {
        (None, _) => conflict("there is an interface of that name, and it is no VRF".to_owned()),
        (Some(has), Some(wanted)) if has != wanted => {
            conflict(format!("it has the table {has} instead of {wanted}"))
        }
        _ => Ok(vrf),
    }
}

fn make<'a>(conf: &Config, socket: &'a Socket, undo: &mut Undo<'a>) -> Result<Link, Error> {
    let name = conf.name.as_str();
    let table = match conf.table {
        Some(table) => {
            let others = link::list(socket)?;
            if let Some(other) = others.iter().find(|link| link.vrf_table == Some(table)) {
                let msg = format!("table {table}: it is that of the VRF {}", other.name);
                return Err(Error::new(Code::CONFLICT, msg));
            }
            table
        }
        None => tables::free(socket, 1, 1)?.first().copied().unwrap_or(1),
    };
    let own = conf.name.clone();
    undo.push(move || match link::get(socket, own.as_str())? {
        Some(vrf) if vrf.vrf_table == Some(table) => port::delete_if_empty(socket, &vrf),
        _ => Ok(()),
    });
    socket.run(link::create_vrf(name, table))?;
    link::get(socket, name)?
        .ok_or_else(|| Error::new(Code::TRY_AGAIN, format!("the VRF {name} vanished meanwhile")))
}
