//! All nodes as they are known now.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;

use flannel::{Annotations, Keys};
use kube::runtime::watcher::Event;

use super::node::Node;

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its pods' networks.
    pub pod_cidrs: Vec<String>,
    /// Its own addresses in the cluster.
    pub internal_ips: Vec<String>,
    /// The annotations that matter.
    pub annotations: Annotations,
    /// The status of its condition `NetworkUnavailable`.
    pub network_unavailable: Option<String>,
}

/// The nodes by name.
#[derive(Debug, Default)]
pub struct Store {
    nodes: BTreeMap<String, Known>,
    /// Those of a list that has not ended.
    coming: BTreeMap<String, Known>,
    complete: bool,
}

impl Store {
    /// True once all nodes were listed.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> &BTreeMap<String, Known> {
        &self.nodes
    }

    /// Takes up what the API server tells. True when something that matters is another now; what a
    /// kubelet reports every few minutes does not.
    pub fn take_up(&mut self, event: Event<Node>, keys: &Keys) -> bool {
        match event {
            Event::Init => {
                self.coming.clear();
                false
            }
            Event::InitApply(node) => {
                let (name, known) = known(node, keys);
                self.coming.insert(name, known);
                false
            }
            Event::InitDone => {
                let nodes = mem::take(&mut self.coming);
                let changed = !self.complete || nodes != self.nodes;
                self.nodes = nodes;
                self.complete = true;
                changed
            }
            Event::Apply(node) => {
                let (name, known) = known(node, keys);
                match self.nodes.entry(name) {
                    Entry::Occupied(there) if *there.get() == known => false,
                    Entry::Occupied(mut there) => {
                        there.insert(known);
                        true
                    }
                    Entry::Vacant(place) => {
                        place.insert(known);
                        true
                    }
                }
            }
            Event::Delete(node) => self.nodes.remove(node.name()).is_some(),
        }
    }
}

fn known(mut node: Node, keys: &Keys) -> (String, Known) {
    let name = node.name().to_owned();
    let mut known = Known {
        pod_cidrs: mem::take(&mut node.pod_cidrs),
        internal_ips: mem::take(&mut node.internal_ips),
        network_unavailable: node.network_unavailable.take(),
        annotations: node.into_annotations(),
    };
    known.annotations.retain(|key, _| keys.has(key));
    (name, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, cidr: &str, more: &str) -> Node {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}", "annotations": {{{more}}}}}, "spec": {{"podCIDR": "{cidr}"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_list_takes_the_place_of_all_that_was_known() {
        let keys = Keys::new(flannel::PREFIX).unwrap();
        let mut store = Store::default();
        let tell = |store: &mut Store, event| store.take_up(event, &keys);
        assert!(!tell(&mut store, Event::Init));
        assert!(!tell(&mut store, Event::InitApply(node("a", "10.0.1.0/24", ""))));
        assert!(!store.is_complete() && store.nodes().is_empty());
        assert!(tell(&mut store, Event::InitDone));
        assert!(store.is_complete());
        assert!(tell(&mut store, Event::Apply(node("b", "10.0.2.0/24", ""))));
        // Listed anew after a 410: `a` left meanwhile.
        assert!(!tell(&mut store, Event::Init));
        assert!(!tell(&mut store, Event::InitApply(node("b", "10.0.2.0/24", ""))));
        assert_eq!(store.nodes().len(), 2, "the last whole list holds");
        assert!(tell(&mut store, Event::InitDone));
        assert_eq!(store.nodes().keys().collect::<Vec<_>>(), ["b"]);
        assert!(tell(&mut store, Event::Delete(node("b", "", ""))));
        assert!(!tell(&mut store, Event::Delete(node("b", "", ""))));
    }

    #[test]
    fn what_does_not_matter_is_no_change() {
        let keys = Keys::new(flannel::PREFIX).unwrap();
        let mut store = Store::default();
        let mut apply =
            |more: &str| store.take_up(Event::Apply(node("a", "10.0.1.0/24", more)), &keys);
        assert!(apply(""));
        assert!(!apply(r#""volumes.kubernetes.io/controller-managed": "true""#));
        assert!(apply(r#""flannel.alpha.coreos.com/public-ip": "10.0.0.1""#));
        assert!(!apply(r#""flannel.alpha.coreos.com/public-ip": "10.0.0.1", "x": "y""#));
    }
}
