//! The gate: what stands for us in the chains of iptables, where they are kept in nf_tables
//! (iptables-nft), read and written over netlink.
//!
//! ```text
//! -A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
//! -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
//! -A CNI-FORWARD -m mark --mark 0x1000/0x1000 -m comment --comment "podwire: …" -j ACCEPT
//! ```
//!
//! The chains and the jumps to them are the reference plugin's, so that both can be on a node, and
//! administrators find their chain where it was. Where there is no table `filter` yet, it is made
//! as iptables makes it: Docker may start after the first container does, and only changes the
//! policy of what it finds.

use kernel::Result;
use kernel::netfilter::{Attributes, Object, Request, Socket};

use super::MARK;
use super::rules::{ADMIN_COMMENT, GATE_COMMENT, JUMP_COMMENT, PRIVATE, STAGE_1, STAGE_2};
use crate::iptables;
use crate::nft::expression;
use crate::nft::{Hook, IPV4, IPV6, Rule, Table};

const FORWARD: &str = "FORWARD";
/// As iptables makes the chain.
const FILTER: Hook = Hook { kind: "filter", number: libc::NF_INET_FORWARD as u32, priority: 0 };
/// How a table that we made is known again.
const TABLE_COMMENT: &str = "made by the podwire CNI plugins for iptables";

pub(super) fn table(v6: bool) -> Table {
    Table { family: if v6 { IPV6 } else { IPV4 }, name: "filter" }
}

/// What there is of a family's gate.
pub(super) struct Gate {
    v6: bool,
    table: Option<Object>,
    forward: Option<Object>,
    has_private: bool,
    forward_rules: Vec<Object>,
    private_rules: Vec<Object>,
}

impl Gate {
    pub(super) fn look(socket: &mut Socket, v6: bool) -> Result<Self> {
        let on = table(v6);
        let gets = [on.get(), on.get_chain(FORWARD), on.get_chain(PRIVATE)];
        let mut found = socket.get_all(&gets)?.into_iter();
        let (table, forward) = (found.next().flatten(), found.next().flatten());
        let has_private = found.next().flatten().is_some();
        let mut rules = |there: bool, chain: &str| {
            if there { socket.dump(&on.rules(chain)) } else { Ok(Vec::new()) }
        };
        let forward_rules = rules(forward.is_some(), FORWARD)?;
        let private_rules = rules(has_private, PRIVATE)?;
        Ok(Self { v6, table, forward, has_private, forward_rules, private_rules })
    }

    /// True when there is a chain of the reference plugins' or ours.
    pub(super) fn is_there(&self) -> bool {
        self.has_private
    }

