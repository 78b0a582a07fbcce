//! STATUS: whether an ADD could be served now.

use cni::{Code, Error, StatusCall};
use kernel::link::{self, Ipip, Vxlan};
use kernel::{MacAddr, Netns, Socket};
use peers::{Kind, Plan, Way};

use crate::config::Config;
use crate::derive::on_node;
use crate::node;

/// Code 50 when the peer file is missing or broken, the underlay has no interface, the kernel has
/// not the device, or the container's part could not be made. A single peer's fault is none of the
/// network's.
pub fn status(way: Way, call: &StatusCall) -> Result<(), Error> {
    let config = Config::parse(way, &call.conf)?;
    let (ground, plan) = node::network(&config).look().map_err(unavailable)?;
    try_device(&plan).map_err(unavailable)?;
    let conf = on_node(&call.conf, &config, &ground)?;
    config.join.status(&StatusCall { conf, ..call.clone() })
}

fn unavailable(reason: impl Into<Error>) -> Error {
    Error { code: Code::NOT_AVAILABLE, ..reason.into() }
}

/// Makes a device of the plan's kind in a namespace that ends with the trial.
fn try_device(plan: &Plan) -> kernel::Result<()> {
    let Some(device) = plan.devices.first() else { return Ok(()) };
    let request = match device.kind {
        Kind::Vxlan(..) => {
            let any = Vxlan { vni: 1, port: 8472, ..Vxlan::default() };
            link::create_vxlan("trial", &any, MacAddr([2, 0, 0, 0, 0, 1]), None)
        }
        Kind::Ipip(_) | Kind::Fallback => {
            let local = Some([192, 0, 2, 1].into());
            link::create_ipip("trial", &Ipip { local, ..Ipip::default() }, None)
        }
    };
    Netns::trial(|| Socket::open()?.run(request))
}
