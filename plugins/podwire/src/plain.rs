//! Text of others on the operator's terminal.

use std::fmt::Write as _;

/// Without characters that steer a terminal or turn what follows around: control characters, marks of
/// direction, ends of lines. Each is written as in JSON (`\u001b`), so that JSON stays the same JSON. A
/// process in a container chooses its name, whoever writes a manifest its keys.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            // A String takes it all.
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The same for a text of several lines, which stay.
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Besides control characters: marks of direction, embeddings and overrides, isolates (Unicode Standard
/// Annex 9, section 2), and the separators that some terminals take for an end of line.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
