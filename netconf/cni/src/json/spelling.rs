//! Keys that nobody asked for but that look like ones somebody did. Unknown keys pass, since other
//! programs may know them; one that is a slip of the pen away from a key of ours earns a warning.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::fold;

/// Keys that the protocol itself gives a meaning, whichever plugin reads the object.
const PROTOCOL: &[&str] = &[
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "args",
    "ipam",
    "dns",
    "capabilities",
    "runtimeConfig",
    "prevResult",
];

/// A way through the tree, kept on the stack of the decoding.
#[derive(Clone, Copy)]
pub(super) enum Way<'w> {
    Root,
    Key(&'w Way<'w>, &'w str),
    Index(&'w Way<'w>, usize),
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Way::Root, key) => f.write_str(key),
            Self::Key(above, key) => write!(f, "{above}.{key}"),
            Self::Index(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

impl Way<'_> {
    /// The steps from the root, keys without their letter case.
    fn steps(&self) -> Vec<String> {
        match self {
            Self::Root => Vec::new(),
            Self::Key(above, key) => with_step(above.steps(), fold::folded(key).collect()),
            Self::Index(above, index) => with_step(above.steps(), format!("[{index}]")),
        }
    }
}

fn with_step(mut steps: Vec<String>, step: String) -> Vec<String> {
    steps.push(step);
    steps
}

/// What was met in a configuration and in those derived from it. Several structs decode it in
/// parts: a key is unknown only if none of them knows it, so warnings are ready when all have had
/// their turn. Keys are told by their way from the root, which is the same in a derived tree.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    /// `None` when some struct knows the key.
    met: Mutex<BTreeMap<Vec<String>, Option<String>>>,
}

impl Spelling {
    /// Some struct knows the `key` of the object at `way`.
    pub(super) fn known(&self, key: &str, way: Way<'_>) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.insert(Way::Key(&way, key).steps(), None);
    }

    /// A struct with these `fields` does not know it.
    pub(super) fn unknown(&self, key: &str, way: Way<'_>, fields: &[&str]) {
        if PROTOCOL.iter().any(|known| fold::same(known, key)) {
            return;
        }
        let Some(likely) = likely(key, fields) else { return };
        let path = Way::Key(&way, key);
        let warning = format!("{path} is not known; is {likely} meant?");
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.entry(path.steps()).or_insert(Some(warning));
    }

    /// The warnings, one line each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let mut warnings: Vec<_> = met.values().flatten().cloned().collect();
        warnings.sort();
        warnings
    }
}

/// The one of the `known` keys that `key` is a slip of the pen away from.
pub fn likely<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|field| (distance(field, key), *field));
    let near = near.filter(|(distance, field)| *distance <= slips(field.len().min(key.len())));
    near.min().map(|(_, field)| field)
}

/// How many slips still make two keys of that length alike: `mtu` and `mac` are two apart, too.
fn slips(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// Insertions, deletions, replacements and swaps of neighbours between two keys, without regard to
/// case (the restricted form of Damerau's distance). More than 64 characters are far from anything.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (fold::folded(a).collect(), fold::folded(b).collect());
    if a.len().abs_diff(b.len()) > 2 || a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut previous_b = None;
        for (j, &to) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut least = (at(&above, j) + usize::from(from != to))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            if j > 0 && previous_a == Some(to) && previous_b == Some(from) {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
            previous_b = Some(to);
        }
        before = std::mem::replace(&mut above, row);
        previous_a = Some(from);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_slips_of_the_pen() {
        for (a, b, slips) in [
            ("subnet", "Subnet", 0),
            ("subnet", "subent", 1),
            ("subnet", "subnett", 1),
            ("subnet", "sbnet", 1),
            ("isGateway", "isgatway", 1),
            ("mtu", "mac", 2),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
            ("ab", "ba", 1),
        ] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
            assert_eq!(distance(b, a), slips, "{b} {a}");
        }
        assert_eq!(distance("a", "abcd"), usize::MAX);
    }
}
