//! How large packets may be.

use cni::Error;

use super::Family;
use crate::facts::Families;
use crate::fleet::family as name;
use crate::{Options, Underlay};

/// The least MTU of a link with IPv4 (RFC 791) and with IPv6 (RFC 8200).
const LEAST: u32 = 68;
const LEAST_IPV6: u32 = 1280;
/// The length field of an IP packet has 16 bits; a link such as `lo` may offer more.
const MOST: u32 = 65_535;

/// MTUs in bytes.
pub struct Mtus {
    /// The pods'.
    pub pods: u32,
    /// The tunnel devices', which for host-gw are none.
    pub tunnels: Families<u32>,
}

impl Mtus {
    /// Code 7 when what is configured is too large, or what remains too small.
    ///
    /// With direct routing the pods have the underlay's MTU whether or not there are tunnelled
    /// peers now, so that it stays the same when peers come and go. Packets that are too large for
    /// the tunnel are answered by the node itself (path MTU discovery).
    pub fn of(families: &[Family<'_>], options: &Options) -> Result<Self, Error> {
        let backend = &options.backend;
        let mut tunnels = Families::default();
        let mut limit: Option<(u32, &Underlay)> = None;
        for family in families {
            let underlay = family.underlay;
            let tunnel = remaining(underlay, backend.overhead(family.ipv6));
            let least = if family.ipv6 { LEAST_IPV6 } else { LEAST };
            if tunnel < least {
                return Err(too_small(underlay, tunnel, family.ipv6, options));
            }
            *tunnels.get_mut(family.ipv6) = tunnel.min(options.mtu.unwrap_or(tunnel));
            let pods = if backend.direct_routing() { remaining(underlay, 0) } else { tunnel };
            if limit.is_none_or(|(least, _)| pods < least) {
                limit = Some((pods, underlay));
            }
        }
        let pods = match (options.mtu, limit) {
            (Some(mtu), Some((limit, underlay))) if mtu > limit => {
                let (way, Underlay { name, mtu: own, .. }) = (backend.name(), underlay);
                let why =
                    format!("at most {limit} bytes fit into {way} over {name}, whose MTU is {own}");
                return Err(Error::config("mtu", mtu, &why)
                    .details("lower it, or leave it out to have it derived"));
            }
            (Some(mtu), _) => mtu,
            (None, limit) => limit.map_or(MOST, |(limit, _)| limit),
        };
        if pods < LEAST_IPV6 && families.iter().any(|family| family.ipv6) {
            if let (None, Some((limit, underlay))) = (options.mtu, limit) {
                return Err(too_small(underlay, limit, true, options));
            }
            let why = format!("IPv6 pods need at least {LEAST_IPV6}");
            return Err(Error::config("mtu", pods, &why)
                .details("raise it, or leave the IPv6 networks out of local.podCIDRs"));
        }
        Ok(Self { pods, tunnels })
    }
}

fn remaining(underlay: &Underlay, overhead: u32) -> u32 {
    underlay.mtu.min(MOST).saturating_sub(overhead)
}

fn too_small(underlay: &Underlay, left: u32, ipv6: bool, options: &Options) -> Error {
    let (mtu, way, family) = (underlay.mtu, options.backend.name(), name(ipv6));
    let least = if ipv6 { LEAST_IPV6 } else { LEAST };
    let why = format!("its MTU of {mtu} leaves {left} bytes to {way}, and {family} needs {least}");
    Error::config("iface", &underlay.name, &why)
        .details("raise the interface's MTU, or name another one")
}
