//! The options of `firewall`.

use ::firewall::admission::{Backend, Ingress};
use ::firewall::firewalld::Firewalld;
use cni::{Error, NetConf};
use serde::Deserialize;

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    backend: Option<String>,
    iptables_admin_chain_name: Option<String>,
    firewalld_zone: Option<String>,
    ingress_policy: Option<String>,
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Debug)]
pub(super) struct Config {
    /// `None` where the node decides.
    pub(super) backend: Option<Backend>,
    zone: String,
    pub(super) admin_chain: String,
    pub(super) ingress: Option<Ingress>,
}

impl Config {
    pub(super) fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let zone = zone(raw.firewalld_zone)?;
        let backend = match text(raw.backend).as_str() {
            "" => None,
            "nftables" => Some(Backend::Nftables),
            "iptables" => Some(Backend::Iptables),
            "firewalld" => Some(Backend::Firewalld { zone: zone.clone() }),
            other => {
                let why = "is neither \"nftables\", \"iptables\", \"firewalld\" nor empty";
                return Err(Error::config("backend", format!("{other:?}"), why));
            }
        };
        let ingress = match text(raw.ingress_policy).as_str() {
            "" | "open" => None,
            "same-bridge" => Some(Ingress::SameBridge),
            "isolated" => Some(Ingress::Isolated),
            other => {
                let why = "is neither \"open\", \"same-bridge\" nor \"isolated\"";
                return Err(Error::config("ingressPolicy", format!("{other:?}"), why));
            }
        };
        let admin_chain = admin_chain(raw.iptables_admin_chain_name)?;
        Ok(Self { backend, zone, admin_chain, ingress })
    }

    /// The backend: that of the config, else firewalld where it runs, else nftables.
    pub(super) fn backend(&self) -> Backend {
        if let Some(backend) = &self.backend {
            return backend.clone();
        }
        // A bus that does not answer is no sign of firewalld.
        match Firewalld::connect() {
            Ok(Some(_)) => Backend::Firewalld { zone: self.zone.clone() },
            Ok(None) | Err(_) => Backend::Nftables,
        }
    }

    /// The zone where firewalld may have an address, if the config allows for firewalld. For DEL:
    /// a config that cannot be read allows for it.
    pub(super) fn zone(conf: &NetConf) -> Option<String> {
        let raw: Raw = conf.decode().unwrap_or_default();
        let backend = text(raw.backend);
        let other = matches!(backend.as_str(), "nftables" | "iptables");
        (!other).then(|| zone(raw.firewalld_zone).unwrap_or_else(|_| TRUSTED.to_owned()))
    }
}

const TRUSTED: &str = "trusted";

fn text(option: Option<String>) -> String {
    option.unwrap_or_default()
}

/// A zone's name, as firewalld takes it (`Zone.check_name`).
fn zone(option: Option<String>) -> Result<String, Error> {
    const LONGEST: usize = 17;
    let zone = text(option);
    if zone.is_empty() {
        return Ok(TRUSTED.to_owned());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    if zone.len() > LONGEST || !zone.chars().all(fits) {
        let why = "is no name of a zone: letters, digits, '_', '-' and '/', 17 at most";
        return Err(Error::config("firewalldZone", format!("{zone:?}"), why));
    }
    Ok(zone)
}

/// A chain's name, as iptables takes it, and none that means something else.
fn admin_chain(option: Option<String>) -> Result<String, Error> {
    /// `XT_EXTENSION_MAXNAMELEN`, less the NUL.
    const LONGEST: usize = 28;
    const TAKEN: [&str; 12] = [
        "INPUT",
        "FORWARD",
        "OUTPUT",
        "ACCEPT",
        "DROP",
        "REJECT",
        "RETURN",
        "QUEUE",
        "LOG",
        "CNI-FORWARD",
        "CNI-ISOLATION-STAGE-1",
        "CNI-ISOLATION-STAGE-2",
    ];
    let chain = text(option);
    if chain.is_empty() {
        return Ok("CNI-ADMIN".to_owned());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    let begins = chain.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let named = begins && chain.chars().all(fits) && chain.len() <= LONGEST;
    if !named || TAKEN.contains(&chain.as_str()) {
        let why = "is no name for a chain of iptables of one's own: 28 letters, digits, '_', \
                   '-', '.', ':' and '/' at most, and none that iptables or CNI uses";
        return Err(Error::config("iptablesAdminChainName", format!("{chain:?}"), why));
    }
    Ok(chain)
}
