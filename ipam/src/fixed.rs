//! `static`: the addresses that the config or the runtime names. Nothing is remembered.

use std::net::IpAddr;

use cni::{AddResult, Call, Code, Dns, Error, GcCall, IpConfig, NetConf, Plugin, StatusCall};
use serde::Deserialize;

use crate::address::{Family, parse, parse_cidr, parse_optional};
use crate::range::one_address_per_family;
use crate::request::comma_separated;
use crate::route::{RouteConf, routes};

/// The address manager `static`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Static;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conf {
    ipam: IpamConf,
    runtime_config: Ips,
    args: ArgsConf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IpamConf {
    addresses: Vec<AddressConf>,
    routes: Vec<RouteConf>,
    dns: DnsConf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AddressConf {
    address: String,
    gateway: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DnsConf {
    nameservers: Vec<String>,
    domain: String,
    search: Vec<String>,
    options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ips {
    ips: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ArgsConf {
    cni: Ips,
}

impl Conf {
    /// The addresses: those of the config and of `CNI_ARGS`, or in their place those of
    /// `args.cni`, or in the place of all those of the runtime.
    fn addresses(&self, call: &Call) -> Result<Vec<IpConfig>, Error> {
        let args = call.args_for(&["IP", "GATEWAY"])?;
        let mut ips = Vec::new();
        for (n, conf) in self.ipam.addresses.iter().enumerate() {
            let key = format!("ipam.addresses[{n}]");
            let gateway = parse_optional(&format!("{key}.gateway"), conf.gateway.as_deref())?;
            let ip = ip_config(&format!("{key}.address"), &conf.address, gateway)?;
            if let Some(gateway) = gateway
                && gateway.is_ipv4() != ip.address.is_ipv4()
            {
                let why = format!("not of the family of {}", ip.address);
                return Err(Error::config(&format!("{key}.gateway"), gateway, &why));
            }
            ips.push(ip);
        }
        for text in comma_separated(args.get("IP")) {
            ips.push(ip_config("CNI_ARGS IP", &text, None)?);
        }
        for text in comma_separated(args.get("GATEWAY")) {
            let gateway = parse("CNI_ARGS GATEWAY", &text)?;
            for ip in ips.iter_mut().filter(|ip| ip.address.contains(gateway)) {
                ip.gateway = Some(gateway);
            }
        }
        for (key, list) in
            [("args.cni.ips", &self.args.cni.ips), ("runtimeConfig.ips", &self.runtime_config.ips)]
        {
            if !list.is_empty() {
                let named = list.iter().enumerate();
                ips = named
                    .map(|(n, text)| ip_config(&format!("{key}[{n}]"), text, None))
                    .collect::<Result<_, _>>()?;
            }
        }
        check_version(&ips, &call.conf)?;
        Ok(ips)
    }
}

impl Static {
    /// The attachment's addresses; none where the config cannot be read.
    pub fn leases(&self, call: &Call) -> Vec<IpAddr> {
        let addresses = call.conf.decode::<Conf>().and_then(|conf| conf.addresses(call));
        addresses.unwrap_or_default().iter().map(|ip| ip.address.ip()).collect()
    }
}

impl Plugin for Static {
    const NAME: &'static str = "static";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let conf: Conf = call.conf.decode()?;
        let ips = conf.addresses(call)?;
        let routes = routes(&conf.ipam.routes)?;
        let DnsConf { nameservers, domain, search, options } = conf.ipam.dns;
        let dns = Dns { nameservers, domain, search, options };
        Ok(AddResult { interfaces: Vec::new(), ips, routes, dns })
    }

    /// Nothing was remembered; so there is nothing to remove.
    fn del(&self, _call: &Call) -> Result<(), Error> {
        Ok(())
    }

    /// Every address is in the previous result, with its prefix length and, where the config
    /// names one, its gateway; and so is every route. Code 103.
    fn check(&self, call: &Call) -> Result<(), Error> {
        let conf: Conf = call.conf.decode()?;
        let previous = call.prev_result.as_ref().ok_or_else(|| {
            Error::new(Code::CONFIG, "prevResult is missing: CHECK has nothing to compare with")
        })?;
        let mut differences = Vec::new();
        for wanted in conf.addresses(call)? {
            let Some(found) = previous.ips.iter().find(|ip| ip.address.ip() == wanted.address.ip())
            else {
                differences.push(format!("prevResult lacks {}", wanted.address));
                continue;
            };
            if found.address.prefix() != wanted.address.prefix() {
                differences.push(format!(
                    "prevResult has {} in place of {}",
                    found.address, wanted.address
                ));
            }
            if let Some(gateway) = wanted.gateway
                && found.gateway != wanted.gateway
            {
                let has = found.gateway.map_or("none".to_owned(), |gateway| gateway.to_string());
                differences.push(format!(
                    "prevResult's gateway of {} is {has} in place of {gateway}",
                    wanted.address
                ));
            }
        }
        for route in routes(&conf.ipam.routes)? {
            let same = |r: &cni::Route| {
                (r.dst.network(), r.dst.prefix()) == (route.dst.network(), route.dst.prefix())
                    && (route.gw.is_none() || r.gw == route.gw)
            };
            if !previous.routes.iter().any(same) {
                differences.push(format!("prevResult lacks the route to {}", route.dst));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::CHECK, differences.join("; "))
            .details(format!("compared for {}", call.attachment)))
    }

    /// Nothing was remembered; so there is nothing to remove.
    fn gc(&self, _call: &GcCall) -> Result<(), Error> {
        Ok(())
    }

    /// Always ready.
    fn status(&self, _call: &StatusCall) -> Result<(), Error> {
        Ok(())
    }
}

fn ip_config(key: &str, text: &str, gateway: Option<IpAddr>) -> Result<IpConfig, Error> {
    Ok(IpConfig { interface: None, address: parse_cidr(key, text)?, gateway })
}

fn check_version(ips: &[IpConfig], conf: &NetConf) -> Result<(), Error> {
    for family in [Family::V4, Family::V6] {
        let many = ips.iter().filter(|ip| Family::of(ip.address.ip()) == family).count();
        if many > 1 && conf.version < cni::Version::V0_3_0 {
            return Err(one_address_per_family(conf.version, family, &format!("{many}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
