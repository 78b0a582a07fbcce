//! `podwire nad render`: what each plugin will be handed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ::nad::manifest::Manifest;
use ::nad::multus::{Delegate, Devices, Invocation, Multus, Sandbox, Verb};
use ::nad::{Network, Pod};
use clap::{Args, ValueEnum};
use cni::{Code, Error, IfName, Json};

use super::{called, read, read_all};
use crate::failure::Failure;
use crate::plain::{plain, plain_lines};

/// Shows what Multus will hand each plugin for a pod: environment and stdin
#[derive(Debug, Args)]
pub struct Arguments {
    /// NetworkAttachmentDefinitions, in YAML or JSON; `-` is stdin
    #[arg(long = "nad", value_name = "FILE", required = true)]
    nads: Vec<PathBuf>,
    /// The pod, or what makes it (a Deployment and the like)
    #[arg(long, value_name = "FILE")]
    pod: PathBuf,
    /// Devices that the kubelet gives the pod, in the order in which they are used
    #[arg(long, value_name = "RESOURCE=ID,...", value_delimiter = ',')]
    device: Vec<String>,
    /// Where the node keeps configurations for networks that have none themselves
    #[arg(long, value_name = "DIRECTORY", default_value = "/etc/cni/multus/net.d")]
    conf_dir: PathBuf,
    /// The cluster's default network, a configuration or a list; it is left out otherwise
    #[arg(long, value_name = "FILE")]
    default_network: Option<PathBuf>,
    /// Pods get no networks of other namespaces, but for `default`
    #[arg(long)]
    namespace_isolation: bool,
    /// The call
    #[arg(long, value_enum, default_value = "add")]
    verb: Call,
    /// `CNI_CONTAINERID`
    #[arg(long, value_name = "ID", default_value = "sandbox")]
    container: String,
    /// `CNI_NETNS`
    #[arg(long, value_name = "PATH", default_value = "/run/netns/sandbox")]
    netns: String,
    /// Print a JSON array, as README.md describes it
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Call {
    Add,
    Check,
    Del,
}

impl From<Call> for Verb {
    fn from(call: Call) -> Self {
        match call {
            Call::Add => Self::Add,
            Call::Check => Self::Check,
            Call::Del => Self::Del,
        }
    }
}

/// An attachment, with its calls in their order and whose result each is handed.
struct Attachment {
    delegate: Delegate,
    interface: IfName,
    calls: Vec<(Invocation, Option<String>)>,
}

/// Prints it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let (pod, attachments) = rendered(arguments)?;
    for attachment in &attachments {
        for warning in &attachment.delegate.warnings {
            let text = format!("{}: {warning}", attachment.delegate.name);
            cni::warn(format_args!("podwire: warning: {}", plain(&text)));
        }
    }
    if arguments.json {
        let all: Json = attachments.iter().map(Attachment::json).collect();
        writeln!(out, "{}", plain_lines(&all.pretty()))?;
    } else {
        writeln!(out, "pod {}", plain(&pod.path()))?;
        attachments.iter().try_for_each(|attachment| attachment.print(out))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn rendered(arguments: &Arguments) -> Result<(Pod, Vec<Attachment>), Error> {
    let mut definitions = Vec::new();
    for (file, text) in read_all(&arguments.nads)? {
        definitions.extend(Manifest::parse(&text, &file)?.definitions);
    }
    let file = called(&arguments.pod);
    let mut own = Manifest::parse(&read(&arguments.pod)?, &file)?;
    if own.pods.len() > 1 {
        let names: Vec<String> = own.pods.iter().map(Pod::path).collect();
        let msg = format!("{file} has more than one pod: {}", names.join(", "));
        return Err(Error::new(Code::CONFIG, msg));
    }
    let Some(pod) = own.pods.pop() else {
        let error = Error::new(Code::CONFIG, format!("{file} has no pod"));
        return Err(error.details("nor a Deployment, DaemonSet, StatefulSet, Job or CronJob"));
    };
    for definition in own.definitions {
        if definitions.iter().all(|known| known.path() != definition.path()) {
            definitions.push(definition);
        }
    }
    let default_network = arguments.default_network.as_deref().map(|file| {
        let named = |e: Error| e.while_(called(file));
        read(file).and_then(|text| Network::parse(&text, "").map_err(named))
    });
    let multus = Multus {
        conf_dir: arguments.conf_dir.clone(),
        namespace_isolation: arguments.namespace_isolation,
        default_network: default_network.transpose()?,
        ..Multus::default()
    };
    let sandbox = Sandbox {
        container: arguments.container.clone(),
        netns: arguments.netns.clone(),
        interface: "eth0".parse()?,
        path: "/opt/cni/bin".to_owned(),
    };
    let devices: Devices = arguments.device.join(",").parse()?;
    let delegates = multus.delegates(&pod, &definitions, &devices)?;
    let attachments = delegates
        .into_iter()
        .map(|delegate| attachment(delegate, &multus, &pod, &sandbox, arguments.verb.into()))
        .collect::<Result<_, _>>()?;
    Ok((pod, attachments))
}

fn attachment(
    delegate: Delegate,
    multus: &Multus,
    pod: &Pod,
    sandbox: &Sandbox,
    verb: Verb,
) -> Result<Attachment, Error> {
    let interface = delegate.interface(&sandbox.interface)?;
    let mut calls = Vec::new();
    for place in delegate.order(verb) {
        let Some(call) = delegate.invocation(multus, pod, sandbox, (verb, place), None)? else {
            continue;
        };
        // In ADD that of the plugin before it, else that of the last one.
        let from = match verb {
            Verb::Add => {
                place.checked_sub(1).and_then(|before| delegate.network.plugins.get(before))
            }
            _ => delegate.network.plugins.last(),
        };
        let from = from.filter(|_| delegate.is_handed_result(verb, place));
        calls.push((call, from.map(|plugin| plugin.kind.clone())));
    }
    Ok(Attachment { delegate, interface, calls })
}

impl Attachment {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { delegate, interface, calls } = self;
        write!(out, "\n{interface}: {}", plain(&delegate.name))?;
        if let Some(device) = &delegate.device_id {
            write!(out, ", device {}", plain(device))?;
        }
        if let Some(resource) = &delegate.resource {
            write!(out, " of {}", plain(resource))?;
        }
        writeln!(out)?;
        for (lost, family) in
            [(delegate.loses_v4_default, "IPv4"), (delegate.loses_v6_default, "IPv6")]
        {
            if lost {
                writeln!(out, "  loses its {family} default route after ADD")?;
            }
        }
        for gateway in delegate.selection.default_route.iter().flatten() {
            writeln!(out, "  gets the default route through {gateway} after ADD")?;
        }
        for (call, result_of) in calls {
            writeln!(out, "\n  {}", plain(&call.plugin))?;
            for (key, value) in &call.environment {
                writeln!(out, "    {key}={}", plain(value))?;
            }
            if let Some(plugin) = result_of {
                writeln!(out, "    and, as prevResult, the result of {}", plain(plugin))?;
            }
            for line in call.stdin.pretty().lines() {
                writeln!(out, "    {}", plain(line))?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Json {
        let Self { delegate, interface, calls } = self;
        let text = |text: &Option<String>| text.as_deref().map_or(Json::Null, Json::from);
        let warnings = delegate.warnings.iter().map(ToString::to_string);
        object([
            ("interface", interface.as_str().into()),
            ("network", delegate.name.as_str().into()),
            ("default", delegate.is_default.into()),
            ("deviceID", text(&delegate.device_id)),
            ("resourceName", text(&delegate.resource)),
            (
                "losesDefaultRoute",
                object([
                    ("ipv4", delegate.loses_v4_default.into()),
                    ("ipv6", delegate.loses_v6_default.into()),
                ]),
            ),
            ("warnings", warnings.collect()),
            (
                "calls",
                calls
                    .iter()
                    .map(|(call, result_of)| {
                        let environment = call.environment.iter();
                        let environment = environment
                            .map(|(key, value)| ((*key).to_owned(), value.as_str().into()));
                        object([
                            ("plugin", call.plugin.as_str().into()),
                            ("environment", Json::Object(environment.collect())),
                            ("prevResultOf", text(result_of)),
                            ("stdin", call.stdin.clone()),
                        ])
                    })
                    .collect(),
            ),
        ])
    }
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
