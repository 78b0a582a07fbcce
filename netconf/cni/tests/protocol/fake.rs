//! A plugin that does what a test tells it and notes what it was asked.

use std::cell::RefCell;

use cni::{AddResult, Call, Environment, Error, GcCall, Json, Output, Plugin, StatusCall};
use serde::Deserialize;

#[derive(Default)]
pub struct Fake {
    /// What ADD answers.
    pub result: AddResult,
    /// What every other verb answers, and ADD too when there is one.
    pub error: Option<Error>,
    /// The calls that came through.
    pub calls: RefCell<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub struct Conf {
    bridge: String,
    is_gateway: bool,
    mtu: u32,
    ipam: Ipam,
    runtime_config: Option<RuntimeConfig>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Ipam {
    r#type: String,
    ranges: Vec<Vec<Range>>,
    routes: Vec<cni::Route>,
    data_dir: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded for the sake of decoding")]
struct Range {
    subnet: cni::Cidr,
    #[serde(default, deserialize_with = "cni::optional_ip")]
    gateway: Option<std::net::IpAddr>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct RuntimeConfig {
    mac: String,
    port_mappings: Vec<PortMapping>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded for the sake of decoding")]
struct PortMapping {
    host_port: u16,
    container_port: u16,
    protocol: String,
}

/// The part of a configuration that another piece of the plugin reads.
#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded for the sake of decoding")]
struct Other {
    bridges: Option<String>,
}

impl Fake {
    fn note(&self, verb: &str, call: &Call) -> Result<(), Error> {
        let netns = call.netns.as_ref().map_or("none".to_owned(), |n| n.display().to_string());
        let prev = call.prev_result.as_ref().map_or("none".to_owned(), |r| r.ips.len().to_string());
        let Call { attachment, args, path, .. } = call;
        self.calls.borrow_mut().push(format!(
            "{verb} {attachment} netns={netns} args={args} path={:?} prev={prev}",
            path.0
        ));
        self.error.clone().map_or(Ok(()), Err)
    }
}

impl Plugin for Fake {
    const NAME: &'static str = "fake";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        call.conf.decode::<Conf>()?;
        call.conf.decode::<Other>()?;
        self.note("ADD", call).map(|()| self.result.clone())
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        self.note("DEL", call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        self.note("CHECK", call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        let valid = call.valid.as_ref().map(|valid| {
            valid.iter().map(|(id, ifname)| format!("{id}/{ifname}")).collect::<Vec<_>>().join(" ")
        });
        self.calls.borrow_mut().push(format!("GC {} {valid:?}", call.conf.network));
        self.error.clone().map_or(Ok(()), Err)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        self.calls.borrow_mut().push(format!("STATUS {}", call.conf.network));
        self.error.clone().map_or(Ok(()), Err)
    }
}

/// The environment of a call with everything in it.
pub fn environment(verb: &str) -> Environment {
    Environment {
        command: verb.to_owned(),
        container_id: "c1".to_owned(),
        netns: "/run/netns/c1".into(),
        ifname: "eth0".to_owned(),
        path: "/opt/cni/bin:/usr/lib/cni".into(),
        ..Environment::default()
    }
}

/// The fake's answer to `verb` with `stdin`.
pub fn answer(fake: &Fake, verb: &str, stdin: &str) -> Output {
    cni::dispatch(fake, &environment(verb), stdin.as_bytes())
}

/// Code and message of an answer that is an error.
pub fn error_of(output: &Output) -> (u64, String) {
    assert_eq!(output.code, 1, "{output:?}");
    let json = Json::parse(output.stdout.as_bytes(), "stdout").unwrap();
    assert!(json.get("cniVersion").is_some(), "{output:?}");
    let Some(Json::Number(code)) = json.get("code") else { panic!("{output:?}") };
    let msg = json.get("msg").and_then(Json::as_str).unwrap_or_default();
    let details = json.get("details").and_then(Json::as_str).unwrap_or_default();
    let all = if details.is_empty() { msg.to_owned() } else { format!("{msg} | {details}") };
    (code.as_u64().unwrap(), all)
}
