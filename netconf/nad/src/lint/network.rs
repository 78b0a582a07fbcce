//! NetworkAttachmentDefinitions.

use std::path::Path;

use cni::{Code, Error, Json};

use super::{Findings, keys};
use crate::{Definition, Network, PluginConf, RESOURCE_NAME, name};

/// Judges the object, and gives out what can be held against pods.
pub(super) fn definition(
    object: &Json,
    conf_dir: Option<&Path>,
    findings: &mut Findings,
) -> Option<Definition> {
    findings.unknown_fields("", object, &["apiVersion", "kind", "metadata", "spec", "status"]);
    if let Some(spec) = name::exact(object, "spec") {
        findings.unknown_fields("spec", spec, &["config"]);
    }
    annotations(object, findings);
    let definition = match Definition::from_json(object) {
        Ok(definition) => definition,
        Err(e) => {
            findings.error(e);
            return None;
        }
    };
    if !name::is_label(&definition.name) {
        let value = Json::from(definition.name.as_str());
        let why = "the short form of the pods' annotation cannot say it";
        findings.warning(Error::config("metadata.name", value, why));
    }
    let read = match (&definition.config, conf_dir) {
        (Some(text), _) => {
            Network::parse(text.as_bytes(), &definition.name).map_err(|e| e.while_("spec.config"))
        }
        (None, Some(conf_dir)) => definition.network(conf_dir),
        (None, None) => return Some(definition),
    };
    match read {
        Ok(network) => {
            judge(&definition, &network, findings);
            Some(definition)
        }
        Err(e) => {
            findings.error(e);
            None
        }
    }
}

fn annotations(object: &Json, findings: &mut Findings) {
    let annotations = name::exact(object, "metadata").and_then(|m| name::exact(m, "annotations"));
    let Some(Json::Object(members)) = annotations else { return };
    for (key, _) in members {
        if key != RESOURCE_NAME
            && (key.starts_with("k8s.v1.cni.cncf.io/")
                || cni::likely(key, &[RESOURCE_NAME]).is_some())
        {
            let error = Error::new(Code::CONFIG, format!("annotation {key} is not known"));
            findings.warning(error.details(format!("is {RESOURCE_NAME} meant?")));
        }
    }
}

fn judge(definition: &Definition, network: &Network, findings: &mut Findings) {
    if network.version.is_none() {
        let error = Error::new(Code::CONFIG, "spec.config: cniVersion is missing");
        findings.warning(error.details(
            "it means 0.1.0, which knows no CHECK and hands DEL no result; 1.0.0 and 1.1.0 are common",
        ));
    }
    for (i, plugin) in network.plugins.iter().enumerate() {
        let at = if network.is_list {
            format!("spec.config: plugins[{i}]")
        } else {
            "spec.config".to_owned()
        };
        judge_plugin(&at, definition, plugin, findings);
    }
}

fn judge_plugin(at: &str, definition: &Definition, plugin: &PluginConf, findings: &mut Findings) {
    let warn = |findings: &mut Findings, msg: &str, mend: String| {
        let error = Error::new(Code::CONFIG, format!("{at}.{msg}"));
        findings.warning(error.details(mend));
    };
    keys::judge(at, plugin, findings);
    for key in ["runtimeConfig", "prevResult"] {
        if plugin.tree.get(key).is_some() {
            warn(findings, &format!("{key}: is for the runtime to set"), "leave it out".to_owned());
        }
    }
    for (capability, known) in plugin.capabilities.iter().filter_map(|capability| {
        let known = cni::likely(capability, CAPABILITIES)?;
        (known != capability).then_some((capability, known))
    }) {
        let msg = format!("capabilities.{capability}: no runtime knows it");
        warn(findings, &msg, format!("is {known} meant?"));
    }
    let device_keys: &[&str] = match plugin.kind.as_str() {
        "sriov" => &["deviceID", "pciBusID"],
        "host-device" => &["device", "hwaddr", "kernelpath", "deviceID", "pciBusID"],
        _ => return,
    };
    let fixed: Vec<_> =
        device_keys.iter().filter(|key| plugin.tree.get(key).is_some()).copied().collect();
    match &definition.resource {
        Some(resource) => {
            for key in fixed {
                let mend = format!("leave it out: {resource} gives each pod a device of its own");
                let overwritten = matches!(key, "deviceID" | "pciBusID");
                let what = if overwritten { "is overwritten" } else { "contends with the device" };
                warn(findings, &format!("{key}: {what} of the resource"), mend);
            }
        }
        None if fixed.is_empty() && !plugin.capabilities.iter().any(|c| c == "deviceID") => {
            let mend = format!(
                "add the annotation {RESOURCE_NAME} with the resource of the device plugin"
            );
            warn(findings, &format!("{}: is given no device", plugin.kind), mend);
        }
        None => {}
    }
}

/// What runtimes and Multus can pass, by the conventions document of CNI and the device-information
/// specification.
const CAPABILITIES: &[&str] = &[
    "portMappings",
    "ipRanges",
    "bandwidth",
    "dns",
    "ips",
    "mac",
    "infinibandGUID",
    "deviceID",
    "aliases",
    "cgroupPath",
    "CNIDeviceInfoFile",
];
