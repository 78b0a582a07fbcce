//! What is asked of a network.

use std::net::IpAddr;

use cni::{Cidr, Code, Error, Json};
use serde::Deserialize;

/// A port of the host that leads to one of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// `hostPort`
    pub host_port: u16,
    /// `containerPort`
    pub container_port: u16,
    /// `protocol` as it was written: TCP, UDP or SCTP in any letter case; TCP where it is missing.
    pub protocol: Option<String>,
    /// `hostIP`: the address of the host; without one, all of them.
    pub host_ip: Option<String>,
}

/// Limits of traffic. In and out as the container sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// `ingressRate` in bit/s, 0 for no limit.
    pub ingress_rate: u64,
    /// `ingressBurst` in bits.
    pub ingress_burst: u64,
    /// `egressRate` in bit/s, 0 for no limit.
    pub egress_rate: u64,
    /// `egressBurst` in bits.
    pub egress_burst: u64,
}

/// Every key of a port mapping.
pub(crate) const PORT_KEYS: &[&str] = &["hostPort", "containerPort", "protocol", "hostIP"];

/// Every key of a bandwidth.
pub(crate) const BANDWIDTH_KEYS: &[&str] =
    &["ingressRate", "ingressBurst", "egressRate", "egressBurst"];

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawPort {
    host_port: i64,
    container_port: i64,
    protocol: String,
    #[serde(rename = "hostIP")]
    host_ip: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawBandwidth {
    ingress_rate: i64,
    ingress_burst: i64,
    egress_rate: i64,
    egress_burst: i64,
}

pub(super) fn port_mapping(raw: RawPort) -> Result<PortMapping, Error> {
    let port = |key: &str, number: i64| {
        u16::try_from(number).ok().filter(|port| *port != 0).ok_or_else(|| {
            let value = if number == 0 { "0 or missing".to_owned() } else { number.to_string() };
            Error::config(key, value, "must be a port from 1 to 65535")
        })
    };
    let (host_port, container_port) =
        (port("hostPort", raw.host_port)?, port("containerPort", raw.container_port)?);
    let known = ["", "tcp", "udp", "sctp"];
    if !known.iter().any(|known| raw.protocol.eq_ignore_ascii_case(known)) {
        let value = Json::from(raw.protocol);
        return Err(Error::config("protocol", value, "must be TCP, UDP or SCTP"));
    }
    if !raw.host_ip.is_empty() && raw.host_ip.parse::<IpAddr>().is_err() {
        return Err(Error::config("hostIP", Json::from(raw.host_ip), "is no address"));
    }
    let full = |text: String| Some(text).filter(|text| !text.is_empty());
    let (protocol, host_ip) = (full(raw.protocol), full(raw.host_ip));
    Ok(PortMapping { host_port, container_port, protocol, host_ip })
}

pub(super) fn bandwidth(raw: &RawBandwidth) -> Result<Bandwidth, Error> {
    let number = |key: &str, number: i64| {
        u64::try_from(number)
            .map_err(|_| Error::config(&format!("bandwidth.{key}"), number, "cannot be negative"))
    };
    let limits = Bandwidth {
        ingress_rate: number("ingressRate", raw.ingress_rate)?,
        ingress_burst: number("ingressBurst", raw.ingress_burst)?,
        egress_rate: number("egressRate", raw.egress_rate)?,
        egress_burst: number("egressBurst", raw.egress_burst)?,
    };
    for (way, rate, burst) in [
        ("ingress", limits.ingress_rate, limits.ingress_burst),
        ("egress", limits.egress_rate, limits.egress_burst),
    ] {
        if burst != 0 && rate == 0 {
            let why = format!("there is no bandwidth.{way}Rate that it could go beyond");
            return Err(Error::config(&format!("bandwidth.{way}Burst"), burst, &why)
                .details(format!("set {way}Rate in bit/s")));
        }
    }
    if limits == Bandwidth::default() {
        return Err(Error::new(Code::CONFIG, "bandwidth: limits nothing")
            .details("set ingressRate, egressRate or both in bit/s"));
    }
    Ok(limits)
}

/// Refuses what is no address and no address with a prefix length.
pub(super) fn address(key: &str, text: &str) -> Result<(), Error> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<Cidr>().is_ok() {
        return Ok(());
    }
    Err(Error::config(key, Json::from(text), "is no address")
        .details("an address is written as in 10.1.2.3, 10.1.2.3/24 or fd00::3/64"))
}

/// Refuses what is no hardware address of one of these lengths in bytes, written in one of the forms
/// that Go's `net.ParseMAC` reads: pairs of digits joined by `:` or by `-`, fours joined by `.`.
pub(super) fn hardware_address(key: &str, text: &str, lengths: &[usize]) -> Result<(), Error> {
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let length = [(':', 2), ('-', 2), ('.', 4)].into_iter().find_map(|(joint, digits)| {
        let mut count = 0;
        text.split(joint)
            .all(|part| {
                count += digits / 2;
                hex(part, digits)
            })
            .then_some(count)
    });
    match length {
        Some(length) if lengths.contains(&length) => Ok(()),
        found => {
            let wanted = lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            let why = match found {
                Some(found) => format!("has {found} bytes, not {wanted}"),
                None => "is no hardware address".to_owned(),
            };
            let form = (0..lengths.first().copied().unwrap_or(6))
                .map(|i| format!("{:02x}", 2 + i))
                .collect::<Vec<_>>();
            Err(Error::config(key, Json::from(text), &why)
                .details(format!("it is written as in {}", form.join(":"))))
        }
    }
}

impl From<&PortMapping> for Json {
    /// In the order in which Go writes them.
    fn from(port: &PortMapping) -> Self {
        let mut members = vec![
            ("hostPort".to_owned(), u32::from(port.host_port).into()),
            ("containerPort".to_owned(), u32::from(port.container_port).into()),
        ];
        for (key, text) in [("protocol", &port.protocol), ("hostIP", &port.host_ip)] {
            members.extend(text.as_deref().map(|text| (key.to_owned(), text.into())));
        }
        Self::Object(members)
    }
}

impl From<&Bandwidth> for Json {
    /// In the order in which Go writes them, zeros too.
    fn from(limits: &Bandwidth) -> Self {
        let numbers =
            [limits.ingress_rate, limits.ingress_burst, limits.egress_rate, limits.egress_burst];
        let members = BANDWIDTH_KEYS.iter().zip(numbers);
        Self::Object(members.map(|(key, n)| ((*key).to_owned(), n.into())).collect())
    }
}
