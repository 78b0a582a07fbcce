//! What this kernel can do, found out by doing it where it harms nobody.

use cni::{Code, Error, StatusCall};
use ipam::Ipam;
use kernel::link::{self, Veth};
use kernel::{MacAddr, Netns, Request, Socket};

/// A locally administered address for links that live for a moment.
const ANY_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Code 50, whatever the reason.
pub fn unavailable(reason: impl Into<Error>) -> Error {
    Error { code: Code::NOT_AVAILABLE, ..reason.into() }
}

/// Makes a veth pair, and a bridge where `vlan_filtering` is given, in a namespace that ends with
/// the trial. Code 50 when the kernel refuses.
pub fn try_links(vlan_filtering: Option<bool>) -> Result<(), Error> {
    Netns::trial(|| {
        let socket = Socket::open()?;
        if let Some(filtering) = vlan_filtering {
            socket.run(link::create_bridge("trial", ANY_MAC, None, filtering))?;
        }
        socket.run(pair())
    })
    .map_err(unavailable)
}

/// A veth for a trial: `near`, and `far`.
pub(crate) fn pair() -> Request {
    link::create_veth(&Veth {
        name: "near",
        mac: None,
        master: None,
        mtu: None,
        peer_name: "far",
        peer_mac: None,
        peer_netns: None,
    })
}

/// Asks the address manager, where there is one.
pub fn ask_ipam(call: &StatusCall) -> Result<(), Error> {
    match Ipam::of(&call.conf, &call.path)? {
        Some(ipam) => ipam.status(call),
        None => Ok(()),
    }
}
