//! What the tests stand on: a node whose bridge `br0` leads to a network with a DHCP server, and a
//! daemon.

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Netns, Node, Pod};

use crate::agent::ground::until;

/// The network's server, which is its router too.
pub const SERVER: &str = "10.5.0.1";
/// Its address where the network has IPv6.
pub const SERVER6: &str = "fd00:5::1";

/// What dnsmasq has for a crowd: ranges of either family, and the leases that it gives at once.
pub const MANY: &str = "10.5.0.50,10.5.0.199,2m";
pub const MANY6: &str = "fd00:5::1:0,fd00:5::1:ffff,64,120";
pub const MOST: &str = "--dhcp-lease-max=1000";

/// Of the servers of IPv6 that are to be taken for one: what dnsmasq takes as `--dhcp-duid`.
pub const DUID: &str = "4711,01:02:03:04:05";
const ENTERPRISE: u32 = 4711;

/// A process, killed when the value goes.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command inside a namespace.
    pub fn start(netns: &Netns, command: &mut Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: netns.enter(|| command.spawn()).unwrap(), log }
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Has it end by SIGTERM; true when it succeeded.
    pub fn stop(&mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its exit status, when it ends by itself.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node and its network.
pub struct Ground {
    pub node: Node,
    /// The machine of the server, at the other end of a port of `br0`.
    pub outside: Netns,
}

impl Ground {
    pub fn new() -> Self {
        let (node, outside) = (Node::new(), Netns::new());
        node.batch(
            "link add br0 type bridge\nlink set br0 up\nlink add up0 type veth peer name up1\n\
             link set up0 master br0\nlink set up0 up\n",
        );
        node.move_link("up1", &outside);
        // A server of DHCPv6 needs its link-local address at once.
        outside.set_sysctl("net/ipv6/conf/up1/accept_dad", "0");
        outside.batch(&format!("addr add {SERVER}/24 dev up1\nlink set up1 up\n"));
        Self { node, outside }
    }

    /// One whose network has IPv6, too.
    pub fn with_ipv6() -> Self {
        let ground = Self::new();
        ground.outside.batch(&format!("addr add {SERVER6}/64 dev up1 nodad\n"));
        ground
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.node.directory().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.file("dhcp.sock")
    }

    /// The daemon with its usual socket, and little patience.
    pub fn daemon(&self) -> Process {
        self.daemon_with(&self.socket(), &[])
    }

    /// A daemon that listens; `flags` come last.
    pub fn daemon_with(&self, socket: &Path, flags: &[&str]) -> Process {
        let process = self.unready(socket, flags);
        until("the daemon listens", || {
            let ready = std::os::unix::net::UnixStream::connect(socket);
            ready.map(drop).map_err(|e| format!("{e}: {}", process.log()))
        });
        process
    }

    /// A daemon that obeys an order of `kernel::fault`, which may not let it come as far as to listen.
    pub fn daemon_ordered(&self, order: &str) -> Process {
        let socket = self.socket();
        let _ = fs::remove_file(&socket);
        let mut command = self.command(&socket, &["-resendtimeout", "3s"]);
        command.env("PODWIRE_FAULT", order);
        let mut process = Process::start(&self.node, &mut command, self.file("ordered.log"));
        until("the daemon listens, or has ended", || {
            let ready = std::os::unix::net::UnixStream::connect(&socket).is_ok();
            if ready || process.has_ended() { Ok(()) } else { Err(process.log()) }
        });
        process
    }

    /// A daemon that may not come as far as to listen.
    pub fn unready(&self, socket: &Path, flags: &[&str]) -> Process {
        let log = self.file(&format!("{}.log", socket.file_name().unwrap().display()));
        Process::start(&self.node, &mut self.command(socket, flags), log)
    }

    fn command(&self, socket: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(self.node.plugins().join("dhcp"));
        command.args(["daemon", "-timeout", "2s", "--resendmax=2s", "-resendtimeout=60s"]);
        command.arg("-socketpath").arg(socket).args(flags);
        command
    }

    /// dnsmasq with this range and these further options, which takes all leases of the link for its own.
    pub fn dnsmasq(&self, range: &str, options: &[&str]) -> Process {
        self.dnsmasq_beside_others(range, &[&["--dhcp-authoritative"], options].concat())
    }

    /// dnsmasq with this range and these further options.
    pub fn dnsmasq_beside_others(&self, range: &str, options: &[&str]) -> Process {
        let mut command = Command::new("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
            "--port=0",
            "--interface=up1",
            "--bind-interfaces",
            "--no-ping",
            "--log-dhcp",
            "--log-facility=-",
        ]);
        command.arg(format!("--dhcp-range={range}"));
        command.arg(format!("--dhcp-leasefile={}", self.file("dnsmasq.leases").display()));
        command.args(options);
        let process = Process::start(&self.outside, &mut command, self.file("dnsmasq.log"));
        self.await_server(if range.contains(':') { 547 } else { 67 });
        process
    }

    /// Kea with this pool and leases of so many seconds.
    pub fn kea(&self, pool: &str, seconds: u32) -> Process {
        let conf = json!({"Dhcp4": {
            "interfaces-config": {"interfaces": ["up1"]},
            "lease-database": {"type": "memfile", "persist": false},
            "valid-lifetime": seconds, "renew-timer": seconds / 4, "rebind-timer": seconds / 2,
            "authoritative": true,
            "subnet4": [{"id": 1, "subnet": "10.5.0.0/24", "pools": [{"pool": pool}],
                "option-data": [{"name": "routers", "data": SERVER}]}],
            "loggers": [{"name": "kea-dhcp4", "severity": "INFO",
                "output_options": [{"output": "stdout"}]}],
        }});
        let file = self.file("kea.json");
        fs::write(&file, conf.to_string()).unwrap();
        let mut command = Command::new("kea-dhcp4");
        command.arg("-c").arg(&file);
        command.env("KEA_PIDFILE_DIR", self.node.directory());
        command.env("KEA_LOCKFILE_DIR", self.node.directory());
        let process = Process::start(&self.outside, &mut command, self.file("kea.log"));
        self.await_server(67);
        process
    }

    /// Kea for IPv6, the same; `more` is merged into its configuration of the subnet.
    pub fn kea6(&self, pool: &str, seconds: u32, more: &Value) -> Process {
        let mut subnet = json!({"id": 1, "subnet": "fd00:5::/64", "interface": "up1",
            "pools": [{"pool": pool}]});
        subnet.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let conf = json!({"Dhcp6": {
            "interfaces-config": {"interfaces": ["up1"]},
            "lease-database": {"type": "memfile", "persist": false},
            "server-id": {"type": "EN", "enterprise-id": ENTERPRISE, "identifier": "0102030405",
                "persist": false},
            "preferred-lifetime": seconds, "valid-lifetime": seconds,
            "renew-timer": seconds / 4, "rebind-timer": seconds / 2,
            "option-data": [{"name": "dns-servers", "data": "fd00:5::53"}],
            "subnet6": [subnet],
            "loggers": [{"name": "kea-dhcp6", "severity": "INFO",
                "output_options": [{"output": "stdout"}]}],
        }});
        let file = self.file("kea6.json");
        fs::write(&file, conf.to_string()).unwrap();
        let mut command = Command::new("kea-dhcp6");
        command.arg("-c").arg(&file);
        command.env("KEA_PIDFILE_DIR", self.node.directory());
        command.env("KEA_LOCKFILE_DIR", self.node.directory());
        let process = Process::start(&self.outside, &mut command, self.file("kea6.log"));
        self.await_server(547);
        process
    }

    fn await_server(&self, port: u16) {
        until("the server listens", || {
            let mut sockets =
                self.outside.run(&["ss", "-Huanp", "sport", "=", &format!(":{port}")]);
            if port == 67 {
                sockets += &self.outside.run(&["ss", "-H0anp"]);
            }
            if sockets.trim().is_empty() { Err("nobody") } else { Ok(()) }
        });
    }

    /// A socket at which a server of DHCPv6 is asked.
    pub fn listen6(&self) -> UdpSocket {
        let index = self.outside.link("up1").unwrap()["ifindex"].as_u64().unwrap();
        self.outside.enter(|| {
            let socket = UdpSocket::bind("[::]:547".parse::<SocketAddr>().unwrap()).unwrap();
            let group = "ff02::1:2".parse().unwrap();
            socket.join_multicast_v6(&group, u32::try_from(index).unwrap()).unwrap();
            // Whoever serves looks now and then whether to go on.
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            socket
        })
    }

    /// A bridge without addresses of its own, whose containers get theirs by DHCP.
    pub fn conf(&self) -> Value {
        json!({
            "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
            "ipam": {"type": "dhcp", "daemonSocketPath": self.socket()},
        })
    }

    /// The same with these families.
    pub fn conf_of(&self, families: &[&str]) -> Value {
        let mut conf = self.conf();
        conf["ipam"]["families"] = json!(families);
        conf
    }

    /// The files of leases.
    pub fn leases(&self) -> Vec<Value> {
        let Ok(entries) = fs::read_dir(self.file("dhcp")) else { return Vec::new() };
        let files = entries.map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
        let texts = files.filter_map(|path| fs::read_to_string(path).ok());
        texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
    }
}

/// Waits until a server's or a daemon's log has these words more often than `times`.
#[track_caller]
pub fn tells(process: &Process, words: &str, times: usize) {
    until(words, || {
        let log = process.log();
        if log.matches(words).count() > times { Ok(()) } else { Err(log) }
    });
}

/// Waits until the container's interface has exactly these addresses.
#[track_caller]
pub fn has(pod: &Pod, addresses: &[&str]) {
    until("the addresses", || {
        let found = pod.addresses("eth0");
        if found == addresses { Ok(()) } else { Err(found) }
    });
}
