//! What the node's operator lets configurations set.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use cni::{Code, Error};
use kernel::regular;
use regex_lite::Regex;

use super::key::Wanted;

/// A list of expressions, one a line; without a file everything is allowed.
#[derive(Debug)]
pub struct Allowlist(Option<Vec<Regex>>);

impl Allowlist {
    /// Reads the file. Lines that begin with `#` are remarks. Code 7 for a line that is no expression.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let mut text = String::new();
        let read = regular::open(File::options().read(true), path)
            .and_then(|mut file| file.read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self(None)),
            Err(e) => {
                return Err(Error::new(Code::IO, format!("read the allowlist {shown}: {e}")));
            }
        }
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let expressions = lines.map(|(at, line)| {
            // The whole name, not any part of it: `net.core.x` must not allow `net.core.xy`.
            Regex::new(&format!("^(?:{line})$")).map_err(|e| {
                let msg = format!("the allowlist {shown}, line {} {line:?}: {e}", at + 1);
                Error::new(Code::CONFIG, msg).details("each line is a regular expression")
            })
        });
        expressions.collect::<Result<_, _>>().map(|list| Self(Some(list)))
    }

    /// Code 7 for a sysctl that no expression matches as a whole, as it is written or dotted.
    pub fn permit(&self, sysctls: &[Wanted]) -> Result<(), Error> {
        let Some(list) = &self.0 else { return Ok(()) };
        for wanted in sysctls {
            let dotted = wanted.key.dotted();
            let matches = |e: &Regex| e.is_match(&wanted.text) || e.is_match(&dotted);
            if !list.iter().any(matches) {
                let name = format_args!("{:?}", wanted.text).to_string();
                return Err(Error::config("sysctl", name, "the node does not allow it")
                    .details(format!("{} lists what it allows", super::ALLOWLIST)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Allowlist, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Allowlist::read(file.path())
    }

    fn permits(list: &Allowlist, text: &str) -> bool {
        list.permit(&[Wanted::parse("sysctl", text, "1").unwrap()]).is_ok()
    }

    #[test]
    fn the_whole_name_must_match() {
        let some = list("# remark\n\n  ^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$\r\nnet.core.(a|b)\n");
        let some = some.unwrap();
        for text in ["net.ipv4.conf.IFNAME.arp_filter", "net/core/a", "net.core.b"] {
            assert!(permits(&some, text), "{text}");
        }
        for text in
            ["net.core.ab", "net.core.a.b", "net.ipv4.conf.IFNAME.x1", "net.ipv4.ip_forward"]
        {
            assert!(!permits(&some, text), "{text}");
        }
        assert!(!permits(&list("").unwrap(), "net.core.a"), "an empty list allows nothing");
        let none = Allowlist::read(Path::new("/nowhere/allowlist.conf")).unwrap();
        assert!(permits(&none, "net.core.a"));
    }

    #[test]
    fn a_line_that_is_no_expression_is_named() {
        let error = list("net.core.a\nnet.(\n").unwrap_err();
        assert_eq!(error.code, Code::CONFIG);
        assert!(error.msg.contains("line 2") && error.msg.contains("net.("), "{error}");
    }
}
