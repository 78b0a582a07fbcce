//! Physical functions of SR-IOV adapters, each lent to one test at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Netns;

/// Where PCI functions are.
const FUNCTIONS: &str = "/sys/bus/pci/devices";
/// How long a carrier may take: igb's links need some seconds.
const CARRIER: Duration = Duration::from_mins(1);

/// The functions that are lent.
static LENT: Mutex<Vec<String>> = Mutex::new(Vec::new());
static RETURNED: Condvar = Condvar::new();

/// A physical function with its VFs, which go with the value. It is in the machine's own namespace, up, and
/// all of them are on one wire.
#[derive(Debug)]
pub struct Pf {
    /// Its PCI address.
    pub address: String,
    /// Its interface.
    pub name: String,
    own: Netns,
}

impl Pf {
    /// The addresses of all physical functions that are the tests' to use: none but in a machine that is
    /// thrown away, as that of `scripts/vm`, which sets `PODWIRE_VM`.
    pub fn all() -> Vec<String> {
        if std::env::var_os("PODWIRE_VM").is_none() {
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir(FUNCTIONS) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("a function").path());
        let mut all: Vec<String> = paths
            .filter(|path| path.join("sriov_totalvfs").exists() && path.join("net").exists())
            .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }

    /// A physical function with so many VFs. Waits for one.
    pub fn take(vfs: u32) -> Self {
        let [pf] = Self::lend();
        pf.set_vfs(vfs);
        pf
    }

    /// Two, on one wire.
    pub fn pair(vfs: u32) -> [Self; 2] {
        let pair = Self::lend();
        for pf in &pair {
            Self::set_vfs(pf, vfs);
        }
        pair
    }

    /// All at once, so that no two tests wait for each other.
    fn lend<const N: usize>() -> [Self; N] {
        let all = Self::all();
        assert!(all.len() >= N, "the machine has {} physical functions", all.len());
        let mut lent = LENT.lock().expect("the functions");
        let free = loop {
            let free: Vec<String> = all.iter().filter(|a| !lent.contains(a)).cloned().collect();
            if free.len() >= N {
                break free;
            }
            lent = RETURNED.wait(lent).expect("the functions");
        };
        let taken: [String; N] = std::array::from_fn(|n| free[n].clone());
        lent.extend(taken.iter().cloned());
        drop(lent);
        taken.map(Self::open)
    }

    fn open(address: String) -> Self {
        let names = names(&Path::new(FUNCTIONS).join(&address).join("net"));
        let name = names.into_iter().next().expect("the physical function's interface");
        let pf = Self { address, name, own: Netns::own() };
        // A function that is down when its VFs are made never tells them of a carrier.
        pf.own.run(&["ip", "link", "set", &pf.name, "up"]);
        pf
    }

    /// Waits until a link has a carrier.
    pub fn await_carrier(&self, netns: &Netns, link: &str) {
        let start = Instant::now();
        while netns.link(link).is_none_or(|link| link["operstate"] != "UP") {
            assert!(start.elapsed() < CARRIER, "{link} has no carrier");
        }
    }

    /// Makes it have so many VFs, all new.
    pub fn set_vfs(&self, count: u32) {
        let file = self.directory().join("sriov_numvfs");
        fs::write(&file, "0").expect("no VFs");
        if count > 0 {
            fs::write(&file, count.to_string()).unwrap_or_else(|e| panic!("{count} VFs: {e}"));
            // Names that nobody else is given while these are away.
            let bus: String = self.address.chars().filter(char::is_ascii_alphanumeric).collect();
            for number in 0..count {
                let name = format!("v{}n{number}", &bus[4..6]);
                self.own.run(&["ip", "link", "set", &self.link(number), "name", &name]);
            }
            // igb sets itself up anew for that (igb_sriov_reinit).
            self.await_carrier(&self.own, &self.name);
        }
    }

    fn directory(&self) -> PathBuf {
        Path::new(FUNCTIONS).join(&self.address)
    }

    /// The PCI address of a VF.
    pub fn vf(&self, number: u32) -> String {
        let target = fs::read_link(self.directory().join(format!("virtfn{number}")));
        let target = target.unwrap_or_else(|e| panic!("VF {number} of {}: {e}", self.name));
        target.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// The interface of a VF, when it is in the machine's own namespace.
    pub fn try_link(&self, number: u32) -> Option<String> {
        names(&Path::new(FUNCTIONS).join(self.vf(number)).join("net")).into_iter().next()
    }

    /// The same; the test fails without.
    #[track_caller]
    pub fn link(&self, number: u32) -> String {
        self.try_link(number).unwrap_or_else(|| panic!("VF {number} of {} is away", self.name))
    }

    /// What the physical function has of a VF, as `ip -j -d link` shows it.
    #[track_caller]
    pub fn info(&self, number: u32) -> Value {
        let link = self.own.link(&self.name).expect("the physical function");
        let list = link["vfinfo_list"].as_array().cloned().unwrap_or_default();
        let found = list.into_iter().find(|vf| vf["vf"] == number);
        found.unwrap_or_else(|| panic!("VF {number} is not in the list of {}: {link}", self.name))
    }

    /// A VF as it is: what the physical function has of it, and its interface where that is here.
    pub fn state(&self, number: u32) -> Value {
        let link = self.try_link(number).and_then(|name| self.own.link(&name)).map(|link| {
            let has =
                |flag: &str| link["flags"].as_array().is_some_and(|f| f.contains(&json!(flag)));
            // Their order is that in which they were added.
            let mut altnames = link["altnames"].as_array().cloned().unwrap_or_default();
            altnames.sort_by_key(ToString::to_string);
            json!({
                "ifname": link["ifname"], "address": link["address"], "mtu": link["mtu"],
                "altnames": altnames, "ifalias": link["ifalias"], "up": has("UP"),
                "promisc": has("PROMISC"), "allmulti": has("ALLMULTI"),
            })
        });
        json!({"pf": self.info(number), "link": link})
    }

    /// Binds a VF to a driver, as `driverctl set-override` does; to its own again without one.
    pub fn bind(&self, number: u32, driver: Option<&str>) {
        let directory = Path::new(FUNCTIONS).join(self.vf(number));
        let write = |path: &Path, text: &str| {
            fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        };
        if let Some(driver) = driver {
            self.own.run(&["modprobe", driver]);
        }
        if directory.join("driver").exists() {
            write(&directory.join("driver/unbind"), &self.vf(number));
        }
        write(&directory.join("driver_override"), driver.unwrap_or("\n"));
        write(Path::new("/sys/bus/pci/drivers_probe"), &self.vf(number));
        let bound = fs::read_link(directory.join("driver")).expect("a driver");
        assert!(driver.is_none_or(|driver| bound.ends_with(driver)), "{}", bound.display());
    }
}

impl Drop for Pf {
    /// The VFs go, wherever their interfaces are.
    fn drop(&mut self) {
        let _ = fs::write(self.directory().join("sriov_numvfs"), "0");
        // A test that failed poisons nothing here.
        let mut lent = LENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lent.retain(|address| *address != self.address);
        RETURNED.notify_all();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut all: Vec<String> = entries.flatten().map(name).collect();
    all.sort();
    all
}
