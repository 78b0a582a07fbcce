//! What every new link is told, whatever its kind.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{InfoData, InfoKind};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use crate::message::kind;
use crate::{MacAddr, Netns, Request};

/// A link to be made, down. Its kind's own part is told beside it.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// The namespace that it is made in; the socket's own when `None`.
    pub netns: Option<&'a Netns>,
    /// The index of the link it is made upon, in the socket's namespace; `None` for kinds without.
    pub parent: Option<u32>,
    /// Its address; the kernel's choice when `None`.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes; the kernel's choice when `None`, which is the parent's where there is one.
    pub mtu: Option<u32>,
}

impl New<'_> {
    /// Asks for it: EEXIST when the name is taken, EOPNOTSUPP when the kernel has no such kind.
    pub(super) fn request(
        &self,
        op: &'static str,
        link_kind: InfoKind,
        data: Option<InfoData>,
    ) -> Request {
        let mut link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(link_kind)
            .name(self.name.to_owned());
        if let Some(data) = data {
            link = link.set_info_data(data);
        }
        if let Some(netns) = self.netns {
            link = link.setns_by_fd(netns.fd());
        }
        if let Some(parent) = self.parent {
            link = link.link(parent);
        }
        if let Some(mac) = self.mac {
            link = link.address(mac.0.to_vec());
        }
        if let Some(mtu) = self.mtu {
            link = link.mtu(mtu);
        }
        Request::new(op, self.name, NLM_F_CREATE | NLM_F_EXCL, kind::NEW_LINK, &link.build())
    }
}
