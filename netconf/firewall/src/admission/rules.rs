//! The rules in the words of iptables: pure functions of what `iptables -S` lists.
//!
//! The chains are the reference plugin's. Its rules tell no owner; ours tell it in a comment, so
//! that a late DEL does not remove those of the address's next holder. For ingress policies
//! [`Backend::Iptables`](super::Backend::Iptables) writes one pair of rules per attachment, so that
//! they go with it.

use std::net::IpAddr;

use super::MARK;
use super::layout::owner_in;
use super::wanted::{Backend, Ingress, Wanted};
use crate::iptables::{self, Listing, comment_of, target};

pub(super) const FORWARD: &str = "FORWARD";
pub(super) const PRIVATE: &str = "CNI-FORWARD";
pub(super) const STAGE_1: &str = "CNI-ISOLATION-STAGE-1";
pub(super) const STAGE_2: &str = "CNI-ISOLATION-STAGE-2";
pub(super) const JUMP_COMMENT: &str = "CNI firewall plugin rules";
pub(super) const ADMIN_COMMENT: &str = "CNI firewall plugin admin overrides";
pub(super) const GATE_COMMENT: &str = "podwire: marked by nft table inet podwire-admission";
const STAGE_COMMENT: &str = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";

/// Tells whether a rule of a chain is to go: the chain, the rule.
pub(super) type Victim<'a> = &'a dyn Fn(&str, &str) -> bool;

/// True when there are chains of the reference plugin's, or ours.
pub(super) fn are_in(listing: &Listing) -> bool {
    listing.has_chain(PRIVATE) || listing.has_chain(STAGE_1)
}

fn quoted(comment: &str) -> String {
    format!("-m comment --comment \"{comment}\"")
}

/// Everything that an attachment wants of a family's table: chains and the rules in them, the
/// infrastructure first.
struct Ruleset {
    chains: Vec<String>,
    /// Those that stand first in FORWARD, the last one before the others.
    jumps: Vec<(String, &'static str)>,
    heads: Vec<(String, String)>,
    tails: Vec<(String, String)>,
}

impl Ruleset {
    fn of(wanted: &Wanted, v6: bool) -> Self {
        let admin = &wanted.admin_chain;
        let mut all = Self {
            chains: vec![PRIVATE.to_owned(), admin.clone()],
            jumps: vec![(format!("{} -j {PRIVATE}", quoted(JUMP_COMMENT)), PRIVATE)],
            heads: vec![(PRIVATE.to_owned(), format!("{} -j {admin}", quoted(ADMIN_COMMENT)))],
            tails: Vec::new(),
        };
        if wanted.backend != Backend::Iptables {
            all.tails.push((PRIVATE.to_owned(), opening()));
            return all;
        }
        let owner = quoted(&wanted.owner());
        for address in wanted.addresses.iter().filter(|a| a.is_ipv6() == v6) {
            let host = host(*address);
            let answers = "-m conntrack --ctstate RELATED,ESTABLISHED";
            all.tails.extend([
                (PRIVATE.to_owned(), format!("-d {host} {answers} {owner} -j ACCEPT")),
                (PRIVATE.to_owned(), format!("-s {host} {owner} -j ACCEPT")),
            ]);
        }
        if let Some(policy) = &wanted.policy {
            let bridge = &policy.bridge;
            all.chains.extend([STAGE_1.to_owned(), STAGE_2.to_owned()]);
            all.jumps.push((format!("{} -j {STAGE_1}", quoted(STAGE_COMMENT)), STAGE_1));
            let foreign = format!("-i {bridge} ! -o {bridge} {owner} -j {STAGE_2}");
            all.heads.push((STAGE_1.to_owned(), foreign));
            if policy.ingress == Ingress::Isolated {
                let neighbours = format!("-i {bridge} -o {bridge} {owner} -j DROP");
                all.heads.push((STAGE_1.to_owned(), neighbours));
            }
            all.heads.push((STAGE_2.to_owned(), format!("-o {bridge} {owner} -j DROP")));
        }
        all
    }
}

/// The rule that accepts what bears our mark.
pub(super) fn opening() -> String {
    format!("-m mark --mark {MARK:#x}/{MARK:#x} {} -j ACCEPT", quoted(GATE_COMMENT))
}

/// An address as iptables prints it.
pub(super) fn host(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv6() { 128 } else { 32 })
}

