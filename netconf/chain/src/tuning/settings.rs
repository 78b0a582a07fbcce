//! The attributes of the container's interface.

use cni::AddResult;
use kernel::link::{self, Link};
use kernel::{MacAddr, Request};

/// What the interface is to be like; `None` and false leave it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Its hardware address.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// It takes every packet.
    pub promiscuous: bool,
    /// It takes every multicast packet.
    pub all_multicast: Option<bool>,
    /// The packets that its queue takes.
    pub tx_queue_length: Option<u32>,
}

impl Settings {
    /// What brings the interface there.
    pub fn requests(&self, link: &Link) -> Vec<Request> {
        let (index, name) = (link.index, link.name.as_str());
        let mut requests = Vec::new();
        requests.extend(self.mac.map(|mac| link::set_mac(index, name, mac)));
        requests.extend(self.promiscuous.then(|| link::set_promiscuous(index, name, true)));
        requests.extend(self.mtu.map(|mtu| link::set_mtu(index, name, mtu)));
        requests.extend(self.all_multicast.map(|on| link::set_all_multicast(index, name, on)));
        let length = self.tx_queue_length;
        requests.extend(length.map(|packets| link::set_tx_queue_length(index, name, packets)));
        requests
    }

    /// Corrects what a result says of the interface.
    pub fn tell(&self, result: &mut AddResult, ifname: &str, sandbox: &str) {
        let own = |i: &&mut cni::Interface| i.name == ifname && i.sandbox == sandbox;
        for interface in result.interfaces.iter_mut().filter(own) {
            if let Some(mac) = self.mac {
                interface.mac = mac.to_string();
            }
            interface.mtu = self.mtu.or(interface.mtu);
        }
    }
}
