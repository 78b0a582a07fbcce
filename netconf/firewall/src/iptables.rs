//! The iptables executables, for those who ask for them and for tables that only they can change.
//! Nothing here runs unless rules are to be made by iptables or iptables-legacy has some.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use kernel::{Error, Result, fault};

/// Where administrators' tools lie, for runtimes that pass no useful PATH.
const PATHS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How long to wait for others who change rules, in seconds.
const WAIT: [&str; 2] = ["-w", "10"];

/// `iptables` or `ip6tables`.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
}

impl Tool {
    /// The tool that the administrator set up for a family; ENOENT when there is none.
    pub(crate) fn find(v6: bool) -> Result<Self> {
        let name = if v6 { "ip6tables" } else { "iptables" };
        Self::named(&[name]).ok_or_else(|| {
            let missing = io::Error::from_raw_os_error(libc::ENOENT);
            Error::new("look for the program", name, missing)
        })
    }

    /// The tool that changes the tables of iptables-legacy, if the calling thread's namespace has
    /// the table of this name among them, and there is the tool.
    pub(crate) fn legacy(v6: bool, table: &str) -> Option<Self> {
        let (tables, names) = if v6 {
            ("/proc/thread-self/net/ip6_tables_names", ["ip6tables-legacy", "ip6tables"])
        } else {
            ("/proc/thread-self/net/ip_tables_names", ["iptables-legacy", "iptables"])
        };
        let in_use = std::fs::read_to_string(tables).unwrap_or_default();
        in_use.lines().any(|line| line == table).then(|| Self::named(&names)).flatten()
    }

    fn named(names: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories: Vec<PathBuf> =
            std::env::split_paths(&path).chain(PATHS.map(PathBuf::from)).collect();
        let file = |name: &&str| {
            directories.iter().map(|directory| directory.join(name)).find(|file| file.is_file())
        };
        names.iter().find_map(file).map(|program| Self { program })
    }

    /// All chains and rules of a table, as arguments that would make them: `iptables -t TABLE -S`.
    pub(crate) fn list(&self, table: &str) -> Result<String> {
        let failed = |e| Error::new("list the iptables table", table, e);
        fault::point("iptables -S").map_err(failed)?;
        let output = Command::new(&self.program)
            .args(WAIT)
            .args(["-t", table, "-S"])
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        self.succeeded(&output).map_err(failed)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// True when a chain has a rule of these words: `iptables -t TABLE -C CHAIN ...`.
    pub(crate) fn has_rule(&self, table: &str, chain: &str, words: &[String]) -> Result<bool> {
        let failed = |e| Error::new("look for an iptables rule of the chain", chain, e);
        fault::point("iptables -C").map_err(failed)?;
        let output = Command::new(&self.program)
            .args(WAIT)
            .args(["-t", table, "-C", chain])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        match output.status.code() {
            Some(1) => Ok(false),
            _ => self.succeeded(&output).map(|()| true).map_err(failed),
        }
    }

    /// Changes a table, all or nothing: `iptables-restore --noflush` with these lines, each of
    /// them a command of iptables (`-N CHAIN`, `-A CHAIN ...`) for this table.
    pub(crate) fn restore(&self, table: &str, lines: &[String]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let failed = |e| Error::new("change the iptables table", table, e);
        let text = format!("*{table}\n{}\nCOMMIT\n", lines.join("\n"));
        let mut program = OsString::from(&self.program);
        program.push("-restore");
        fault::point("iptables-restore").map_err(failed)?;
        let mut child = Command::new(program)
            .args(WAIT)
            .arg("--noflush")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut written = Ok(());
        if let Some(mut stdin) = child.stdin.take() {
            written = stdin.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        // What it says counts more than that it did not read on.
        self.succeeded(&output).and(written).map_err(failed)
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

/// True when a listed rule ends with a jump to `chain`.
pub(crate) fn jumps_to(rule: &str, chain: &str) -> bool {
    let target = format!(" -j {chain}");
    rule.ends_with(&target) || rule.contains(&format!("{target} "))
}

/// The chains that were made, among listed lines.
pub(crate) fn has_chain(listed: &str, chain: &str) -> bool {
    listed.lines().any(|line| line.strip_prefix("-N ") == Some(chain))
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
        assert!(jumps_to("-A X -s 10.0.0.1/32 -j CNI-a", "CNI-a"));
        assert!(jumps_to("-A X -j CNI-a -m comment", "CNI-a"));
        assert!(!jumps_to("-A X -j CNI-ab", "CNI-a"));
    }
}