/// What to tell iptables so that all that is wanted is there. The rules for the same addresses
/// that tell another owner are a dead attachment's, because the addresses are ours now.
pub(super) fn open(listing: &Listing, wanted: &Wanted, v6: bool) -> Vec<String> {
    let ruleset = Ruleset::of(wanted, v6);
    let mut lines: Vec<String> = Vec::new();
    for chain in &ruleset.chains {
        if !listing.has_chain(chain) {
            lines.push(format!("-N {chain}"));
        }
    }
    for (rule, chain) in &ruleset.jumps {
        if listing.leads(FORWARD, chain).is_none() {
            // What is isolated comes first.
            let stage = listing.leads(FORWARD, STAGE_1).filter(|_| *chain == PRIVATE);
            let position = stage.map_or(1, |stage| stage + 2);
            lines.push(format!("-I {FORWARD} {position} {rule}"));
        }
    }
    let missing = |(chain, rule): &&(String, String)| !listing.has(chain, rule);
    let heads = ruleset.heads.iter().filter(missing);
    lines.extend(heads.map(|(chain, rule)| format!("-I {chain} 1 {rule}")));
    if wanted.backend == Backend::Iptables {
        let stale = stale(listing, wanted).map(|rule| format!("-D {PRIVATE} {rule}"));
        lines.extend(stale);
    }
    let tails = ruleset.tails.iter().filter(missing);
    lines.extend(tails.map(|(chain, rule)| format!("-A {chain} {rule}")));
    lines
}

fn stale<'a>(listing: &'a Listing, wanted: &'a Wanted) -> impl Iterator<Item = &'a str> {
    let owner = wanted.owner();
    let hosts: Vec<_> = wanted.addresses.iter().map(|a| format!(" {} ", host(*a))).collect();
    listing.rules(PRIVATE).filter(move |rule| {
        let other = comment_of(rule).is_some_and(|c| is_owner(&c) && c != owner);
        other && hosts.iter().any(|host| rule.contains(host.as_str()))
    })
}

/// True for a comment that tells an owner.
pub(super) fn is_owner(comment: &str) -> bool {
    owner_in(comment) == comment && comment.split('/').count() == 3
}

/// In words what is lacking.
pub(super) fn lacks(listing: &Listing, wanted: &Wanted, v6: bool) -> Vec<String> {
    let tool = iptables::name(v6);
    let ruleset = Ruleset::of(wanted, v6);
    let mut lacks = Vec::new();
    for (_, chain) in &ruleset.jumps {
        if listing.leads(FORWARD, chain).is_none() {
            lacks.push(format!("{tool}' chain {FORWARD} does not jump to {chain}"));
        }
    }
    for (chain, rule) in ruleset.heads.iter().chain(&ruleset.tails) {
        if !listing.has(chain, rule) && !listing.has(chain, &bare(rule)) {
            lacks.push(format!("{tool}' chain {chain} lacks the rule {rule}"));
        }
    }
    lacks
}

/// A rule without its comment, as the reference plugin writes it.
fn bare(rule: &str) -> String {
    match (rule.split_once("-m comment --comment \""), rule.rsplit_once("\" ")) {
        (Some((before, _)), Some((_, behind))) => format!("{before}{behind}"),
        _ => rule.to_owned(),
    }
}

/// The addresses of those for which the chain has rules that tell an owner other than `owner`.
pub(super) fn is_others(listing: &Listing, owner: &dyn Fn(&str) -> bool, address: IpAddr) -> bool {
    let host = format!(" {} ", host(address));
    listing.rules(PRIVATE).any(|rule| {
        rule.contains(&host) && comment_of(rule).is_some_and(|c| is_owner(&c) && !owner(&c))
    })
}

