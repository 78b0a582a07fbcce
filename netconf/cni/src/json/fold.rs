//! Letter case, as Go's JSON decoder disregards it (`encoding/json/fold.go`).

/// True when the keys are one key to Go: Unicode simple folding, in which two characters outside
/// ASCII fall together with letters of it.
pub(super) fn same(a: &str, b: &str) -> bool {
    folded(a).eq(folded(b))
}

/// The key's characters without their case.
pub(super) fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|c| match c {
        '\u{17f}' => 's',  // long s
        '\u{212a}' => 'k', // Kelvin sign
        c => c.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn keys_match_in_any_letter_case() {
        assert!(same("isGateway", "ISGATEWAY"));
        assert!(same("\u{212a}ey\u{17f}", "keys"));
        assert!(!same("isGateway", "is_gateway"));
        assert!(!same("mtu", "mtu "));
        assert!(!same("mtu", "mt"));
    }
}
