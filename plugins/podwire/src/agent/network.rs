//! The network, from the conflist that the runtime reads, so that it is described once.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cni::{Code, Error, Json, NetConf};
use peers::{Known, Source, Way};

use super::source::Snapshot;

/// A conflist is not larger.
const LARGEST: u64 = 1 << 20;

/// The network on this node.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// What the plugin makes of its configuration.
    pub config: cluster::Config,
    /// The file that the plugins read.
    pub peers_file: PathBuf,
}

impl Network {
    /// Reads the conflist, or a single plugin's configuration. Code 5, 6 or 7.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let named = |e: Error| e.while_(format!("--network {}", path.display()));
        let failed = |e: std::io::Error| named(Error::new(Code::IO, e.to_string()));
        let file = kernel::regular::open(File::options().read(true), path).map_err(failed)?;
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).map_err(failed)?;
        Self::parse(&text).map_err(named)
    }

    fn parse(text: &[u8]) -> Result<Self, Error> {
        let list = Json::parse(text, "the conflist")?;
        let alone = std::slice::from_ref(&list);
        let plugins = match list.get("plugins") {
            Some(Json::Array(plugins)) => plugins.as_slice(),
            _ => alone,
        };
        let way = |plugin: &Json| match plugin.get("type").and_then(Json::as_str) {
            Some("host-gw") => Some(Way::HostGw),
            Some("vxlan") => Some(Way::Vxlan),
            Some("ipip") => Some(Way::Ipip),
            _ => None,
        };
        let mut found = plugins.iter().filter_map(|plugin| way(plugin).map(|way| (way, plugin)));
        let (way, plugin) = match (found.next(), found.next()) {
            (Some(one), None) => one,
            (None, _) => {
                let why = "there is no plugin of type host-gw, vxlan or ipip in it";
                return Err(Error::new(Code::CONFIG, why));
            }
            (Some(_), Some(_)) => {
                let why = "there are several plugins of type host-gw, vxlan or ipip in it";
                return Err(Error::new(Code::CONFIG, why)
                    .details("give each of them a conflist, and an agent, of its own"));
            }
        };
        let mut conf = plugin.clone();
        for key in ["name", "cniVersion"] {
            if let Some(value) = list.get(key) {
                conf.set(key, value.clone());
            }
        }
        let conf = NetConf::parse(conf.to_string().into_bytes())?;
        let config = cluster::Config::parse(way, &conf)?;
        match &config.node.source {
            Source::File(path) => Ok(Self { peers_file: path.clone(), config }),
            Source::Inline(_) | Source::Known(_) => {
                let why =
                    "the peers are in the plugin's configuration, where nobody can follow them";
                Err(Error::new(Code::CONFIG, why)
                    .details("take local, peers and clusterCIDRs out of it"))
            }
        }
    }

    /// Whether an agent of this network can go on with that one's options. What tells the network from others, or where
    /// it keeps what, cannot change while it stands. Code 7.
    pub fn may_become(&self, new: &Self) -> Result<(), Error> {
        let state = |network: &Self| network.state().display().to_string();
        let way = |network: &Self| network.config.node.options.backend.name().to_owned();
        let all = [
            ("name", self.name().to_owned(), new.name().to_owned()),
            ("type", way(self), way(new)),
            ("stateDir", state(self), state(new)),
        ];
        match all.iter().find(|(_, before, now)| before != now) {
            None => Ok(()),
            Some((key, before, now)) => {
                let why = format!("it was {before:?} when the agent began, and cannot change");
                Err(Error::config(key, format_args!("{now:?}"), &why).details(
                    "stop the agent, run podwire cleanup with the conflist as it was, and start it again",
                ))
            }
        }
    }

    /// Whether the source of that one tells the same as this one's.
    pub fn has_the_source_of(&self, other: &Self) -> bool {
        let backend = |network: &Self| network.config.node.options.backend.clone();
        self.peers_file == other.peers_file && backend(self) == backend(other)
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        self.config.node.options.network.as_str()
    }

    /// The directory of the network's lock and record.
    pub fn state(&self) -> &Path {
        &self.config.node.state
    }

    /// The same network of this fleet, whether or not the plugins' file says the same by now.
    pub fn of_fleet(&self, snapshot: &Snapshot) -> cluster::Config {
        let mut config = self.config.clone();
        let known = Known::of(snapshot.fleet.clone(), &snapshot.text, &self.peers_file);
        config.node.source = Source::Known(known);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Network, Error> {
        Network::parse(text.as_bytes())
    }

    #[test]
    fn the_one_plugin_is_found_with_the_list_s_name() {
        let network = parse(
            r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [
                {"type": "vxlan", "vni": 7, "ipMasq": true}, {"type": "portmap"}]}"#,
        )
        .unwrap();
        assert_eq!(network.name(), "pods");
        assert_eq!(network.peers_file, Path::new("/run/podwire/pods/peers.json"));
        assert!(network.config.masquerade);
        let alone = parse(r#"{"cniVersion": "1.0.0", "name": "one", "type": "host-gw"}"#).unwrap();
        assert_eq!(alone.name(), "one");
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (text, says) in [
            ("", "not JSON"),
            ("[]", "no plugin of type"),
            (r#"{"name": "a", "plugins": []}"#, "no plugin of type"),
            (r#"{"name": "a", "plugins": [{"type": "bridge"}]}"#, "no plugin of type"),
            (r#"{"name": "a", "plugins": [{"type": "ipip"}, {"type": "vxlan"}]}"#, "several"),
            (r#"{"plugins": [{"type": "ipip"}]}"#, "name"),
            (r#"{"name": "a", "plugins": [{"type": "vxlan", "vni": 0}]}"#, "vni 0"),
            (r#"{"name": "a", "plugins": [{"type": "vxlan", "peers": []}]}"#, "nobody can follow"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
    }
}
