//! The tools `iptables` and `ip6tables`, executed: for those who ask for them, and for
//! iptables-legacy, whose tables nothing else can change. What is kept in nf_tables, by
//! iptables-nft too, is read and changed over netlink instead.
//!
//! One execution lists a table, one changes it: all of a change takes effect or nothing of it.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use kernel::fault;

/// Where administrators' tools lie, for runtimes that pass no useful PATH.
const PATHS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How many seconds a tool waits for the lock of iptables-legacy.
const PATIENCE: &str = "10";

/// One of the tools, acting in the network namespace of the calling thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iptables {
    tool: PathBuf,
}

impl Iptables {
    /// The node's `iptables`, or `ip6tables` with `v6`, whichever kind it is; `None` when it has
    /// none.
    pub fn find(v6: bool) -> Option<Self> {
        Self::first(if v6 { &["ip6tables"] } else { &["iptables"] })
    }

    /// The tool for the tables of iptables-legacy.
    pub fn legacy(v6: bool) -> Option<Self> {
        Self::first(if v6 {
            &["ip6tables-legacy", "ip6tables"]
        } else {
            &["iptables-legacy", "iptables"]
        })
    }

    fn first(names: &[&str]) -> Option<Self> {
        let tool = names.iter().find_map(|name| search(name))?;
        Some(Self { tool })
    }

    /// The rules of a table, as `iptables -S` prints them: `-P FORWARD ACCEPT`, `-N CHAIN`,
    /// `-A CHAIN RULE`.
    pub fn list(&self, table: &str) -> io::Result<Vec<String>> {
        fault::point("iptables -S")?;
        let mut command = Command::new(&self.tool);
        command.args(["-w", PATIENCE, "-t", table, "-S"]);
        let output = self.done(command.stdin(Stdio::null()).output()?)?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// Carries out `lines` in a table, all or none: `-N CHAIN`, `-A CHAIN RULE`,
    /// `-I CHAIN 1 RULE`, `-D CHAIN RULE`, `-F CHAIN`, `-X CHAIN`. `:CHAIN - [0:0]` makes a chain,
    /// and empties one that is there. Nothing is executed for no lines.
    pub fn change(&self, table: &str, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut restore = OsString::from(&self.tool);
        restore.push("-restore");
        fault::point("iptables-restore")?;
        let mut child = Command::new(restore)
            .args(["-w", PATIENCE, "--noflush"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let text = format!("*{table}\n{}\nCOMMIT\n", lines.join("\n"));
        // A tool that gives up early says why; that it did not read on is no news.
        let written = child.stdin.take().map_or(Ok(()), |mut to| to.write_all(text.as_bytes()));
        self.done(child.wait_with_output()?)?;
        written
    }

    fn done(&self, output: Output) -> io::Result<Output> {
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().replace('\n', " ");
        Err(io::Error::other(format!("{} says: {said}", self.tool.display())))
    }
}

/// True when a table of iptables-legacy is in use in the calling thread's namespace
/// (`/proc/net/ip_tables_names`).
pub fn is_legacy_in_use(v6: bool, table: &str) -> bool {
    let names = if v6 { "ip6_tables_names" } else { "ip_tables_names" };
    let in_use = std::fs::read_to_string(format!("/proc/thread-self/net/{names}"));
    in_use.unwrap_or_default().lines().any(|name| name == table)
}

/// The comment (`-m comment`) of a rule that `iptables -S` printed.
pub fn comment_of(rule: &str) -> Option<String> {
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

fn search(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(PATHS.map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

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
