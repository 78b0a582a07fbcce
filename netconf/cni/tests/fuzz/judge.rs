//! What must hold of every answer.

use std::collections::BTreeMap;
use std::fmt;

use cni::{AddResult, Args, Call, Environment, Error, GcCall, Output, Plugin, StatusCall, Version};
use serde::Deserialize;

use crate::corpus::ARGS;
use crate::damage::Damage;

/// Hands back what it was given, and reads its configuration as a plugin would.
struct Echo;

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Conf {
    bridge: String,
    is_gateway: bool,
    mtu: u32,
    ipam: Ipam,
    dns: cni::Dns,
    master: Option<cni::IfName>,
    labels: BTreeMap<String, String>,
    runtime_config: RuntimeConfig,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Ipam {
    ranges: Vec<Vec<Range>>,
    routes: Vec<cni::Route>,
    data_dir: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    subnet: cni::Cidr,
    #[serde(default, deserialize_with = "cni::optional_ip")]
    gateway: Option<std::net::IpAddr>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct RuntimeConfig {
    port_mappings: Vec<PortMapping>,
    mac: Option<String>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct PortMapping {
    host_port: u16,
    container_port: u16,
    protocol: String,
}

/// Touches everything that was decoded.
fn size_of(conf: &Conf) -> usize {
    let Conf { bridge, is_gateway, mtu, ipam, dns, master, labels, runtime_config } = conf;
    let ranges = ipam.ranges.iter().flatten();
    let gateways = ranges.filter(|range| range.gateway.is_some_and(|g| range.subnet.0.contains(g)));
    let ports = runtime_config.port_mappings.iter();
    bridge.len()
        + usize::from(*is_gateway)
        + usize::from(*mtu > 0)
        + gateways.count()
        + ipam.routes.len()
        + ipam.data_dir.as_ref().map_or(0, String::len)
        + labels.len()
        + usize::from(dns.is_empty())
        + master.as_ref().map_or(0, |master| master.as_str().len())
        + ports
            .map(|p| p.protocol.len() + usize::from(p.host_port.max(p.container_port)))
            .sum::<usize>()
        + runtime_config.mac.as_ref().map_or(0, String::len)
}

impl Plugin for Echo {
    const NAME: &'static str = "echo";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let conf: Conf = call.conf.decode()?;
        assert!(size_of(&conf) < usize::MAX);
        let args = call.args_for(&["IP", "MAC", "GATEWAY"])?;
        args.typed::<std::net::IpAddr>("IP")?;
        Ok(call.prev_result.clone().unwrap_or_default())
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        drop(call.conf.decode::<Conf>());
        Ok(())
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        assert!(call.prev_result.is_some());
        Ok(())
    }

    fn gc(&self, _: &GcCall) -> Result<(), Error> {
        Ok(())
    }

    fn status(&self, _: &StatusCall) -> Result<(), Error> {
        Ok(())
    }
}

pub struct Case {
    environment: Environment,
    stdin: Vec<u8>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n{:?}", self.environment, String::from_utf8_lossy(&self.stdin))
    }
}

impl Case {
    pub fn whole(verb: &str, conf: &str) -> Self {
        let environment = Environment {
            command: verb.to_owned(),
            container_id: "c1".to_owned(),
            netns: "/run/netns/c1".into(),
            ifname: "eth0".to_owned(),
            path: "/opt/cni/bin".into(),
            ..Environment::default()
        };
        Self { environment, stdin: conf.as_bytes().to_vec() }
    }

    pub fn random(damage: &mut Damage) -> Self {
        let verb = damage.one_of(&["ADD", "ADD", "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"]);
        let mut case = Self::whole(verb, "");
        case.stdin = damage.text();
        if damage.below(4) == 0 {
            damage.one_of(ARGS).clone_into(&mut case.environment.args);
        }
        case.environment.netns_is_own = damage.below(20) == 0;
        if damage.below(8) == 0 {
            let Environment { command, container_id, ifname, args, .. } = &mut case.environment;
            let text = match damage.below(4) {
                0 => command,
                1 => container_id,
                2 => ifname,
                _ => args,
            };
            let mut bytes = std::mem::take(text).into_bytes();
            damage.bytes(&mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        if damage.below(30) == 0 {
            case.environment.netns = "".into();
        }
        if damage.below(30) == 0 {
            case.environment.path = "".into();
        }
        case
    }
}

pub fn output(case: &Case) -> Output {
    cni::dispatch(&Echo, &case.environment, &case.stdin)
}

/// Says which case it was when an assertion fails.
struct Witness<'a>(&'a Case);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "for whoever reads the failure")]
            {
                eprintln!("the case was:\n{}", self.0);
            }
        }
    }
}

pub fn judge(case: &Case) {
    let _witness = Witness(case);
    let output = output(case);
    let verb = case.environment.command.as_str();
    assert!(output.stderr.is_empty() || output.stderr.ends_with('\n'), "{output:?}");
    if output.stdout.is_empty() {
        assert_eq!(output.code, 0, "{output:?}");
        assert!(!matches!(verb, "ADD" | "VERSION"), "{output:?}");
    } else {
        // serde_json's own reader, not ours, says whether it is one object.
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let object = json.as_object().unwrap();
        let version = object["cniVersion"].as_str().and_then(Version::named).unwrap();
        if output.code == 0 {
            assert!(matches!(verb, "ADD" | "VERSION"), "{output:?}");
            assert!(!object.contains_key("code"));
        } else {
            assert_eq!(output.code, 1);
            assert!(object["code"].as_u64().unwrap() > 0, "{output:?}");
            let msg = object["msg"].as_str().unwrap();
            assert!(!msg.is_empty() && !msg.contains('\n'), "{output:?}");
        }
        if verb == "ADD" && output.code == 0 {
            converted_and_back(&output.stdout, version);
        }
    }
    for known in [&["IP"][..], &[]] {
        drop(Args::parse(&case.environment.args, known));
    }
}

/// A result that was printed is read and printed in every other version, and stays what it is.
fn converted_and_back(text: &str, version: Version) {
    let json = cni::Json::parse(text.as_bytes(), "a result").unwrap();
    let result = AddResult::parse(&json, version).unwrap();
    assert_eq!(result.print(version).unwrap(), text);
    for &other in Version::ALL {
        let Ok(told) = result.print(other) else { continue };
        let json = cni::Json::parse(told.as_bytes(), "a result").unwrap();
        let read = AddResult::parse(&json, other).unwrap();
        assert_eq!(read.print(other).unwrap(), told);
        assert_eq!(AddResult::parse_any(&json, Version::V1_1_0).unwrap(), read);
    }
}
