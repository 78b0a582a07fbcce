//! The options of `sriov`.

use std::ops::RangeInclusive;

use attach::config::{self, RawArgs, RawDns, RawMac};
use cni::{Dns, Error, NetConf};
use devices::{DeviceId, PciAddress};
use kernel::MacAddr;
use kernel::link::{VfLinkState, VfVlan, VlanProtocol};
use serde::Deserialize;

use super::keys;
use super::trunk::{RawTrunk, Trunk};
use crate::OnUnsupported;
use crate::vf::VfWanted;

const VLANS: RangeInclusive<i64> = 0..=4094;
const PRIORITIES: RangeInclusive<i64> = 0..=7;
const RATES: RangeInclusive<i64> = 0..=4_294_967_295;
/// From `ETH_MIN_MTU` to `ETH_MAX_MTU`; what the driver takes, it says itself.
const MTUS: RangeInclusive<i64> = 68..=65535;
const LOCK_TIMEOUTS: RangeInclusive<i64> = 0..=86_400;

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    #[serde(rename = "deviceID")]
    device_id: String,
    #[serde(rename = "pciBusID")]
    pci_bus_id: String,
    vlan: Option<i64>,
    #[serde(rename = "vlanQoS")]
    vlan_qos: Option<i64>,
    vlan_proto: Option<String>,
    mac: String,
    spoofchk: String,
    trust: String,
    #[serde(rename = "link_state")]
    link_state: String,
    #[serde(rename = "min_tx_rate")]
    min_tx_rate: Option<i64>,
    #[serde(rename = "max_tx_rate")]
    max_tx_rate: Option<i64>,
    query_rss: Option<bool>,
    mtu: i64,
    allmulti: Option<bool>,
    promisc: Option<bool>,
    trunk: Vec<RawTrunk>,
    on_unsupported: String,
    driver_policy: String,
    lock_timeout: Option<i64>,
    strict: bool,
    dns: RawDns,
    runtime_config: RawRuntime,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRuntime {
    #[serde(rename = "deviceID")]
    device_id: String,
}

/// Where an address can be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawAddresses {
    args: RawArgs,
    runtime_config: RawMac,
}

/// Which drivers a VF may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverPolicy {
    /// Any that serves.
    #[default]
    Any,
    /// One of the kernel's network drivers.
    Kernel,
    /// One by which a program drives the VF.
    Userspace,
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What its physical function is to decide, the address included.
    pub vf: VfWanted,
    /// The VLANs that its representor carries tagged.
    pub trunk: Option<Trunk>,
    /// The interface's MTU in bytes.
    pub mtu: Option<u32>,
    /// It takes every multicast packet.
    pub all_multicast: Option<bool>,
    /// It takes every packet.
    pub promiscuous: Option<bool>,
    /// What becomes of a setting that the hardware does not know.
    pub on_unsupported: OnUnsupported,
    /// Which drivers are served.
    pub driver_policy: DriverPolicy,
    /// Replaces the resolver that IPAM gave.
    pub dns: Dns,
}

impl Options {
    /// The VF, where one is told. Code 7 when two places tell different ones.
    pub fn device(conf: &NetConf) -> Result<Option<PciAddress>, Error> {
        conf.decode::<Raw>()?.device()
    }

    /// Reads and checks the options. `mac` is what `CNI_ARGS` asks for. Code 7 names key and value.
    pub fn parse(conf: &NetConf, mac: Option<&str>) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        if raw.strict {
            keys::refuse_unknown(conf.tree())?;
        }
        number::<u64>("lockTimeout", raw.lock_timeout, &LOCK_TIMEOUTS, "seconds, at most a day")?;
        raw.device()?;
        let vf = VfWanted {
            vlan: raw.vlan()?,
            mac: raw.mac(conf, mac)?,
            spoof_check: switch("spoofchk", &raw.spoofchk)?,
            trust: switch("trust", &raw.trust)?,
            link_state: raw.link_state()?,
            query_rss: raw.query_rss,
            ..raw.rates()?
        };
        let mtu = (raw.mtu != 0).then_some(raw.mtu);
        let mtu = number("mtu", mtu, &MTUS, "68 to 65535, 0 to leave it as it is")?;
        let trunk = Trunk::parse(&raw.trunk)?;
        if let (Some(vlan), Some(_)) = (vf.vlan.filter(|vlan| vlan.id != 0), &trunk) {
            let why = "the VF's own VLAN and a trunk exclude each other; leave one of them out";
            return Err(Error::config("vlan", format_args!("{} with trunk", vlan.id), why));
        }
        Ok(Self {
            vf,
            trunk,
            mtu,
            all_multicast: raw.allmulti,
            promiscuous: raw.promisc,
            on_unsupported: raw.on_unsupported()?,
            driver_policy: raw.driver_policy()?,
            dns: raw.dns.or(Dns::default()),
        })
    }
}

