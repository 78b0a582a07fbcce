//! What `iptables -S` prints: `-P FORWARD ACCEPT`, `-N CHAIN`, `-A CHAIN RULE`.

/// A listed table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing(Vec<String>);

impl Listing {
    pub(crate) fn new(printed: &str) -> Self {
        Self(printed.lines().map(str::to_owned).collect())
    }

    /// True when a chain was made.
    pub(crate) fn has_chain(&self, chain: &str) -> bool {
        self.0.iter().any(|line| line.strip_prefix("-N ") == Some(chain))
    }

    /// The rules of a chain, in their order.
    pub(crate) fn rules<'a>(&'a self, chain: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |line| {
            line.strip_prefix("-A ")?.strip_prefix(chain)?.strip_prefix(' ')
        })
    }

    /// Those rules of `from` that lead to `to`.
    pub(crate) fn jumps<'a>(&'a self, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
        self.rules(from).filter(move |rule| target(rule) == Some(to))
    }

    /// True when a chain has a rule. iptables quotes comments where it has to.
    pub(crate) fn has(&self, chain: &str, rule: &str) -> bool {
        let plain = |rule: &str| rule.replace('"', "");
        self.rules(chain).any(|there| plain(there) == plain(rule))
    }

    /// The first rule of `from` that leads to `to`, counted from 0.
    pub(crate) fn leads(&self, from: &str, to: &str) -> Option<usize> {
        self.rules(from).position(|rule| target(rule) == Some(to))
    }

    /// What to tell iptables-restore so that a chain goes, with the jumps to it from `from`;
    /// nothing where there is no such chain.
    pub(crate) fn removal(&self, chain: &str, from: &str) -> Vec<String> {
        if !self.has_chain(chain) {
            return Vec::new();
        }
        let jumps = self.jumps(from, chain).map(|rule| format!("-D {from} {rule}"));
        jumps.chain([format!("-F {chain}"), format!("-X {chain}")]).collect()
    }
}

/// The chain or extension that a rule leads to.
pub(crate) fn target(rule: &str) -> Option<&str> {
    let mut words = rule.split(' ');
    words.find(|word| matches!(*word, "-j" | "-g"))?;
    words.next()
}

/// The comment (`-m comment`) of a rule.
pub(crate) fn comment_of(rule: &str) -> Option<String> {
    let (_, behind) = rule.split_once(" --comment ")?;
    let Some(quoted) = behind.strip_prefix('"') else {
        return behind.split(' ').next().map(str::to_owned);
    };
    let (mut comment, mut escaped) = (String::new(), false);
    for c in quoted.chars() {
        match c {
            '"' if !escaped => return Some(comment),
            '\\' if !escaped => escaped = true,
            _ => {
                comment.push(c);
                escaped = false;
            }
        }
    }
    None
}

/// Words of a rule as `iptables-restore` reads them: quoted where need be.
pub(crate) fn quoted(words: &[String]) -> String {
    let plain = |word: &String| {
        !word.is_empty()
            && !word.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '\'' | '#'))
    };
    let quote = |word: &String| {
        if plain(word) {
            return word.clone();
        }
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_blanks_and_quotes_are_quoted() {
        let words = ["-m", "dnat name: \"n\"", ""].map(str::to_owned);
        assert_eq!(quoted(&words), r#"-m "dnat name: \"n\"" """#);
    }

    #[test]
    fn a_jump_is_to_a_whole_name() {
        let listing = Listing::new(
            "-N CNI-a\n-A X -s 10.0.0.1/32 -j CNI-a\n-A X -g CNI-a -m comment\n-A X -j CNI-ab\n-A Xy -j CNI-a",
        );
        let rules = ["-s 10.0.0.1/32 -j CNI-a", "-g CNI-a -m comment"];
        assert!(listing.jumps("X", "CNI-a").eq(rules));
        assert_eq!(listing.leads("X", "CNI-ab"), Some(2));
        assert_eq!(listing.leads("X", "CNI"), None);
        let [one, other] = rules.map(|rule| format!("-D X {rule}"));
        assert_eq!(listing.removal("CNI-a", "X"), [&one, &other, "-F CNI-a", "-X CNI-a"]);
        assert!(listing.removal("CNI-ab", "X").is_empty());
    }

    #[test]
    fn comments_are_read_as_iptables_prints_them() {
        for (rule, comment) in [
            ("-A a -m comment --comment hi -j b", Some("hi")),
            ("-A a -m comment --comment hi", Some("hi")),
            (r#"-A a -m comment --comment "net/c1/eth0" -j b"#, Some("net/c1/eth0")),
            (
                r#"-A a -m comment --comment "name: \"n\" id: \"c\"" -j b"#,
                Some("name: \"n\" id: \"c\""),
            ),
            (r#"-A a -m comment --comment "a\\b" -j b"#, Some("a\\b")),
            (r#"-A a -m comment --comment "open"#, None),
            ("-A a -s 10.1.0.2/32 -j b", None),
        ] {
            assert_eq!(comment_of(rule).as_deref(), comment, "{rule}");
        }
    }
}
