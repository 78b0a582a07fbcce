//! What Multus makes of a pod and its networks: the delegates, and what it hands each plugin.

mod call;
mod delegate;
mod devices;

use std::collections::BTreeSet;
use std::path::PathBuf;

use cni::{Code, Error, IfName, Json};

use crate::{DEFAULT_NETWORK, Definition, NETWORKS, Network, Pod, Selection};
pub use call::{Invocation, Sandbox, Verb};
pub use delegate::Delegate;
pub use devices::Devices;

/// Multus' own configuration, as far as it decides what plugins are handed.
#[derive(Clone, Debug, PartialEq)]
pub struct Multus {
    /// `confDir`: where the networks are whose NetworkAttachmentDefinition has no configuration.
    pub conf_dir: PathBuf,
    /// `multusNamespace`: the namespace of the networks that
    /// [`DEFAULT_NETWORK`] names.
    pub namespace: String,
    /// `namespaceIsolation`: pods get no networks of other namespaces.
    pub namespace_isolation: bool,
    /// `globalNamespaces`: those whose networks pods of all namespaces may have.
    pub global_namespaces: Vec<String>,
    /// The default network of the cluster (`clusterNetwork` or the first of `delegates`). Without one,
    /// the pod's own networks come all the same at the places after it.
    pub default_network: Option<Network>,
    /// What the kubelet's runtime handed Multus as `runtimeConfig`, which goes on to every delegate.
    pub runtime_config: Option<Json>,
    /// What it handed Multus as `CNI_ARGS`, which goes on, too (not from the daemon of the "thick"
    /// Multus).
    pub args: String,
    /// Plugins are not told their own `capabilities`. The CNI specification has them removed; libcni,
    /// and with it Multus, leaves them in.
    pub removes_capabilities: bool,
}

impl Default for Multus {
    fn default() -> Self {
        Self {
            conf_dir: "/etc/cni/multus/net.d".into(),
            namespace: "kube-system".to_owned(),
            namespace_isolation: false,
            global_namespaces: vec!["default".to_owned()],
            default_network: None,
            runtime_config: None,
            args: String::new(),
            removes_capabilities: false,
        }
    }
}

impl Multus {
    /// The delegates of a pod in the order of their ADD, the default network first where it is known.
    /// `devices` are those that the kubelet gave the pod.
    ///
    /// Codes 5 to 7: what Multus would fail for, and besides what would have it fail later or do half of
    /// it without a word: names of interfaces that are there twice, `args` that are no object. What it
    /// would only drop is in [`Delegate::warnings`].
    pub fn delegates(
        &self,
        pod: &Pod,
        definitions: &[Definition],
        devices: &Devices,
    ) -> Result<Vec<Delegate>, Error> {
        let mut delegates = Vec::new();
        // Multus looks the devices up anew for this annotation and forgets what it used.
        delegates.extend(self.default_delegate(pod, definitions, &mut devices.clone())?);
        let asked = match pod.networks.as_deref() {
            None | Some("") => Vec::new(),
            Some(text) => Selection::parse(NETWORKS, text)?,
        };
        let mut devices = devices.clone();
        for (i, selection) in asked.into_iter().enumerate() {
            let place = format!("annotation {NETWORKS}: [{i}] {}", selection.path(&pod.namespace));
            let delegate = self
                .allowed(pod, &selection)
                .and_then(|()| find(definitions, &selection, &pod.namespace))
                .and_then(|d| self.delegate(d, selection, &mut devices))
                .map_err(|e| e.while_(place))?;
            delegates.push(Delegate { index: i + 1, ..delegate });
        }
        distinct(&delegates)?;
        delegate::route_defaults(&mut delegates)?;
        Ok(delegates)
    }

    fn default_delegate(
        &self,
        pod: &Pod,
        definitions: &[Definition],
        devices: &mut Devices,
    ) -> Result<Option<Delegate>, Error> {
        let Some(text) = &pod.default_network else {
            return Ok(self.default_network.clone().map(Delegate::of_cluster));
        };
        let mut asked = Selection::parse(DEFAULT_NETWORK, text)?;
        let (Some(selection), true) = (asked.pop(), asked.is_empty()) else {
            let msg = format!("annotation {DEFAULT_NETWORK} {}", Json::from(text.as_str()));
            return Err(Error::new(Code::CONFIG, format!("{msg}: must name exactly one network")));
        };
        let place = format!("annotation {DEFAULT_NETWORK}: {}", selection.path(&self.namespace));
        let delegate = find(definitions, &selection, &self.namespace)
            .and_then(|definition| self.delegate(definition, selection, devices))
            .map_err(|e| e.while_(place))?;
        Ok(Some(Delegate { is_default: true, ..delegate }))
    }

    /// Refuses a network of another namespace where namespaces are isolated.
    fn allowed(&self, pod: &Pod, selection: &Selection) -> Result<(), Error> {
        let of = selection.namespace.as_deref().unwrap_or(&pod.namespace);
        let open = !self.namespace_isolation
            || of == pod.namespace
            || self.global_namespaces.iter().any(|global| global == of);
        if open {
            return Ok(());
        }
        let why = format!("a pod of namespace {} cannot have its networks", pod.namespace);
        Err(Error::config("namespace", Json::from(of), &why).details(format!(
            "namespaceIsolation is on; globalNamespaces are {}",
            self.global_namespaces.join(", ")
        )))
    }

    fn delegate(
        &self,
        definition: &Definition,
        selection: Selection,
        devices: &mut Devices,
    ) -> Result<Delegate, Error> {
        let network = definition.network(&self.conf_dir)?;
        Delegate::new(definition, selection, network, devices)
    }
}

fn find<'a>(
    definitions: &'a [Definition],
    selection: &Selection,
    pods: &str,
) -> Result<&'a Definition, Error> {
    let namespace = selection.namespace.as_deref().unwrap_or(pods);
    let is = |d: &&Definition| d.name == selection.name && d.namespace == namespace;
    definitions.iter().find(is).ok_or_else(|| {
        let known: BTreeSet<String> = definitions.iter().map(Definition::path).collect();
        let known: Vec<String> = known.into_iter().collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Error::new(Code::CONFIG, "there is no NetworkAttachmentDefinition of this name")
            .details(format!("known: {known}"))
    })
}

/// Refuses two interfaces of one name: Multus would find the second name taken at its ADD.
fn distinct(delegates: &[Delegate]) -> Result<(), Error> {
    let first: IfName = "eth0".parse()?; // what the kubelet's runtimes ask for
    let mut taken: Vec<(IfName, &str)> = Vec::new();
    if delegates.iter().all(|d| !d.is_default) {
        taken.push((first.clone(), "the default network"));
    }
    for delegate in delegates {
        let own = delegate.interface(&first)?;
        if let Some((_, other)) = taken.iter().find(|(name, _)| *name == own) {
            let why = format!("{} and {other} would have an interface of this name", delegate.name);
            return Err(Error::config("interface", Json::from(own.as_str()), &why)
                .details("ask for another name, or for none: then it is net1, net2, ..."));
        }
        taken.push((own, &delegate.name));
    }
    Ok(())
}
