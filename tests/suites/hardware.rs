//! Real functions of real adapters (emulated, in the machine of `scripts/vm`), in that machine's own
//! namespace: there the kernel brings devices whose namespace dies.

mod config;
mod faults;
mod gone;
mod inherited;
mod multus;
mod races;
mod refusals;
mod returned;
mod settings;
mod tool;
mod traffic;
mod userspace;

use serde_json::{Value, json};
use testkit::{Attachment, Call, Netns, Node, Pf, Pod};

use crate::conf::with;

/// A machine with a physical function of its own, and its VFs as they were before anybody had them.
struct Ground {
    node: Node,
    pf: Pf,
    before: Vec<Value>,
}

impl Ground {
    fn new(vfs: u32) -> Self {
        Self::of(Pf::take(vfs), vfs)
    }

    fn of(pf: Pf, vfs: u32) -> Self {
        let before = (0..vfs).map(|number| pf.state(number)).collect();
        Self { node: Node::machine(), pf, before }
    }

    /// What is the VFs' usual state from now on, after the administrator changed it.
    fn settle(&mut self) {
        self.before = (0..).zip(&self.before).map(|(number, _)| self.pf.state(number)).collect();
    }

    /// The configuration of a VF with an address, and with `more`.
    fn conf(&self, number: u8, more: Value) -> Value {
        let conf = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "sriov",
            "deviceID": self.pf.vf(number.into()), "stateDir": self.state_dir(),
            "ipam": {"type": "static", "addresses": [{"address": format!("10.9.0.{}/24", number + 1)}]},
        });
        with(conf, more)
    }

    fn state_dir(&self) -> String {
        self.node.directory().join("devices").to_str().expect("UTF-8").to_owned()
    }

    /// The records that there are.
    fn records(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.state_dir()) else { return Vec::new() };
        let names =
            entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
        names
            .filter(|name| std::path::Path::new(name).extension() != Some("lock".as_ref()))
            .collect()
    }

    /// The only record, changed.
    fn edit_record(&self, edit: impl Fn(&mut Value)) {
        let names = self.records();
        let [name] = &names[..] else { panic!("records {names:?}") };
        let path = std::path::Path::new(&self.state_dir()).join(name);
        let text = std::fs::read_to_string(&path).expect("the record");
        let mut record: Value = serde_json::from_str(&text).expect("a record");
        edit(&mut record);
        std::fs::write(&path, record.to_string()).expect("the record");
    }

    fn call(&self, verb: &str, conf: &Value, pod: &Pod) -> Call<'_> {
        self.node.call("sriov").verb(verb).conf(conf).pod(pod).ifname("net1")
    }

    #[track_caller]
    fn attach(&self, conf: &Value, pod: &Pod) -> Attachment {
        self.node.attach_as(conf, pod, "net1")
    }

    /// Every VF is as it was, no record speaks of any, and this pod has none.
    #[track_caller]
    fn is_as_before(&self, pod: &Pod) {
        for (number, before) in (0..).zip(&self.before) {
            assert_eq!(self.pf.state(number), *before, "VF {number}");
        }
        assert_eq!(self.records(), [""; 0]);
        if pod.exists() {
            assert_eq!(pod.links(), ["lo"]);
        }
    }

    /// The administrator sets something of a VF: `ip link set PF vf N WHAT`.
    fn set(&self, number: u8, what: &str) {
        let number = number.to_string();
        let mut command = vec!["ip", "link", "set", &self.pf.name, "vf", &number];
        command.extend(what.split(' '));
        self.node.run(&command);
    }
}

/// Whether `to` answers; igb's links take some seconds before they carry anything.
fn reaches(from: &Netns, to: &str) -> bool {
    from.try_run(&["ping", "-n", "-q", "-c", "1", "-i", "0.5", "-w", "40", to]).is_ok()
}

/// A link's flag, as `ip` names it.
fn has_flag(netns: &Netns, link: &str, flag: &str) -> bool {
    let link = netns.link(link).unwrap_or_else(|| panic!("there is no {link}"));
    link["flags"].as_array().is_some_and(|flags| flags.contains(&json!(flag)))
}
