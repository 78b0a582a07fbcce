//! What the reference plugin made for an attachment, or we by iptables:
//! - by iptables: a chain `CNI-DN-HASH(network container)` in the table nat, to which rules of
//!   `CNI-HOSTPORT-DNAT` jump, and before version 0.7 one `CNI-SN-HASH` of `CNI-HOSTPORT-SNAT`.
//!   Where iptables is iptables-nft, these are nf_tables objects in `ip nat` and `ip6 nat`; where
//!   it is iptables-legacy, only its executable can change them;
//! - by nftables: rules of the tables `ip cni_hostport` and `ip6 cni_hostport` whose comment is the
//!   container's id.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use kernel::Result;
use kernel::netfilter::{Request, Socket};

use crate::iptables::{Iptables, comment_of};
use crate::nft::{IPV4, IPV6, Rule, Table, expression};
use crate::owner;
use crate::reference::{IP_NAT, IP6_NAT, settle};

/// Where rules jump to the chains of attachments.
pub(super) const DESTINATIONS: &str = "CNI-HOSTPORT-DNAT";
const SOURCES: &str = "CNI-HOSTPORT-SNAT";

const HOSTPORT: [Table; 2] =
    [Table { family: IPV4, name: "cni_hostport" }, Table { family: IPV6, name: "cni_hostport" }];
const CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];

