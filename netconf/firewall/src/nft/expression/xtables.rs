//! Rules as iptables-nft writes them, so that every version of it can list and save them. It takes
//! a chain with other expressions for a foreign one at best; at worst it shows a rule without the
//! part that it does not know, and so do its backups.

use kernel::netfilter::{Attributes, Reader};

use super::{DATA, JUMP, NAME, TO_VERDICT, VERDICT, VERDICT_CHAIN, VERDICT_CODE, named};

/// `NFTA_MATCH_*` (`linux/netfilter/nf_tables_compat.h`)
const MATCH_NAME: u16 = 1;
const MATCH_REVISION: u16 = 2;
const MATCH_INFO: u16 = 3;
/// `XT_MAX_COMMENT_LEN`
const COMMENT: usize = 256;

/// `-m comment --comment TEXT` (`struct xt_comment_info`)
pub(crate) fn commented(text: &str) -> Attributes {
    let mut info: Vec<u8> = text.bytes().take(COMMENT - 1).collect();
    info.resize(COMMENT, 0);
    extension("comment", 0, &info)
}

/// `-m mark --mark BIT/BIT` (`struct xt_mark_mtinfo1`, padded to eight bytes)
pub(crate) fn marked(bit: u32) -> Attributes {
    let mut info = [bit.to_ne_bytes(), bit.to_ne_bytes()].concat();
    info.resize(16, 0);
    extension("mark", 1, &info)
}

/// `-j CHAIN`
pub(crate) fn jump(chain: &str) -> Attributes {
    let verdict = Attributes::new().with_u32(VERDICT_CODE, JUMP).with_text(VERDICT_CHAIN, chain);
    let immediate = Attributes::new().with_nest(VERDICT, &verdict);
    named("immediate", &Attributes::new().with_u32(1, TO_VERDICT).with_nest(2, &immediate))
}

/// The comment in the listed expressions of a rule.
pub(crate) fn comment_of(expressions: &[u8]) -> Option<&str> {
    Reader::new(expressions).find_map(|(_, expression)| {
        let expression = Reader::new(expression);
        let data = expression.nest(DATA);
        if expression.text(NAME) != Some("match") || data.text(MATCH_NAME) != Some("comment") {
            return None;
        }
        let text = data.find(MATCH_INFO)?.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(text).ok()
    })
}

fn extension(name: &str, revision: u32, info: &[u8]) -> Attributes {
    let attributes = Attributes::new().with_text(MATCH_NAME, name);
    named("match", &attributes.with_u32(MATCH_REVISION, revision).with(MATCH_INFO, info))
}
