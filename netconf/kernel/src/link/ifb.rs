//! IFB devices: what is redirected to one leaves through its queue, and goes on where it came from.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::InfoKind;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use crate::Request;
use crate::message::kind;

/// Creates a device, up. EEXIST when the name is taken, EOPNOTSUPP when the kernel has none.
///
/// `ip link add NAME up mtu MTU type ifb`
pub fn create(name: &str, mtu: u32) -> Request {
    let link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Ifb);
    let message = link.name(name.to_owned()).mtu(mtu).up().build();
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    Request::new("create the IFB device", name, flags, kind::NEW_LINK, &message)
}
