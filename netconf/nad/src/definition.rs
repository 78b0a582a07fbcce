//! A NetworkAttachmentDefinition.

use std::path::Path;

use cni::{Code, Error, Json};

use crate::{Network, directory, name};

/// The annotation that names the resource whose devices the network's interfaces are.
pub const RESOURCE_NAME: &str = "k8s.v1.cni.cncf.io/resourceName";

pub(crate) const API: &str = "k8s.cni.cncf.io/v1";
pub(crate) const KIND: &str = "NetworkAttachmentDefinition";

/// A NetworkAttachmentDefinition: a network by a name that pods can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its namespace, `default` where the object names none.
    pub namespace: String,
    /// The resource whose devices its interfaces are ([`RESOURCE_NAME`]).
    pub resource: Option<String>,
    /// The configuration or list of configurations (`spec.config`); without one, a file of the node has
    /// it.
    pub config: Option<String>,
}

impl Definition {
    /// Reads the object. Codes 6 and 7.
    pub fn from_json(object: &Json) -> Result<Self, Error> {
        let api = name::text(object, &["apiVersion"])?;
        if api != API {
            return Err(Error::config("apiVersion", Json::from(api), &format!("must be {API}")));
        }
        let own = name::text(object, &["metadata", "name"])?;
        name::labels("metadata.name", own)?;
        let namespace = match name::text(object, &["metadata", "namespace"])? {
            "" => "default",
            namespace => namespace,
        };
        name::label("metadata.namespace", namespace)?;
        let resource = name::text(object, &["metadata", "annotations", RESOURCE_NAME])?;
        if !resource.is_empty() {
            check_resource(resource)?;
        }
        let config = name::exact(object, "spec").map(|spec| match name::exact(spec, "config") {
            Some(config @ (Json::Object(_) | Json::Array(_))) => {
                Err(name::not("spec.config", "a text with JSON in it", config)
                    .details("write `config: |` or put the JSON between single quotes"))
            }
            _ => name::text(object, &["spec", "config"]),
        });
        let config = config.transpose()?.unwrap_or_default();
        let full = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(Self {
            name: own.to_owned(),
            namespace: namespace.to_owned(),
            resource: full(resource),
            config: full(config),
        })
    }

    /// The object, as Kubernetes would give it out.
    pub fn to_json(&self) -> Json {
        let object = |members: Vec<(&str, Json)>| {
            Json::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        };
        let text = |text: &str| Json::from(text);
        let mut metadata = vec![("name", text(&self.name)), ("namespace", text(&self.namespace))];
        if let Some(resource) = &self.resource {
            metadata.push(("annotations", object(vec![(RESOURCE_NAME, text(resource))])));
        }
        let mut members =
            vec![("apiVersion", text(API)), ("kind", text(KIND)), ("metadata", object(metadata))];
        if let Some(config) = &self.config {
            members.push(("spec", object(vec![("config", text(config))])));
        }
        object(members)
    }

    /// `NAMESPACE/NAME`
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The network that it stands for: its own configuration, else the one of its name in
    /// `conf_dir` ([`multus::Multus::conf_dir`](crate::multus::Multus)). Code 6 or 7 with what is wrong
    /// with it, 5 for a file that cannot be read.
    pub fn network(&self, conf_dir: &Path) -> Result<Network, Error> {
        match &self.config {
            Some(config) => {
                Network::parse(config.as_bytes(), &self.name).map_err(|e| e.while_("spec.config"))
            }
            None => directory::find(conf_dir, &self.name)
                .map_err(|e| e.while_("spec.config is empty, so a file is looked for")),
        }
        .map_err(|e| e.while_(format_args!("{KIND} {}", self.path())))
    }
}

/// The name of an extended resource, `PREFIX/NAME`.
fn check_resource(text: &str) -> Result<(), Error> {
    let form = text.split_once('/').is_some_and(|(prefix, own)| {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        prefix.split('.').all(name::is_label)
            && (1..=63).contains(&own.len())
            && own.chars().all(word)
            && own.starts_with(|c: char| c.is_ascii_alphanumeric())
            && own.ends_with(|c: char| c.is_ascii_alphanumeric())
    });
    if form {
        return Ok(());
    }
    let msg = format!("annotation {RESOURCE_NAME} {}: is no resource", Json::from(text));
    Err(Error::new(Code::CONFIG, msg)
        .details("a resource is called as the pod requests it: PREFIX/NAME, as in intel.com/sriov"))
}
