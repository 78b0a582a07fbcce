//! The reference plugins' masquerade by iptables-legacy, whose tables only iptables can change:
//! executed on DEL, and only while the kernel says that the legacy table nat is in use.

use std::net::IpAddr;

use kernel::Result;

use crate::iptables::{Iptables, Listing};

/// Removes `chain` and the jumps to it.
pub(super) fn del(chain: &str, addresses: &[IpAddr]) -> Result<()> {
    let mut done = Ok(());
    for v6 in [false, true] {
        if let Some(tool) = Iptables::legacy(v6, "nat") {
            done = done.and(tool.adapt("nat", |listed| change(listed, chain, v6, addresses)));
        }
    }
    done
}

/// What to tell iptables-restore, given what `iptables -S` tells; nothing when the chain is not
/// there. The jumps for the known addresses go, all where none is known; the chain goes with the
/// last.
fn change(listed: &Listing, chain: &str, v6: bool, addresses: &[IpAddr]) -> Vec<String> {
    if !listed.has_chain(chain) {
        return Vec::new();
    }
    let prefix = if v6 { 128 } else { 32 };
    let source = |a: &IpAddr| format!("-s {a}/{prefix} ");
    let (its, others): (Vec<&str>, Vec<&str>) = listed
        .jumps("POSTROUTING", chain)
        .partition(|rule| addresses.iter().any(|a| rule.starts_with(&source(a))));
    let (its, others) = if its.is_empty() { (others, its) } else { (its, others) };
    let mut change: Vec<_> = its.iter().map(|rule| format!("-D POSTROUTING {rule}")).collect();
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

    #[test]
    fn an_interface_that_shares_its_chain_loses_its_own_jump_alone() {
        let change = change(&Listing::new(LISTED), "CNI-a", false, &["10.1.0.3".parse().unwrap()]);
        let change = change.join("\n");
        assert!(change.contains("-D POSTROUTING -s 10.1.0.3/32"), "{change}");
        assert!(!change.contains("10.1.0.2") && !change.contains("-X"), "{change}");
    }

    #[test]
    fn without_known_addresses_all_jumps_and_the_chain_go() {
        for addresses in [&[][..], &["10.1.0.9".parse().unwrap()]] {
            let change = change(&Listing::new(LISTED), "CNI-a", false, addresses).join("\n");
            assert_eq!(change.matches("-D POSTROUTING").count(), 2, "{change}");
            assert!(change.contains("-F CNI-a\n-X CNI-a"), "{change}");
        }
        assert!(change(&Listing::new(LISTED), "CNI-b", false, &[]).is_empty());
    }
}
