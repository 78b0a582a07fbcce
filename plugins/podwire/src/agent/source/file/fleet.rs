//! One description of all nodes, as one of them sees it.

use std::sync::Arc;

use cni::{Code, Error, Json};
use peers::Fleet;

use super::super::Snapshot;

/// The peer file of `node`: its own entry is the local one. `what` names the fleet in errors. Code 6 or
/// 7 where it makes no peer file.
pub fn seen_from(text: &[u8], node: &str, what: &str) -> Result<Snapshot, Error> {
    let mut tree = Json::parse(text, what)?;
    let bad = |msg: String| Error::new(Code::CONFIG, format!("{what}: {msg}"));
    if !matches!(tree, Json::Object(_)) {
        return Err(bad("must be an object".to_owned()));
    }
    if tree.get("local").is_some() {
        let why = "local: a fleet has none, each node finds itself among peers by its name";
        return Err(bad(why.to_owned()).details("leave --from out to follow a peer file"));
    }
    let mut peers = match tree.get("peers") {
        Some(Json::Array(peers)) => peers.clone(),
        Some(_) => return Err(bad("peers must be a list of nodes".to_owned())),
        None => Vec::new(),
    };
    let is_local = |peer: &mut Json| peer.get("name").and_then(Json::as_str) == Some(node);
    let mut own: Vec<Json> = peers.extract_if(.., is_local).collect();
    match (own.pop(), own.is_empty()) {
        (Some(own), true) => tree.set("local", own),
        (None, _) => {
            let count = peers.len();
            return Err(bad(format!("none of the {count} nodes in it is this one, {node:?}"))
                .details("add the node's entry, or give --node the name that it has there"));
        }
        (Some(_), false) => {
            return Err(bad(format!("several nodes in it have this one's name, {node:?}")));
        }
    }
    tree.set("peers", Json::Array(peers));
    let fleet = Arc::new(Fleet::read(&tree, what)?);
    Ok(Snapshot { text: tree.to_string().into_bytes(), fleet, faults: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = r#"{"version": 1, "clusterCIDRs": ["10.1.0.0/16"], "peers": [
        {"name": "a", "podCIDRs": ["10.1.1.0/24"], "nodeIPs": ["192.0.2.1"]},
        {"name": "b", "podCIDRs": ["10.1.2.0/24"], "nodeIPs": ["192.0.2.2"]}]}"#;

    #[test]
    fn each_node_finds_itself() {
        for (node, other) in [("a", "b"), ("b", "a")] {
            let snapshot = seen_from(FLEET.as_bytes(), node, "fleet").unwrap();
            let fleet = Fleet::parse(&snapshot.text, "fleet").unwrap();
            assert_eq!(*snapshot.fleet, fleet);
            assert_eq!(fleet.local.name, node);
            assert_eq!(fleet.peers.len(), 1);
            assert_eq!(fleet.peers[0].name, other);
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
            let error = seen_from(text.as_bytes(), "a", "fleet").unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
        // One that is half written.
        for length in 0..FLEET.len() {
            assert!(seen_from(&FLEET.as_bytes()[..length], "a", "fleet").is_err());
        }
    }
}