    fn forwards_to(&self, chain: &str) -> Option<Rule<'_>> {
        self.forward_rules.iter().filter_map(Rule::of).find(|rule| rule.leads_to(chain))
    }

    pub(super) fn private(&self) -> impl Iterator<Item = Rule<'_>> {
        self.private_rules.iter().filter_map(Rule::of)
    }

    /// In words what is lacking.
    pub(super) fn lacks(&self, admin: &str) -> Vec<String> {
        let mut lacks = Vec::new();
        let tool = iptables::name(self.v6);
        if self.forwards_to(PRIVATE).is_none() {
            lacks.push(format!("{tool}' chain FORWARD does not jump to {PRIVATE}"));
        }
        if !self.private().any(|rule| rule.leads_to(admin)) {
            lacks.push(format!("{tool}' chain {PRIVATE} does not jump to {admin}"));
        }
        if !self.private().any(|rule| is_opening(&rule)) {
            let what = format!("does not accept what bears the mark {MARK:#x}");
            lacks.push(format!("{tool}' chain {PRIVATE} {what}"));
        }
        lacks
    }

    /// Makes what is lacking. With `native` the mark is looked at in nf_tables' own terms, for
    /// kernels without those of iptables.
    pub(super) fn open(&self, admin: &str, native: bool) -> Vec<Request> {
        let on = table(self.v6);
        let mut batch = Vec::new();
        if self.table.is_none() {
            batch.push(on.create(TABLE_COMMENT));
        }
        if self.forward.is_none() {
            batch.push(on.create_base_chain(FORWARD, &FILTER, TABLE_COMMENT));
        }
        if !self.has_private {
            batch.push(on.create_chain(PRIVATE));
        }
        if self.forwards_to(PRIVATE).is_none() {
            let jump = jump(JUMP_COMMENT, PRIVATE, native);
            batch.push(match self.forwards_to(STAGE_1) {
                // What the reference plugin isolates comes first.
                Some(stage) => on.add_rule_behind(FORWARD, &stage, &jump),
                None => on.insert_rule(FORWARD, &jump),
            });
        }
        if !self.private().any(|rule| rule.leads_to(admin)) {
            batch.push(on.create_chain(admin)); // no error when it is there
            batch.push(on.insert_rule(PRIVATE, &jump(ADMIN_COMMENT, admin, native)));
        }
        if !self.private().any(|rule| is_opening(&rule)) {
            batch.push(on.add_rule(PRIVATE, &opening(native)));
        }
        batch
    }

    /// Removes those rules of the private chain that are asked for, with `closing` the one that
    /// accepts what is marked as well, and everything that serves nobody then.
    pub(super) fn close(
        &self,
        socket: &mut Socket,
        closing: bool,
        victim: &dyn Fn(&Rule<'_>) -> bool,
    ) -> Result<Vec<Request>> {
        let on = table(self.v6);
        let goes = |rule: &Rule<'_>| victim(rule) || closing && is_opening(rule);
        let (victims, left): (Vec<_>, Vec<_>) = self.private().partition(goes);
        if victims.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch: Vec<_> = victims.iter().map(|r| on.delete_rule(PRIVATE, r)).collect();
        // Administrators' exceptions stay, and what leads to them.
        let admins: Option<Vec<_>> = left
            .iter()
            .map(|rule| {
                let is = rule.iptables_comment() == Some(ADMIN_COMMENT);
                rule.target().filter(|_| is)
            })
            .collect();
        let Some(admins) = admins else { return Ok(batch) };
        for admin in &admins {
            if !socket.dump(&on.rules(admin))?.is_empty() {
                return Ok(batch);
            }
        }
        let jumps: Vec<_> = self
            .forward_rules
            .iter()
            .filter_map(Rule::of)
            .filter(|rule| rule.leads_to(PRIVATE))
            .collect();
        batch.extend(jumps.iter().map(|rule| on.delete_rule(FORWARD, rule)));
        batch.push(on.delete_chain(PRIVATE));
        batch.extend(admins.iter().map(|admin| on.delete_chain(admin)));

        let parts = u32::try_from(admins.len()).unwrap_or(u32::MAX).saturating_add(2);
        let alone = self.table.as_ref().is_some_and(|table| {
            Table::comment(table) == Some(TABLE_COMMENT) && Table::population(table) == Some(parts)
        });
        let bare = self.forward_rules.len() == jumps.len();
        if alone && bare && self.forward.as_ref().is_some_and(Table::is_accepting) {
            return Ok(vec![on.delete()]);
        }
        Ok(batch)
    }

    /// Removes, besides, those rules of the reference plugin's chains for isolation that are asked
    /// for. The chains go with the last rule that says something.
    pub(super) fn join(
        &self,
        socket: &mut Socket,
        victim: &dyn Fn(&Rule<'_>) -> bool,
    ) -> Result<Vec<Request>> {
        let on = table(self.v6);
        let stages = [STAGE_1, STAGE_2];
        if self.forwards_to(STAGE_1).is_none() {
            return Ok(Vec::new());
        }
        let (mut batch, mut left) = (Vec::new(), 0);
        for stage in stages {
            let objects = socket.dump(&on.rules(stage))?;
            for rule in objects.iter().filter_map(Rule::of) {
                if victim(&rule) {
                    batch.push(on.delete_rule(stage, &rule));
                } else if !rule.returns() {
                    left += 1;
                }
            }
        }
        if left == 0 && !batch.is_empty() {
            let jumps = self.forward_rules.iter().filter_map(Rule::of);
            let jumps = jumps.filter(|rule| rule.leads_to(STAGE_1));
            batch.extend(jumps.map(|rule| on.delete_rule(FORWARD, &rule)));
            batch.extend(stages.map(|stage| on.delete_chain(stage)));
        }
        Ok(batch)
    }
}

fn jump(comment: &str, chain: &str, native: bool) -> Vec<Attributes> {
    let mut rule = Vec::new();
    if !native {
        rule.push(expression::commented(comment));
    }
    rule.extend([expression::counter(), expression::jump(chain)]);
    rule
}

/// The rule that accepts what is marked.
fn opening(native: bool) -> Vec<Attributes> {
    let mut rule = Vec::new();
    if native {
        rule.extend(expression::bears(MARK));
    } else {
        rule.extend([expression::marked(MARK), expression::commented(GATE_COMMENT)]);
    }
    rule.extend([expression::counter(), expression::verdict(expression::ACCEPT)]);
    rule
}

/// True for that rule, also when iptables has saved it and loaded it again, which some versions do
/// in other terms.
fn is_opening(rule: &Rule<'_>) -> bool {
    let mut saved: Vec<_> = expression::bears(MARK).into();
    saved.push(expression::commented(GATE_COMMENT));
    saved.extend([expression::counter(), expression::verdict(expression::ACCEPT)]);
    rule.is(&opening(false)) || rule.is(&saved) || rule.is(&opening(true))
}
