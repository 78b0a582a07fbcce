//! The name of a sysctl.

use cni::Error;

/// What stands for the interface's name.
const INTERFACE: &str = "IFNAME";

/// A sysctl below `net`, slashed, perhaps with [`INTERFACE`] in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Reads a name as sysctl(8) does: the first separator, dot or slash, is the one that separates, and the
    /// other one then stands for a dot within a part, as in `net.ipv4.conf.eth0/100.arp_filter`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let bare = text.strip_prefix(['/', '.']).unwrap_or(text);
        let slashed = match bare.find(['/', '.']).and_then(|at| bare.get(at..=at)) {
            Some(".") => bare.replace('/', "\0").replace('.', "/").replace('\0', "."),
            _ => bare.to_owned(),
        };
        let Some(("net", rest)) = slashed.split_once('/') else {
            return Err("only sysctls below net are a container's own");
        };
        if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err("a part of the name is empty, or leads elsewhere");
        }
        if rest.contains(char::is_control) {
            return Err("a control character is in it");
        }
        Ok(Self(rest.to_owned()))
    }

    /// Where it is for this interface, below `/proc/sys/net`. The first `IFNAME` is replaced, as the
    /// reference does it.
    pub fn path(&self, ifname: &str) -> String {
        self.0.replacen(INTERFACE, ifname, 1)
    }

    /// The dotted name, as an allowlist has it.
    pub fn dotted(&self) -> String {
        format!("net.{}", self.0.replace('.', "\0").replace('/', ".").replace('\0', "/"))
    }
}

/// A sysctl and the value that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name as it is written.
    pub text: String,
    /// Which one it is.
    pub key: Key,
    /// Its value.
    pub value: String,
}

impl Wanted {
    /// Code 7, with the option `under` which the sysctl was named.
    pub fn parse(under: &str, text: &str, value: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::config(under, format_args!("{text:?}"), why);
        let key = Key::parse(text).map_err(bad)?;
        if value.contains(['\0', '\n']) {
            return Err(bad("its value has a line break or a NUL in it"));
        }
        Ok(Self { text: text.to_owned(), key, value: value.to_owned() })
    }
}

/// True when a sysctl that was set to `wanted` may read as `have`: the kernel writes blanks and numbers
/// its own way.
pub fn reads_as(wanted: &str, have: &str) -> bool {
    let (mut wanted, mut have) = (wanted.split_whitespace(), have.split_whitespace());
    loop {
        match (wanted.next(), have.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || (number(a).is_some() && number(a) == number(b)) => {}
            _ => return false,
        }
    }
}

/// A number as the kernel reads one: `0x` and `0` begin other bases (lib/kstrtox.c).
fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let parsed = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(hex), _) => i128::from_str_radix(hex, 16),
        (_, Some(octal)) if !octal.is_empty() => i128::from_str_radix(octal, 8),
        _ => lower.parse(),
    };
    parsed.ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit())).map(|n| sign * n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_by_sysctl() {
        for (text, path) in [
            ("net.core.somaxconn", "core/somaxconn"),
            ("net/core/somaxconn", "core/somaxconn"),
            ("/net/core/somaxconn", "core/somaxconn"),
            ("net.ipv4.conf.IFNAME.arp_filter", "ipv4/conf/eth0.5/arp_filter"),
            ("net.ipv4.conf.eth0/100.arp_filter", "ipv4/conf/eth0.100/arp_filter"),
            ("net/ipv4/conf/eth0.100/arp_filter", "ipv4/conf/eth0.100/arp_filter"),
            ("net.ipv4.neigh.IFNAME.IFNAME", "ipv4/neigh/eth0.5/IFNAME"),
        ] {
            let key = Key::parse(text).unwrap();
            assert_eq!(key.path("eth0.5"), path);
            assert_eq!(Key::parse(&key.dotted()).unwrap(), key, "{text}");
        }
        for text in [
            "",
            "net",
            "net.",
            "kernel.hostname",
            "kernel/hostname",
            "netx.core",
            "net..core",
            "net/../kernel/hostname",
            "net.ipv4./.x",
            "net.ipv4.//.x",
            "net/./core",
            "net/core/",
            "../net/core/somaxconn",
            "net/core/some\nthing",
            "sys/net/core/somaxconn",
        ] {
            assert!(Key::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn values_are_the_same_however_they_are_written() {
        for (wanted, have) in
            [("1", "1"), ("4096 87380  6291456", "4096\t87380\t6291456"), ("0x10", "16")]
        {
            assert!(reads_as(wanted, have));
        }
        for (wanted, have) in [("1", "0"), ("1 2", "1"), ("010", "10"), ("a", "b"), ("-", "0")] {
            assert!(!reads_as(wanted, have), "{wanted} {have}");
        }
    }
}
