//! The annotations of a Kubernetes node by which flannel's daemons tell each other how it is reached.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni::{Error, Json};

use crate::attributes::{Written, address};
use crate::{Attributes, Backend, End, Peer};

/// What stands before all keys unless another prefix is given.
pub const PREFIX: &str = "flannel.alpha.coreos.com";

/// A node's annotations.
pub type Annotations = BTreeMap<String, String>;

/// The keys (flannel, `pkg/subnet/kube/annotations.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    managed: String,
    backend_type: String,
    /// By family, IPv4 first, as all that follow.
    data: [String; 2],
    public_ip: [String; 2],
    overwrite: [String; 2],
    node_public_ip: [String; 2],
}

impl Keys {
    /// The keys with a prefix: a domain of at least two labels, with at most one slash; what is
    /// behind the slash ends with a hyphen, which may be left out. Code 7.
    pub fn new(prefix: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::config("prefix", format_args!("{prefix:?}"), why);
        let (domain, stem) = prefix.split_once('/').unwrap_or((prefix, ""));
        if stem.contains('/') {
            return Err(refused("at most one slash is allowed"));
        }
        let plain = |text: &str| {
            let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
            !text.is_empty() && text.chars().all(allowed)
        };
        let labels = domain.split('.').count();
        if labels < 2 || !domain.split('.').all(plain) || !(stem.is_empty() || plain(stem)) {
            return Err(refused("must be as in example.org or example.org/pods-"));
        }
        let hyphen = if stem.is_empty() || stem.ends_with('-') { "" } else { "-" };
        let key = |name: &str| format!("{domain}/{stem}{hyphen}{name}");
        Ok(Self {
            managed: key("kube-subnet-manager"),
            backend_type: key("backend-type"),
            data: ["backend-data", "backend-v6-data"].map(key),
            public_ip: ["public-ip", "public-ipv6"].map(key),
            overwrite: ["public-ip-overwrite", "public-ipv6-overwrite"].map(key),
            node_public_ip: ["node-public-ip", "node-public-ipv6"].map(key),
        })
    }

    /// True for a key that is read or written here.
    pub fn has(&self, key: &str) -> bool {
        let families = [&self.data, &self.public_ip, &self.overwrite, &self.node_public_ip];
        key == self.managed
            || key == self.backend_type
            || families.into_iter().flatten().any(|name| name == key)
    }

    /// Whether a daemon has told anything. Code 7 when it was one of another way.
    pub fn told(&self, backend: Backend, annotations: &Annotations) -> Result<bool, Error> {
        if annotations.get(&self.managed).is_none_or(|managed| managed != "true") {
            return Ok(false);
        }
        let theirs = annotations.get(&self.backend_type).map_or("", String::as_str);
        if theirs == backend.name() {
            return Ok(true);
        }
        let why =
            format!("the peer is of another kind than this network, which is {}", backend.name());
        Err(Error::config(&self.backend_type, format_args!("{theirs:?}"), &why))
    }

    /// What was told of a family. Code 7, with the key and the value.
    pub fn end(
        &self,
        backend: Backend,
        annotations: &Annotations,
        ipv6: bool,
    ) -> Result<End, Error> {
        let value = |keys: &[String; 2]| annotations.get(of(keys, ipv6)).map(String::as_str);
        let key = of(&self.data, ipv6);
        let data = match value(&self.data) {
            None => Json::Null,
            Some(text) => Json::parse(text.as_bytes(), "it")
                .map_err(|e| Error::config(key, format_args!("{text:?}"), &e.msg))?,
        };
        let ip = (of(&self.public_ip, ipv6), value(&self.public_ip));
        Written { ipv6, ip, data: (key, &data) }.read(backend)
    }

    /// Completes a peer, of which the networks and the node's own addresses are known, by what its
    /// daemon told; where none told anything, it stays as it is. All that is wrong with it, each time
    /// with key and value: of the family that it concerns nothing is served then. `false` when nothing
    /// is.
    pub fn complete(
        &self,
        backend: Backend,
        annotations: &Annotations,
        peer: &mut Peer,
    ) -> (bool, Vec<Error>) {
        match self.told(backend, annotations) {
            Err(e) => return (false, vec![e]),
            Ok(false) => return (true, Vec::new()),
            Ok(true) => {}
        }
        let mut wrong = Vec::new();
        for ipv6 in [false, true] {
            if !peer.has_pods(ipv6) {
                continue;
            }
            match self.end(backend, annotations, ipv6) {
                Ok(end) => peer.reached_at(end),
                Err(e) => {
                    peer.without(ipv6);
                    wrong.push(e);
                }
            }
        }
        (wrong.is_empty() || !peer.pod_cidrs.is_empty(), wrong)
    }

