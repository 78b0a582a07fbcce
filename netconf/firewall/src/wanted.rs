//! What an attachment asks of the firewall, as elements of our sets.

use std::collections::BTreeSet;

use cni::{Attachment, IfName};
use ipnetwork::IpNetwork;
use kernel::MacAddr;

use crate::group::Group;
use crate::layout::{ADDRESSES4, ADDRESSES6, ALLOWED, FOREIGN, GUARDED};
use crate::nft::{Element, Key, Set};
use crate::owner;

/// What an attachment wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose it is.
    pub attachment: Attachment,
    /// Its packets to the outside carry the node's address.
    pub masquerade: Option<Masquerade>,
    /// Its frames carry its own hardware address, or are dropped.
    pub antispoof: Option<AntiSpoof>,
}

/// Masquerade of a container's addresses, except to their own subnet and to multicast groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masquerade {
    /// The container's addresses, each with the prefix of its subnet.
    pub addresses: Vec<IpNetwork>,
    /// Further destinations that see the container's own address.
    pub exempt: Vec<IpNetwork>,
    /// And so do those that the attachment's network exempts as a whole (see
    /// [`exempt`](crate::exempt)), now and later.
    pub network_exempt: bool,
}

/// Anti-spoofing on a bridge's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AntiSpoof {
    /// The port: the host's end of the container's veth.
    pub link: IfName,
    /// The one source address that may come in there.
    pub mac: MacAddr,
}

impl Wanted {
    pub(crate) fn groups(&self) -> BTreeSet<Group> {
        let masquerade = self.masquerade.iter();
        masquerade
            .flat_map(|m| {
                m.addresses.iter().map(|address| Group::of(*address, m, &self.attachment.network))
            })
            .collect()
    }

    /// Two elements for each address and for the guarded link, the one in a map and its companion
    /// (see `layout`). An address given twice counts once.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let owner = owner::comment(&self.attachment);
        let mut elements: Vec<Element> = Vec::new();
        if let Some(masquerade) = &self.masquerade {
            for address in &masquerade.addresses {
                let key = Key::Address(address.ip());
                if elements.iter().any(|e| e.key == key) {
                    continue;
                }
                let group = Group::of(*address, masquerade, &self.attachment.network);
                elements.push(Element {
                    set: addresses(address.is_ipv6()).clone(),
                    key: key.clone(),
                    counter: Some(group.name()),
                    to: None,
                    comment: owner.clone(),
                });
                let (set, comment) = (group.members(), String::new());
                elements.push(Element { set, key, counter: None, to: None, comment });
            }
        }
        if let Some(AntiSpoof { link, mac }) = &self.antispoof {
            elements.push(Element {
                set: GUARDED.clone(),
                key: Key::Link(link.clone()),
                counter: Some(FOREIGN.to_owned()),
                to: None,
                comment: owner::with_mac(&owner, *mac),
            });
            elements.push(Element {
                set: ALLOWED.clone(),
                key: Key::LinkAndMac(link.clone(), *mac),
                counter: None,
                to: None,
                comment: owner.clone(),
            });
        }
        elements
    }
}

/// The map of a family's addresses.
pub(crate) fn addresses(v6: bool) -> &'static Set {
    if v6 { &ADDRESSES6 } else { &ADDRESSES4 }
}
