//! A machine: its own network namespace and files.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Call, Netns, Pod, Snapshot, executable};

/// The node's own addresses on its uplink, and those of the machine at the other end.
pub const UPLINK_V4: &str = "192.0.2.1";
/// See [`UPLINK_V4`].
pub const UPLINK_V6: &str = "2001:db8:ffff::1";
/// The machine outside.
pub const OUTSIDE_V4: &str = "192.0.2.2";
/// The machine outside.
pub const OUTSIDE_V6: &str = "2001:db8:ffff::2";

/// A node that pods run on. It dereferences to its namespace.
#[derive(Debug)]
pub struct Node {
    netns: Netns,
    files: TempDir,
    plugins: PathBuf,
}

impl Node {
    /// A node with nothing but `lo`, which runs the plugins under test.
    pub fn new() -> Self {
        Self::with_plugins(executable::directory())
    }

    /// A node that runs the plugins of this directory.
    pub fn with_plugins(directory: &Path) -> Self {
        let files = tempfile::Builder::new().prefix("node-").tempdir().expect("a directory");
        Self { netns: Netns::new(), files, plugins: directory.to_owned() }
    }

    /// The machine itself, in the namespace that the tests were started in: there are the physical functions,
    /// and there the kernel brings devices whose namespace dies. Only its files are its own.
    pub fn machine() -> Self {
        let files = tempfile::Builder::new().prefix("node-").tempdir().expect("a directory");
        Self { netns: Netns::own(), files, plugins: executable::directory().to_owned() }
    }

    /// The same node with the plugins of another directory from now on.
    pub fn use_plugins(&mut self, directory: &Path) {
        directory.clone_into(&mut self.plugins);
    }

    /// The plugins that the node runs.
    pub fn plugins(&self) -> &Path {
        &self.plugins
    }

    /// A container on this node.
    pub fn pod(&self) -> Pod {
        Pod::new()
    }

    /// A call of a plugin in the node's namespace.
    pub fn call(&self, plugin: &str) -> Call<'_> {
        Call::new(&self.netns, &self.plugins, plugin)
    }

    /// The node's directory, gone with it.
    pub fn directory(&self) -> &Path {
        self.files.path()
    }

    /// The directory of leases: `ipam.dataDir`.
    pub fn leases(&self) -> String {
        self.files.path().join("networks").to_str().expect("a path in UTF-8").to_owned()
    }

    /// The leases of a network: the names of its files that are addresses, sorted.
    pub fn leased(&self, network: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(Path::new(&self.leases()).join(network)) else {
            return Vec::new();
        };
        let names =
            entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut leases: Vec<String> =
            names.filter(|name| name.parse::<std::net::IpAddr>().is_ok()).collect();
        leases.sort();
        leases
    }

    /// A `host-local` section: one range per subnet, default routes, leases in this node's files.
    pub fn host_local(&self, subnets: &[&str]) -> Value {
        let ranges: Vec<Value> = subnets.iter().map(|s| json!([{"subnet": s}])).collect();
        json!({"type": "host-local", "dataDir": self.leases(), "ranges": ranges})
    }

    /// What the node has now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.netns, self.files.path())
    }

    /// A machine outside, on the other end of the node's uplink `up0`. It knows no way back to pods.
    pub fn outside(&self) -> Netns {
        let outside = Netns::new();
        self.run(&["ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1"]);
        self.move_link("up1", &outside);
        for (netns, link, v4, v6) in
            [(&self.netns, "up0", UPLINK_V4, UPLINK_V6), (&outside, "up1", OUTSIDE_V4, OUTSIDE_V6)]
        {
            // No link-local address is probed for, without which the node would ask for nobody.
            netns.set_sysctl(&format!("net/ipv6/conf/{link}/accept_dad"), "0");
            netns.run(&["ip", "addr", "add", &format!("{v4}/24"), "dev", link]);
            netns.run(&["ip", "addr", "add", &format!("{v6}/64"), "dev", link, "nodad"]);
            netns.run(&["ip", "link", "set", link, "up"]);
        }
        outside
    }

    /// Moves a link of the node into another namespace.
    pub fn move_link(&self, link: &str, into: &Netns) {
        self.run(&["ip", "link", "set", link, "netns", into.path()]);
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Node {
    type Target = Netns;

    fn deref(&self) -> &Netns {
        &self.netns
    }
}
