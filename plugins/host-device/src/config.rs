//! The options of `host-device`.

use std::path::PathBuf;

use attach::config::{self, RawArgs, RawDns, RawMac};
use cni::{Call, Code, Dns, Error, NetConf};
use devices::{DeviceId, PciAddress};
use handover::Sought;
use kernel::MacAddr;
use serde::Deserialize;

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    device: String,
    hwaddr: String,
    kernelpath: String,
    #[serde(rename = "pciBusID")]
    pci_bus_id: String,
    #[serde(rename = "deviceID")]
    device_id: String,
    mac: String,
    mtu: i64,
    allmulti: Option<bool>,
    promisc: Option<bool>,
    use_interface_network: bool,
    force: bool,
    dns: RawDns,
    args: RawArgs,
    runtime_config: RawRuntimeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawRuntimeConfig {
    #[serde(rename = "deviceID")]
    device_id: String,
    mac: String,
}

/// The options, checked. README.md describes each.
#[derive(Debug)]
pub struct Config {
    /// By what the device is found. `None` in STATUS and GC, where the runtime has none to name.
    pub by: Option<By>,
    /// The same, as the journal is asked.
    pub sought: Sought,
    /// The interface's hardware address.
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: Option<u32>,
    /// It takes every multicast packet.
    pub all_multicast: Option<bool>,
    /// It takes every packet.
    pub promiscuous: Option<bool>,
    /// It takes its addresses and routes along.
    pub carry_network: bool,
    /// The node can do without the device.
    pub force: bool,
    /// Replaces the resolver that IPAM gave.
    pub dns: Dns,
}

/// By what a device is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Its id.
    Id(DeviceId),
    /// Its interface's name.
    Name(String),
    /// Its interface's hardware address.
    Mac(MacAddr),
    /// Its directory.
    Path(PathBuf),
}

impl Config {
    /// The options of a call, which has to name a device. Code 7.
    pub fn of(call: &Call) -> Result<Self, Error> {
        let config = Self::parse(&call.conf, Some(call))?;
        if config.by.is_some() {
            return Ok(config);
        }
        Err(Error::new(Code::CONFIG, "no device is named").details(
            "set device, hwaddr, kernelpath or pciBusID, or let the runtime name one: capability \
             deviceID, with Multus the annotation k8s.v1.cni.cncf.io/resourceName on the \
             NetworkAttachmentDefinition and that resource among the container's requests",
        ))
    }

    /// The options; those of the call count where there is one.
    pub fn parse(conf: &NetConf, call: Option<&Call>) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let environment = match call {
            Some(call) => call.args_for(&["MAC"])?.get("MAC").map(str::to_owned),
            None => None,
        };
        let runtime = RawMac { mac: raw.runtime_config.mac.clone() };
        let asked = config::mac(&runtime, &raw.args, environment.as_deref());
        let mac = match asked? {
            None if !raw.mac.is_empty() => Some(raw.mac.parse()?),
            asked => asked,
        };
        let by = raw.by()?;
        let sought = match &by {
            None | Some(By::Path(_)) => Sought::default(),
            Some(By::Id(id)) => Sought { id: Some(id.clone()), ..Sought::default() },
            Some(By::Name(name)) => Sought { name: Some(name.clone()), ..Sought::default() },
            Some(By::Mac(mac)) => Sought { mac: Some(*mac), ..Sought::default() },
        };
        Ok(Self {
            by,
            sought,
            mac,
            mtu: config::mtu(raw.mtu)?,
            all_multicast: raw.allmulti,
            promiscuous: raw.promisc,
            carry_network: raw.use_interface_network,
            force: raw.force,
            dns: raw.dns.or(Dns::default()),
        })
    }
}

impl Raw {
    /// `runtimeConfig.deviceID`, `deviceID`, `pciBusID`: what was allocated for the container, before what
    /// the network always has.
    fn by(&self) -> Result<Option<By>, Error> {
        let mut id: Option<(&str, DeviceId)> = None;
        for (key, text) in [
            ("runtimeConfig.deviceID", &self.runtime_config.device_id),
            ("deviceID", &self.device_id),
            ("pciBusID", &self.pci_bus_id),
        ] {
            if text.is_empty() {
                continue;
            }
            let named = Self::parse_id(key, text)?;
            match &id {
                Some((other, first)) if *first != named => {
                    return Err(Error::new(
                        Code::CONFIG,
                        format!("{other} {first} and {key} {named}: two devices"),
                    )
                    .details("one attachment has one device"));
                }
                Some(_) => {}
                None => id = Some((key, named)),
            }
        }
        let others =
            [("device", &self.device), ("hwaddr", &self.hwaddr), ("kernelpath", &self.kernelpath)];
        let mut others = others.into_iter().filter(|(_, text)| !text.is_empty());
        let other = others.next();
        if let (Some((key, text)), Some((second, also))) = (other, others.next()) {
            // Which of them is right cannot be known, and the wrong one may be the node's uplink.
            return Err(Error::new(
                Code::CONFIG,
                format!("{key} {text:?} and {second} {also:?}: the device is named twice"),
            )
            .details("leave out the one that is not meant"));
        }
        match (id, other) {
            (Some((key, id)), Some((other, text))) => Err(Error::new(
                Code::CONFIG,
                format!("{key} {id} and {other} {text:?}: the device is named twice"),
            )
            .details("leave out the one that is not meant")),
            (Some((_, id)), None) => Ok(Some(By::Id(id))),
            (None, None) => Ok(None),
            (None, Some((key, text))) => Ok(Some(Self::parse_other(key, text)?)),
        }
    }

    fn parse_id(key: &str, text: &str) -> Result<DeviceId, Error> {
        if key == "pciBusID" {
            return PciAddress::under(key, text).map(DeviceId::Pci);
        }
        DeviceId::under(key, text)
    }

    fn parse_other(key: &str, text: &str) -> Result<By, Error> {
        match key {
            "device" => Ok(By::Name(config::link_name(key, text)?.as_str().to_owned())),
            "hwaddr" => MacAddr::under(key, text).map(By::Mac),
            _ => Ok(By::Path(PathBuf::from(text))),
        }
    }
}
