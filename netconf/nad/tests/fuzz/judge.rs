//! What must hold of every answer.

use cni::{Error, Json};
use nad::device_info::DeviceInfo;
use nad::lint::{Severity, lint};
use nad::multus::{Devices, Multus, Sandbox, Verb};
use nad::status::Status;
use nad::{Definition, Pod};

/// Says which case it was when an assertion fails.
struct Witness<'a>(&'a [&'a str]);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case was:\n{}", self.0.join("\n"));
        }
    }
}

fn is_one_line(error: &Error) {
    assert!(!error.msg.is_empty() && !error.msg.contains('\n'), "{error}");
    assert!(error.code.0 > 0);
}

/// How many attachments were rendered.
pub fn rendered(network: &str, selection: &str) -> usize {
    let _witness = Witness(&[network, selection]);
    let definition = Definition {
        name: "n".to_owned(),
        namespace: "default".to_owned(),
        resource: Some("intel.com/vf".to_owned()),
        config: Some(network.to_owned()),
    };
    let pod = Pod {
        name: "p".to_owned(),
        namespace: "default".to_owned(),
        networks: Some(selection.to_owned()),
        ..Pod::default()
    };
    let multus = Multus::default();
    let devices: Devices = "intel.com/vf=0000:01:10.0".parse().unwrap();
    let delegates = match multus.delegates(&pod, &[definition], &devices) {
        Ok(delegates) => delegates,
        Err(e) => {
            is_one_line(&e);
            return 0;
        }
    };
    let sandbox = Sandbox {
        container: "c".to_owned(),
        netns: "/ns".to_owned(),
        interface: "eth0".parse().unwrap(),
        path: "/bin".to_owned(),
    };
    let result = Json::Object(vec![("cniVersion".to_owned(), "1.0.0".into())]);
    for delegate in &delegates {
        for verb in [Verb::Add, Verb::Check, Verb::Del] {
            for place in delegate.order(verb) {
                let call =
                    delegate.invocation(&multus, &pod, &sandbox, (verb, place), Some(&result));
                let call = call.unwrap().unwrap();
                // serde_json's own reader says whether it is an object, each key once.
                let stdin: serde_json::Value = serde_json::from_str(&call.bytes()).unwrap();
                let object = stdin.as_object().unwrap();
                assert!(object.contains_key("name") && object.contains_key("cniVersion"));
                let Json::Object(members) = &call.stdin else { panic!("{}", call.stdin) };
                assert!(members.is_sorted_by(|a, b| a.0 < b.0), "{}", call.stdin);
                assert_eq!(members.len(), object.len());
                assert!(!call.plugin.is_empty() && !call.plugin.contains('/'));
            }
        }
        delegate.warnings.iter().for_each(is_one_line);
    }
    delegates.len()
}

/// Whether something is wrong.
pub fn linted(text: &[u8]) -> bool {
    let shown = String::from_utf8_lossy(text);
    let _witness = Witness(&[&shown]);
    let findings = lint(&[("f".to_owned(), text.to_vec())], None);
    for finding in &findings {
        is_one_line(&finding.error);
    }
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Whether it was read.
pub fn told(text: &[u8]) -> bool {
    let shown = String::from_utf8_lossy(text);
    let _witness = Witness(&[&shown]);
    match DeviceInfo::parse(text, "it") {
        Ok(info) => {
            let again = DeviceInfo::from(info.device().clone());
            let read = DeviceInfo::parse(again.tree().to_string().as_bytes(), "it").unwrap();
            assert_eq!(read, again);
            return true;
        }
        Err(e) => is_one_line(&e),
    }
    match Status::parse(&shown) {
        Ok(entries) => {
            assert_eq!(Status::parse(&Status::print(&entries)).unwrap(), entries);
            true
        }
        Err(e) => {
            is_one_line(&e);
            false
        }
    }
}
