//! A link as the port of a bridge.

use netlink_packet_route::link::{InfoBridgePort, InfoPortData, InfoPortKind};
use rtnetlink::LinkUnspec;

use crate::Request;
use crate::message::kind;

/// What a port can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortOptions {
    /// Frames may leave through the port they came in by.
    pub hairpin: bool,
    /// Frames go only to ports that are not isolated.
    pub isolated: bool,
}

/// Sets a port's options. A new port has them off.
///
/// `bridge link set dev NAME hairpin on|off isolated on|off`
pub fn set_port(name: &str, options: PortOptions) -> Request {
    let message = LinkUnspec::new_with_name(name)
        .set_port_kind(InfoPortKind::Bridge)
        .set_port_data(InfoPortData::BridgePort(vec![
            InfoBridgePort::HairpinMode(options.hairpin),
            InfoBridgePort::Isolated(options.isolated),
        ]))
        .build();
    Request::new("set the port options of", name, 0, kind::NEW_LINK, &message)
}
