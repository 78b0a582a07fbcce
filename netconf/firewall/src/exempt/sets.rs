//! What a network's exemptions consist of.

use std::borrow::Cow;

use cni::NetworkName;
use kernel::netfilter::Request;

use crate::layout::MASQUERADE;
use crate::nft::{Holds, KeyType, Set, Table};
use crate::owner;

/// The sets of a network, one for each family, and a counter that nothing leads to: it tells that
/// the sets were filled, because an ADD that makes an empty set does not make it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sets {
    network: NetworkName,
}

impl Sets {
    pub(crate) fn of(network: &NetworkName) -> Self {
        Self { network: network.clone() }
    }

    /// The set of a family's destinations. A network's name can be longer than nft's names.
    pub(crate) fn set(&self, v6: bool) -> Set {
        self.set_in(MASQUERADE, v6)
    }

    fn set_in(&self, table: Table, v6: bool) -> Set {
        let name = format!("exempt{}-{}", if v6 { 6 } else { 4 }, self.hash());
        Set { table, name: Cow::Owned(name), key: KeyType::address(v6), holds: Holds::Intervals }
    }

    /// Makes the set of one family, empty, where it is not there.
    pub(crate) fn create_set(&self, table: Table, v6: bool) -> Request {
        self.set_in(table, v6).create_with(&self.words())
    }

    /// What destinations these are, for readers.
    pub(crate) fn words(&self) -> String {
        format!("what network {} exempts", self.network)
    }

    /// Its parts in words, in the order in which the following methods speak of them.
    pub(super) fn parts(&self) -> [String; 3] {
        let [v4, v6] = [false, true].map(|v6| format!("set {}", self.set(v6).name));
        [v4, v6, format!("counter {}", self.filled())]
    }

    pub(super) fn look_up(&self) -> [Request; 3] {
        let [v4, v6] = [false, true].map(|v6| self.set(v6).look_up());
        [v4, v6, MASQUERADE.get_counter(&self.filled())]
    }

    /// All of it, which may be sent again.
    pub(super) fn create(&self) -> [Request; 3] {
        let [v4, v6] = [false, true].map(|v6| self.create_set(MASQUERADE, v6));
        [v4, v6, MASQUERADE.create_counter(&self.filled())]
    }

    pub(super) fn delete(&self) -> [Request; 3] {
        let [v4, v6] = [false, true].map(|v6| self.set(v6).remove());
        [v4, v6, MASQUERADE.delete_counter(&self.filled())]
    }

    /// Leaves the empty sets.
    pub(super) fn empty(&self) -> [Request; 3] {
        let [v4, v6] = [false, true].map(|v6| self.set(v6).flush());
        [v4, v6, MASQUERADE.delete_counter(&self.filled())]
    }

    pub(super) fn has_set(&self, name: &str) -> bool {
        [false, true].into_iter().any(|v6| self.set(v6).name == name)
    }

    pub(super) fn is_filled_by(&self, counter: &str) -> bool {
        self.filled() == counter
    }

    /// The counter's name.
    fn filled(&self) -> String {
        format!("exempt-{}", self.hash())
    }

    fn hash(&self) -> String {
        owner::hash(self.network.as_str(), 16)
    }
}
