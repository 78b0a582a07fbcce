//! nf_tables as messages: tables, chains, rules, counters, sets and their elements
//! (`include/uapi/linux/netfilter/nf_tables.h`). Only what this crate uses.

mod element;
pub(crate) mod expression;
mod interval;
mod set;
mod userdata;

use kernel::netfilter::{Attributes, Object, Request};

pub(crate) use self::element::{Element, Key};
pub(crate) use self::interval::Interval;
pub(crate) use self::set::{Holds, KeyType, Set};
pub(crate) use self::userdata::comment_of;

/// Protocol families (`NFPROTO_*`).
pub(crate) const INET: u8 = 1;
pub(crate) const IPV4: u8 = 2;
pub(crate) const BRIDGE: u8 = 7;
pub(crate) const IPV6: u8 = 10;

/// `NFNL_SUBSYS_NFTABLES`
const SUBSYSTEM: u8 = 10;

/// Message numbers (`enum nf_tables_msg_types`).
const NEW_TABLE: u8 = 0;
const GET_TABLE: u8 = 1;
const DEL_TABLE: u8 = 2;
const NEW_CHAIN: u8 = 3;
const GET_CHAIN: u8 = 4;
const DEL_CHAIN: u8 = 5;
const NEW_RULE: u8 = 6;
const GET_RULE: u8 = 7;
const DEL_RULE: u8 = 8;
const NEW_SET: u8 = 9;
const GET_SET: u8 = 10;
const DEL_SET: u8 = 11;
const NEW_ELEMENT: u8 = 12;
const GET_ELEMENT: u8 = 13;
const DEL_ELEMENT: u8 = 14;
const GET_GENERATION: u8 = 16;
const NEW_OBJECT: u8 = 18;
const GET_OBJECT: u8 = 19;
const DEL_OBJECT: u8 = 20;

const TABLE_NAME: u16 = 1;
const TABLE_USE: u16 = 3;
const TABLE_USERDATA: u16 = 6;

const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const CHAIN_USERDATA: u16 = 12;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_POSITION: u16 = 6;
const RULE_USERDATA: u16 = 7;

const OBJECT_TABLE: u16 = 1;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
const OBJECT_USE: u16 = 5;
/// `NFT_OBJECT_COUNTER`
const COUNTER: u32 = 1;

/// The items of every list (`NFTA_LIST_ELEM`).
const ITEM: u16 = 1;

const GENERATION_ID: u16 = 1;

/// A table. Everything else lies in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Table {
    /// `NFPROTO_*`
    pub(crate) family: u8,
    pub(crate) name: &'static str,
}

/// Where a base chain is hooked into the kernel.
pub(crate) struct Hook {
    /// `nat` or `filter`.
    pub(crate) kind: &'static str,
    /// `NF_INET_*` or `NF_BR_*`.
    pub(crate) number: u32,
    pub(crate) priority: i32,
}

impl Table {
    /// `nft add table`: no error when it is there.
    pub(crate) fn create(self, comment: &str) -> Request {
        let attributes = Attributes::new()
            .with_text(TABLE_NAME, self.name)
            .with(TABLE_USERDATA, &userdata::comment(comment));
        self.request("create the table", "", NEW_TABLE, libc::NLM_F_CREATE, attributes)
    }

    pub(crate) fn get(self) -> Request {
        let attributes = Attributes::new().with_text(TABLE_NAME, self.name);
        self.request("look up the table", "", GET_TABLE, 0, attributes)
    }

    /// `nft delete table`, with all that is in it.
    pub(crate) fn delete(self) -> Request {
        let attributes = Attributes::new().with_text(TABLE_NAME, self.name);
        self.request("delete the table", "", DEL_TABLE, 0, attributes)
    }

    /// How many chains, sets and objects a table holds.
    pub(crate) fn population(table: &Object) -> Option<u32> {
        table.attributes().number(TABLE_USE)
    }

    /// The comment of a table.
    pub(crate) fn comment(table: &Object) -> Option<&str> {
        table.attributes().find(TABLE_USERDATA).and_then(comment_of)
    }

    /// True when a base chain lets through what none of its rules decides.
    pub(crate) fn is_accepting(chain: &Object) -> bool {
        chain.attributes().number(CHAIN_POLICY) == Some(expression::ACCEPT)
    }

