//! DEL: rules and tables go, and the interface's routes are back in main.

use std::net::IpAddr;

use cni::{Call, Error};
use kernel::link::{self, Link};
use kernel::route::{self, Installed, MAIN};
use kernel::rule::{self, Rule};
use kernel::{Netns, Socket, address};

use super::config;
use super::{PROTOCOL, PROTOCOL_OF_RULES, addresses};
use crate::tables;

/// Removes rules and tables. Succeeds when namespace, interface or rules are gone.
pub fn del(call: &Call) -> Result<(), Error> {
    let Some(path) = &call.netns else { return Ok(()) };
    let Some(netns) = Netns::find(path)? else { return Ok(()) };
    let socket = netns.socket()?;
    tables::lock(&netns)?;
    let link = link::get(&socket, call.attachment.ifname.as_str())?;
    let mut sources: Vec<IpAddr> = addresses(call).iter().map(|ip| ip.address.ip()).collect();
    // A late DEL, with the result of then, has nothing to do with an interface of the same name.
    if let Some(link) = link.as_ref().filter(|_| sources.is_empty()) {
        for ipv6 in [false, true] {
            let own = address::list(&socket, link.index, ipv6)?;
            sources.extend(own.iter().map(|own| own.address.ip()));
        }
    }
    forget(&socket, link.as_ref(), &sources, config::table(&call.conf))
}

/// Removes the rules for these sources, and what is of theirs. `table` is one of somebody else.
pub fn forget(
    socket: &Socket,
    link: Option<&Link>,
    sources: &[IpAddr],
    table: Option<u32>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    for ipv6 in [false, true] {
        let rules = rule::list(socket, ipv6)?;
        let ours = |rule: &&Rule| rule.from.is_some_and(|from| is_of(rule, from, sources));
        let ours: Vec<&Rule> = rules.iter().filter(ours).collect();
        for rule in &ours {
            let others = rule.protocol == PROTOCOL_OF_RULES || table == Some(rule.table);
            let mut trouble = Vec::new();
            if let Some(link) = link.filter(|_| !others) {
                trouble.extend(bring_back(socket, link, ipv6, rule));
                if rule.protocol != PROTOCOL {
                    // The reference puts routes of either family into a table.
                    trouble.extend(bring_back(socket, link, !ipv6, rule));
                }
            }
            let whole = trouble.is_empty();
            errors.extend(trouble);
            // Last, so that a DEL that is broken off, or repeated, finds the table again.
            if let Some(from) = rule.from.filter(|_| whole) {
                errors.extend(unless_gone(socket.run(rule::delete(from, rule))));
            }
        }
        // The routes of an interface that is gone are, too; rules to nowhere are left.
        if link.is_none() && rules.iter().any(|rule| rule.protocol == PROTOCOL) {
            let used = route::tables(socket, ipv6)?;
            for rule in rules.iter().filter(|r| r.protocol == PROTOCOL && !used.contains(&r.table))
            {
                if let Some(from) = rule.from {
                    errors.extend(unless_gone(socket.run(rule::delete(from, rule))));
                }
            }
        }
    }
    Error::all(errors)
}

/// True for a rule that an ADD for one of these sources made: ours, or one of the reference's, which tell no
/// maker.
fn is_of(rule: &Rule, from: IpAddr, sources: &[IpAddr]) -> bool {
    let made = matches!(rule.protocol, PROTOCOL | PROTOCOL_OF_RULES)
        || rule.plain && rule.table != 0 && !tables::RESERVED.contains(&rule.table);
    made && sources.contains(&from)
}

/// Empties a table of a link's routes: those that came from main go back there.
fn bring_back(socket: &Socket, link: &Link, ipv6: bool, rule: &Rule) -> Vec<Error> {
    let there = match route::list(socket, link.index, ipv6, rule.table) {
        Ok(there) => there,
        Err(e) => return vec![e.into()],
    };
    let hints: Vec<_> = match route::list(socket, link.index, ipv6, MAIN) {
        Ok(main) => main.into_iter().filter(|route| route.protocol == PROTOCOL).collect(),
        Err(e) => return vec![e.into()],
    };
    let installed = |route| Installed { link: Some(link.index), route };
    let mut errors = Vec::new();
    let mut run = |request| errors.extend(unless_gone(socket.run(request)));
    for hint in hints {
        run(route::delete(&installed(hint), &link.name));
    }
    if rule.protocol == PROTOCOL {
        let mut back: Vec<_> = there.iter().filter(|route| route.protocol != PROTOCOL).collect();
        back.sort_by_key(|route| route.gw.is_some());
        for route in back {
            let mut route = route.clone();
            route.table = None;
            run(route::add(link, &route));
        }
    }
    if errors.is_empty() {
        let requests: Vec<_> =
            there.into_iter().map(|route| route::delete(&installed(route), &link.name)).collect();
        errors.extend(socket.run_all(&requests).into_iter().filter_map(unless_gone));
    }
    errors
}

/// Something that is there or gone already is what was wanted. A link that is down takes no routes: the
/// container's interface is about to go.
fn unless_gone(outcome: kernel::Result<()>) -> Option<Error> {
    let error = outcome.err()?;
    let fine = error.is_gone()
        || error.is_exists()
        || matches!(error.errno(), libc::ENETDOWN | libc::ENETUNREACH | libc::EHOSTUNREACH);
    (!fine).then(|| error.into())
}
