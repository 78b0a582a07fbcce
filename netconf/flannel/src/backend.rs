//! The way to other nodes, and what a node has to tell the others for it.

use cni::{Error, Json};
use kernel::MacAddr;
use serde::Deserialize;

/// A way to other nodes that flannel has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Routes with the peer as their gateway.
    HostGw,
    /// IPv4 in IPv4.
    Ipip,
    /// Ethernet in UDP.
    Vxlan {
        /// The network identifier.
        vni: u32,
    },
}

/// What a node tells of its VXLAN device. flannel-rs leaves `VNI` out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Vtep {
    #[serde(rename = "VNI")]
    vni: Option<u32>,
    #[serde(rename = "VtepMAC")]
    mac: String,
}

impl Backend {
    /// Its name, which is flannel's.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostGw => "host-gw",
            Self::Ipip => "ipip",
            Self::Vxlan { .. } => "vxlan",
        }
    }

    /// True when this way leads to other nodes' addresses of the family.
    pub fn serves(self, ipv6: bool) -> bool {
        !ipv6 || self != Self::Ipip
    }

    /// What the node tells, letter by letter as flannel writes it; it compares texts.
    pub fn data(self, vtep: Option<MacAddr>) -> String {
        match (self, vtep) {
            (Self::Vxlan { vni }, Some(mac)) => {
                format!(r#"{{"VNI":{},"VtepMAC":"{mac}"}}"#, published(vni))
            }
            _ => "null".to_owned(),
        }
    }

    /// Reads what a peer tells under `key`: the hardware address of its VXLAN device, where this is
    /// the way. Code 7, with the key and the value.
    pub fn vtep(self, key: &str, data: &Json) -> Result<Option<MacAddr>, Error> {
        let Self::Vxlan { vni } = self else { return Ok(None) };
        let refused = |why: &str| Error::config(key, data, why);
        if *data == Json::Null {
            return Err(refused("a VXLAN peer tells its VtepMAC"));
        }
        let Vtep { vni: theirs, mac } = data.decode().map_err(|e| refused(&e.msg))?;
        if theirs.is_some_and(|theirs| published(theirs) != published(vni)) {
            return Err(refused(&format!("this network has VNI {vni}")));
        }
        if mac.is_empty() {
            return Err(refused("VtepMAC is missing"));
        }
        match mac.parse() {
            Ok(mac) => Ok(Some(mac)),
            Err(Error { msg, .. }) => {
                Err(refused(&format!("VtepMAC {}", msg.trim_start_matches("mac "))))
            }
        }
    }
}

/// flannel has 16 bits for what has 24: it cuts the number off when it writes it, and does not read a
/// greater one (`vxlanLeaseAttrs`). No flannel compares it.
fn published(vni: u32) -> u32 {
    vni & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    const VXLAN: Backend = Backend::Vxlan { vni: 1 };

    fn vtep(text: &str) -> Result<Option<MacAddr>, Error> {
        VXLAN.vtep("backend-data", &Json::parse(text.as_bytes(), "data").unwrap())
    }

    /// As flannel's `vxlanLeaseAttrs` is marshalled.
    #[test]
    fn what_flannel_writes_is_read_and_written_again() {
        let golden = r#"{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}"#;
        let mac = vtep(golden).unwrap();
        assert_eq!(mac.unwrap().to_string(), "aa:bb:cc:dd:ee:fe");
        assert_eq!(VXLAN.data(mac), golden);
        assert_eq!(vtep(r#"{"vtepmac":"AA-BB-CC-DD-EE-FE"}"#).unwrap(), mac);
        assert_eq!(Backend::HostGw.data(mac), "null");
        assert_eq!(Backend::Ipip.vtep("k", &"whatever".into()).unwrap(), None);
        let wide = Backend::Vxlan { vni: 0x01_0007 };
        assert!(wide.data(mac).starts_with(r#"{"VNI":7,"#), "what 16 bits hold");
        let theirs = Json::parse(wide.data(mac).as_bytes(), "data").unwrap();
        assert_eq!(wide.vtep("k", &theirs).unwrap(), mac);
    }

    #[test]
    fn what_is_malformed_is_named_with_key_and_value() {
        for (text, why) in [
            ("null", "tells its VtepMAC"),
            ("7", "must be"),
            ("[]", "must be"),
            ("{}", "VtepMAC is missing"),
            (r#"{"VtepMAC":7}"#, "VtepMAC 7"),
            (r#"{"VtepMAC":"x"}"#, "VtepMAC \"x\""),
            (r#"{"VtepMAC":"01:00:00:00:00:01"}"#, "multicast"),
            (r#"{"VNI":2,"VtepMAC":"aa:bb:cc:dd:ee:fe"}"#, "this network has VNI 1"),
            (r#"{"VNI":-1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}"#, "VNI -1"),
        ] {
            let error = vtep(text).unwrap_err();
            assert!(error.msg.starts_with(&format!("backend-data {text}: ")), "{error}");
            assert!(error.msg.contains(why), "{text}: {error}");
        }
    }
}
