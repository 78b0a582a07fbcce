//! What an attachment asks of the node's filter, as elements of our sets.

use std::net::IpAddr;

use cni::{Attachment, IfName};

use super::layout::{self, CLOSED, ISOLATED, MEMBERS, WITHIN};
use crate::nft::{Element, Key, Set};
use crate::owner;

/// What an attachment wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose it is.
    pub attachment: Attachment,
    /// What it sends from these addresses is let through, and the answers.
    pub addresses: Vec<IpAddr>,
    /// How.
    pub backend: Backend,
    /// What is kept from it.
    pub policy: Option<Policy>,
    /// The chain of iptables that administrators keep their exceptions in.
    pub admin_chain: String,
}

/// How packets get past the node's filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// By a mark and one rule for all.
    Nftables,
    /// By rules for each address, with the tool iptables.
    Iptables,
    /// By a zone of firewalld.
    Firewalld {
        /// The zone's name.
        zone: String,
    },
}

/// An ingress policy that keeps something away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From what the container is kept.
    pub ingress: Ingress,
    /// The bridge that it is attached to, or the routed link.
    pub bridge: IfName,
}

/// From what a container is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// From those on other bridges with a policy.
    SameBridge,
    /// From those and from its neighbours on the bridge.
    Isolated,
}

impl Ingress {
    /// As the config writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameBridge => "same-bridge",
            Self::Isolated => "isolated",
        }
    }
}

impl Wanted {
    pub(super) fn owner(&self) -> String {
        owner::comment(&self.attachment)
    }

    /// The families of its addresses, `true` for IPv6.
    pub(super) fn families(&self) -> impl Iterator<Item = bool> {
        let of = |v6| self.addresses.iter().any(|a| a.is_ipv6() == v6);
        [false, true].into_iter().filter(move |v6| of(*v6))
    }

    /// The policy, unless iptables is told of it.
    pub(super) fn own_policy(&self) -> Option<&Policy> {
        self.policy.as_ref().filter(|_| self.backend != Backend::Iptables)
    }

    /// The elements that are the attachment's alone.
    pub(super) fn elements(&self) -> Vec<Element> {
        let owner = self.owner();
        let mut elements: Vec<Element> = Vec::new();
        for address in &self.addresses {
            let v6 = address.is_ipv6();
            let (set, counter) = match &self.backend {
                Backend::Nftables => {
                    (layout::admitted(v6), layout::admitted_counter(v6).to_owned())
                }
                Backend::Firewalld { zone } => (layout::zoned(v6), layout::zone_counter(zone)),
                Backend::Iptables => continue,
            };
            let key = Key::Address(*address);
            if elements.iter().all(|e| e.key != key) {
                let comment = owner.clone();
                let (set, counter) = (set.clone(), Some(counter));
                elements.push(Element { set, key, counter, to: None, comment });
            }
        }
        if let Some(Policy { ingress, bridge }) = self.own_policy() {
            elements.push(Element {
                set: MEMBERS.clone(),
                key: layout::member_key(&owner),
                counter: Some(layout::policy_counter(*ingress, bridge)),
                to: None,
                comment: layout::member_comment(&owner, bridge),
            });
        }
        elements
    }

    /// The elements that it has in common with the bridge's other attachments.
    pub(super) fn common(&self) -> Vec<Element> {
        match self.own_policy() {
            Some(Policy { ingress, bridge }) => common(*ingress, bridge),
            None => Vec::new(),
        }
    }
}

/// The elements of a policy for a bridge.
pub(super) fn common(ingress: Ingress, bridge: &IfName) -> Vec<Element> {
    let pair = Key::LinkPair(bridge.clone(), bridge.clone());
    let plain = |set: &Set, key: &Key| Element {
        set: set.clone(),
        key: key.clone(),
        counter: None,
        to: None,
        comment: String::new(),
    };
    let mut all = vec![plain(&CLOSED, &Key::Link(bridge.clone())), plain(&WITHIN, &pair)];
    if ingress == Ingress::Isolated {
        all.push(plain(&ISOLATED, &pair));
    }
    all
}
