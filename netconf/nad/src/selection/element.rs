//! The JSON form: a list of objects.

use std::net::IpAddr;

use cni::{Code, Error, Json};
use serde::Deserialize;

use super::Selection;
use super::request::{self, RawBandwidth, RawPort};
use crate::name;

/// Every key of an element.
pub(crate) const KEYS: &[&str] = &[
    "name",
    "namespace",
    "ips",
    "mac",
    "infiniband-guid",
    "interface",
    "interfaceRequest",
    "portMappings",
    "bandwidth",
    "default-route",
    "cni-args",
    "deviceID",
    "ipam-claim-reference",
];

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Raw {
    name: String,
    namespace: String,
    ips: Vec<String>,
    mac: String,
    infiniband_guid: String,
    interface: String,
    #[serde(rename = "interfaceRequest")]
    interface_request: String,
    #[serde(rename = "portMappings")]
    port_mappings: Vec<RawPort>,
    bandwidth: Option<RawBandwidth>,
    default_route: Option<Vec<String>>,
    cni_args: Option<Json>,
    #[serde(rename = "deviceID")]
    device_id: String,
    ipam_claim_reference: String,
}

pub(super) fn read(json: &Json) -> Result<Vec<Selection>, Error> {
    let Json::Array(elements) = json else {
        return Err(name::not("the value", "a list of objects", json)
            .details("put the object between '[' and ']'"));
    };
    let one = |(i, element): (usize, &Json)| {
        let read = match element {
            Json::Object(_) => element.decode().and_then(checked),
            other => Err(name::not("the element", "an object", other)),
        };
        read.map_err(|e| e.while_(format_args!("[{i}]")))
    };
    elements.iter().enumerate().map(one).collect()
}

fn checked(raw: Raw) -> Result<Selection, Error> {
    let (key, interface) = if raw.interface.is_empty() {
        ("interfaceRequest", &raw.interface_request)
    } else {
        ("interface", &raw.interface)
    };
    if key == "interface"
        && !raw.interface_request.is_empty()
        && raw.interface_request != *interface
    {
        let value = Json::from(raw.interface_request);
        return Err(Error::config("interfaceRequest", value, "interface has another name")
            .details("interface is the key; leave the other one out"));
    }
    if raw.name.is_empty() {
        return Err(Error::new(Code::CONFIG, "name is missing")
            .details("it is the name of a NetworkAttachmentDefinition"));
    }
    let base = super::checked(&raw.name, &raw.namespace, interface)?;
    for (i, ip) in raw.ips.iter().enumerate() {
        request::address(&format!("ips[{i}]"), ip)?;
    }
    if !raw.ips.is_empty() && !raw.ipam_claim_reference.is_empty() {
        let value = Json::from(raw.ipam_claim_reference);
        let why = "ips is asked for, too, and only one of them can be";
        return Err(Error::config("ipam-claim-reference", value, why)
            .details("the claim keeps its addresses itself"));
    }
    if !raw.ipam_claim_reference.is_empty() {
        name::labels("ipam-claim-reference", &raw.ipam_claim_reference)?;
    }
    if !raw.mac.is_empty() {
        request::hardware_address("mac", &raw.mac, &[6, 8, 20])?;
    }
    if !raw.infiniband_guid.is_empty() {
        request::hardware_address("infiniband-guid", &raw.infiniband_guid, &[8])?;
    }
    if raw.device_id.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        let value = Json::from(raw.device_id);
        return Err(Error::config("deviceID", value, "is no device id")
            .details("it is a PCI address, as in 0000:01:10.0, or a name of the auxiliary bus"));
    }
    let cni_args = match raw.cni_args {
        None | Some(Json::Null) => None,
        Some(args @ Json::Object(_)) => Some(args),
        Some(other) => return Err(name::not("cni-args", "an object", &other)),
    };
    let default_route = raw.default_route.map(|gateways| {
        let gateway = |(i, text): (usize, String)| {
            let key = format!("default-route[{i}]");
            text.parse().map_err(|_| {
                Error::config(&key, Json::from(text), "is no address")
                    .details("a gateway is an address without a prefix length, as in 10.1.2.1")
            })
        };
        gateways.into_iter().enumerate().map(gateway).collect::<Result<Vec<IpAddr>, _>>()
    });
    let port_mappings = raw.port_mappings.into_iter().enumerate();
    let port_mappings = port_mappings.map(|(i, port)| {
        request::port_mapping(port).map_err(|e| e.while_(format_args!("portMappings[{i}]")))
    });
    let full = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Selection {
        ips: raw.ips,
        mac: full(raw.mac),
        infiniband_guid: full(raw.infiniband_guid),
        port_mappings: port_mappings.collect::<Result<_, _>>()?,
        bandwidth: raw.bandwidth.as_ref().map(request::bandwidth).transpose()?,
        default_route: default_route.transpose()?,
        cni_args,
        device_id: full(raw.device_id),
        ipam_claim: full(raw.ipam_claim_reference),
        ..base
    })
}

pub(super) fn write(selection: &Selection) -> Json {
    let mut members: Vec<(String, Json)> = Vec::new();
    let mut put = |key: &str, value: Option<Json>| {
        members.extend(value.map(|value| (key.to_owned(), value)));
    };
    let text = |text: &Option<String>| text.as_deref().map(Json::from);
    put("name", Some(selection.name.as_str().into()));
    put("namespace", text(&selection.namespace));
    let ips = &selection.ips;
    put("ips", (!ips.is_empty()).then(|| ips.iter().map(String::as_str).collect()));
    put("mac", text(&selection.mac));
    put("infiniband-guid", text(&selection.infiniband_guid));
    put("interface", selection.interface.as_ref().map(|name| name.as_str().into()));
    let ports = &selection.port_mappings;
    put("portMappings", (!ports.is_empty()).then(|| ports.iter().map(Json::from).collect()));
    put("bandwidth", selection.bandwidth.as_ref().map(Json::from));
    let gateways = selection.default_route.as_ref();
    put("default-route", gateways.map(|list| list.iter().map(ToString::to_string).collect()));
    put("cni-args", selection.cni_args.clone());
    put("deviceID", text(&selection.device_id));
    put("ipam-claim-reference", text(&selection.ipam_claim));
    Json::Object(members)
}
