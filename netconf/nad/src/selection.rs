//! Which networks a pod asks for, and what it asks of each.

mod element;
mod request;
mod short;

use std::net::IpAddr;

use cni::{Code, Error, IfName, Json};

use crate::name;
pub(crate) use element::KEYS;
pub(crate) use request::{BANDWIDTH_KEYS, PORT_KEYS};
pub use request::{Bandwidth, PortMapping};

/// A network asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// `name`
    pub name: String,
    /// `namespace`; without one the pod's.
    pub namespace: Option<String>,
    /// `interface`, or `interfaceRequest` of old: the interface's name in the container.
    pub interface: Option<IfName>,
    /// `ips`: addresses, each with or without a prefix length, as they were written.
    pub ips: Vec<String>,
    /// `mac` as it was written: 6, 8 or 20 bytes in any of the forms that Go reads.
    pub mac: Option<String>,
    /// `infiniband-guid` as it was written.
    pub infiniband_guid: Option<String>,
    /// `portMappings`
    pub port_mappings: Vec<PortMapping>,
    /// `bandwidth`
    pub bandwidth: Option<Bandwidth>,
    /// `default-route`: the gateways that become the pod's; an empty list is not the same as none.
    pub default_route: Option<Vec<IpAddr>>,
    /// `cni-args`, an object.
    pub cni_args: Option<Json>,
    /// `deviceID`: Multus takes it where no resource gives one.
    pub device_id: Option<String>,
    /// `ipam-claim-reference`: the IPAMClaim that keeps the addresses.
    pub ipam_claim: Option<String>,
}

impl Selection {
    /// Reads the value of the annotation `key`, in the short form or as a JSON array. Codes 6 and 7: the
    /// error names annotation, element, key and value.
    pub fn parse(key: &str, text: &str) -> Result<Vec<Self>, Error> {
        parse(text).map_err(|e| e.while_(format_args!("annotation {key}")))
    }

    /// The element of the JSON form. `interface` stands for `interfaceRequest`, too.
    pub fn to_json(&self) -> Json {
        element::write(self)
    }

    /// `NAMESPACE/NAME`, given the pod's namespace.
    pub fn path(&self, pods: &str) -> String {
        format!("{}/{}", self.namespace.as_deref().unwrap_or(pods), self.name)
    }
}

fn parse(text: &str) -> Result<Vec<Selection>, Error> {
    if text.trim().is_empty() {
        return Err(Error::new(Code::CONFIG, "is empty")
            .details("leave it out, or name networks: NAME, NAMESPACE/NAME@INTERFACE"));
    }
    let selections = if text.contains(['[', '{', '"']) {
        element::read(&Json::parse(text.as_bytes(), "the value")?)?
    } else {
        short::read(text)?
    };
    let mut taken: Vec<(&IfName, usize)> = Vec::new();
    for (i, selection) in selections.iter().enumerate() {
        let Some(own) = &selection.interface else { continue };
        if let Some((_, first)) = taken.iter().find(|(name, _)| *name == own) {
            let key = format!("[{i}].interface");
            let why = format!("[{first}] has the same name");
            return Err(Error::config(&key, Json::from(own.as_str()), &why)
                .details("each attachment needs an interface name of its own"));
        }
        taken.push((own, i));
    }
    Ok(selections)
}

/// Checks what both forms have.
fn checked(name: &str, namespace: &str, interface: &str) -> Result<Selection, Error> {
    name::labels("name", name)?;
    if !namespace.is_empty() {
        name::label("namespace", namespace)?;
    }
    let interface = match interface {
        "" => None,
        text => Some(
            text.parse().map_err(|e: Error| Error::new(Code::CONFIG, format!("interface {e}")))?,
        ),
    };
    let namespace = Some(namespace.to_owned()).filter(|n| !n.is_empty());
    Ok(Selection { name: name.to_owned(), namespace, interface, ..Selection::default() })
}
