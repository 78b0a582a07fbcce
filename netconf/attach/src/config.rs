//! What every plugin that attaches by a veth is configured with.

use cni::{AddResult, Cidr, Code, Dns, Error, IfName};
use ipnetwork::IpNetwork;
use kernel::MacAddr;
use serde::Deserialize;

/// The smallest MTU of a link (`ETH_MIN_MTU`).
const SMALLEST_MTU: i64 = 68;
/// The smallest MTU of a link with IPv6 (RFC 8200, section 5).
const SMALLEST_IPV6_MTU: u32 = 1280;
/// The largest MTU of a veth (`ETH_MAX_MTU`).
const LARGEST_MTU: i64 = 65535;

/// `dns` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawDns {
    nameservers: Vec<String>,
    domain: String,
    search: Vec<String>,
    options: Vec<String>,
}

impl RawDns {
    /// The configured resolver, which replaces the one of the IPAM when anything in it is set.
    pub fn or(self, ipam: Dns) -> Dns {
        let own = Dns {
            nameservers: self.nameservers,
            domain: self.domain,
            search: self.search,
            options: self.options,
        };
        if own.is_empty() { ipam } else { own }
    }
}

/// Where a MAC address can come from, besides `CNI_ARGS`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawMac {
    /// The address, empty for none.
    pub mac: String,
}

/// `args` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawArgs {
    cni: RawMac,
}

/// The container's hardware address: `runtimeConfig.mac`, else `args.cni.mac`, else `MAC` of
/// `CNI_ARGS`; the kernel's choice when none is given.
pub fn mac(
    runtime: &RawMac,
    args: &RawArgs,
    environment: Option<&str>,
) -> Result<Option<MacAddr>, Error> {
    let sources = [
        ("runtimeConfig.mac", runtime.mac.as_str()),
        ("args.cni.mac", args.cni.mac.as_str()),
        ("CNI_ARGS MAC", environment.unwrap_or_default()),
    ];
    let Some((key, text)) = sources.into_iter().find(|(_, text)| !text.is_empty()) else {
        return Ok(None);
    };
    MacAddr::under(key, text).map(Some)
}

/// `mtu`: 0 leaves it to the kernel.
pub fn mtu(mtu: i64) -> Result<Option<u32>, Error> {
    match mtu {
        0 => Ok(None),
        SMALLEST_MTU..=LARGEST_MTU => Ok(u32::try_from(mtu).ok()),
        _ => Err(Error::config("mtu", mtu, "an interface's MTU is 68 to 65535, 0 for the default")),
    }
}

/// Refuses an MTU that is too small for the addresses. Code 7.
pub fn check_mtu(mtu: Option<u32>, result: &AddResult) -> Result<(), Error> {
    match (mtu, result.ips.iter().find(|ip| ip.address.is_ipv6())) {
        (Some(mtu), Some(ip)) if mtu < SMALLEST_IPV6_MTU => Err(Error::config(
            "mtu",
            mtu,
            &format!(
                "{} needs an MTU of at least {SMALLEST_IPV6_MTU}, as all IPv6 does",
                ip.address
            ),
        )),
        _ => Ok(()),
    }
}

/// `ipMasq` and what belongs to it, as it is written.
#[derive(Debug)]
pub struct RawMasquerade<'a> {
    /// `ipMasq`
    pub wanted: bool,
    /// `ipMasqBackend`
    pub backend: Option<&'a str>,
    /// `nonMasqueradeCIDRs`
    pub exempt: &'a [Cidr],
    /// `exemptNetworkNodes`
    pub network_exempt: bool,
}

/// Masquerading, where it is wanted.
#[derive(Debug)]
pub struct Masquerade {
    /// Destinations that see the container's own address.
    pub exempt: Vec<IpNetwork>,
    /// And those that the network exempts as a whole.
    pub network_exempt: bool,
}

impl RawMasquerade<'_> {
    /// Checks it all, whether it is wanted or not.
    pub fn parse(self) -> Result<Option<Masquerade>, Error> {
        masquerade_backend(self.backend)?;
        let exempt: Result<_, _> = self.exempt.iter().enumerate().map(destination).collect();
        let exempt = exempt?;
        Ok(self.wanted.then_some(Masquerade { exempt, network_exempt: self.network_exempt }))
    }
}

/// An item of `nonMasqueradeCIDRs`. With host bits it may be meant for less than it would be.
fn destination((index, Cidr(cidr)): (usize, &Cidr)) -> Result<IpNetwork, Error> {
    let network = IpNetwork::new(cidr.network(), cidr.prefix()).unwrap_or(*cidr);
    if network == *cidr {
        return Ok(network);
    }
    Err(Error::config(
        &format!("nonMasqueradeCIDRs[{index}]"),
        format_args!("{:?}", cidr.to_string()),
        "the address has bits beyond the prefix",
    )
    .details(format!(
        "write {network} for the network, {}/{} for the address",
        cidr.ip(),
        if cidr.is_ipv6() { 128 } else { 32 }
    )))
}

/// `ipMasqBackend`. Both values of the reference are taken; both mean our own nf_tables.
fn masquerade_backend(backend: Option<&str>) -> Result<(), Error> {
    match backend {
        None | Some("" | "nftables" | "iptables") => Ok(()),
        Some(other) => Err(Error::config(
            "ipMasqBackend",
            format_args!("{other:?}"),
            "known are \"nftables\" and \"iptables\"",
        )),
    }
}

/// A link's name under a key of the config.
pub fn link_name(key: &str, name: &str) -> Result<IfName, Error> {
    name.parse().map_err(|e: Error| Error::new(Code::CONFIG, format!("{key}: {}", e.msg)))
}