/// True for a rule of the reference plugin for an address.
pub(super) fn is_bare_rule(rule: &str, address: IpAddr) -> bool {
    let host = host(address);
    rule == format!("-s {host} -j ACCEPT")
        || rule == format!("-d {host} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
}

/// What to tell iptables so that the victims go, and what serves nobody then. Administrators'
/// exceptions stay, and what leads to them.
pub(super) fn close(listing: &Listing, victim: Victim<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut remove = |chain: &'static str| {
        let (victims, left): (Vec<&str>, Vec<&str>) =
            listing.rules(chain).partition(|rule| victim(chain, rule));
        lines.extend(victims.iter().map(|rule| format!("-D {chain} {rule}")));
        (!victims.is_empty(), left)
    };
    let (changed, private) = remove(PRIVATE);
    let [(first, one), (second, two)] = [STAGE_1, STAGE_2].map(remove);

    let admins: Vec<&str> = private
        .iter()
        .filter(|rule| comment_of(rule).as_deref() == Some(ADMIN_COMMENT))
        .filter_map(|rule| target(rule))
        .collect();
    let idle = admins.len() == private.len()
        && admins.iter().all(|admin| listing.rules(admin).next().is_none());
    let away = |chain: &str| {
        let jumps = listing.jumps(FORWARD, chain).map(|rule| format!("-D {FORWARD} {rule}"));
        jumps.chain([format!("-F {chain}")]).collect::<Vec<_>>()
    };
    if changed && idle {
        lines.extend(away(PRIVATE));
        lines.push(format!("-X {PRIVATE}"));
        lines.extend(admins.iter().map(|admin| format!("-X {admin}")));
    }
    let says = |rule: &&&str| target(rule) != Some("RETURN");
    if (first || second) && one.iter().chain(&two).find(says).is_none() {
        lines.extend(away(STAGE_1));
        lines.extend(away(STAGE_2));
        lines.extend([format!("-X {STAGE_1}"), format!("-X {STAGE_2}")]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use cni::Attachment;

    use super::super::wanted::Policy;
    use super::*;

    fn wanted(policy: Option<Ingress>) -> Wanted {
        Wanted {
            attachment: Attachment {
                network: "net".parse().unwrap(),
                container: "c1".parse().unwrap(),
                ifname: "eth0".parse().unwrap(),
            },
            addresses: vec!["10.1.0.5".parse().unwrap()],
            backend: Backend::Iptables,
            policy: policy.map(|ingress| Policy { ingress, bridge: "br0".parse().unwrap() }),
            admin_chain: "CNI-ADMIN".to_owned(),
        }
    }

    /// What iptables would list after `lines`, for rules that go to the chain's end or beginning.
    fn after(listed: &str, lines: &[String]) -> String {
        let mut all: Vec<String> = listed.lines().map(str::to_owned).collect();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let rule = |from: usize| format!("-A {} {}", words[1], words[from..].join(" "));
            match words[0] {
                "-N" | "-A" => all.push(line.clone()),
                "-I" => all.insert(0, rule(3)),
                "-D" => {
                    let at = all.iter().position(|have| *have == rule(2)).expect("the rule");
                    all.remove(at);
                }
                "-F" => all.retain(|have| !have.starts_with(&format!("-A {} ", words[1]))),
                "-X" => all.retain(|have| *have != format!("-N {}", words[1])),
                other => panic!("{other}"),
            }
        }
        all.join("\n")
    }

    #[test]
    fn what_is_opened_is_whole_and_opened_once_and_closed_without_a_trace() {
        for policy in [None, Some(Ingress::SameBridge), Some(Ingress::Isolated)] {
            let wanted = wanted(policy);
            let nothing = "-P FORWARD DROP";
            let empty = Listing::new(nothing);
            assert!(!lacks(&empty, &wanted, false).is_empty());
            let opened = after(nothing, &open(&empty, &wanted, false));
            let open_one = Listing::new(&opened);
            assert_eq!(lacks(&open_one, &wanted, false), [""; 0]);
            assert_eq!(open(&open_one, &wanted, false), [""; 0]);
            let ours = |_: &str, rule: &str| {
                comment_of(rule).is_some_and(|comment| comment == "net/c1/eth0")
            };
            assert_eq!(after(&opened, &close(&open_one, &ours)), nothing);
        }
    }

    #[test]
    fn a_rule_without_our_comment_is_the_references_and_counts() {
        let listing = Listing::new(
            &[
                "-N CNI-FORWARD",
                "-N CNI-ADMIN",
                "-A FORWARD -j CNI-FORWARD",
                "-A CNI-FORWARD -m comment --comment \"CNI firewall plugin admin overrides\" -j CNI-ADMIN",
                "-A CNI-FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "-A CNI-FORWARD -s 10.1.0.5/32 -j ACCEPT",
            ]
            .join("\n"),
        );
        assert_eq!(lacks(&listing, &wanted(None), false), [""; 0]);
        let address = "10.1.0.5".parse().unwrap();
        assert_eq!(listing.rules(PRIVATE).filter(|r| is_bare_rule(r, address)).count(), 2);
        assert!(!is_bare_rule("-s 10.1.0.55/32 -j ACCEPT", address));
    }

    #[test]
    fn the_address_of_a_dead_attachment_is_taken_over_and_an_exception_keeps_the_chains() {
        let listing = Listing::new(
            &[
                "-N CNI-FORWARD",
                "-A FORWARD -j CNI-FORWARD",
                "-A CNI-FORWARD -s 10.1.0.5/32 -m comment --comment \"net/dead/eth0\" -j ACCEPT",
                "-A CNI-FORWARD -s 10.1.0.50/32 -m comment --comment \"net/c2/eth0\" -j ACCEPT",
            ]
            .join("\n"),
        );
        let lines = open(&listing, &wanted(None), false);
        let removed: Vec<_> = lines.iter().filter(|line| line.starts_with("-D")).collect();
        assert_eq!(removed.len(), 1, "{lines:?}");
        assert!(removed[0].contains("net/dead/eth0"), "{lines:?}");
        let gone = close(&listing, &|_, rule| rule.contains("dead"));
        assert_eq!(gone.len(), 1, "{gone:?}");
    }
}
