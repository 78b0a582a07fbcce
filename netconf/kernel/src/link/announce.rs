//! Telling the neighbours who has an address now.

use rtnetlink::LinkUnspec;

use crate::message::kind;
use crate::{MacAddr, Request};

/// Makes the kernel announce every address of a link: a gratuitous ARP per IPv4 address, an
/// unsolicited neighbour advertisement per IPv6 address. Where a pod's address was another pod's
/// before, its neighbours' caches are wrong until then.
///
/// The request sets the link's hardware address to what it is already. The kernel then runs the
/// same notifier as for a new one, and with the sysctls `arp_notify` and `ndisc_notify` on it
/// announces (net/ipv4/devinet.c `inetdev_event`, net/ipv6/ndisc.c `ndisc_netdev_event`). A packet
/// socket would do too, but closing one waits for an RCU grace period, which is longer than a
/// whole ADD.
///
/// `ip link set dev NAME address ITS-MAC`
pub fn announce(index: u32, name: &str, mac: MacAddr) -> Request {
    let message = LinkUnspec::new_with_index(index).address(mac.0.to_vec()).build();
    Request::new("announce the addresses of", name, 0, kind::SET_LINK, &message)
}
