//! ADD: rules and tables are made, the interface's routes leave main.

use attach::ends::Ends;
use attach::undo::Undo;
use cni::{AddResult, Call, Code, Error, IpConfig};
use kernel::link::Link;
use kernel::route::{self, Installed, MAIN, Route};
use kernel::{Socket, rule};

use super::config::Config;
use super::{FIRST_TABLE, PROTOCOL, PROTOCOL_OF_RULES, addresses, del, wanted};
use crate::previous::{inside, previous};
use crate::tables;

/// Makes rules and tables. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let mut result = previous(call, "sbr")?.clone();
    let ips = addresses(call);
    if ips.is_empty() {
        let msg = format!("sbr: prevResult has no address of {}", call.attachment.ifname);
        return Err(Error::new(Code::CONFIG, msg)
            .details("put it behind a plugin that gives the interface addresses"));
    }
    let ends = Ends::open(call)?;
    let link = inside(&ends)?;
    tables::lock(&ends.netns)?;
    // What an earlier ADD left would be in the way.
    let stale = |ip: &IpConfig| ip.address.ip();
    del::forget(&ends.inner, Some(&link), &ips.iter().map(stale).collect::<Vec<_>>(), conf.table)?;
    let mut undo = Undo::default();
    let socket = &ends.inner;
    match conf.table {
        Some(table) => {
            let rules: Vec<_> = ips.iter().map(|ip| (ip, table, PROTOCOL_OF_RULES)).collect();
            lead(socket, &rules, &mut undo)
        }
        None => move_routes(&conf, socket, &link, &ips, &mut result, &mut undo),
    }
    .map(|()| result)
    .map_err(|e| undo.run(e).while_(format!("in {}", ends.sandbox())))
}

/// Adds rules.
fn lead<'a>(
    socket: &'a Socket,
    rules: &[(&IpConfig, u32, u8)],
    undo: &mut Undo<'a>,
) -> Result<(), Error> {
    for (ip, table, protocol) in rules {
        let source = ip.address.ip();
        let made = rule::Rule::from(source, *table, *protocol);
        undo.push(move || gone_is_fine(socket.run(rule::delete(source, &made))));
    }
    let requests: Vec<_> = rules
        .iter()
        .map(|(ip, table, protocol)| rule::add(ip.address.ip(), *table, *protocol))
        .collect();
    tables::add(socket, &requests)
}

fn move_routes<'a>(
    conf: &Config,
    socket: &'a Socket,
    link: &Link,
    ips: &[IpConfig],
    result: &mut AddResult,
    undo: &mut Undo<'a>,
) -> Result<(), Error> {
    let numbers = tables::free(socket, FIRST_TABLE, ips.len())?;
    let mut main: Vec<Route> = Vec::new();
    for ipv6 in [false, true] {
        if ips.iter().any(|ip| ip.address.is_ipv6() == ipv6) {
            main.extend(route::list(socket, link.index, ipv6, MAIN)?);
        }
    }
    // First, so that a DEL finds the tables of an ADD that was broken off. A rule to an empty table
    // changes nothing.
    let rules: Vec<_> =
        ips.iter().zip(&numbers).map(|(ip, table)| (ip, *table, PROTOCOL)).collect();
    lead(socket, &rules, undo)?;
    let mut requests = Vec::new();
    for (ip, table) in ips.iter().zip(&numbers) {
        let ipv6 = ip.address.is_ipv6();
        let same: Vec<_> = main.iter().filter(|r| r.dst.is_ipv6() == ipv6).cloned().collect();
        let gateway = wanted::gateway(ip, &conf.gateways, result);
        let asked = conf.gateways.iter().any(|gw| gw.is_ipv6() == ipv6);
        let routes = wanted::table(ip, gateway.map(|gw| (gw, asked)), &same, ips, *table);
        tell(result, &routes);
        requests.extend(routes.iter().map(|route| route::add(link, route)));
        for route in routes {
            let (own, name) = (Installed { link: Some(link.index), route }, link.name.clone());
            undo.push(move || gone_is_fine(socket.run(route::delete(&own, &name))));
        }
    }
    tables::add(socket, &requests)?;

    // From here on the tables serve; main goes last, since gateways were found through it.
    let mut requests = Vec::new();
    let mut moved: Vec<_> = main.into_iter().filter(wanted::is_moved).collect();
    // Back they come in the opposite order: the ways to the gateways first.
    moved.sort_by_key(|route| route.gw.is_none());
    for route in moved {
        let stays = if conf.source_hints { wanted::hinted(&route, ips) } else { None };
        if stays.as_ref() == Some(&route) {
            continue;
        }
        let (back, link_) = (route.clone(), link.clone());
        undo.push(move || exists_is_fine(socket.run(route::add(&link_, &back))));
        requests.push(route::delete(&Installed { link: Some(link.index), route }, &link.name));
        if let Some(hint) = stays {
            requests.push(route::add(link, &hint));
            let (own, name) =
                (Installed { link: Some(link.index), route: hint }, link.name.clone());
            undo.push(move || gone_is_fine(socket.run(route::delete(&own, &name))));
        }
    }
    tables::add(socket, &requests)
}

/// Says in the result which table its routes are in now.
fn tell(result: &mut AddResult, routes: &[Route]) {
    for told in &mut result.routes {
        let moved = routes.iter().find(|route| {
            route.dst.network() == told.dst.network()
                && route.dst.prefix() == told.dst.prefix()
                && told.gw.is_none_or(|gw| route.gw == Some(gw))
        });
        if let Some(route) =
            moved.filter(|_| told.table.is_none_or(|table| table == 0 || table == MAIN))
        {
            told.table = route.table;
        }
    }
}

fn gone_is_fine(outcome: kernel::Result<()>) -> Result<(), Error> {
    match outcome {
        Err(e) if !e.is_gone() => Err(e.into()),
        _ => Ok(()),
    }
}

fn exists_is_fine(outcome: kernel::Result<()>) -> Result<(), Error> {
    match outcome {
        Err(e) if !e.is_exists() => Err(e.into()),
        _ => Ok(()),
    }
}