    /// `nft add chain ... { type ... hook ... priority ...; policy accept; }`: no error when it is
    /// there.
    pub(crate) fn create_base_chain(self, name: &str, hook: &Hook, comment: &str) -> Request {
        let attributes = self
            .chain(name)
            .with_text(CHAIN_TYPE, hook.kind)
            .with_u32(CHAIN_POLICY, expression::ACCEPT)
            .with_nest(
                CHAIN_HOOK,
                &Attributes::new()
                    .with_u32(HOOK_NUMBER, hook.number)
                    .with(HOOK_PRIORITY, &hook.priority.to_be_bytes()),
            )
            .with(CHAIN_USERDATA, &userdata::comment(comment));
        self.request("create the base chain", name, NEW_CHAIN, libc::NLM_F_CREATE, attributes)
    }

    /// `nft add chain`, for a chain that others jump to: no error when it is there.
    pub(crate) fn create_chain(self, name: &str) -> Request {
        self.request("create the chain", name, NEW_CHAIN, libc::NLM_F_CREATE, self.chain(name))
    }

    pub(crate) fn get_chain(self, name: &str) -> Request {
        self.request("look up the chain", name, GET_CHAIN, 0, self.chain(name))
    }

    /// `nft delete chain`, with its rules; EBUSY while something jumps to it.
    pub(crate) fn delete_chain(self, name: &str) -> Request {
        self.request("delete the chain", name, DEL_CHAIN, 0, self.chain(name))
    }

    /// `nft flush chain`
    pub(crate) fn flush_chain(self, name: &str) -> Request {
        let attributes =
            Attributes::new().with_text(RULE_TABLE, self.name).with_text(RULE_CHAIN, name);
        self.request("flush the chain", name, DEL_RULE, 0, attributes)
    }

    /// `nft add rule`, at the chain's end.
    pub(crate) fn add_rule(self, chain: &str, rule: &[Attributes]) -> Request {
        let attributes = Attributes::new()
            .with_text(RULE_TABLE, self.name)
            .with_text(RULE_CHAIN, chain)
            .with_list(RULE_EXPRESSIONS, ITEM, rule);
        let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        self.request("add a rule to the chain", chain, NEW_RULE, flags, attributes)
    }

    /// `nft insert rule`, at the chain's beginning.
    pub(crate) fn insert_rule(self, chain: &str, rule: &[Attributes]) -> Request {
        let attributes = Attributes::new()
            .with_text(RULE_TABLE, self.name)
            .with_text(RULE_CHAIN, chain)
            .with_list(RULE_EXPRESSIONS, ITEM, rule);
        self.request(
            "insert a rule into the chain",
            chain,
            NEW_RULE,
            libc::NLM_F_CREATE,
            attributes,
        )
    }

    /// `nft add rule ... position`, right behind another one.
    pub(crate) fn add_rule_behind(
        self,
        chain: &str,
        other: &Rule<'_>,
        rule: &[Attributes],
    ) -> Request {
        let attributes = Attributes::new()
            .with_text(RULE_TABLE, self.name)
            .with_text(RULE_CHAIN, chain)
            .with(RULE_POSITION, other.handle)
            .with_list(RULE_EXPRESSIONS, ITEM, rule);
        let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        self.request("add a rule to the chain", chain, NEW_RULE, flags, attributes)
    }

    /// The rules of one chain, for a dump.
    pub(crate) fn rules(self, chain: &str) -> Request {
        let attributes =
            Attributes::new().with_text(RULE_TABLE, self.name).with_text(RULE_CHAIN, chain);
        self.request("list the rules of the chain", chain, GET_RULE, 0, attributes)
    }

    /// `nft delete rule ... handle ...`
    pub(crate) fn delete_rule(self, chain: &str, rule: &Rule<'_>) -> Request {
        let attributes = Attributes::new()
            .with_text(RULE_TABLE, self.name)
            .with_text(RULE_CHAIN, chain)
            .with(RULE_HANDLE, rule.handle);
        self.request("delete a rule of the chain", chain, DEL_RULE, 0, attributes)
    }

