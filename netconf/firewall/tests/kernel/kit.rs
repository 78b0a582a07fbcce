//! What the tests need: namespaces, tools that judge, and attachments.

use std::net::IpAddr;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;

use cni::Attachment;
use firewall::{AntiSpoof, Masquerade, Wanted};
use nix::sched::{CloneFlags, unshare};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, which lives as long as the thread that is in it.
pub struct Namespace {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Names the namespace to `ip link set ... netns`.
    pub task: i32,
}

impl Namespace {
    pub fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: run this as root");
            tool("ip", &["link", "set", "lo", "up"]);
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            for job in queue {
                job();
            }
        });
        let task = told.recv().expect("a thread in a namespace");
        Self { jobs: Some(jobs), thread: Some(thread), task }
    }

    /// Does something in the namespace. Threads and processes begun there stay in it.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        let job = Box::new(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            tell.send(result).unwrap();
        });
        self.jobs.as_ref().unwrap().send(job).unwrap();
        told.recv().unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `ip` in the namespace.
    pub fn ip(&self, line: &str) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        self.run(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            tool("ip", &words);
        });
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn ruleset() -> String {
    tool("nft", &["list", "ruleset"])
}

/// The items of `nft -j list ruleset` that are of this kind.
pub fn items(kind: &str) -> Vec<serde_json::Value> {
    let all: serde_json::Value =
        serde_json::from_str(&tool("nft", &["-j", "list", "ruleset"])).unwrap();
    let all = all["nftables"].as_array().unwrap();
    all.iter().filter_map(|item| item.get(kind)).cloned().collect()
}

/// The elements of a set or map of ours, as nft's text.
pub fn elements(family: &str, set: &str) -> Vec<String> {
    items(if matches!(set, "addresses4" | "addresses6" | "guarded") { "map" } else { "set" })
        .into_iter()
        .filter(|s| s["family"] == family && s["table"] == "podwire" && s["name"] == set)
        .flat_map(|s| s["elem"].as_array().cloned().unwrap_or_default())
        .map(|e| e.to_string())
        .collect()
}

/// Runs a tool that must succeed.
pub fn tool(name: &str, args: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(name).args(args).output().unwrap_or_else(|e| panic!("{name}: {e}"));
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{name} {args:?}: {said}");
    String::from_utf8(stdout).unwrap()
}

pub fn attachment(network: &str, container: &str) -> Attachment {
    Attachment {
        network: network.parse().unwrap(),
        container: container.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

/// Masquerade of addresses.
pub fn masquerade(attachment: Attachment, addresses: &[&str]) -> Wanted {
    let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
    let masquerade = Some(Masquerade { addresses, ..Masquerade::default() });
    Wanted { attachment, masquerade, antispoof: None }
}

/// Masquerade of addresses, except to what the network exempts.
pub fn network_exempt(attachment: Attachment, addresses: &[&str]) -> Wanted {
    let mut wanted = masquerade(attachment, addresses);
    wanted.masquerade.as_mut().unwrap().network_exempt = true;
    wanted
}

/// What a network exempts, as nft sees it: CIDRs and ranges of both families, sorted.
pub fn exempted() -> Vec<String> {
    let text = |element: &serde_json::Value| {
        if let Some(prefix) = element.get("prefix") {
            return format!("{}/{}", prefix["addr"].as_str().unwrap(), prefix["len"]);
        }
        if let Some(range) = element.get("range") {
            return format!("{}-{}", range[0].as_str().unwrap(), range[1].as_str().unwrap());
        }
        let element = element.get("elem").map_or(element, |e| &e["val"]);
        let address = element.as_str().unwrap();
        format!("{address}/{}", if address.contains(':') { 128 } else { 32 })
    };
    let sets = items("set").into_iter();
    let mut texts: Vec<_> = sets
        .filter(|s| s["name"].as_str().unwrap().starts_with("exempt"))
        .flat_map(|s| s["elem"].as_array().cloned().unwrap_or_default())
        .map(|element| text(&element))
        .collect();
    texts.sort();
    texts
}

pub fn networks(texts: &str) -> Vec<ipnetwork::IpNetwork> {
    texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
}

/// Anti-spoofing of a link.
pub fn antispoof(attachment: Attachment, link: &str, mac: &str) -> Wanted {
    let antispoof = Some(AntiSpoof { link: link.parse().unwrap(), mac: mac.parse().unwrap() });
    Wanted { attachment, masquerade: None, antispoof }
}

pub fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|a| a.parse().unwrap()).collect()
}
