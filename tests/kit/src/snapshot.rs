//! What a node has, in a form that two moments can be compared in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::netns::FALLBACKS;
use crate::{Netns, Node, need};

/// Links, addresses, routes, rules, permanent neighbours, permanent FDB entries of tunnels, the nft ruleset
/// and files, each as sorted lines.
///
/// Left out is what changes by itself: link-local addresses and what the kernel derives from
/// addresses (table local), carrier states, dynamic neighbours, counters, handles, a bridge's
/// address as long as it follows its ports. Of files that are no leases only the names count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    sections: BTreeMap<&'static str, Vec<String>>,
}

impl Snapshot {
    /// The state of a namespace and of a directory.
    pub fn take(netns: &Netns, files: &Path) -> Self {
        let mut sections = BTreeMap::new();
        let links = netns.ip(&["-d", "addr"]);
        let links = links.as_array().expect("a list of links");
        let links: Vec<&Value> = links.iter().filter(|link| !idle_fallback(link)).collect();
        sections.insert("links", links.iter().copied().map(link).collect());
        sections.insert("addresses", links.iter().copied().flat_map(addresses).collect());
        let routes = ["-4", "-6"].into_iter().flat_map(|family| netns.routes(family, "all"));
        sections.insert("routes", routes.filter_map(route).collect());
        let rules = ["-4", "-6"].into_iter().flat_map(|family| list(netns.ip(&[family, "rule"])));
        sections.insert("rules", rules.map(|rule| rule.to_string()).collect());
        let neighbours = list(netns.ip(&["neigh", "show", "nud", "permanent"]));
        sections.insert("neighbours", neighbours.iter().map(Value::to_string).collect());
        let entries = list(netns.bridge(&["fdb", "show"]));
        let entries = entries.iter().filter(|e| e["dst"].is_string() && e["state"] == "permanent");
        sections.insert("fdb", entries.map(Value::to_string).collect());
        if need::has_tool("nft") {
            sections.insert("nft", netns.nft().into_iter().filter_map(nft).collect());
        }
        let mut found = Vec::new();
        walk(files, files, &mut found);
        sections.insert("files", found);
        for lines in sections.values_mut() {
            lines.sort();
        }
        Self { sections }
    }

    /// The lines of a section: `links`, `addresses`, `routes`, `rules`, `neighbours`, `fdb`, `nft`,
    /// `files`.
    pub fn section(&self, name: &str) -> &[String] {
        self.sections.get(name).map_or(&[], Vec::as_slice)
    }

    /// What is in `later` alone (`+`) and in `self` alone (`-`); empty when they are equal.
    pub fn difference(&self, later: &Self) -> String {
        let mut text = String::new();
        for (name, before) in &self.sections {
            let after = later.section(name);
            for (sign, lines, others) in [('-', before.as_slice(), after), ('+', after, before)] {
                for line in surplus(lines, others) {
                    let _ = writeln!(text, "{sign} {name}: {line}");
                }
            }
        }
        text
    }

    /// Fails the test unless `later` is the same, and shows what differs.
    #[track_caller]
    pub fn assert_same(&self, later: &Self) {
        let difference = self.difference(later);
        assert!(difference.is_empty(), "the node is not as it was before:\n{difference}");
    }
}

impl Node {
    /// Fails the test unless the node comes to be as `before` within 20 s: the kernel destroys a
    /// namespace, and the links in it, behind everybody's back.
    #[track_caller]
    pub fn settles_to(&self, before: &Snapshot) {
        let start = Instant::now();
        let mut now = self.snapshot();
        while now != *before && start.elapsed() < Duration::from_secs(20) {
            now = self.snapshot();
        }
        before.assert_same(&now);
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        other => panic!("not a list: {other}"),
    }
}

fn surplus<'a>(lines: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut others: Vec<&String> = others.iter().collect();
    lines
        .iter()
        .filter(|line| match others.iter().position(|other| other == line) {
            Some(at) => {
                others.swap_remove(at);
                false
            }
            None => true,
        })
        .collect()
}

/// One of the devices that come to every namespace when somebody anywhere has made a tunnel.
fn idle_fallback(link: &Value) -> bool {
    let up = |flags: &Vec<Value>| flags.iter().any(|flag| flag == "UP");
    FALLBACKS.iter().any(|name| link["ifname"] == *name)
        && !link["flags"].as_array().is_some_and(up)
}

fn link(link: &Value) -> String {
    let kind = &link["linkinfo"]["info_kind"];
    let mut kept = Map::new();
    for key in ["ifname", "mtu", "master", "ifalias"] {
        if !link[key].is_null() {
            kept.insert(key.to_owned(), link[key].clone());
        }
    }
    if kind != "bridge" {
        kept.insert("address".to_owned(), link["address"].clone());
    }
    let flags = list(link["flags"].clone());
    let chosen =
        flags.into_iter().filter(|f| matches!(f.as_str(), Some("UP" | "PROMISC" | "NOARP")));
    kept.insert("flags".to_owned(), chosen.collect());
    kept.insert("kind".to_owned(), kind.clone());
    Value::Object(kept).to_string()
}

fn addresses(link: &Value) -> Vec<String> {
    let infos = link["addr_info"].as_array().cloned().unwrap_or_default();
    let kept = infos.iter().filter(|a| a["scope"] != "link");
    kept.map(|a| format!("{} {}/{} {}", link["ifname"], a["local"], a["prefixlen"], a["scope"]))
        .collect()
}

fn route(mut route: Value) -> Option<String> {
    let dst = route["dst"].as_str().unwrap_or_default();
    if route["table"] == "local" || dst.starts_with("fe80:") || dst.starts_with("ff00:") {
        return None;
    }
    // `linkdown` and `dead` come and go with the carrier.
    route.as_object_mut()?.remove("flags");
    Some(route.to_string())
}

fn nft(mut object: Value) -> Option<String> {
    if !object["metainfo"].is_null() {
        return None;
    }
    strip(&mut object);
    Some(object.to_string())
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("handle");
            if let Some(counter) = map.get_mut("counter") {
                *counter = Value::Null;
            }
            map.values_mut().for_each(strip);
            if let Some(Value::Array(elements)) = map.get_mut("elem") {
                elements.sort_by_key(Value::to_string);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries {
        // A lease may go while we look.
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let name = path.strip_prefix(root).expect("a path below").display().to_string();
        if path.is_dir() {
            found.push(format!("{name}/"));
            walk(root, &path, found);
        } else if entry.file_name().to_string_lossy().parse::<IpAddr>().is_ok() {
            let content = std::fs::read(&path).unwrap_or_default();
            found.push(format!("{name}: {:?}", String::from_utf8_lossy(&content)));
        } else {
            found.push(name);
        }
    }
}
