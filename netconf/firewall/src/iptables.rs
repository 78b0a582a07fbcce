//! The tools `iptables` and `ip6tables`, executed: for those who ask for them, and for
//! iptables-legacy, whose tables nothing else can change. What is kept in nf_tables, by
//! iptables-nft too, is read and changed over netlink instead.
//!
//! One execution lists a table, one changes it: all of a change takes effect or nothing of it.

mod listing;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kernel::{Error, Netns, Result, fault};

pub(crate) use listing::{Listing, comment_of, quoted, target};

/// Where administrators' tools lie, for runtimes that pass no useful PATH.
const PATHS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How many seconds a tool waits for others who change rules.
const WAIT: [&str; 2] = ["-w", "10"];

/// How long another plugin may be at the rules.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a change is tried again because another process changed the table meanwhile.
const ATTEMPTS: usize = 30;
/// How often the same change is tried before it is taken for one that is wrong.
const REFUSALS: usize = 6;

/// One of the tools, acting in the network namespace of the calling thread.
#[derive(Clone, Debug)]
pub(crate) struct Iptables {
    program: PathBuf,
}

impl Iptables {
    /// The node's tool for a family, whichever kind it is; ENOENT when there is none.
    pub(crate) fn find(v6: bool) -> Result<Self> {
        Self::first(&[name(v6)]).ok_or_else(|| missing(v6))
    }

    /// The tool that changes the tables of iptables-legacy, if the table is in use and there is
    /// the tool.
    pub(crate) fn legacy(v6: bool, table: &str) -> Option<Self> {
        let names = if v6 { ["ip6tables-legacy", name(v6)] } else { ["iptables-legacy", name(v6)] };
        is_legacy_in_use(v6, table).then(|| Self::first(&names)).flatten()
    }

    fn first(names: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories: Vec<PathBuf> =
            std::env::split_paths(&path).chain(PATHS.map(PathBuf::from)).collect();
        let file = |name: &&str| {
            directories.iter().map(|directory| directory.join(name)).find(|file| file.is_file())
        };
        names.iter().find_map(file).map(|program| Self { program })
    }

    /// All chains and rules of a table: `iptables -t TABLE -S`.
    pub(crate) fn list(&self, table: &str) -> Result<Listing> {
        fault::point("iptables -S")
            .and_then(|()| self.command(table).arg("-S").output())
            .and_then(|output| self.succeeded(&output).map(|()| output))
            .map(|output| Listing::new(&String::from_utf8_lossy(&output.stdout)))
            .map_err(|e| Error::new("list the iptables table", table, e))
    }

    /// True when a chain has a rule of these words: `iptables -t TABLE -C CHAIN ...`.
    pub(crate) fn has_rule(&self, table: &str, chain: &str, words: &[String]) -> Result<bool> {
        fault::point("iptables -C")
            .and_then(|()| self.command(table).args(["-C", chain]).args(words).output())
            .and_then(|output| match output.status.code() {
                Some(1) => Ok(false),
                _ => self.succeeded(&output).map(|()| true),
            })
            .map_err(|e| Error::new("look for an iptables rule of the chain", chain, e))
    }

    fn command(&self, table: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(WAIT).args(["-t", table]).stdin(Stdio::null());
        command
    }

    /// Carries out `lines` in a table, all or none: `-N CHAIN`, `-A CHAIN RULE`,
    /// `-I CHAIN 1 RULE`, `-D CHAIN RULE`, `-F CHAIN`, `-X CHAIN`. `:CHAIN - [0:0]` makes a chain,
    /// and empties one that is there. Nothing is executed for no lines.
    fn change(&self, table: &str, lines: &[String]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.restore(&format!("*{table}\n{}\nCOMMIT\n", lines.join("\n")))
            .map_err(|e| Error::new("change the iptables table", table, e))
    }

    /// Carries out what `lines` tells for what is listed. Between the two executions the node's
    /// namespace is locked, because the tool takes no offence at a rule that another plugin has made
    /// since. Others know nothing of our lock: when the tool refuses a change, it is tried again with
    /// what is listed then.
    pub(crate) fn adapt(&self, table: &str, lines: impl Fn(&Listing) -> Vec<String>) -> Result<()> {
        let node = Netns::own()?;
        node.lock(PATIENCE)?;
        let (mut last, mut refused) = (Vec::new(), 0_usize);
        for _ in 0..ATTEMPTS {
            let change = lines(&self.list(table)?);
            let Err(error) = self.change(table, &change) else { return Ok(()) };
            refused = if change == last { refused.saturating_add(1) } else { 1 };
            if refused >= REFUSALS {
                return Err(error);
            }
            last = change;
        }
        Err(crate::remove::keeps_changing("change the iptables table", table))
    }

    fn restore(&self, text: &str) -> io::Result<()> {
        let mut program = OsString::from(&self.program);
        program.push("-restore");
        fault::point("iptables-restore")?;
        let mut child = Command::new(program)
            .args(WAIT)
            .arg("--noflush")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let written = child.stdin.take().map_or(Ok(()), |mut to| to.write_all(text.as_bytes()));
        // A tool that gives up early says why; that it did not read on is no news.
        self.succeeded(&child.wait_with_output()?).and(written)
    }

    fn succeeded(&self, output: &Output) -> io::Result<()> {
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().collect::<Vec<_>>().join(" ");
        Err(io::Error::other(format!("{} says: {said}", self.program.display())))
    }
}

/// What the tool of a family is called.
pub(crate) fn name(v6: bool) -> &'static str {
    if v6 { "ip6tables" } else { "iptables" }
}

/// There is no tool for a family.
pub(crate) fn missing(v6: bool) -> Error {
    Error::new("find the tool", name(v6), io::Error::from_raw_os_error(libc::ENOENT))
}

/// True when a table of iptables-legacy is in use in the calling thread's namespace
/// (`/proc/net/ip_tables_names`).
pub(crate) fn is_legacy_in_use(v6: bool, table: &str) -> bool {
    let names = if v6 { "ip6_tables_names" } else { "ip_tables_names" };
    let in_use = std::fs::read_to_string(format!("/proc/thread-self/net/{names}"));
    in_use.unwrap_or_default().lines().any(|name| name == table)
}
