//! One attachment: a network with what was asked of it.

use std::net::IpAddr;

use cni::{Code, Error, IfName, Json};

use super::devices::Devices;
use crate::{Definition, Network, PluginConf, Selection, marshal, name};

/// An attachment that Multus is to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Delegate {
    /// `NAMESPACE/NAME` of the NetworkAttachmentDefinition; the network's name where there is none.
    pub name: String,
    /// The network, with `deviceID`, `pciBusID` and `args.cni` in the configuration of every plugin.
    pub network: Network,
    /// What was asked of it.
    pub selection: Selection,
    /// The resource that its device is of.
    pub resource: Option<String>,
    /// Its device.
    pub device_id: Option<String>,
    /// It is the pod's default network: what was asked of it reaches no plugin as `runtimeConfig`.
    pub is_default: bool,
    /// Its place among all delegates, of which the default network is the first.
    pub index: usize,
    /// Multus takes the IPv4 default route of this attachment away after ADD.
    pub loses_v4_default: bool,
    /// The same for IPv6.
    pub loses_v6_default: bool,
    /// What Multus would let pass without a word, although it is not what was meant.
    pub warnings: Vec<Error>,
}

impl Delegate {
    pub(super) fn of_cluster(network: Network) -> Self {
        Self {
            name: network.name.to_string(),
            network,
            selection: Selection::default(),
            resource: None,
            device_id: None,
            is_default: true,
            index: 0,
            loses_v4_default: false,
            loses_v6_default: false,
            warnings: Vec::new(),
        }
    }

    pub(super) fn new(
        definition: &Definition,
        selection: Selection,
        mut network: Network,
        devices: &mut Devices,
    ) -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let mut device_id = None;
        if let Some(resource) = &definition.resource {
            match devices.take(resource) {
                Ok(id) => device_id = Some(id),
                // Multus goes on, and the plugin has to say that it was given no device.
                Err(e) => warnings.push(e),
            }
        }
        let is_list = network.is_list;
        for (i, plugin) in network.plugins.iter_mut().enumerate() {
            if let Some(id) = &device_id {
                marshal::insert(&mut plugin.tree, "deviceID", id.as_str().into());
                marshal::insert(&mut plugin.tree, "pciBusID", id.as_str().into());
            }
            if let Some(args) = &selection.cni_args {
                merge_args(plugin, args).map_err(|e| {
                    if is_list { e.while_(format_args!("plugins[{i}]")) } else { e }
                })?;
            }
        }
        if device_id.is_some() && selection.device_id.is_some() {
            let value = Json::from(selection.device_id.as_deref().unwrap_or_default());
            let why = "is ignored: the resource of the network gives the device";
            warnings.push(Error::config("deviceID", value, why));
        }
        let device_id = device_id.or_else(|| selection.device_id.clone());
        let resource = definition.resource.clone().filter(|_| device_id.is_some());
        let mut delegate = Self {
            name: definition.path(),
            selection,
            resource,
            device_id,
            is_default: false,
            warnings,
            ..Self::of_cluster(network)
        };
        delegate.warn_of_capabilities();
        Ok(delegate)
    }

    /// The interface's name in the container, given `CNI_IFNAME` of the call of Multus.
    pub fn interface(&self, first: &IfName) -> Result<IfName, Error> {
        match &self.selection.interface {
            Some(own) => Ok(own.clone()),
            None if self.is_default => Ok(first.clone()),
            None => format!("net{}", self.index).parse(),
        }
    }

    /// Whether Multus, or libcni in it, ever calls CHECK for it. Multus calls none for the networks of
    /// annotations.
    pub fn is_checked(&self) -> bool {
        self.index == 0
    }

    /// What is asked for and would be dropped, as no plugin declares that it can do it. The
    /// specification has the attachment fail; Multus goes on.
    fn warn_of_capabilities(&mut self) {
        let asked = &self.selection;
        // A device of a resource is in the configuration itself.
        let device = asked.device_id.is_some() && self.resource.is_none();
        for (capability, key, is_asked) in [
            ("ips", "ips", !asked.ips.is_empty()),
            ("mac", "mac", asked.mac.is_some()),
            ("infinibandGUID", "infiniband-guid", asked.infiniband_guid.is_some()),
            ("portMappings", "portMappings", !asked.port_mappings.is_empty()),
            ("bandwidth", "bandwidth", asked.bandwidth.is_some()),
            ("deviceID", "deviceID", device),
        ] {
            if is_asked && !self.network.is_capable_of(capability) {
                let msg = format!("{key}: no plugin of {} has the capability", self.name);
                let mend = format!("add \"capabilities\": {{\"{capability}\": true}} to a plugin");
                self.warnings.push(Error::new(Code::CONFIG, msg).details(mend));
            }
        }
    }
}

/// What the pod asks for wins over what the network has.
fn merge_args(plugin: &mut PluginConf, asked: &Json) -> Result<(), Error> {
    let object = |key: &str, found: Option<&Json>| match found {
        None => Ok(Json::Object(Vec::new())),
        Some(found @ Json::Object(_)) => Ok(found.clone()),
        Some(other) => {
            Err(name::not(key, "an object", other).details("the pod's cni-args go into it"))
        }
    };
    let mut args = object("args", name::exact(&plugin.tree, "args"))?;
    let mut cni = object("args.cni", name::exact(&args, "cni"))?;
    if let Json::Object(members) = marshal::canonical(asked) {
        for (key, value) in members {
            marshal::insert(&mut cni, &key, value);
        }
    }
    marshal::insert(&mut args, "cni", cni);
    marshal::insert(&mut plugin.tree, "args", args);
    Ok(())
}

/// Where one attachment asks for the default route, all others lose theirs. Two gateways of a family
/// are refused.
pub(super) fn route_defaults(delegates: &mut [Delegate]) -> Result<(), Error> {
    let asked: Vec<(usize, IpAddr)> = delegates
        .iter()
        .flat_map(|d| d.selection.default_route.iter().flatten().map(|gw| (d.index, *gw)))
        .collect();
    for is_v4 in [true, false] {
        let gateways: Vec<_> = asked.iter().filter(|(_, gw)| gw.is_ipv4() == is_v4).collect();
        if let [(_, first), (_, second), ..] = gateways[..] {
            let family = if is_v4 { "IPv4" } else { "IPv6" };
            let why = format!("{first} is asked for as the {family} default gateway already");
            return Err(Error::config("default-route", second, &why)
                .details("a pod has one default gateway of a family"));
        }
    }
    if delegates.iter().all(|d| d.selection.default_route.is_none()) {
        return Ok(());
    }
    for delegate in delegates {
        let own = delegate.selection.default_route.as_deref();
        let has = |is_v4| own.is_some_and(|own| own.iter().any(|gw| gw.is_ipv4() == is_v4));
        delegate.loses_v4_default = !has(true);
        delegate.loses_v6_default = !has(false);
        if own.is_some_and(<[_]>::is_empty) {
            let msg = "default-route []: Multus takes every default route away, this one's too";
            delegate.warnings.push(
                Error::new(Code::CONFIG, msg)
                    .details("the specification keeps it; name the gateway to be safe"),
            );
        }
    }
    Ok(())
}
