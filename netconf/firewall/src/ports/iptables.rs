//! The same mappings as chains and rules of iptables, as the reference plugin makes them, for those
//! who ask for it. Two executions for each family: what there is, and one change of all.
//!
//! [`del`](super::del) and [`gc`](super::gc) remove these, too. Conflicts are not found here: the
//! last one wins.

use cni::Attachment;
use kernel::Result;

use super::reference::{DESTINATIONS, chains};
use super::wanted::{Mapping, Snat, Wanted};
use crate::conntrack;
use crate::iptables::{Iptables, Listing, name, quoted};
use crate::socket::{is_absent, with_socket};

const NAT: &str = "nat";
const SET_MARK: &str = "CNI-HOSTPORT-SETMARK";
const MASQUERADE: &str = "CNI-HOSTPORT-MASQ";
/// How many ports fit into one rule (`XT_MULTI_PORTS`).
const PORTS_OF_A_RULE: usize = 15;

/// What iptables alone knows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bit of the mark that says that a packet is to be masqueraded: 0 to 31.
    pub mark_bit: u8,
    /// The chain that sets somebody else's mark in its place.
    pub mark_chain: Option<String>,
    /// Further words of the rules that jump to the attachment's chain: of IPv4, of IPv6.
    pub conditions: [Vec<String>; 2],
}

/// A rule: the chain, and its words.
type Line = (String, Vec<String>);

/// Makes what is wanted.
pub fn add(wanted: &Wanted, options: &Options) -> Result<Option<kernel::Error>> {
    for v6 in [false, true] {
        let Some(rules) = Rules::of(wanted, options, v6) else { continue };
        let tool = Iptables::find(v6)?;
        tool.adapt(NAT, |listed| rules.change(listed))?;
    }
    let forgotten = with_socket(|socket| conntrack::forget_ports(socket, wanted));
    Ok(forgotten.err().filter(|error| !is_absent(error)))
}

/// What is missing, each in words.
pub fn check(wanted: &Wanted, options: &Options) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for v6 in [false, true] {
        let Some(rules) = Rules::of(wanted, options, v6) else { continue };
        let tool = Iptables::find(v6)?;
        let listed = tool.list(NAT)?;
        let own = std::iter::once(rules.chain.as_str());
        let missing: Vec<_> =
            own.chain(rules.chains.iter().copied()).filter(|c| !listed.has_chain(c)).collect();
        if !missing.is_empty() {
            let name = name(v6);
            let missing = missing.iter().map(|c| format!("the chain {c} of {name} is missing"));
            differences.extend(missing);
            continue;
        }
        let all = rules.shared.iter().map(|(line, _)| line).chain(&rules.own).chain(&rules.jumps);
        for (chain, words) in all {
            if !tool.has_rule(NAT, chain, words)? {
                let rule = quoted(words);
                let name = name(v6);
                differences.push(format!("the chain {chain} of {name} lacks the rule {rule}"));
            }
        }
    }
    Ok(differences)
}

/// Fails when iptables cannot be executed.
pub fn status() -> Result<()> {
    Iptables::find(false)?.list(NAT).map(drop)
}

