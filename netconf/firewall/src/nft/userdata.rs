//! Userdata: what the kernel keeps for user space without looking at it. nft stores comments
//! there, and what it needs to print a set's keys (libnftnl, `include/libnftnl/udata.h`): one byte
//! of type, one of length, the value.

/// `NFTNL_UDATA_*_COMMENT` of tables, chains, rules and elements alike.
const COMMENT: u8 = 0;
/// `NFTNL_UDATA_SET_KEYBYTEORDER`
const KEY_BYTE_ORDER: u8 = 0;
/// `NFTNL_UDATA_SET_COMMENT`
const SET_COMMENT: u8 = 7;

/// The longest comment that nft reads back in (`NFTNL_UDATA_COMMENT_MAXLEN`, less the NUL).
pub(crate) const COMMENT_LIMIT: usize = 127;

/// A comment, cut to what nft takes.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let mut userdata = Vec::with_capacity(text.len() + 3);
    push_comment(&mut userdata, COMMENT, text);
    userdata
}

/// What nft wants to know of a set, and a comment, unless that is empty.
pub(super) fn set(key_byte_order: u32, comment: &str) -> Vec<u8> {
    let mut userdata = Vec::new();
    push(&mut userdata, KEY_BYTE_ORDER, &key_byte_order.to_ne_bytes());
    if !comment.is_empty() {
        push_comment(&mut userdata, SET_COMMENT, comment);
    }
    userdata
}

/// The comment in some userdata.
pub(crate) fn comment_of(mut userdata: &[u8]) -> Option<&str> {
    loop {
        let (&[kind, length], rest) = userdata.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        if kind == COMMENT {
            return std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok();
        }
        userdata = rest;
    }
}

fn push_comment(userdata: &mut Vec<u8>, kind: u8, text: &str) {
    let text = text.get(..text.floor_char_boundary(COMMENT_LIMIT)).unwrap_or_default();
    push(userdata, kind, &[text.as_bytes(), &[0]].concat());
}

fn push(userdata: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    userdata.extend([kind, length]);
    userdata.extend(value.iter().take(usize::from(length)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_back_and_a_long_one_is_cut_at_a_character() {
        assert_eq!(comment_of(&comment("net/cid/eth0")), Some("net/cid/eth0"));
        let long = "ä".repeat(200);
        assert_eq!(comment_of(&comment(&long)), Some(&long[..126]));
    }

    #[test]
    fn other_userdata_and_malformed_userdata_have_no_comment() {
        for userdata in [&[][..], &[0], &[0, 9, 65], &[5, 1, 65], &[5, 0, 0]] {
            assert_eq!(comment_of(userdata), None, "{userdata:?}");
        }
        assert_eq!(comment_of(&[5, 1, 1, 0, 2, 65, 0]), Some("A"));
    }
}
