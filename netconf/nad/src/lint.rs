//! What is wrong, or looks wrong, in files of NetworkAttachmentDefinitions and pods.

mod keys;
mod network;

use std::path::Path;

use cni::{Code, Error, Json};

use crate::definition::KIND;
use crate::multus::{Devices, Multus};
use crate::selection::{BANDWIDTH_KEYS, KEYS, PORT_KEYS};
use crate::status::NETWORK_STATUS;
use crate::{DEFAULT_NETWORK, Definition, NETWORKS, Pod, RESOURCE_NAME, Selection, manifest, name};

pub use keys::of as keys_of;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but probably not as it was meant.
    Warning,
    /// It does not work.
    Error,
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was called.
    pub file: String,
    /// Where in it: the object; empty for the file as a whole.
    pub place: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub error: Error,
}

/// `FILE: PLACE: warning: WHAT`
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        self.error.fmt(f)
    }
}

/// Reads files (what each is called, and its text) and says what is wrong with them. Pods are held
/// against the NetworkAttachmentDefinitions of all files. Those without a configuration are looked up in
/// `conf_dir`, and passed over when it is `None`.
pub fn lint(files: &[(String, Vec<u8>)], conf_dir: Option<&Path>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let mut definitions: Vec<Definition> = Vec::new();
    let mut pods = Vec::new();
    for (file, text) in files {
        file.clone_into(&mut findings.file);
        findings.place.clear();
        let objects = match manifest::objects(text, file) {
            Ok(objects) => objects,
            Err(e) => {
                findings.unnamed(e);
                continue;
            }
        };
        for object in &objects {
            findings.place = manifest::place(object);
            if name::exact(object, "kind").and_then(Json::as_str) == Some(KIND) {
                if let Some(definition) = network::definition(object, conf_dir, &mut findings) {
                    if definitions.iter().any(|d| d.path() == definition.path()) {
                        let msg = format!("there is another {KIND} {}", definition.path());
                        findings.error(Error::new(Code::CONFIG, msg));
                    }
                    definitions.push(definition);
                }
                continue;
            }
            match Pod::from_json(object) {
                Ok(Some(pod)) => {
                    annotations(object, &mut findings);
                    pods.push((file.clone(), findings.place.clone(), pod));
                }
                Ok(None) => looks_like_definition(object, &mut findings),
                Err(e) => findings.error(e),
            }
        }
    }
    for (file, place, pod) in pods {
        (findings.file, findings.place) = (file, place);
        judge(&pod, &definitions, conf_dir, &mut findings);
    }
    findings.all
}

/// What was found so far, and where the search is.
#[derive(Default)]
struct Findings {
    file: String,
    place: String,
    all: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, severity: Severity, mut error: Error) {
        let (file, place) = (self.file.clone(), one_line(&self.place));
        error.msg = one_line(&error.msg);
        error.details = one_line(&error.details);
        self.all.push(Finding { file, place, severity, error });
    }

    fn error(&mut self, error: Error) {
        self.add(Severity::Error, error);
    }

    fn warning(&mut self, error: Error) {
        self.add(Severity::Warning, error);
    }

    /// An error whose message begins with the file's name, which the finding says anyway.
    fn unnamed(&mut self, mut error: Error) {
        if let Some(rest) = error.msg.strip_prefix(&self.file) {
            error.msg = rest.trim_start_matches([':', ' ']).into();
        }
        self.error(error);
    }

    /// Keys of the object at `at` that nobody reads. Go takes another letter case for the same key.
    fn unknown_keys(&mut self, at: &str, object: &Json, known: &[&str]) {
        self.keys(at, object, known, str::eq_ignore_ascii_case);
    }

    /// The same for objects of Kubernetes, whose keys have one spelling.
    fn unknown_fields(&mut self, at: &str, object: &Json, known: &[&str]) {
        self.keys(at, object, known, |a, b| a == b);
    }

    fn keys(&mut self, at: &str, object: &Json, known: &[&str], same: fn(&str, &str) -> bool) {
        let Json::Object(members) = object else { return };
        for (key, _) in members {
            if known.iter().any(|known| same(known, key)) {
                continue;
            }
            let shown = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let error = Error::new(Code::CONFIG, format!("{shown} is not known"));
            self.warning(match cni::likely(key, known) {
                Some(likely) => error.details(format!("is {likely} meant?")),
                None => error.details(format!("known: {}", known.join(", "))),
            });
        }
    }
}

/// Keys and names come from files that may hold anything, and go to a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Objects of other kinds are not looked at, unless their kind is a slip of the pen.
fn looks_like_definition(object: &Json, findings: &mut Findings) {
    let kind = name::exact(object, "kind");
    match kind.and_then(Json::as_str) {
        None => findings.error(
            Error::new(Code::CONFIG, "kind is missing")
                .details(format!("this looks for objects of the kinds {KIND} and Pod")),
        ),
        Some(kind) => {
            if let Some(likely) = cni::likely(kind, &[KIND, "Pod"]) {
                let why = "is passed over";
                let error = Error::config("kind", Json::from(kind), why);
                findings.warning(error.details(format!("is {likely} meant?")));
            }
        }
    }
}

