//! VRF devices: the interfaces that have one for their master are routed by its table.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVrf};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use crate::Request;
use crate::message::kind;

/// Creates a device, up. EEXIST when the name is taken, EOPNOTSUPP when the kernel has none.
///
/// `ip link add NAME up type vrf table TABLE`
pub fn create(name: &str, table: u32) -> Request {
    let link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Vrf);
    let data = InfoData::Vrf(vec![InfoVrf::TableId(table)]);
    let message = link.name(name.to_owned()).up().set_info_data(data).build();
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    Request::new("create the VRF", name, flags, kind::NEW_LINK, &message)
}
