//! Network namespaces that live as long as a value.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;
use tempfile::TempDir;

/// The devices that modules for tunnels make in every namespace once they are loaded.
pub(crate) const FALLBACKS: &[&str] = &["tunl0", "sit0", "ip6tnl0"];

/// A network namespace of our own, gone with the value.
///
/// Its path is a symbolic link to this process' descriptor: nothing is mounted, so a killed test
/// leaves no namespace behind, and the path can vanish as that of a removed container does.
#[derive(Debug)]
pub struct Netns {
    file: Option<File>,
    path: PathBuf,
    _home: TempDir,
}

impl Netns {
    /// A fresh namespace whose `lo` is up.
    pub fn new() -> Self {
        let netns = Self::bare();
        netns.run(&["ip", "link", "set", "lo", "up"]);
        netns
    }

    /// A fresh namespace as the kernel makes it: `lo` is down.
    pub fn bare() -> Self {
        // A namespace belongs to a thread; a new thread keeps the caller in its own.
        let file = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (is this root?)");
            File::open("/proc/thread-self/ns/net").expect("the thread's namespace")
        })
        .join()
        .expect("the thread that makes a namespace");
        Self::of(file)
    }

    fn of(file: File) -> Self {
        let home = tempfile::Builder::new().prefix("netns-").tempdir().expect("a directory");
        let path = home.path().join("net");
        let target = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        std::os::unix::fs::symlink(target, &path).expect("the namespace's path");
        Self { file: Some(file), path, _home: home }
    }

    /// The namespace of this process, which stays when the value goes.
    pub fn own() -> Self {
        Self::of(File::open("/proc/thread-self/ns/net").expect("the thread's namespace"))
    }

    /// The path, as a runtime passes it in `CNI_NETNS`.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path in UTF-8")
    }

    /// Removes the path and lets go of the namespace, as when a container is gone. The kernel
    /// destroys the namespace and its links a little later.
    pub fn remove(&mut self) {
        std::fs::remove_file(&self.path).expect("the namespace's path");
        self.file = None;
    }

    /// True until [`Netns::remove`].
    pub fn exists(&self) -> bool {
        self.file.is_some()
    }

    /// Runs `work` on a thread inside the namespace. Sockets opened and processes started there stay there.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let file = self.file.as_ref().expect("a namespace that was not removed");
        thread::scope(|scope| {
            let name = thread::current().name().unwrap_or("netns").to_owned();
            let inside = thread::Builder::new().name(name).spawn_scoped(scope, || {
                setns(file, CloneFlags::CLONE_NEWNET).expect("entering the namespace");
                work()
            });
            match inside.expect("a thread").join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// What a command inside the namespace prints; the test fails when the command does.
    pub fn run(&self, command: &[&str]) -> String {
        self.try_run(command).unwrap_or_else(|why| panic!("{}: {why}", command.join(" ")))
    }

    /// What a command inside the namespace prints, or what it complained about.
    pub fn try_run(&self, command: &[&str]) -> Result<String, String> {
        self.feed(command, "")
    }

    /// As [`Netns::try_run`], with `stdin`.
    pub fn feed(&self, command: &[&str], stdin: &str) -> Result<String, String> {
        let output = self.enter(|| {
            let mut child = Command::new(command[0])
                .args(&command[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|e| format!("{}: {e}", command[0]))?;
            // A command that does not read its stdin closes the pipe, which is no failure.
            let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
            child.wait_with_output().map_err(|e| e.to_string())
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{}: {}{}", output.status, text(&output.stderr), text(&output.stdout)))
        }
    }

    /// Runs the lines of an `ip` batch, whose first failure fails the test.
    pub fn batch(&self, lines: &str) {
        self.feed(&["ip", "-batch", "-"], lines).unwrap_or_else(|why| panic!("{why}: {lines}"));
    }

    /// `ip -j ARGS` as JSON; an empty answer is an empty list.
    pub fn ip(&self, args: &[&str]) -> Value {
        self.json(&[&["ip", "-j"], args].concat())
    }

    /// `bridge -j ARGS` as JSON.
    pub fn bridge(&self, args: &[&str]) -> Value {
        self.json(&[&["bridge", "-j"], args].concat())
    }

    /// The objects of `nft -j list ruleset`.
    pub fn nft(&self) -> Vec<Value> {
        let mut ruleset = self.json(&["nft", "-j", "list", "ruleset"]);
        match ruleset["nftables"].take() {
            Value::Array(objects) => objects,
            other => panic!("nft answered {other}"),
        }
    }

    /// The names of all links but those that the kernel makes in every namespace.
    pub fn links(&self) -> Vec<String> {
        let links = self.ip(&["link"]);
        let links = links.as_array().expect("a list of links");
        let names = links.iter().map(|l| l["ifname"].as_str().expect("ifname").to_owned());
        names.filter(|name| !FALLBACKS.contains(&name.as_str())).collect()
    }

    /// The link of this name as `ip -j -d link` shows it, where there is one.
    pub fn link(&self, name: &str) -> Option<Value> {
        let text = self.try_run(&["ip", "-j", "-d", "link", "show", "dev", name]).ok()?;
        let mut links: Value = serde_json::from_str(&text).expect("JSON from ip");
        Some(links[0].take())
    }

    /// The addresses of a link with their prefix lengths, link-local ones left out, sorted.
    pub fn addresses(&self, link: &str) -> Vec<String> {
        let shown = self.ip(&["addr", "show", "dev", link]);
        let infos = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
        let mut addresses: Vec<String> = infos
            .iter()
            .filter(|a| a["scope"] != "link")
            .map(|a| format!("{}/{}", a["local"].as_str().expect("local"), a["prefixlen"]))
            .collect();
        addresses.sort();
        addresses
    }

    /// Whether the kernel takes all addresses of a link for its own without probing for them. It
    /// says so in a work of its own, which a few looks outlast; a probe takes a second or two.
    pub fn is_settled(&self, link: &str) -> bool {
        (0..20).any(|_| self.tentative(link).is_empty())
    }

    /// Waits until the kernel takes the IPv6 address that a link was given without probing for its
    /// own. It does when it has heard of the carrier, up to a second later (net/core/link_watch.c).
    pub fn await_ipv6(&self, link: &str) {
        let start = Instant::now();
        let local = ["-6", "route", "show", "table", "local", "type", "local", "dev", link];
        let link_local =
            |route: &Value| route["dst"].as_str().is_some_and(|d| d.starts_with("fe80"));
        while self.ip(&local).as_array().is_none_or(|routes| routes.iter().all(link_local)) {
            assert!(start.elapsed() < Duration::from_secs(20), "{link} has no IPv6 address");
        }
    }

    fn tentative(&self, link: &str) -> Vec<String> {
        let shown = self.ip(&["addr", "show", "dev", link]);
        let infos = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
        let tentative = infos.iter().filter(|a| a["tentative"] == true || a["dadfailed"] == true);
        tentative.map(|a| a["local"].as_str().expect("local").to_owned()).collect()
    }

    /// The routes of a family (`-4`, `-6`) in a table (`main`, `100`, `all`), as `ip -j -d route`
    /// shows them.
    pub fn routes(&self, family: &str, table: &str) -> Vec<Value> {
        let text = self.try_run(&["ip", "-j", "-d", family, "route", "show", "table", table]);
        match text {
            // A table without a route does not exist to the kernel.
            Err(why) if why.contains("FIB table does not exist") => Vec::new(),
            Err(why) => panic!("ip route: {why}"),
            Ok(text) if text.trim().is_empty() => Vec::new(),
            Ok(text) => serde_json::from_str(&text).expect("JSON from ip"),
        }
    }

    /// A sysctl under `/proc/sys`, as `net/ipv4/ip_forward`.
    pub fn sysctl(&self, name: &str) -> String {
        let path = Path::new("/proc/sys").join(name);
        let text = self.enter(|| std::fs::read_to_string(&path));
        text.unwrap_or_else(|e| panic!("{name}: {e}")).trim().to_owned()
    }

    /// Sets a sysctl.
    pub fn set_sysctl(&self, name: &str, value: &str) {
        let path = Path::new("/proc/sys").join(name);
        self.enter(|| std::fs::write(&path, value)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    fn json(&self, command: &[&str]) -> Value {
        let text = self.run(command);
        if text.trim().is_empty() {
            return Value::Array(Vec::new());
        }
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}: {text}", command.join(" ")))
    }
}

impl Default for Netns {
    fn default() -> Self {
        Self::new()
    }
}