/// Annotations of Multus' that do not exist.
fn annotations(object: &Json, findings: &mut Findings) {
    const KNOWN: &[&str] = &[
        NETWORKS,
        DEFAULT_NETWORK,
        NETWORK_STATUS,
        "k8s.v1.cni.cncf.io/networks-status",
        RESOURCE_NAME,
    ];
    let spec = |at| name::exact(at, "spec").and_then(|spec| name::exact(spec, "template"));
    for at in [Some(object), spec(object)].into_iter().flatten() {
        let annotations = name::exact(at, "metadata").and_then(|m| name::exact(m, "annotations"));
        let Some(Json::Object(members)) = annotations else { continue };
        for (key, _) in members.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str())) {
            let ours =
                key.starts_with("k8s.v1.cni.cncf.io/") || key.starts_with("v1.multus-cni.io/");
            let likely = cni::likely(key, KNOWN);
            if ours || likely.is_some() {
                let error = Error::new(Code::CONFIG, format!("annotation {key} is not known"));
                let hint = likely.map(|likely| format!("is {likely} meant?"));
                findings.warning(error.details(hint.unwrap_or_default()));
            }
        }
    }
}

/// What would become of the pod.
fn judge(pod: &Pod, definitions: &[Definition], conf_dir: Option<&Path>, findings: &mut Findings) {
    if pod.networks.as_deref() == Some("") {
        let error = Error::new(Code::CONFIG, format!("annotation {NETWORKS}: is empty"));
        findings.warning(error.details("the pod gets its default network only"));
    }
    let multus = Multus::default();
    let mut known = true;
    let mut wanted: Vec<&Definition> = Vec::new();
    for (key, text, own) in [
        (NETWORKS, &pod.networks, &pod.namespace),
        (DEFAULT_NETWORK, &pod.default_network, &multus.namespace),
    ] {
        let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else { continue };
        match Selection::parse(key, text) {
            Ok(selections) => {
                element_keys(key, text, findings);
                for selection in &selections {
                    let path = selection.path(own);
                    let Some(definition) = definitions.iter().find(|d| d.path() == path) else {
                        known = false;
                        let msg = format!("annotation {key}: {path} is not in these files");
                        findings.warning(Error::new(Code::CONFIG, msg));
                        continue;
                    };
                    known &= definition.config.is_some() || conf_dir.is_some();
                    wanted.push(definition);
                }
                carriers(&selections, findings);
            }
            Err(e) => {
                known = false;
                findings.error(e);
            }
        }
    }
    if !known {
        return;
    }
    // One device for each that the pod requests, so that those it lacks show.
    let mut devices = Devices::default();
    for (resource, amount) in &pod.resources {
        // A resource may be handed out in thousands; networks are few.
        for i in 0..(*amount).min(wanted.len() as u64) {
            devices.add(resource, &format!("device-{i}"));
        }
    }
    let conf_dir = conf_dir.unwrap_or(&multus.conf_dir).to_owned();
    let multus = Multus { conf_dir, ..multus };
    match multus.delegates(pod, definitions, &devices) {
        Ok(delegates) => {
            for delegate in delegates {
                for error in delegate.warnings {
                    findings.warning(error.while_(&delegate.name));
                }
            }
        }
        Err(e) => findings.error(e),
    }
}

/// The keys of the elements of a selection in JSON.
fn element_keys(annotation: &str, text: &str, findings: &mut Findings) {
    let Ok(Json::Array(elements)) = Json::parse(text.as_bytes(), "the value") else { return };
    for (i, element) in elements.iter().enumerate() {
        let at = format!("annotation {annotation}: [{i}]");
        // The specification leaves keys with a domain in front to everybody.
        let Json::Object(members) = element else { continue };
        let own = members.iter().filter(|(key, _)| !key.contains('.')).cloned().collect();
        findings.unknown_keys(&at, &Json::Object(own), KEYS);
        if let Some(Json::Array(ports)) = element.get("portMappings") {
            for (j, port) in ports.iter().enumerate() {
                findings.unknown_keys(&format!("{at}.portMappings[{j}]"), port, PORT_KEYS);
            }
        }
        if let Some(bandwidth) = element.get("bandwidth") {
            findings.unknown_keys(&format!("{at}.bandwidth"), bandwidth, BANDWIDTH_KEYS);
        }
        if element.get("interfaceRequest").is_some() {
            let error = Error::new(Code::CONFIG, format!("{at}.interfaceRequest: is an old name"));
            findings.warning(error.details("interface is the key"));
        }
        if let Some(mac) = element.get("mac").and_then(Json::as_str)
            && let Err(e) = mac.parse::<kernel::MacAddr>()
        {
            findings.warning(e.while_(at).details("plugins of Ethernet will refuse it"));
        }
    }
}

/// The specification lets only one element have default-route; Multus one for each family.
fn carriers(selections: &[Selection], findings: &mut Findings) {
    let carriers: Vec<_> =
        selections.iter().filter(|s| s.default_route.is_some()).map(|s| s.name.as_str()).collect();
    if carriers.len() > 1 {
        let msg = format!("default-route is asked of {}", carriers.join(" and "));
        let error = Error::new(Code::CONFIG, msg);
        findings.warning(error.details("the specification lets one element have it"));
    }
}
