//! The conditions that mappings may hold on, as nft writes them: comparisons of addresses, links
//! and the packet's mark. All of them must be met.
//!
//! A comparison with several values in braces is one of several rules, or, where it is inverted,
//! several comparisons; so there are no sets that come and go with a rule.

use std::fmt;

use ipnetwork::IpNetwork;
use kernel::netfilter::Attributes;

use crate::nft::expression::Address;
use crate::nft::expression::condition::{self, Way};

/// How many rules conditions may come to.
const MOST: usize = 64;

/// Conditions of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    pub(super) v6: bool,
    /// Their words, by which equal ones are known.
    words: String,
    /// Of each, all comparisons must hold.
    pub(super) alternatives: Vec<Vec<Attributes>>,
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "if {}", self.words)
    }
}

impl Conditions {
    /// Reads words as `["ip", "saddr", "!=", "192.0.2.0/24"]`, which may also stand in one; `None`
    /// where there are none. Else says what is wrong.
    pub fn parse(v6: bool, words: &[String]) -> Result<Option<Self>, String> {
        let text = words.join(" ");
        let mut words = Words::new(&text);
        let canonical = words.all.join(" ");
        if canonical.is_empty() {
            return Ok(None);
        }
        let mut alternatives = vec![Vec::new()];
        while let Some(word) = words.next() {
            let one = comparison(word, v6, &mut words)?;
            if alternatives.len() * one.len() > MOST {
                return Err(format!("they come to more than {MOST} rules"));
            }
            alternatives = alternatives
                .iter()
                .flat_map(|all: &Vec<Attributes>| {
                    one.iter().map(|one| all.iter().chain(one).cloned().collect())
                })
                .collect();
        }
        Ok(Some(Self { v6, words: canonical, alternatives }))
    }
}

/// The words that are left. Commas and braces are words.
struct Words {
    all: Vec<String>,
    at: usize,
}

impl Words {
    fn new(text: &str) -> Self {
        let mut spaced = String::new();
        for c in text.chars() {
            match c {
                '{' | '}' | ',' => spaced.extend([' ', c, ' ']),
                '"' => {}
                c => spaced.push(c),
            }
        }
        Self { all: spaced.split_whitespace().map(str::to_owned).collect(), at: 0 }
    }

    fn next(&mut self) -> Option<String> {
        let word = self.all.get(self.at).cloned();
        self.at += 1;
        word
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.all.get(self.at).is_some_and(|next| next == word);
        if is {
            self.at += 1;
        }
        is
    }

    /// One value, or several in braces.
    fn values(&mut self, of: &str) -> Result<Vec<String>, String> {
        let ended = || format!("{of:?} lacks what it is compared with");
        if !self.take("{") {
            return self.next().map(|word| vec![word]).ok_or_else(ended);
        }
        let mut values = Vec::new();
        loop {
            match self.next().ok_or_else(ended)?.as_str() {
                "}" if !values.is_empty() => return Ok(values),
                word @ ("{" | "}" | ",") => return Err(format!("{word:?} is not a value")),
                word => values.push(word.to_owned()),
            }
            if !self.take(",") && self.all.get(self.at).is_none_or(|next| next != "}") {
                return Err(format!("the values of {of:?} are not parted by commas"));
            }
        }
    }
}

/// Compares with a value, or with all else.
type Compare = dyn Fn(&str, bool) -> Result<Vec<Attributes>, String>;