    /// `nft add counter`: no error when it is there.
    pub(crate) fn create_counter(self, name: &str) -> Request {
        let attributes = self.counter(name).with_nest(OBJECT_DATA, &Attributes::new());
        self.request("create the counter", name, NEW_OBJECT, libc::NLM_F_CREATE, attributes)
    }

    pub(crate) fn get_counter(self, name: &str) -> Request {
        self.request("look up the counter", name, GET_OBJECT, 0, self.counter(name))
    }

    /// `nft delete counter`; EBUSY while an element leads to it.
    pub(crate) fn delete_counter(self, name: &str) -> Request {
        self.request("delete the counter", name, DEL_OBJECT, 0, self.counter(name))
    }

    /// How many elements lead to a counter.
    pub(crate) fn users(counter: &Object) -> Option<u32> {
        counter.attributes().number(OBJECT_USE)
    }

    fn counter(self, name: &str) -> Attributes {
        Attributes::new()
            .with_text(OBJECT_TABLE, self.name)
            .with_text(OBJECT_NAME, name)
            .with_u32(OBJECT_TYPE, COUNTER)
    }

    fn chain(self, name: &str) -> Attributes {
        Attributes::new().with_text(CHAIN_TABLE, self.name).with_text(CHAIN_NAME, name)
    }

    fn request(
        self,
        op: &'static str,
        inner: &str,
        message: u8,
        flags: i32,
        attributes: Attributes,
    ) -> Request {
        let family = match self.family {
            INET => "inet",
            IPV4 => "ip",
            IPV6 => "ip6",
            _ => "bridge",
        };
        let space = if inner.is_empty() { "" } else { " " };
        let on = format!("{family} {}{space}{inner}", self.name);
        Request::new((op, on), (SUBSYSTEM, message), flags, self.family, attributes)
    }
}

/// A rule that was listed.
pub(crate) struct Rule<'a> {
    handle: &'a [u8],
    /// Its expressions, encoded.
    pub(crate) expressions: &'a [u8],
    userdata: &'a [u8],
}

impl<'a> Rule<'a> {
    pub(crate) fn of(object: &'a Object) -> Option<Self> {
        let attributes = object.attributes();
        Some(Self {
            handle: attributes.find(RULE_HANDLE)?,
            expressions: attributes.find(RULE_EXPRESSIONS).unwrap_or_default(),
            userdata: attributes.find(RULE_USERDATA).unwrap_or_default(),
        })
    }

    /// True when `listed`, all that a chain has, are `rules` in their order and nothing else.
    pub(crate) fn are(listed: &[Object], rules: &[Vec<Attributes>]) -> bool {
        let listed: Vec<_> = listed.iter().filter_map(Rule::of).collect();
        listed.len() == rules.len()
            && listed.iter().zip(rules).all(|(l, r)| expression::is_rule(l.expressions, r))
    }

    pub(crate) fn comment(&self) -> Option<&'a str> {
        comment_of(self.userdata)
    }

    /// True when it is `rule` (see [`expression::is_rule`]).
    pub(crate) fn is(&self, rule: &[Attributes]) -> bool {
        expression::is_rule(self.expressions, rule)
    }

    /// Its comment as iptables-nft reads it: a match of iptables, or nft's own.
    pub(crate) fn iptables_comment(&self) -> Option<&'a str> {
        expression::comment_of(self.expressions).or_else(|| self.comment())
    }

    /// True when it does nothing but return.
    pub(crate) fn returns(&self) -> bool {
        expression::returns(self.expressions)
    }

    /// The chain that it jumps or goes to.
    pub(crate) fn target(&self) -> Option<&'a str> {
        expression::target(self.expressions)
    }

    /// True when it jumps to or goes to `chain`.
    pub(crate) fn leads_to(&self, chain: &str) -> bool {
        expression::leads_to(self.expressions, chain)
    }
}

/// Asks for the ruleset's generation: a number that changes with every transaction.
pub(crate) fn generation() -> Request {
    let what = ("ask for the generation of", "the ruleset");
    Request::new(what, (SUBSYSTEM, GET_GENERATION), 0, 0, Attributes::new())
}

/// The generation's number.
pub(crate) fn generation_of(object: &Object) -> Option<u32> {
    object.attributes().number(GENERATION_ID)
}