    /// The node's own address that an administrator chose (`node-public-ip`): by it the underlay's
    /// interface is found. Code 7.
    pub fn chosen(&self, annotations: &Annotations, ipv6: bool) -> Result<Option<IpAddr>, Error> {
        optional(of(&self.node_public_ip, ipv6), annotations, ipv6)
    }

    /// The address that an administrator wants published in place of the node's own
    /// (`public-ip-overwrite`), where the node stands behind one that translates. Code 7.
    pub fn overwrite(
        &self,
        annotations: &Annotations,
        ipv6: bool,
    ) -> Result<Option<IpAddr>, Error> {
        optional(of(&self.overwrite, ipv6), annotations, ipv6)
    }

    /// What a node's annotations are to be, to tell this; `None` is one that must not be there.
    pub fn publication(
        &self,
        backend: Backend,
        attributes: &Attributes,
    ) -> Vec<(String, Option<String>)> {
        let mut wanted = vec![
            (self.managed.clone(), Some("true".to_owned())),
            (self.backend_type.clone(), Some(backend.name().to_owned())),
        ];
        for ipv6 in [false, true] {
            let end = attributes.of(ipv6);
            let data = end.map(|end| backend.data(end.vtep));
            wanted.push((of(&self.data, ipv6).to_owned(), data));
            wanted.push((of(&self.public_ip, ipv6).to_owned(), end.map(|end| end.ip.to_string())));
        }
        wanted
    }
}

fn of(keys: &[String; 2], ipv6: bool) -> &str {
    let [v4, v6] = keys;
    if ipv6 { v6 } else { v4 }
}