/// What one comparison comes to: of each alternative, all must hold.
fn comparison(first: String, v6: bool, words: &mut Words) -> Result<Vec<Vec<Attributes>>, String> {
    let family = if v6 { "ip6" } else { "ip" };
    let subject = match first.as_str() {
        "meta" => words.next().unwrap_or_default(),
        "ip" | "ip6" if first != family => {
            return Err(format!("{first:?} is of the other family: write {family:?}"));
        }
        "ip" | "ip6" => format!("{first} {}", words.next().unwrap_or_default()),
        _ => first,
    };
    let compare: Box<Compare> = match subject.as_str() {
        "ip saddr" | "ip6 saddr" => Box::new(move |v, not| address(Address::Source, v6, v, not)),
        "ip daddr" | "ip6 daddr" => {
            Box::new(move |v, not| address(Address::Destination, v6, v, not))
        }
        "iifname" => Box::new(|v, not| link(Way::In, v, not)),
        "oifname" => Box::new(|v, not| link(Way::Out, v, not)),
        "mark" => Box::new(mark),
        other => {
            return Err(format!(
                "{other:?} is not known: {family} saddr, {family} daddr, iifname, oifname and \
                 meta mark are, each with a value or several in braces, and != in front of them"
            ));
        }
    };
    let not = words.take("!=");
    if !not {
        words.take("==");
    }
    let values = words.values(&subject)?;
    let each = values.iter().map(|value| compare(value, not));
    if not {
        let all = each.collect::<Result<Vec<_>, _>>()?;
        return Ok(vec![all.into_iter().flatten().collect()]);
    }
    each.collect()
}

fn address(which: Address, v6: bool, text: &str, not: bool) -> Result<Vec<Attributes>, String> {
    let network: IpNetwork =
        text.parse().map_err(|_| format!("{text:?} is neither an address nor a CIDR"))?;
    if network.is_ipv6() != v6 {
        return Err(format!("{text:?} is of the other family"));
    }
    Ok(condition::address_in(which, network, not))
}

fn link(way: Way, name: &str, not: bool) -> Result<Vec<Attributes>, String> {
    let whole = name.strip_suffix('*').unwrap_or(name);
    let odd = |c: char| c == '*' || c == '/' || !c.is_ascii_graphic();
    if whole.is_empty() || whole.len() > 15 || whole.contains(odd) {
        return Err(format!("{name:?} is not the name of a link"));
    }
    Ok(condition::link(way, name, not))
}

fn mark(text: &str, not: bool) -> Result<Vec<Attributes>, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Ok(condition::mark(number.map_err(|_| format!("{text:?} is not a mark"))?, not))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(v6: bool, text: &str) -> Result<Option<Conditions>, String> {
        let words: Vec<String> = text.split('|').map(str::to_owned).collect();
        Conditions::parse(v6, &words)
    }

    #[test]
    fn the_way_they_are_split_does_not_matter() {
        let a = parse(false, "ip|daddr|!=|192.0.2.0/24").unwrap().unwrap();
        assert_eq!(a, parse(false, "ip daddr != 192.0.2.0/24").unwrap().unwrap());
        assert_eq!(a.to_string(), "if ip daddr != 192.0.2.0/24");
        assert_eq!(a.alternatives.len(), 1);
        assert_eq!(parse(false, "").unwrap(), None);
    }

    #[test]
    fn several_values_are_several_rules_unless_they_are_excluded() {
        let rules = |text| parse(false, text).unwrap().unwrap().alternatives.len();
        assert_eq!(rules("ip saddr { 10.0.0.1, 10.0.0.2,10.1.0.0/16 } iifname {a, b}"), 6);
        assert_eq!(rules("ip saddr != {10.0.0.1,10.0.0.2} iifname \"eth*\""), 1);
        assert_eq!(rules("meta mark 0x10 oifname != eth0"), 1);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, word) in [
            ("ip6 saddr fd00::1", "ip6"),
            ("ip saddr fd00::1", "fd00::1"),
            ("ip saddr", "ip saddr"),
            ("ip saddr {", "ip saddr"),
            ("ip saddr {}", "}"),
            ("ip saddr {10.0.0.1 10.0.0.2}", "commas"),
            ("ip saddr somewhere", "somewhere"),
            ("ct state new", "ct"),
            ("iifname sixteen-letters-x", "sixteen"),
            ("meta mark x", "x"),
            ("ip ttl 5", "ip ttl"),
            ("ip saddr 10.0.0.1 accept", "accept"),
        ] {
            let error = parse(false, text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
