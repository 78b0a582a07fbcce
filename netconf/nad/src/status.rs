//! What a pod is told of its networks: the annotation `k8s.v1.cni.cncf.io/network-status`.

use std::net::IpAddr;

use cni::{AddResult, Dns, Error, Json};
use serde::Deserialize;

use crate::device_info::DeviceInfo;
use crate::name;

/// The annotation.
pub const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// An interface of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The network: `NAMESPACE/NAME`, or the name of the default network.
    pub name: String,
    /// The interface; empty where the result has none.
    pub interface: String,
    /// Its addresses, without prefix length.
    pub ips: Vec<String>,
    /// Its hardware address.
    pub mac: String,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// It is the default network's.
    pub is_default: bool,
    /// The resolver.
    pub dns: Dns,
    /// The device behind it.
    pub device_info: Option<DeviceInfo>,
    /// The gateways of its default routes.
    pub gateways: Vec<IpAddr>,
}

impl Status {
    /// The entries of an attachment, as the working group's client library makes them of its result:
    /// one for each of the container's interfaces. A result with one interface, or without any, makes
    /// one entry.
    pub fn of(
        name: &str,
        result: &AddResult,
        is_default: bool,
        device_info: Option<&DeviceInfo>,
    ) -> Vec<Self> {
        let gateways = result.routes.iter().filter(|r| r.dst.ip().is_unspecified());
        let base = Self {
            name: name.to_owned(),
            dns: result.dns.clone(),
            device_info: device_info.cloned(),
            gateways: gateways.filter_map(|route| route.gw).collect(),
            ..Self::default()
        };
        let inside = result.interfaces.iter().enumerate().filter(|(_, i)| !i.sandbox.is_empty());
        let mut entries: Vec<(usize, Self)> = inside
            .map(|(index, interface)| {
                let (interface, mac, mtu) =
                    (interface.name.clone(), interface.mac.clone(), interface.mtu);
                (index, Self { interface, mac, mtu, ..base.clone() })
            })
            .collect();
        if result.interfaces.len() < 2 {
            let (_, mut only) = entries.pop().unwrap_or((0, base));
            only.is_default = is_default;
            only.ips = result.ips.iter().map(|ip| ip.address.ip().to_string()).collect();
            return vec![only];
        }
        let first_gateway =
            result.ips.iter().find(|ip| ip.gateway.is_some() && ip.interface.is_some());
        let default = match first_gateway.and_then(|ip| ip.interface) {
            Some(index) => Some(index),
            None => entries.first().map(|(index, _)| *index),
        };
        let last = entries.last().map(|(index, _)| *index);
        for (index, entry) in &mut entries {
            entry.is_default = is_default && Some(*index) == default;
            let own = result.ips.iter().filter(|ip| ip.interface.or(last) == Some(*index));
            entry.ips = own.map(|ip| ip.address.ip().to_string()).collect();
        }
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The entry as the client library writes it.
    pub fn to_json(&self) -> Json {
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut put = |key: &str, value: Option<Json>| {
            members.extend(value.map(|value| (key.to_owned(), value)));
        };
        let text = |text: &str| (!text.is_empty()).then(|| Json::from(text));
        let texts = |texts: &[String]| {
            (!texts.is_empty()).then(|| texts.iter().map(String::as_str).collect::<Json>())
        };
        put("name", Some(self.name.as_str().into()));
        put("interface", text(&self.interface));
        put("ips", texts(&self.ips));
        put("mac", text(&self.mac));
        put("mtu", self.mtu.map(Json::from));
        put("default", self.is_default.then_some(Json::Bool(true)));
        let dns = [
            ("nameservers", texts(&self.dns.nameservers)),
            ("domain", text(&self.dns.domain)),
            ("search", texts(&self.dns.search)),
            ("options", texts(&self.dns.options)),
        ];
        let dns = dns.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        put("dns", Some(Json::Object(dns.collect())));
        put("device-info", self.device_info.as_ref().map(|info| info.tree().clone()));
        let gateways: Vec<String> = self.gateways.iter().map(ToString::to_string).collect();
        put("gateway", texts(&gateways));
        Json::Object(members)
    }

    /// The annotation's value for all entries of a pod.
    pub fn print(entries: &[Self]) -> String {
        let entries: Vec<String> = entries.iter().map(|entry| entry.to_json().pretty()).collect();
        format!("[{}]", entries.join(","))
    }

    /// Reads the annotation's value, by whomever it was written: `default-route` is the
    /// specification's name for `gateway`. Codes 6 and 7.
    pub fn parse(text: &str) -> Result<Vec<Self>, Error> {
        let entries = Json::parse(text.as_bytes(), "the value").and_then(|json| {
            let Json::Array(entries) = &json else {
                return Err(name::not("the value", "a list of objects", &json));
            };
            let one = |(i, entry)| read(entry).map_err(|e| e.while_(format_args!("[{i}]")));
            entries.iter().enumerate().map(one).collect()
        });
        entries.map_err(|e: Error| e.while_(format_args!("annotation {NETWORK_STATUS}")))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Raw {
    name: String,
    interface: String,
    ips: Vec<String>,
    mac: String,
    mtu: u32,
    default: bool,
    dns: Dns,
    device_info: Option<Json>,
    gateway: Vec<String>,
    default_route: Vec<String>,
}

fn read(entry: &Json) -> Result<Status, Error> {
    if !matches!(entry, Json::Object(_)) {
        return Err(name::not("the entry", "an object", entry));
    }
    let raw: Raw = entry.decode()?;
    let device_info = raw
        .device_info
        .filter(|info| *info != Json::Null)
        .map(|info| DeviceInfo::from_json(info).map_err(|e| e.while_("device-info")));
    let gateways = [("gateway", raw.gateway), ("default-route", raw.default_route)];
    let gateways = gateways.into_iter().flat_map(|(key, list)| {
        // Go writes a route without a gateway so.
        let list = list.into_iter().filter(|text| !text.is_empty() && text != "<nil>");
        list.map(move |text| {
            text.parse().map_err(|_| Error::config(key, Json::from(text), "is no address"))
        })
    });
    Ok(Status {
        name: raw.name,
        interface: raw.interface,
        ips: raw.ips,
        mac: raw.mac,
        mtu: Some(raw.mtu).filter(|mtu| *mtu != 0),
        is_default: raw.default,
        dns: raw.dns,
        device_info: device_info.transpose()?,
        gateways: gateways.collect::<Result<_, _>>()?,
    })
}
