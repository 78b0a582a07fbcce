//! What the reference plugins (containernetworking/plugins) made for an attachment, so that a
//! node can change to Podwire with its containers running.
//!
//! They leave one of these, known by names that they compute from the attachment:
//! - masquerade by nftables: rules in `inet cni_plugins_masquerade`, chain `masq_checks`, whose
//!   comment begins with `HASH(network)-HASH(ifname:container)`, hashes of 16 digits;
//! - masquerade by iptables: a chain `CNI-HASH(network container)` in the table nat, to which rules
//!   in POSTROUTING jump. Where iptables is iptables-nft, these are nf_tables objects in `ip nat`
//!   and `ip6 nat`; where it is iptables-legacy, only its executable can change them;
//! - `macspoofchk`: chains `cni-br-iface-CONTAINER-IFNAME` and the same with `-mac` in `bridge nat`,
//!   to which a rule in PREROUTING jumps.

mod legacy;

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use crate::nft::{BRIDGE, INET, IPV4, IPV6, Rule, Table, expression};
use crate::owner;
use crate::socket::with_socket_if_any;

const MASQUERADE: Table = Table { family: INET, name: "cni_plugins_masquerade" };
const CHECKS: &str = "masq_checks";
pub(crate) const IP_NAT: Table = Table { family: IPV4, name: "nat" };
pub(crate) const IP6_NAT: Table = Table { family: IPV6, name: "nat" };
const POSTROUTING: &str = "POSTROUTING";
const BRIDGE_NAT: Table = Table { family: BRIDGE, name: "nat" };
const PREROUTING: &str = "PREROUTING";

/// The names that the reference plugins give to what they make for an attachment.
struct Names {
    /// How their nftables comments begin.
    comment: String,
    /// Their iptables chain. The interface's name has no part in it.
    iptables: String,
    /// `None` where the kernel takes no such name, so that there can be no such chain.
    spoof: Option<String>,
    spoof_mac: Option<String>,
}

impl Names {
    fn of(Attachment { network, container, ifname }: &Attachment) -> Self {
        let spoof = format!("cni-br-iface-{container}-{ifname}");
        Self {
            comment: comment(network, container, ifname),
            iptables: format!("CNI-{}", owner::hash(&format!("{network}{container}"), 24)),
            spoof_mac: chain_name(format!("{spoof}-mac")),
            spoof: chain_name(spoof),
        }
    }

    /// Asks for the chains: of masquerade by nftables, by iptables and by ip6tables, and of
    /// `macspoofchk`.
    fn chains(&self) -> Vec<Request> {
        let mut chains = vec![
            MASQUERADE.get_chain(CHECKS),
            IP_NAT.get_chain(&self.iptables),
            IP6_NAT.get_chain(&self.iptables),
        ];
        chains.extend(self.spoof.iter().map(|spoof| BRIDGE_NAT.get_chain(spoof)));
        chains
    }
}

/// The name, if it is no longer than the kernel takes (`NFT_NAME_MAXLEN` with its final NUL; a
/// request with a longer one is refused, and not with ENOENT).
fn chain_name(name: String) -> Option<String> {
    const LONGEST: usize = 255;
    (name.len() <= LONGEST).then_some(name)
}

fn comment(network: &NetworkName, container: &ContainerId, ifname: &IfName) -> String {
    let instance = owner::hash(&format!("{ifname}:{container}"), 16);
    format!("{}-{instance}", owner::hash(network.as_str(), 16))
}

/// What of it there is.
pub(crate) struct Made {
    pub(crate) masquerade: bool,
    pub(crate) antispoof: bool,
}

/// Removes what the reference plugins made for the attachment: no error where there is nothing.
/// `addresses` tells its jumps from those of the container's other interfaces in the network, with
/// which it shares the iptables chain. ([`crate::del`] does this too.)
pub fn del(attachment: &Attachment, addresses: &[IpAddr]) -> Result<()> {
    let done = with_socket_if_any(|socket| del_with(socket, attachment, addresses));
    done.map(drop).and(del_legacy(attachment, addresses))
}

/// The part of it that needs no nf_tables.
pub(crate) fn del_legacy(attachment: &Attachment, addresses: &[IpAddr]) -> Result<()> {
    legacy::del(&Names::of(attachment).iptables, addresses)
}

