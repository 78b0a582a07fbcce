//! What a plugin is handed: the environment and the bytes on stdin.

use cni::{Error, IfName, Json, Version};

use super::{Delegate, Multus};
use crate::{Pod, marshal, name};

/// The calls that runtimes make for an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// ADD
    Add,
    /// CHECK
    Check,
    /// DEL
    Del,
}

impl Verb {
    /// `CNI_COMMAND`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
        }
    }
}

/// What the runtime handed Multus about the pod's sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// `CNI_CONTAINERID`
    pub container: String,
    /// `CNI_NETNS`
    pub netns: String,
    /// `CNI_IFNAME`
    pub interface: IfName,
    /// `CNI_PATH`
    pub path: String,
}

/// One execution of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The plugin (its `type`).
    pub plugin: String,
    /// `CNI_COMMAND`, `CNI_CONTAINERID`, `CNI_NETNS`, `CNI_ARGS`, `CNI_IFNAME`, `CNI_PATH`.
    pub environment: Vec<(&'static str, String)>,
    /// What comes on stdin.
    pub stdin: Json,
}

impl Invocation {
    /// Stdin as the bytes that Go writes.
    pub fn bytes(&self) -> String {
        self.stdin.compact()
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

impl Delegate {
    /// The plugins of its network in the order in which they are called: DEL is the other way round.
    pub fn order(&self, verb: Verb) -> Vec<usize> {
        let forth = 0..self.network.plugins.len();
        if verb == Verb::Del { forth.rev().collect() } else { forth.collect() }
    }

    /// Whether the plugin at this place is handed a result (`prevResult`): in ADD that of the plugin
    /// before it, in CHECK and DEL that of the last one, which DEL had not before 0.4.0.
    pub fn is_handed_result(&self, verb: Verb, place: usize) -> bool {
        match verb {
            Verb::Add => place > 0,
            Verb::Check => true,
            Verb::Del => self.network.version() >= Version::V0_4_0,
        }
    }

    /// Whether libcni calls CHECK at all.
    pub fn can_check(&self) -> bool {
        self.network.version() >= Version::V0_4_0 && !self.network.disable_check
    }

    /// What Multus hands the plugin at this place of the network. `result` is used where the plugin
    /// [is handed one](Self::is_handed_result). `None` past the last plugin. Code 4 when the interface
    /// can have no name.
    pub fn invocation(
        &self,
        multus: &Multus,
        pod: &Pod,
        sandbox: &Sandbox,
        (verb, place): (Verb, usize),
        result: Option<&Json>,
    ) -> Result<Option<Invocation>, Error> {
        let Some(plugin) = self.network.plugins.get(place) else { return Ok(None) };
        let interface = self.interface(&sandbox.interface)?;
        let mut stdin = plugin.tree.clone();
        let version = self.network.version.map_or("", Version::as_str);
        marshal::insert(&mut stdin, "cniVersion", version.into());
        marshal::insert(&mut stdin, "name", self.network.name.as_str().into());
        let offered = self.offered(multus, sandbox, &interface, verb);
        let asked: Vec<_> =
            offered.into_iter().filter(|(key, _)| plugin.capabilities.contains(key)).collect();
        if let Some(result) = result.filter(|_| self.is_handed_result(verb, place)) {
            marshal::insert(&mut stdin, "prevResult", marshal::canonical(result));
        }
        if !asked.is_empty() {
            marshal::insert(&mut stdin, "runtimeConfig", Json::Object(asked));
        }
        if let (true, Json::Object(members)) = (multus.removes_capabilities, &mut stdin) {
            members.retain(|(key, _)| key != "capabilities");
        }
        let environment = vec![
            ("CNI_COMMAND", verb.as_str().to_owned()),
            ("CNI_CONTAINERID", sandbox.container.clone()),
            ("CNI_NETNS", sandbox.netns.clone()),
            ("CNI_ARGS", self.args(multus, pod, sandbox, verb)),
            ("CNI_IFNAME", interface.as_str().to_owned()),
            ("CNI_PATH", sandbox.path.clone()),
        ];
        Ok(Some(Invocation { plugin: plugin.kind.clone(), environment, stdin }))
    }

    /// The capability arguments, in the order of their names.
    fn offered(
        &self,
        multus: &Multus,
        sandbox: &Sandbox,
        interface: &IfName,
        verb: Verb,
    ) -> Vec<(String, Json)> {
        let mut offered = Json::Object(Vec::new());
        if let Some(Json::Object(members)) = &multus.runtime_config {
            for (key, value) in members.iter().filter(|(key, _)| OFFERED.contains(&key.as_str())) {
                marshal::insert(&mut offered, key, value.clone());
            }
        }
        let mut put = |key: &str, value: Option<Json>| {
            if let Some(value) = value {
                marshal::insert(&mut offered, key, value);
            }
        };
        if !self.is_default {
            let asked = &self.selection;
            let text = |text: &Option<String>| text.as_deref().map(Json::from);
            // Multus' file of delegates, from which it takes them for DEL, lacks these two.
            if verb != Verb::Del {
                let ports = &asked.port_mappings;
                let ports = (!ports.is_empty()).then(|| ports.iter().map(Json::from).collect());
                put("portMappings", ports);
                put("bandwidth", asked.bandwidth.as_ref().map(Json::from));
            }
            let ips = (!asked.ips.is_empty()).then(|| asked.ips.iter().map(String::as_str));
            put("ips", ips.map(Iterator::collect));
            put("mac", text(&asked.mac));
            put("infinibandGUID", text(&asked.infiniband_guid));
            put("deviceID", text(&self.device_id));
        }
        // Whoever named the device.
        if name::exact(&offered, "deviceID").is_some() {
            let file = self.device_info_file(sandbox, interface);
            marshal::insert(&mut offered, "CNIDeviceInfoFile", file.into());
        }
        let Json::Object(offered) = offered else { return Vec::new() };
        offered
    }

    /// The file of the attachment's device information, which Multus names whether or not a plugin has
    /// the capability `CNIDeviceInfoFile`.
    pub fn device_info_file(&self, sandbox: &Sandbox, interface: &IfName) -> String {
        let name = format!("{}-{}_{interface}", self.name, sandbox.container).replace('/', "-");
        format!("/var/run/k8s.cni.cncf.io/devinfo/cni/{name}")
    }

    /// `CNI_ARGS`: what Multus always sends, what it was sent itself, and, in ADD, the address and
    /// hardware address asked for, as before there were capabilities.
    fn args(&self, multus: &Multus, pod: &Pod, sandbox: &Sandbox, verb: Verb) -> String {
        let mut pairs: Vec<(&str, String)> = vec![
            ("IgnoreUnknown", "true".to_owned()),
            ("K8S_POD_NAMESPACE", pod.namespace.clone()),
            ("K8S_POD_NAME", pod.name.clone()),
            ("K8S_POD_INFRA_CONTAINER_ID", sandbox.container.clone()),
            ("K8S_POD_UID", pod.uid.clone()),
        ];
        for (key, value) in multus.args.split(';').filter_map(|pair| pair.split_once('=')) {
            match pairs.iter_mut().find(|(known, own)| *known == key && own.is_empty()) {
                Some((_, own)) if !value.is_empty() => value.clone_into(own),
                _ => pairs.push((key, value.to_owned())),
            }
        }
        if verb == Verb::Add {
            let asked = &self.selection;
            pairs.extend(asked.mac.iter().map(|mac| ("MAC", mac.clone())));
            pairs.extend((!asked.ips.is_empty()).then(|| ("IP", asked.ips.join(","))));
        }
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(";")
    }
}

const OFFERED: &[&str] =
    &["portMappings", "bandwidth", "ips", "mac", "infinibandGUID", "deviceID", "CNIDeviceInfoFile"];