impl Raw {
    /// The VF's address, which two places must not tell differently.
    fn device(&self) -> Result<Option<PciAddress>, Error> {
        let places = [
            ("runtimeConfig.deviceID", &self.runtime_config.device_id),
            ("deviceID", &self.device_id),
            ("pciBusID", &self.pci_bus_id),
        ];
        let mut found: Option<(&str, PciAddress)> = None;
        for (key, text) in places.into_iter().filter(|(_, text)| !text.is_empty()) {
            let value = format_args!("{text:?}");
            let id = DeviceId::under(key, text)?;
            let Some(address) = id.pci() else {
                return Err(Error::config(key, value, "a VF has a PCI address").details(
                    "subfunctions and other auxiliary devices are for the plugin host-device",
                ));
            };
            match found {
                Some((earlier, other)) if other != address => {
                    let why = format!("{earlier} says {other}");
                    return Err(Error::config(key, value, &why)
                        .details("the device is told in several places, which must agree"));
                }
                Some(_) => {}
                None => found = Some((key, address)),
            }
        }
        Ok(found.map(|(_, address)| address))
    }

    fn vlan(&self) -> Result<Option<VfVlan>, Error> {
        let why = "a VLAN id is 1 to 4094, 0 for none; without the key the VF keeps its own";
        let id = number("vlan", self.vlan, &VLANS, why)?;
        let qos = number("vlanQoS", self.vlan_qos, &PRIORITIES, "a priority is 0 to 7")?;
        let protocol = self.vlan_proto.as_deref().map(protocol).transpose()?;
        let Some(id) = id else {
            let lone = |key, value: &dyn std::fmt::Display| {
                Err(Error::config(key, value, "it is of no use without vlan"))
            };
            return match (qos, protocol) {
                (Some(qos), _) => lone("vlanQoS", &qos),
                (_, Some(protocol)) => lone("vlanProto", &format_args!("{:?}", protocol.name())),
                (None, None) => Ok(None),
            };
        };
        let (qos, protocol) = (qos.unwrap_or_default(), protocol.unwrap_or_default());
        if id == 0 && qos != 0 {
            return Err(Error::config("vlanQoS", qos, "with vlan 0 there is no tag to bear it"));
        }
        if id == 0 && protocol == VlanProtocol::Service {
            let value = format_args!("{:?}", protocol.name());
            return Err(Error::config("vlanProto", value, "with vlan 0 there is no tag"));
        }
        Ok(Some(VfVlan { id, qos, protocol }))
    }

    /// The address: what the runtime asks for, else what the network does.
    fn mac(&self, conf: &NetConf, environment: Option<&str>) -> Result<Option<MacAddr>, Error> {
        let places: RawAddresses = conf.decode()?;
        let asked = config::mac(&places.runtime_config, &places.args, environment)?;
        if asked.is_some() || self.mac.is_empty() {
            return Ok(asked);
        }
        self.mac.parse().map(Some)
    }

    fn rates(&self) -> Result<VfWanted, Error> {
        let why = "a rate is in Mbit/s, 0 for no bound";
        let min_rate = number("min_tx_rate", self.min_tx_rate, &RATES, why)?;
        let max_rate = number("max_tx_rate", self.max_tx_rate, &RATES, why)?;
        if let (Some(min), Some(max)) = (min_rate, max_rate)
            && max != 0
            && min > max
        {
            let why = format!("it is more than max_tx_rate {max}");
            return Err(Error::config("min_tx_rate", min, &why));
        }
        Ok(VfWanted { min_rate, max_rate, ..VfWanted::default() })
    }

    fn link_state(&self) -> Result<Option<VfLinkState>, Error> {
        let states = [VfLinkState::Auto, VfLinkState::Enable, VfLinkState::Disable];
        let known = states.map(|state| (state.name(), state));
        choice("link_state", &self.link_state, &known)
    }

    fn on_unsupported(&self) -> Result<OnUnsupported, Error> {
        let known = [("fail", OnUnsupported::Fail), ("warn", OnUnsupported::Warn)];
        Ok(choice("onUnsupported", &self.on_unsupported, &known)?.unwrap_or_default())
    }

    fn driver_policy(&self) -> Result<DriverPolicy, Error> {
        let known = [
            ("any", DriverPolicy::Any),
            ("require-kernel", DriverPolicy::Kernel),
            ("require-userspace", DriverPolicy::Userspace),
        ];
        Ok(choice("driverPolicy", &self.driver_policy, &known)?.unwrap_or_default())
    }
}

fn number<T: TryFrom<i64>>(
    key: &str,
    value: Option<i64>,
    range: &RangeInclusive<i64>,
    why: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = value else { return Ok(None) };
    match T::try_from(value) {
        Ok(number) if range.contains(&value) => Ok(Some(number)),
        _ => Err(Error::config(key, value, why)),
    }
}

fn switch(key: &str, value: &str) -> Result<Option<bool>, Error> {
    choice(key, value, &[("on", true), ("off", false)])
}

/// One of the known words; an empty one is none, as Go's decoder has it.
pub(super) fn choice<T: Copy>(
    key: &str,
    value: &str,
    known: &[(&str, T)],
) -> Result<Option<T>, Error> {
    if value.is_empty() {
        return Ok(None);
    }
    let found = known.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    found.map(Some).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| format!("{word:?}")).collect();
        let why = format!("known are {}", words.join(", "));
        Error::config(key, format_args!("{value:?}"), &why)
    })
}

fn protocol(text: &str) -> Result<VlanProtocol, Error> {
    let known = [VlanProtocol::Customer, VlanProtocol::Service];
    let found = known.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let why = "known are \"802.1q\" and \"802.1ad\"";
        Error::config("vlanProto", format_args!("{text:?}"), why)
    })
}

#[cfg(test)]
mod tests;