/// The chains of an attachment, each with the one that jumps to it.
pub(super) fn chains(
    network: &NetworkName,
    container: &ContainerId,
) -> [(String, &'static str); 2] {
    let hash = owner::hash(&format!("{network}{container}"), 21);
    [(format!("CNI-DN-{hash}"), DESTINATIONS), (format!("CNI-SN-{hash}"), SOURCES)]
}

/// Removes it; tells whether there was anything. `addresses` are the container's, where they are
/// known: nftables' rules do not tell which network they are of.
pub(super) fn del_with(
    socket: &mut Socket,
    Attachment { network, container, .. }: &Attachment,
    addresses: &[IpAddr],
) -> Result<bool> {
    let chains = chains(network, container);
    let places: Vec<_> =
        [IP_NAT, IP6_NAT].iter().flat_map(|table| chains.iter().map(|c| (*table, c))).collect();
    let mut gets: Vec<_> =
        places.iter().map(|(table, (chain, _))| table.get_chain(chain)).collect();
    gets.extend(HOSTPORT.map(Table::get));
    let mut found = socket.get_all(&gets)?.into_iter();
    let (mut any, mut done) = (false, Ok(()));
    for ((table, (chain, from)), there) in places.into_iter().zip(found.by_ref()) {
        if there.is_some() {
            any = true;
            done = done.and(remove_chain(socket, table, chain, from));
        }
    }
    for (table, there) in HOSTPORT.iter().zip(found) {
        if there.is_some() {
            let is = |rule: &Rule<'_>| is_of(rule, container, addresses);
            match remove_rules(socket, *table, &is) {
                Ok(removed) => any |= removed,
                Err(e) => done = done.and(Err(e)),
            }
        }
    }
    done.map(|()| any)
}

/// Whether there is any, for CHECK.
pub(super) fn made(
    socket: &mut Socket,
    Attachment { network, container, .. }: &Attachment,
) -> Result<bool> {
    let [(chain, _), _] = chains(network, container);
    let mut gets = Vec::from([IP_NAT, IP6_NAT].map(|table| table.get_chain(&chain)));
    gets.extend(HOSTPORT.map(Table::get));
    let found = socket.get_all(&gets)?;
    if found.iter().take(2).any(Option::is_some) {
        return Ok(true);
    }
    for (table, there) in HOSTPORT.iter().zip(found.iter().skip(2)) {
        for chain in CHAINS.iter().filter(|_| there.is_some()) {
            let rules = socket.dump(&table.rules(chain))?;
            let mut rules = rules.iter().filter_map(Rule::of);
            if rules.any(|rule| is_of(&rule, container, &[])) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_of(rule: &Rule<'_>, container: &ContainerId, addresses: &[IpAddr]) -> bool {
    let to = |address: &IpAddr| {
        let bytes = expression::bytes(*address);
        expression::loads(rule.expressions, &bytes)
            || expression::compares_with(rule.expressions, &bytes)
    };
    rule.comment() == Some(container.as_str()) && (addresses.is_empty() || addresses.iter().any(to))
}

fn remove_rules(socket: &mut Socket, table: Table, is: &dyn Fn(&Rule<'_>) -> bool) -> Result<bool> {
    let mut batch: Vec<Request> = Vec::new();
    for chain in CHAINS {
        let objects = socket.dump(&table.rules(chain))?;
        let rules = objects.iter().filter_map(Rule::of).filter(|rule| is(rule));
        batch.extend(rules.map(|rule| table.delete_rule(chain, &rule)));
    }
    let any = !batch.is_empty();
    settle(socket, batch)?;
    Ok(any)
}

fn remove_chain(socket: &mut Socket, table: Table, chain: &str, from: &str) -> Result<()> {
    let objects = socket.dump(&table.rules(from))?;
    let jumps = objects.iter().filter_map(Rule::of).filter(|rule| rule.leads_to(chain));
    let mut batch: Vec<_> = jumps.map(|rule| table.delete_rule(from, &rule)).collect();
    batch.push(table.delete_chain(chain));
    settle(socket, batch)
}

/// The part of DEL that needs no nf_tables.
pub(super) fn del_legacy(Attachment { network, container, .. }: &Attachment) -> Result<()> {
    let chains = chains(network, container);
    let mut done = Ok(());
    for tool in [false, true].iter().filter_map(|v6| Iptables::legacy(*v6, "nat")) {
        done = done.and(tool.adapt("nat", |listed| {
            chains.iter().flat_map(|(chain, from)| listed.removal(chain, from)).collect()
        }));
    }
    done
}

/// The network's chains in iptables-nft whose attachments are gone.
pub(super) fn gc_with(
    socket: &mut Socket,
    network: &NetworkName,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> Result<()> {
    let mut done = Ok(());
    for table in [IP_NAT, IP6_NAT] {
        if socket.get(table.get_chain(DESTINATIONS))?.is_none() {
            continue;
        }
        let objects = socket.dump(&table.rules(DESTINATIONS))?;
        let rules = objects.iter().filter_map(Rule::of);
        let gone: BTreeSet<_> =
            rules.filter_map(|rule| gone(rule.iptables_comment()?, network, valid)).collect();
        for chain in gone {
            done = done.and(remove_chain(socket, table, &chain, DESTINATIONS));
        }
    }
    done
}

/// The same in iptables-legacy.
pub(super) fn gc_legacy(
    network: &NetworkName,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> Result<()> {
    let mut done = Ok(());
    for tool in [false, true].iter().filter_map(|v6| Iptables::legacy(*v6, "nat")) {
        done = done.and(tool.adapt("nat", |listed| {
            let gone: BTreeSet<_> = listed
                .rules(DESTINATIONS)
                .filter_map(|rule| gone(&comment_of(rule)?, network, valid))
                .collect();
            gone.iter().flat_map(|chain| listed.removal(chain, DESTINATIONS)).collect()
        }));
    }
    done
}

/// The chain of an attachment of the network that is not valid, where a rule's comment tells of
/// one: `dnat name: "NETWORK" id: "CONTAINER"`.
fn gone(
    comment: &str,
    network: &NetworkName,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> Option<String> {
    let (_, rest) = comment.split_once(&format!("dnat name: \"{network}\" id: \""))?;
    let container: ContainerId = rest.split('"').next()?.parse().ok()?;
    let is_gone = !valid.iter().any(|(id, _)| *id == container);
    let [(chain, _), _] = chains(network, &container);
    is_gone.then_some(chain)
}