/// The rules of a family.
struct Rules {
    /// The attachment's chain.
    chain: String,
    /// Shared chains that must be there.
    chains: Vec<&'static str>,
    /// Shared rules, and how a listed line that is the same ends.
    shared: Vec<(Line, String)>,
    own: Vec<Line>,
    jumps: Vec<Line>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Rules {
    /// `None` where nothing of the family is mapped.
    fn of(wanted: &Wanted, options: &Options, v6: bool) -> Option<Self> {
        wanted.forwards(v6).next()?;
        let Attachment { network, container, .. } = &wanted.attachment;
        let [(chain, _), _] = chains(network, container);
        let mut all = Self {
            chain,
            chains: vec![DESTINATIONS],
            shared: Vec::new(),
            own: Vec::new(),
            jumps: Vec::new(),
        };
        all.share(wanted.snat, options);
        let comment = format!("dnat name: \"{network}\" id: \"{container}\"");
        all.jump(wanted, options, v6, &comment);
        let source = wanted.address(v6).map(|a| format!("{}/{}", a.network(), a.prefix()));
        let set_mark = options.mark_chain.as_deref().unwrap_or(SET_MARK);
        for (mapping, to) in wanted.forwards(v6) {
            let base = base(mapping);
            let mut push = |more: &str| {
                let line = base.iter().cloned().chain(words(more)).collect();
                all.own.push((all.chain.clone(), line));
            };
            match wanted.snat {
                Snat::Nothing => {}
                Snat::Everything => push(&format!("-j {set_mark}")),
                Snat::Needed => {
                    let source = source.as_deref().unwrap_or_default();
                    push(&format!("-s {source} -j {set_mark}"));
                    if !v6 {
                        push(&format!("-s 127.0.0.1 -j {set_mark}"));
                    }
                }
            }
            push(&format!("-j DNAT --to-destination {to}"));
        }
        Some(all)
    }

    fn share(&mut self, snat: Snat, options: &Options) {
        let mut shared = |chain: &str, comment: &str, more: &str, end: &str| {
            let mut line = Vec::new();
            if !comment.is_empty() {
                line.extend(words("-m comment --comment"));
                line.push(comment.to_owned());
            }
            line.extend(words(more));
            self.shared.push(((chain.to_owned(), line), end.to_owned()));
        };
        for chain in ["PREROUTING", "OUTPUT"] {
            let jump = format!("-m addrtype --dst-type LOCAL -j {DESTINATIONS}");
            shared(chain, "", &jump, &jump);
        }
        if snat == Snat::Nothing || options.mark_chain.is_some() {
            return;
        }
        let mark = 1_u32 << options.mark_bit.min(31);
        let set = format!("-j MARK --set-xmark {mark:#x}/{mark:#x}");
        shared(SET_MARK, "CNI portfwd masquerade mark", &set, &set);
        let masquerade = format!("-m mark --mark {mark:#x}/{mark:#x} -j MASQUERADE");
        shared(MASQUERADE, "", &masquerade, &masquerade);
        let jump = format!("-j {MASQUERADE}");
        shared("POSTROUTING", "CNI portfwd requiring masquerade", &jump, &jump);
        self.chains.extend([SET_MARK, MASQUERADE]);
    }

    /// The rules that jump to the attachment's chain: one for up to fifteen ports of a protocol.
    fn jump(&mut self, wanted: &Wanted, options: &Options, v6: bool, comment: &str) {
        let conditions = options.conditions.get(usize::from(v6)).into_iter().flatten();
        let conditions: Vec<String> = conditions.cloned().collect();
        // All of them, as the reference has it: the attachment's chain knows those of the family.
        let mut ports: Vec<_> = wanted.mappings.iter().map(|m| (m.protocol, m.host_port)).collect();
        ports.sort_by_key(|(protocol, _)| protocol.name());
        for of_protocol in ports.chunk_by(|a, b| a.0 == b.0) {
            for some in of_protocol.chunks(PORTS_OF_A_RULE) {
                let Some((protocol, _)) = some.first() else { continue };
                let list: Vec<_> = some.iter().map(|(_, port)| port.to_string()).collect();
                let mut line = words("-m comment --comment");
                line.push(comment.to_owned());
                line.extend(words(&format!(
                    "-m multiport -p {protocol} --destination-ports {}",
                    list.join(",")
                )));
                line.extend(conditions.iter().cloned());
                line.extend(words(&format!("-j {}", self.chain)));
                self.jumps.push((DESTINATIONS.to_owned(), line));
            }
        }
    }

    /// What to tell iptables-restore, given what is listed. The attachment's chain is made anew.
    fn change(&self, listed: &Listing) -> Vec<String> {
        let mut change: Vec<String> = listed.removal(&self.chain, DESTINATIONS);
        let missing = self.chains.iter().filter(|chain| !listed.has_chain(chain));
        change.extend(missing.map(|chain| format!("-N {chain}")));
        change.push(format!("-N {}", self.chain));
        for ((chain, line), end) in &self.shared {
            let leads = end.starts_with("-j CNI-") && listed.leads(chain, MASQUERADE).is_some();
            let there = leads || listed.rules(chain).any(|rule| rule.ends_with(end));
            if !there {
                // What marks must be masqueraded before others look at it.
                let how = if chain == "POSTROUTING" { "-I" } else { "-A" };
                change.push(format!("{how} {chain} {}", quoted(line)));
            }
        }
        change.extend(self.own.iter().map(|(chain, line)| format!("-A {chain} {}", quoted(line))));
        // The newest first: it wins.
        change.extend(self.jumps.iter().map(|(c, line)| format!("-I {c} {}", quoted(line))));
        change
    }
}

/// How all rules of a mapping begin.
fn base(mapping: &Mapping) -> Vec<String> {
    let mut base = words(&format!("-p {} --dport {}", mapping.protocol, mapping.host_port));
    if let Some(address) = mapping.address() {
        base.extend(["-d".to_owned(), address.to_string()]);
    }
    base
}