/// One request when there is nothing.
pub(crate) fn del_with(
    socket: &mut Socket,
    attachment: &Attachment,
    addresses: &[IpAddr],
) -> Result<()> {
    let names = Names::of(attachment);
    let found = socket.get_all(&names.chains())?;
    let there = |index| matches!(found.get(index), Some(Some(_)));
    let mut done = Ok(());
    if there(0) {
        let is = |comment: &str| comment.starts_with(&names.comment);
        done = done.and(remove_rules(socket, &is));
    }
    for (index, table) in [(1, IP_NAT), (2, IP6_NAT)] {
        if there(index) {
            done = done.and(remove_iptables(socket, table, &names.iptables, addresses));
        }
    }
    if let Some(spoof) = names.spoof.as_deref().filter(|_| there(3)) {
        done = done.and(remove_spoof(socket, spoof, names.spoof_mac.as_deref()));
    }
    done
}

/// Removes the network's nftables masquerade of attachments that are not valid. Their iptables
/// chains do not tell the network.
pub(crate) fn gc_with(
    socket: &mut Socket,
    network: &NetworkName,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> Result<()> {
    if socket.get(MASQUERADE.get_chain(CHECKS))?.is_none() {
        return Ok(());
    }
    let ours = format!("{}-", owner::hash(network.as_str(), 16));
    let valid: BTreeSet<_> = valid.iter().map(|(id, link)| comment(network, id, link)).collect();
    let gone = |comment: &str| {
        comment.starts_with(&ours) && comment.get(..33).is_some_and(|c| !valid.contains(c))
    };
    remove_rules(socket, &gone)
}

/// What there is of the attachment's, for CHECK.
pub(crate) fn made(socket: &mut Socket, attachment: &Attachment) -> Result<Made> {
    let names = Names::of(attachment);
    let found = socket.get_all(&names.chains())?;
    let there = |index| matches!(found.get(index), Some(Some(_)));
    let mut masquerade = there(1) || there(2);
    if there(0) && !masquerade {
        let rules = socket.dump(&MASQUERADE.rules(CHECKS))?;
        let comments = rules.iter().filter_map(|object| Rule::of(object)?.comment());
        masquerade = comments.into_iter().any(|c| c.starts_with(&names.comment));
    }
    Ok(Made { masquerade, antispoof: there(3) })
}

fn remove_rules(socket: &mut Socket, is: &dyn Fn(&str) -> bool) -> Result<()> {
    let objects = socket.dump(&MASQUERADE.rules(CHECKS))?;
    let batch: Vec<_> = objects
        .iter()
        .filter_map(Rule::of)
        .filter(|rule| rule.comment().is_some_and(is))
        .map(|rule| MASQUERADE.delete_rule(CHECKS, &rule))
        .collect();
    settle(socket, batch)
}

fn remove_iptables(
    socket: &mut Socket,
    table: Table,
    chain: &str,
    addresses: &[IpAddr],
) -> Result<()> {
    let objects = socket.dump(&table.rules(POSTROUTING))?;
    let jumps: Vec<_> =
        objects.iter().filter_map(Rule::of).filter(|rule| rule.leads_to(chain)).collect();
    let (its, others): (Vec<_>, Vec<_>) = jumps.iter().partition(|rule| {
        addresses
            .iter()
            .any(|a| expression::compares_with(rule.expressions, &expression::bytes(*a)))
    });
    // Where no jump is for a known address, the addresses tell nothing.
    let (its, others) = if its.is_empty() { (others, its) } else { (its, others) };
    let mut batch: Vec<_> =
        its.into_iter().map(|rule| table.delete_rule(POSTROUTING, rule)).collect();
    if others.is_empty() {
        batch.push(table.delete_chain(chain));
    }
    settle(socket, batch)
}

fn remove_spoof(socket: &mut Socket, spoof: &str, spoof_mac: Option<&str>) -> Result<()> {
    let objects = socket.dump(&BRIDGE_NAT.rules(PREROUTING))?;
    let mut batch: Vec<_> = objects
        .iter()
        .filter_map(Rule::of)
        .filter(|rule| rule.leads_to(spoof))
        .map(|rule| BRIDGE_NAT.delete_rule(PREROUTING, &rule))
        .collect();
    batch.push(BRIDGE_NAT.delete_chain(spoof));
    if let Some(mac) = spoof_mac
        && socket.get(BRIDGE_NAT.get_chain(mac))?.is_some()
    {
        batch.push(BRIDGE_NAT.delete_chain(mac));
    }
    settle(socket, batch)
}

/// Removes; what somebody else has removed meanwhile is as it should be.
pub(crate) fn settle(socket: &mut Socket, batch: Vec<Request>) -> Result<()> {
    match socket.transact(&batch, None) {
        Err(refused) if refused.refusals.iter().all(|r| r.errno == libc::ENOENT) => {
            // Nothing of the transaction took effect, so what is left is removed one by one.
            for one in batch {
                match socket.transact(&[one], None) {
                    Err(refused) if refused.has(libc::ENOENT) => {}
                    done => done.map_err(Error::from)?,
                }
            }
            Ok(())
        }
        done => done.map_err(Error::from),
    }
}
