//! `resolvConf`: a file as resolv.conf(5) describes it, as the result's `dns`.

use std::fs;
use std::path::Path;

use cni::{Code, Dns, Error};

/// Reads the file at `path`. Code 5.
pub fn read(path: &Path) -> Result<Dns, Error> {
    let bytes = fs::read(path).map_err(|error| {
        Error::new(
            Code::IO,
            format!("ipam.resolvConf {:?}: reading it: {error}", path.display().to_string()),
        )
        .details("name a file in the form of resolv.conf(5), or leave the key out")
    })?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Unlike the resolver, which lets the last `search` line count, the reference collects them all.
fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let Some(key) = words.next() else { continue };
        match key.as_str() {
            "nameserver" => dns.nameservers.extend(words.next()),
            "domain" => dns.domain = words.next().unwrap_or(dns.domain),
            "search" => dns.search.extend(words),
            "options" => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_read_and_the_rest_passed_over() {
        let dns = parse(
            "# a comment\n; another\nnameserver 192.0.2.1\n\tnameserver  2001:db8::1 # tail\n\
             domain example.org\nsearch a.example b.example\nsearch c.example\n\
             options ndots:5 edns0\nsortlist 10.0.0.0\nnameserver\n\n",
        );
        assert_eq!(dns.nameservers, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(dns.domain, "example.org");
        assert_eq!(dns.search, ["a.example", "b.example", "c.example"]);
        assert_eq!(dns.options, ["ndots:5", "edns0"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/resolv.conf")).unwrap_err();
        assert_eq!(error.code, Code::IO);
        assert!(error.msg.contains("ipam.resolvConf") && error.msg.contains("/nonexistent"));
    }
}
