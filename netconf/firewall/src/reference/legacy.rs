//! The reference plugins' masquerade by iptables-legacy, whose tables only iptables can change.
//! That is executed on DEL, and only while the kernel says that the legacy table nat is in use.

use std::io;
use std::net::IpAddr;

use kernel::{Error, Result};

use crate::iptables::{self, Iptables};

/// Removes `chain` and the jumps to it.
pub(super) fn del(chain: &str, addresses: &[IpAddr]) -> Result<()> {
    let mut done = Ok(());
    for v6 in [false, true] {
        if iptables::is_legacy_in_use(v6, "nat") {
            let failed = |e| Error::new("remove the iptables-legacy chain", chain, e);
            done = done.and(del_of(v6, chain, addresses).map_err(failed));
        }
    }
    done
}

fn del_of(v6: bool, chain: &str, addresses: &[IpAddr]) -> io::Result<()> {
    let Some(tool) = Iptables::legacy(v6) else { return Ok(()) };
    let listed = tool.list("nat")?;
    tool.change("nat", &change(&listed, chain, v6, addresses))
}

/// What to tell iptables-restore, given what `iptables -S` tells: nothing when the chain is not
/// there. The jumps for the known addresses go, all where none is known; the chain goes with the
/// last.
fn change(listed: &[String], chain: &str, v6: bool, addresses: &[IpAddr]) -> Vec<String> {
    if !listed.iter().any(|line| line.strip_prefix("-N ") == Some(chain)) {
        return Vec::new();
    }
    let target = format!(" -j {chain}");
    let jumps: Vec<&str> = listed
        .iter()
        .filter_map(|line| line.strip_prefix("-A POSTROUTING "))
        .filter(|rule| rule.ends_with(&target) || rule.contains(&format!("{target} ")))
        .collect();
    let prefix = if v6 { 128 } else { 32 };
    let source = |a: &IpAddr| format!("-s {a}/{prefix} ");
    let (its, others): (Vec<&str>, Vec<&str>) = jumps
        .iter()
        .copied()
        .partition(|rule| addresses.iter().any(|a| rule.starts_with(&source(a))));
    let (its, others) = if its.is_empty() { (others, its) } else { (its, others) };
    let mut change: Vec<_> = its.into_iter().map(|rule| format!("-D POSTROUTING {rule}")).collect();
    if others.is_empty() {
        change.extend([format!("-F {chain}"), format!("-X {chain}")]);
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "-P POSTROUTING ACCEPT
-N CNI-a
-N CNI-ab
-A POSTROUTING -s 10.1.0.2/32 -m comment --comment \"name: \\\"n\\\" id: \\\"c\\\"\" -j CNI-a
-A POSTROUTING -s 10.1.0.3/32 -m comment --comment \"name: \\\"n\\\" id: \\\"c\\\"\" -j CNI-a
-A POSTROUTING -s 10.1.0.4/32 -j CNI-ab
-A CNI-a -d 10.1.0.0/16 -j ACCEPT
";

    fn listed() -> Vec<String> {
        LISTED.lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_interface_that_shares_its_chain_loses_its_own_jump_alone() {
        let change = change(&listed(), "CNI-a", false, &["10.1.0.3".parse().unwrap()]).join("\n");
        assert!(change.contains("-D POSTROUTING -s 10.1.0.3/32"), "{change}");
        assert!(!change.contains("10.1.0.2") && !change.contains("-X"), "{change}");
    }

    #[test]
    fn without_known_addresses_all_jumps_and_the_chain_go() {
        for addresses in [&[][..], &["10.1.0.9".parse().unwrap()]] {
            let change = change(&listed(), "CNI-a", false, addresses).join("\n");
            assert_eq!(change.matches("-D POSTROUTING").count(), 2, "{change}");
            assert!(change.ends_with("-F CNI-a\n-X CNI-a"), "{change}");
        }
        assert!(change(&listed(), "CNI-b", false, &[]).is_empty());
    }
}
