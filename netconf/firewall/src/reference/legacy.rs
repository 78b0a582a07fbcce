//! The reference plugins' masquerade by iptables-legacy, whose tables only iptables can change.
//! This is the one place where something is executed, on DEL, and only while the kernel says that
//! the legacy table nat is in use.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kernel::{Error, Result, fault};

/// Where administrators' tools lie, for runtimes that pass no useful PATH.
const PATHS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

struct Family {
    /// Lists the legacy tables in use, for the calling thread's namespace.
    tables: &'static str,
    /// The tool, by the names that it has been given.
    tools: [&'static str; 2],
    v6: bool,
}

const FAMILIES: [Family; 2] = [
    Family {
        tables: "/proc/thread-self/net/ip_tables_names",
        tools: ["iptables-legacy", "iptables"],
        v6: false,
    },
    Family {
        tables: "/proc/thread-self/net/ip6_tables_names",
        tools: ["ip6tables-legacy", "ip6tables"],
        v6: true,
    },
];

/// Removes `chain` and the jumps to it.
pub(super) fn del(chain: &str, addresses: &[IpAddr]) -> Result<()> {
    let mut done = Ok(());
    for family in &FAMILIES {
        let in_use = std::fs::read_to_string(family.tables).unwrap_or_default();
        if in_use.lines().any(|table| table == "nat") {
            let failed = |e| Error::new("remove the iptables-legacy chain", chain, e);
            done = done.and(del_of(family, chain, addresses).map_err(failed));
        }
    }
    done
}

fn del_of(family: &Family, chain: &str, addresses: &[IpAddr]) -> io::Result<()> {
    let Some(tool) = family.tools.iter().find_map(|name| find(name)) else { return Ok(()) };
    fault::point("iptables -S")?;
    let listed = Command::new(&tool).args(["-w", "10", "-t", "nat", "-S"]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let Some(change) = change(&listed, chain, family.v6, addresses) else { return Ok(()) };

    let mut restore = OsString::from(&tool);
    restore.push("-restore");
    fault::point("iptables-restore")?;
    let mut child = Command::new(restore)
        .args(["-w", "10", "--noflush"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(change.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{} says: {}", tool.display(), said.trim())))
}

/// What to tell iptables-restore, given what `iptables -S` tells; `None` when the chain is not
/// there. The jumps for the known addresses go, all where none is known; the chain goes with the
/// last.
fn change(listed: &str, chain: &str, v6: bool, addresses: &[IpAddr]) -> Option<String> {
    listed.lines().find(|line| line.strip_prefix("-N ") == Some(chain))?;
    let target = format!(" -j {chain}");
    let jumps: Vec<&str> = listed
        .lines()
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
    let mut change = String::from("*nat\n");
    for rule in its {
        change.extend(["-D POSTROUTING ", rule, "\n"]);
    }
    if others.is_empty() {
        change.extend(["-F ", chain, "\n-X ", chain, "\n"]);
    }
    change.push_str("COMMIT\n");
    Some(change)
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(PATHS.map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|file| file.is_file())
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
        let change = change(LISTED, "CNI-a", false, &["10.1.0.3".parse().unwrap()]).unwrap();
        assert!(change.contains("-D POSTROUTING -s 10.1.0.3/32"), "{change}");
        assert!(!change.contains("10.1.0.2") && !change.contains("-X"), "{change}");
    }

    #[test]
    fn without_known_addresses_all_jumps_and_the_chain_go() {
        for addresses in [&[][..], &["10.1.0.9".parse().unwrap()]] {
            let change = change(LISTED, "CNI-a", false, addresses).unwrap();
            assert_eq!(change.matches("-D POSTROUTING").count(), 2, "{change}");
            assert!(change.contains("-F CNI-a\n-X CNI-a\nCOMMIT\n"), "{change}");
        }
        assert_eq!(change(LISTED, "CNI-b", false, &[]), None);
    }
}
