//! One description of all nodes, as one of them sees it.

use std::borrow::Cow;
use std::mem;

use cni::{Code, Error, Json};

use super::entry::Entry;
use super::{Fleet, Item, exact};

impl Fleet {
    /// The fleet as `node` sees it, of a description that is the same for every node: its own entry is
    /// the local one. With it comes what a peer file says for it. `what` names the description in
    /// errors. Code 6 or 7 where it makes no peer file.
    pub fn seen_from(text: &[u8], node: &str, what: &str) -> Result<(Self, Vec<u8>), Error> {
        let text = String::from_utf8_lossy(text);
        match plainly(&text, node, what) {
            Some(seen) => Ok(seen),
            // Or why not.
            None => by_tree(&Json::parse(text.as_bytes(), what)?, node, what),
        }
    }
}

/// Nothing but `local` is added to the text: a peer file may have its own node among the peers.
fn plainly(text: &str, node: &str, what: &str) -> Option<(Fleet, Vec<u8>)> {
    let exact::Exact { mut described, texts } = exact::read(text)?;
    if described.local.is_some() {
        return None;
    }
    let mut own = (0..).zip(&described.peers).filter(|(_, peer)| peer.name() == node);
    let (Some((index, _)), None) = (own.next(), own.next()) else { return None };
    // In its place stands what is passed over, so that the others keep theirs.
    let passed_over = Item::Read(Entry { name: node.to_owned(), ..Entry::default() });
    let Item::Read(entry) = mem::replace(described.peers.get_mut(index)?, passed_over) else {
        return None;
    };
    described.local = Some(entry);
    let rest = text.trim_start().strip_prefix('{')?;
    let file = format!("{{\"local\": {},{rest}", texts.get(index)?);
    Some((Fleet::checked(described, what).ok()?, file.into_bytes()))
}

fn by_tree(tree: &Json, node: &str, what: &str) -> Result<(Fleet, Vec<u8>), Error> {
    let bad = |msg: String| Error::new(Code::CONFIG, format!("{what}: {msg}"));
    if !matches!(tree, Json::Object(_)) {
        return Err(bad("must be an object".to_owned()));
    }
    if tree.get("local").is_some() {
        let why = "local: a fleet has none, each node finds itself among peers by its name";
        return Err(bad(why.to_owned()).details("leave --from out to follow a peer file"));
    }
    let peers = match tree.get("peers") {
        Some(Json::Array(peers)) => peers.as_slice(),
        Some(_) => return Err(bad("peers must be a list of nodes".to_owned())),
        None => &[],
    };
    let mut own = peers.iter().filter(|peer| Item::Tree(Cow::Borrowed(peer)).name() == node);
    let own = match (own.next(), own.next()) {
        (Some(own), None) => own.clone(),
        (None, _) => {
            let count = peers.len();
            return Err(bad(format!("none of the {count} nodes in it is this one, {node:?}"))
                .details("add the node's entry, or give --node the name that it has there"));
        }
        (Some(_), Some(_)) => {
            return Err(bad(format!("several nodes in it have this one's name, {node:?}")));
        }
    };
    let mut file = tree.clone();
    file.set("local", own);
    Ok((Fleet::read(&file, what)?, file.to_string().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = r#"{"version": 1, "clusterCIDRs": ["10.1.0.0/16"], "peers": [
        {"name": "a", "podCIDRs": ["10.1.1.0/24"], "nodeIPs": ["192.0.2.1"]},
        {"name": "b", "podCIDRs": ["10.1.2.0/24"], "nodeIPs": ["192.0.2.2"]}]}"#;

    fn seen_from(text: &str, node: &str) -> Result<Fleet, Error> {
        let (fleet, file) = Fleet::seen_from(text.as_bytes(), node, "fleet")?;
        assert_eq!(fleet, Fleet::parse(&file, "the file").unwrap());
        Ok(fleet)
    }

    #[test]
    fn each_node_finds_itself_however_it_is_written() {
        let with = |old: &str, new: &str| FLEET.replace(old, new);
        for text in [
            FLEET.to_owned(),
            format!("\n {FLEET}"),
            with("\"name\"", "\"Name\""),
            with("\"peers\"", "\"local\": null, \"Peers\""),
            with("{\"name\": \"b\"", "{\"rack\": 3, \"name\": \"b\""),
            with("\"version\"", "\"comment\": \"of ours\", \"version\""),
        ] {
            for (node, other) in [("a", "b"), ("b", "a")] {
                let fleet = seen_from(&text, node).unwrap();
                assert_eq!(fleet.local.name, node);
                assert_eq!(fleet.peers.len(), 1);
                assert_eq!(fleet.peers[0].name, other);
            }
        }
    }

    #[test]
    fn what_makes_no_fleet_is_named() {
        let with = |old: &str, new: &str| FLEET.replace(old, new);
        for (text, says) in [
            (with("\"a\"", "\"c\""), "this one, \"a\""),
            (with("\"b\"", "\"a\""), "several nodes"),
            (with("\"peers\"", "\"local\": {}, \"peers\""), "local"),
            (with("10.1.1.0/24", "10.2.1.0/24"), "10.2.1.0/24"),
            (with("\"version\": 1", "\"version\": 2"), "version 2"),
            (with("\"peers\"", "\"piers\""), "none of the 0 nodes"),
            (r#"{"peers": 3}"#.to_owned(), "peers"),
            ("[]".to_owned(), "object"),
            ("garbage".to_owned(), "not JSON"),
            (String::new(), "not JSON"),
        ] {
            let error = seen_from(&text, "a").unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
        // One that is half written.
        for length in 0..FLEET.len() {
            assert!(Fleet::seen_from(&FLEET.as_bytes()[..length], "a", "fleet").is_err());
        }
    }
}