fn optional(key: &str, annotations: &Annotations, ipv6: bool) -> Result<Option<IpAddr>, Error> {
    let text = annotations.get(key).filter(|text| !text.is_empty());
    text.map(|text| address(key, text, ipv6)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VXLAN: Backend = Backend::Vxlan { vni: 1 };

    /// Of a node of a dual-stack VXLAN network, as `kubectl get node -o json` shows them.
    const GOLDEN: &str = r#"{
        "flannel.alpha.coreos.com/backend-data": "{\"VNI\":1,\"VtepMAC\":\"aa:bb:cc:dd:ee:fe\"}",
        "flannel.alpha.coreos.com/backend-type": "vxlan",
        "flannel.alpha.coreos.com/backend-v6-data": "{\"VNI\":1,\"VtepMAC\":\"22:3b:5d:11:80:da\"}",
        "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        "flannel.alpha.coreos.com/public-ip": "192.168.2.2",
        "flannel.alpha.coreos.com/public-ipv6": "fd00::2",
        "node.alpha.kubernetes.io/ttl": "0"}"#;

    fn keys() -> Keys {
        Keys::new(PREFIX).unwrap()
    }

    fn annotations(json: &str) -> Annotations {
        Json::parse(json.as_bytes(), "annotations").unwrap().decode().unwrap()
    }

    fn with(key: &str, value: &str) -> Annotations {
        let mut annotations = annotations(GOLDEN);
        annotations.insert(format!("{PREFIX}/{key}"), value.to_owned());
        annotations
    }

    fn peer() -> Peer {
        Peer {
            name: "n2".to_owned(),
            pod_cidrs: vec!["10.244.2.0/24".to_owned(), "fd00:244:0:2::/64".to_owned()],
            node_ips: vec!["10.0.0.2".to_owned(), "fd99::2".to_owned()],
            ..Peer::default()
        }
    }

    fn complete(annotations: &Annotations, backend: Backend) -> (Option<Peer>, Vec<String>) {
        let mut peer = peer();
        let (served, wrong) = keys().complete(backend, annotations, &mut peer);
        (served.then_some(peer), wrong.into_iter().map(|e| e.msg).collect())
    }

    #[test]
    fn what_flannel_writes_is_read_and_written_again() {
        let golden = annotations(GOLDEN);
        let (served, wrong) = complete(&golden, VXLAN);
        assert_eq!(wrong, [""; 0]);
        let served = served.unwrap();
        assert_eq!(served.node_ips, ["192.168.2.2", "fd00::2"]);
        assert_eq!(served.vtep_mac.unwrap().to_string(), "aa:bb:cc:dd:ee:fe");
        assert_eq!(served.vtep_mac_v6.unwrap().to_string(), "22:3b:5d:11:80:da");
        let end = |ipv6| keys().end(VXLAN, &golden, ipv6).ok();
        let attributes = Attributes { v4: end(false), v6: end(true) };
        let written: Annotations = keys()
            .publication(VXLAN, &attributes)
            .into_iter()
            .map(|(key, value)| (key, value.unwrap()))
            .collect();
        let mut expected = golden.clone();
        expected.retain(|key, _| keys().has(key));
        assert_eq!(written, expected);
        assert_eq!(written.len(), 6);
    }

    #[test]
    fn without_a_tunnel_the_data_are_null() {
        let ip = "192.168.2.2".parse().unwrap();
        let attributes = Attributes { v4: Some(End { ip, vtep: None }), v6: None };
        for backend in [Backend::HostGw, Backend::Ipip] {
            let written: Vec<_> = keys()
                .publication(backend, &attributes)
                .into_iter()
                .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("-")))
                .collect();
            assert_eq!(
                written,
                [
                    "flannel.alpha.coreos.com/kube-subnet-manager=true".to_owned(),
                    format!("flannel.alpha.coreos.com/backend-type={}", backend.name()),
                    "flannel.alpha.coreos.com/backend-data=null".to_owned(),
                    "flannel.alpha.coreos.com/public-ip=192.168.2.2".to_owned(),
                    "flannel.alpha.coreos.com/backend-v6-data=-".to_owned(),
                    "flannel.alpha.coreos.com/public-ipv6=-".to_owned(),
                ]
            );
        }
    }

    #[test]
    fn who_told_nothing_is_reached_by_what_else_is_known() {
        let (served, wrong) = complete(&Annotations::new(), VXLAN);
        assert_eq!((served, wrong.len()), (Some(peer()), 0));
        let (served, wrong) = complete(&with("kube-subnet-manager", "false"), VXLAN);
        assert_eq!((served, wrong.len()), (Some(peer()), 0));
    }

    #[test]
    fn a_peer_of_another_kind_is_left_out_with_the_reason() {
        for kind in ["wireguard", "host-gw", ""] {
            let (served, wrong) = complete(&with("backend-type", kind), VXLAN);
            assert_eq!(served, None);
            let expected = format!("{PREFIX}/backend-type {kind:?}: the peer is of another kind");
            assert!(wrong[0].starts_with(&expected), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_named_and_takes_away_its_family_alone() {
        for (key, value, ipv6) in [
            ("public-ip", "192.168.2", false),
            ("public-ip", "fd00::2", false),
            ("public-ip", "", false),
            ("public-ipv6", "192.168.2.2", true),
            ("backend-data", "null", false),
            ("backend-data", "{", false),
            ("backend-data", r#"{"VNI":1,"VtepMAC":"zz"}"#, false),
            ("backend-v6-data", "[]", true),
        ] {
            let (served, wrong) = complete(&with(key, value), VXLAN);
            let served = served.unwrap();
            assert!(!served.has_pods(ipv6) && served.has_pods(!ipv6), "{key} {value}");
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].starts_with(&format!("{PREFIX}/{key} ")), "{wrong:?}");
            assert!(value.is_empty() || wrong[0].contains(value.trim_matches('{')), "{wrong:?}");
        }
        let mut both = with("public-ip", "?");
        both.remove(&format!("{PREFIX}/public-ipv6"));
        let (served, wrong) = complete(&both, VXLAN);
        assert_eq!((served, wrong.len()), (None, 2));
        assert!(wrong[1].ends_with("public-ipv6 is missing"), "{wrong:?}");
    }

    #[test]
    fn an_administrator_chooses_what_is_used_and_what_is_published() {
        let told = with("public-ip-overwrite", "203.0.113.9");
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(keys().overwrite(&told, false).unwrap(), ip("203.0.113.9"));
        assert_eq!(keys().overwrite(&told, true).unwrap(), None);
        let told = with("node-public-ipv6", "fd77::7");
        assert_eq!(keys().chosen(&told, true).unwrap(), ip("fd77::7"));
        let error = keys().chosen(&with("node-public-ip", "x"), false).unwrap_err();
        assert!(error.msg.contains("node-public-ip \"x\""), "{error}");
    }

    #[test]
    fn prefixes_follow_flannel_s_rules() {
        for (prefix, key) in [
            ("flannel.alpha.coreos.com", "flannel.alpha.coreos.com/public-ip"),
            ("flannel.alpha.coreos.com/", "flannel.alpha.coreos.com/public-ip"),
            ("example.org/pods", "example.org/pods-public-ip"),
            ("example.org/pods-", "example.org/pods-public-ip"),
        ] {
            assert!(Keys::new(prefix).unwrap().has(key), "{prefix}");
        }
        for prefix in ["", "/", "org", "org/x", "a.b/c/d", "A.org", "a..b", "a.b/C", "a.b/c d"] {
            let error = Keys::new(prefix).unwrap_err();
            assert!(error.msg.starts_with(&format!("prefix {prefix:?}: ")), "{error}");
        }
        assert!(!keys().has("flannel.alpha.coreos.com/other"));
    }
}
