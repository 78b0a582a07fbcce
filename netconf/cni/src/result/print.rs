//! Results as they go out, in every version's form and in the reference's order and spacing.

use super::parse::Form;
use super::{AddResult, Dns, Interface, IpConfig, Route};
use crate::{Error, Json, Version};

impl AddResult {
    /// The result as the text of `version`.
    ///
    /// Down to 0.3.0 an interface loses what 1.1.0 added, down to 0.2.0 all interfaces go, and of
    /// each family only the first address stays, with those routes that are of its family. A
    /// result without any address cannot be told in 0.2.0 and 0.1.0: code 7.
    pub fn print(&self, version: Version) -> Result<String, Error> {
        self.to_json(version).map(|json| json.pretty())
    }

    /// The tree of [`print`](Self::print).
    pub fn to_json(&self, version: Version) -> Result<Json, Error> {
        let mut result = Members::default();
        result.put("cniVersion", version.as_str());
        match Form::of(version) {
            Form::PerFamily => {
                let ip4 = self.family(IpConfig::is_ipv4);
                let ip6 = self.family(|ip| !ip.is_ipv4());
                if ip4.is_none() && ip6.is_none() {
                    return Err(Error::config(
                        "cniVersion",
                        version,
                        "a result without an address cannot be told in this version",
                    )
                    .details("0.3.0 is the first version that can"));
                }
                for (key, family) in [("ip4", ip4), ("ip6", ip6)] {
                    if let Some(family) = family {
                        result.put(key, family);
                    }
                }
                result.put("dns", self.dns.members());
            }
            Form::Versioned => {
                result.put_list("interfaces", self.interfaces.iter().map(Interface::versioned));
                result.put_list("ips", self.ips.iter().map(|ip| ip.members(true)));
                result.put_list("routes", self.routes.iter().map(Route::members));
                result.put("dns", self.dns.members());
            }
            Form::Newest => {
                result.put_list("interfaces", self.interfaces.iter().map(Interface::members));
                result.put_list("ips", self.ips.iter().map(|ip| ip.members(false)));
                result.put_list("routes", self.routes.iter().map(Route::members));
                if !self.dns.is_empty() {
                    result.put("dns", self.dns.members());
                }
                return Ok(sorted(result.0));
            }
        }
        Ok(Json::Object(result.0))
    }

    /// The first address of a family and the family's routes.
    fn family(&self, is: impl Fn(&IpConfig) -> bool) -> Option<Members> {
        let ip = self.ips.iter().find(|ip| is(ip))?;
        let mut family = Members::default();
        family.put("ip", ip.address.to_string());
        family.put_if("gateway", ip.gateway.map(|gateway| gateway.to_string()));
        let routes = self.routes.iter().filter(|route| route.dst.is_ipv4() == ip.is_ipv4());
        family.put_list("routes", routes.map(Route::destination));
        Some(family)
    }
}

impl IpConfig {
    fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    fn members(&self, with_version: bool) -> Members {
        let mut ip = Members::default();
        if with_version {
            ip.put("version", if self.is_ipv4() { "4" } else { "6" });
        }
        ip.put_if("interface", self.interface.map(|index| index as u64));
        ip.put("address", self.address.to_string());
        ip.put_if("gateway", self.gateway.map(|gateway| gateway.to_string()));
        ip
    }
}

impl Interface {
    fn versioned(&self) -> Members {
        let mut interface = Members::default();
        interface.put("name", self.name.as_str());
        interface.put_text("mac", &self.mac);
        interface.put_text("sandbox", &self.sandbox);
        interface
    }

    fn members(&self) -> Members {
        let mut interface = self.versioned();
        interface.put_if("mtu", self.mtu.filter(|mtu| *mtu != 0));
        interface.put_text("socketPath", &self.socket_path);
        interface.put_text("pciID", &self.pci_id);
        interface
    }
}

impl Route {
    fn destination(&self) -> Members {
        let mut route = Members::default();
        route.put("dst", self.dst.to_string());
        route.put_if("gw", self.gw.map(|gw| gw.to_string()));
        route
    }

    /// All attributes, in the versions before 1.1.0 too: the reference has one type for routes.
    fn members(&self) -> Members {
        let mut route = self.destination();
        for (key, number) in
            [("mtu", self.mtu), ("advmss", self.advmss), ("priority", self.priority)]
        {
            route.put_if(key, number.filter(|number| *number != 0));
        }
        route.put_if("table", self.table);
        route.put_if("scope", self.scope.map(u32::from));
        route
    }
}

impl Dns {
    fn members(&self) -> Members {
        let mut dns = Members::default();
        dns.put_texts("nameservers", &self.nameservers);
        dns.put_text("domain", &self.domain);
        dns.put_texts("search", &self.search);
        dns.put_texts("options", &self.options);
        dns
    }
}

/// The members of an object being written; what is empty is left out.
#[derive(Default)]
struct Members(Vec<(String, Json)>);

impl From<Members> for Json {
    fn from(members: Members) -> Self {
        Self::Object(members.0)
    }
}

impl Members {
    fn put(&mut self, key: &str, value: impl Into<Json>) {
        self.0.push((key.to_owned(), value.into()));
    }

    fn put_if(&mut self, key: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn put_text(&mut self, key: &str, text: &str) {
        self.put_if(key, (!text.is_empty()).then_some(text));
    }

    fn put_texts(&mut self, key: &str, texts: &[String]) {
        self.put_list(key, texts.iter().map(String::as_str));
    }

    fn put_list(&mut self, key: &str, items: impl Iterator<Item = impl Into<Json>>) {
        let mut items = items.peekable();
        if items.peek().is_some() {
            self.put(key, items.collect::<Json>());
        }
    }
}

/// From 1.0.0 on the reference prints a result through a map, which sorts the keys of all levels.
fn sorted(mut members: Vec<(String, Json)>) -> Json {
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let sort = |json| match json {
        Json::Object(members) => sorted(members),
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .map(|item| if let Json::Object(members) = item { sorted(members) } else { item })
                .collect(),
        ),
        other => other,
    };
    Json::Object(members.into_iter().map(|(key, value)| (key, sort(value))).collect())
}
