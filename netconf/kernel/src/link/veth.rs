//! Veth pairs.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use crate::message::kind;
use crate::{MacAddr, Netns, Request};

/// A veth pair to be made: one end here, the other in a container.
#[derive(Debug)]
pub struct Veth<'a> {
    /// The name of the end in the socket's namespace.
    pub name: &'a str,
    /// That end's address; random when `None`.
    pub mac: Option<MacAddr>,
    /// The bridge that it becomes a port of.
    pub master: Option<u32>,
    /// The MTU of both ends; the kernel's default (1500) when `None`.
    pub mtu: Option<u32>,
    /// The name of the other end.
    pub peer_name: &'a str,
    /// The other end's address; random when `None`.
    pub peer_mac: Option<MacAddr>,
    /// The namespace of the other end; the socket's own when `None`.
    pub peer_netns: Option<&'a Netns>,
}

/// Creates the pair in one request: the near end up and in its bridge, the far one down, in its
/// namespace and under its final name. (The far end cannot be created up: the kernel brings it up
/// before it knows its peer and fails with ENOTCONN; drivers/net/veth.c, `veth_open`.) EEXIST when
/// either name is taken.
///
/// `ip link add NAME up master BRIDGE mtu MTU type veth peer name PEER netns NETNS address MAC mtu MTU`
pub fn create(veth: &Veth<'_>) -> Request {
    let mut peer = LinkUnspec::new_with_name(veth.peer_name);
    if let Some(netns) = veth.peer_netns {
        peer = peer.setns_by_fd(netns.fd());
    }
    if let Some(mac) = veth.peer_mac {
        peer = peer.address(mac.0.to_vec());
    }
    let mut near =
        LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth).name(veth.name).up();
    if let Some(mac) = veth.mac {
        near = near.address(mac.0.to_vec());
    }
    if let Some(master) = veth.master {
        near = near.controller(master);
    }
    if let Some(mtu) = veth.mtu {
        near = near.mtu(mtu);
        peer = peer.mtu(mtu);
    }
    let message = near.set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build()))).build();
    Request::new(
        "create the veth pair",
        format_args!("{} - {}", veth.name, veth.peer_name),
        NLM_F_CREATE | NLM_F_EXCL,
        kind::NEW_LINK,
        &message,
    )
}
