//! Asking the address manager that a config names, in this process or in its own.

use cni::{AddResult, Call, Error, GcCall, NetConf, Plugin, PluginPath, StatusCall, delegate};
use serde::Deserialize;
use std::net::IpAddr;

use crate::{HostLocal, Static};

/// The address manager that a config names. Our own answers without being executed; whatever else
/// CNI_PATH has under the name is executed. Leases are the same files either way.
#[derive(Clone, Debug)]
pub struct Ipam {
    kind: String,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    HostLocal,
    Static,
    Executed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conf {
    ipam: Section,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    r#type: String,
}

impl Ipam {
    /// `None` when the config names no address manager: no `ipam`, or one without `type`. That the
    /// executable does not exist shows when it is asked. Code 6 or 7.
    pub fn of(conf: &NetConf, path: &PluginPath) -> Result<Option<Self>, Error> {
        let kind = conf.decode::<Conf>()?.ipam.r#type;
        if kind.is_empty() {
            return Ok(None);
        }
        if kind.contains('/') {
            let value = format_args!("{kind:?}");
            return Err(Error::config("ipam.type", value, "names a path, not a plugin"));
        }
        let way = match kind.as_str() {
            HostLocal::NAME if delegate::is_own(&kind, path) => Way::HostLocal,
            Static::NAME if delegate::is_own(&kind, path) => Way::Static,
            _ => Way::Executed,
        };
        Ok(Some(Self { kind, way }))
    }

    /// Its name: `ipam.type`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// True when it may need the interface to give an address or to take one back, as `dhcp` does. So
    /// the interface has to be there before an ADD and until after a DEL. `host-local` and `static`
    /// look into files alone.
    pub fn speaks_through_interface(&self) -> bool {
        self.kind != HostLocal::NAME && self.kind != Static::NAME
    }

    /// Gives the attachment its addresses. An executed manager's error comes back as it is.
    pub fn add(&self, call: &Call) -> Result<AddResult, Error> {
        match self.way {
            Way::HostLocal => HostLocal.add(call),
            Way::Static => Static.add(call),
            Way::Executed => delegate::add(&self.kind, call),
        }
    }

    /// Takes the attachment's addresses back. Returns them where they are known: an executed
    /// manager does not tell.
    pub fn del(&self, call: &Call) -> Result<Vec<IpAddr>, Error> {
        match self.way {
            Way::HostLocal => HostLocal.release(call),
            Way::Static => Ok(Static.leases(call)),
            Way::Executed => delegate::del(&self.kind, call).map(|()| Vec::new()),
        }
    }

    /// The addresses that the attachment has; `None` where that is not known. An executed manager
    /// does not tell, and the config of `static` may have changed since the ADD.
    pub fn leases(&self, call: &Call) -> Option<Vec<IpAddr>> {
        match self.way {
            Way::HostLocal => HostLocal.leases(call),
            Way::Static | Way::Executed => None,
        }
    }

    /// Compares the attachment's addresses with the previous result.
    pub fn check(&self, call: &Call) -> Result<(), Error> {
        match self.way {
            Way::HostLocal => HostLocal.check(call),
            Way::Static => Static.check(call),
            Way::Executed => delegate::check(&self.kind, call),
        }
    }

    /// Takes back the addresses of every attachment that is not valid any more.
    pub fn gc(&self, call: &GcCall) -> Result<(), Error> {
        match self.way {
            Way::HostLocal => HostLocal.gc(call),
            Way::Static => Static.gc(call),
            Way::Executed => delegate::gc(&self.kind, call),
        }
    }

