//! Input that once broke something.

use crate::judge::{Case, judge};

#[test]
fn a_command_with_a_newline_keeps_the_message_on_one_line() {
    judge(&Case::whole("A\nDD", r#"{"name": "net"}"#));
}

#[test]
fn a_key_with_a_newline_keeps_the_message_on_one_line() {
    let conf = r#"{"cniVersion": "1.0.0", "name": "net", "ipam\nx": {}, "labels": {"a\nb": 1}}"#;
    judge(&Case::whole("ADD", conf));
}