    /// Says whether addresses could be given now.
    pub fn status(&self, call: &StatusCall) -> Result<(), Error> {
        match self.way {
            Way::HostLocal => HostLocal.status(call),
            Way::Static => Static.status(call),
            Way::Executed => delegate::status(&self.kind, call),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::testcall::{addresses, call, conf, status};

    fn of(ipam: &Value, path: &Path) -> Option<Ipam> {
        let conf = conf(&json!({"cniVersion": "1.1.0", "name": "net", "ipam": ipam}));
        Ipam::of(&conf, &PluginPath(vec![path.to_owned()])).unwrap()
    }

    #[test]
    fn a_config_without_an_address_manager_has_none() {
        let none = Path::new("/nonexistent");
        for ipam in [json!(null), json!({}), json!({"type": ""}), json!({"subnet": "10.1.0.0/24"})]
        {
            assert!(of(&ipam, none).is_none(), "{ipam}");
        }
        assert!(of(&json!({"type": "host-local"}), none).is_some());
    }

    #[test]
    fn only_what_looks_into_files_needs_no_interface() {
        let none = Path::new("/nonexistent");
        let speaks =
            |kind: &str| of(&json!({"type": kind}), none).unwrap().speaks_through_interface();
        assert!(!speaks("host-local") && !speaks("static"));
        assert!(speaks("dhcp") && speaks("whereabouts"));
    }

    #[test]
    fn another_manager_is_executed_and_its_error_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("host-local");
        let script = "#!/bin/sh\ncat >/dev/null\n\
            case $CNI_COMMAND in\n\
            ADD) echo '{\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"192.0.2.7/24\"}]}' ;;\n\
            DEL) ;;\n\
            *) echo '{\"code\": 77, \"msg\": \"not today\", \"details\": \"d\"}'; exit 1 ;;\n\
            esac\n";
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let ipam = json!({"type": "host-local"});
        let config = json!({"cniVersion": "1.1.0", "name": "net", "ipam": ipam});
        let manager = of(&ipam, root.path()).unwrap();
        let mut call = call(&config, "c1", "eth0");
        call.path = PluginPath(vec![root.path().to_owned()]);
        assert_eq!(addresses(&manager.add(&call).unwrap()), ["192.0.2.7/24"]);
        assert!(manager.del(&call).unwrap().is_empty());
        assert_eq!(manager.leases(&call), None);
        let mut status = status(&config);
        status.path = call.path.clone();
        for error in [manager.check(&call).unwrap_err(), manager.status(&status).unwrap_err()] {
            assert_eq!((error.code.0, error.msg.as_str()), (77, "not today"));
        }
    }

    #[test]
    fn only_a_manager_that_remembers_knows_the_leases() {
        let root = tempfile::tempdir().unwrap();
        let addresses = json!([{"address": "192.0.2.7/24"}]);
        let ipam = json!({"dataDir": root.path(), "subnet": "10.1.0.0/24", "addresses": addresses});
        let config = json!({"cniVersion": "1.1.0", "name": "net", "ipam": ipam});
        let call = call(&config, "c1", "eth0");
        let ask = |way| Ipam { kind: String::new(), way };
        ask(Way::Static).add(&call).unwrap();
        assert_eq!(ask(Way::Static).leases(&call), None);
        ask(Way::HostLocal).add(&call).unwrap();
        let known = ask(Way::HostLocal).leases(&call).unwrap();
        assert_eq!(known, ["10.1.0.2".parse::<IpAddr>().unwrap()]);
        // What a DEL freed it no longer knows, and that DEL may have failed elsewhere.
        ask(Way::HostLocal).del(&call).unwrap();
        assert_eq!(ask(Way::HostLocal).leases(&call), None);
    }

    #[test]
    fn a_manager_that_does_not_exist_is_an_error_also_of_del() {
        let none = tempfile::tempdir().unwrap();
        let ipam = json!({"type": "host-local"});
        let manager = of(&ipam, none.path()).unwrap();
        let config = json!({"cniVersion": "1.1.0", "name": "net", "ipam": ipam});
        let call = call(&config, "c1", "eth0");
        assert!(manager.del(&call).unwrap_err().msg.contains("host-local"));
        assert!(manager.add(&call).is_err());
    }
}
