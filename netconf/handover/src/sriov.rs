//! What `sriov` gives away: virtual functions, set up by their physical function.

mod keys;
mod log;
mod options;
mod trunk;

use cni::{Call, Code, Error, NetConf};
use devices::{Device, DeviceId, PciAddress, PhysicalFunction, Roots, VfOf};
use kernel::Socket;

pub use log::{Level, Log};
use options::{DriverPolicy, Options};

use crate::vf::{Handle, VfTrunk, VfWanted};
use crate::{Kind, Sought, Wanted};

/// Virtual functions.
#[derive(Debug)]
pub struct Sriov;

impl Kind for Sriov {
    const NAME: &'static str = "sriov";

    fn sought(&self, call: &Call) -> Result<Sought, Error> {
        let address = Options::device(&call.conf)?;
        Ok(Sought { id: address.map(DeviceId::Pci), ..Sought::default() })
    }

    fn wanted(&self, call: &Call) -> Result<Wanted, Error> {
        Log::parse(&call.conf)?;
        let args = call.args_for(&["MAC"])?;
        let options = Options::parse(&call.conf, args.get("MAC"))?;
        let roots = Roots::system();
        let device = find(&roots, Options::device(&call.conf)?.ok_or_else(missing_id)?)?;
        let place = virtual_function(&device)?;
        suits(&device, &options)?;
        let pf = roots.physical_function(place.pf)?;
        let vf = settings(&pf, place, &options)?;
        if options.promiscuous == Some(true) && vf.trust != Some(true) {
            cni::warn(
                "promisc true without trust \"on\": most VFs get what is addressed to them alone until \
                 they are trusted",
            );
        }
        let link = device.netdevs.first().map(|netdev| netdev.name.clone());
        let mut wanted = Wanted::of(device, link);
        wanted.mac = options.vf.mac;
        wanted.mtu = options.mtu;
        wanted.all_multicast = options.all_multicast;
        wanted.promiscuous = options.promiscuous;
        wanted.vf = vf;
        wanted.on_unsupported = options.on_unsupported;
        wanted.dns = options.dns;
        Ok(wanted)
    }

    fn status(&self, conf: &NetConf) -> Result<(), Error> {
        Log::parse(conf)?;
        let options = Options::parse(conf, None)?;
        let roots = Roots::system();
        if let Some(address) = Options::device(conf)? {
            let device =
                find(&roots, address).map_err(|e| Error { code: Code::NOT_AVAILABLE, ..e })?;
            virtual_function(&device)?;
            return suits(&device, &options);
        }
        let (devices, _) = roots.network_devices()?;
        if devices.iter().any(|device| device.vf.is_some()) {
            return Ok(());
        }
        let able: Vec<String> =
            devices.iter().filter(|d| d.vfs.is_some()).map(|d| d.id.to_string()).collect();
        let mend = match able.first() {
            None => {
                "no network device of this node is a physical function (sriov_totalvfs)".to_owned()
            }
            Some(first) => format!(
                "physical functions without any: {}; echo N > /sys/bus/pci/devices/{first}/sriov_numvfs",
                able.join(", ")
            ),
        };
        let msg = "this node has no virtual functions";
        Err(Error::new(Code::NOT_AVAILABLE, msg).details(mend))
    }
}

/// The layers that hand a device's id down, of which one did not.
fn missing_id() -> Error {
    Error::new(Code::CONFIG, "deviceID: missing, so there is no VF to give away").details(
        "Multus puts it in when the NetworkAttachmentDefinition has the annotation \
         k8s.v1.cni.cncf.io/resourceName and a container of the pod requests that resource; another \
         runtime passes runtimeConfig.deviceID when the plugin has \"capabilities\": {\"deviceID\": true}; \
         `podwire devices` lists what could stand there",
    )
}

fn find(roots: &Roots, address: PciAddress) -> Result<Device, Error> {
    let found = roots.device(&DeviceId::Pci(address));
    found.map_err(|e| e.while_("deviceID"))
}

fn virtual_function(device: &Device) -> Result<VfOf, Error> {
    device.vf.ok_or_else(|| {
        let msg = format!("deviceID {:?}: not a virtual function", device.id.to_string());
        let mend = match device.vfs {
            Some(_) => {
                "it is a physical function: name one of its VFs, or use the plugin host-device"
            }
            None => "the plugin host-device gives whole devices away",
        };
        Error::new(Code::CONFIG, msg).details(mend)
    })
}

/// Refuses a VF whose driver is not what the configuration wants, or cannot be what it wants.
fn suits(device: &Device, options: &Options) -> Result<(), Error> {
    let driver = device.driver.as_deref().unwrap_or("none");
    let userspace = device.class.is_userspace();
    let refused = |key: &str, value: &str, why: &str| {
        let why = format!("{} has the driver {driver}, {why}", device.id);
        Err(Error::config(key, value, &why))
    };
    match options.driver_policy {
        DriverPolicy::Kernel if userspace => {
            return refused("driverPolicy", "\"require-kernel\"", "by which a program drives it");
        }
        DriverPolicy::Userspace if !userspace => {
            return refused("driverPolicy", "\"require-userspace\"", "which is the kernel's");
        }
        _ => {}
    }
    let without = "and there is no network interface to set";
    match (options.mtu, options.all_multicast, options.promiscuous) {
        (Some(mtu), ..) if userspace => refused("mtu", &mtu.to_string(), without),
        (_, Some(on), _) if userspace => refused("allmulti", &on.to_string(), without),
        (.., Some(on)) if userspace => refused("promisc", &on.to_string(), without),
        _ => Ok(()),
    }
}

/// What the physical function is to be asked, as far as that can be judged before.
fn settings(pf: &PhysicalFunction, place: VfOf, options: &Options) -> Result<VfWanted, Error> {
    let mut vf = options.vf.clone();
    if vf.is_empty() && options.trunk.is_none() {
        return Ok(vf);
    }
    let Some(uplink) = &pf.uplink else {
        return Err(Error::new(
            Code::CONFIG,
            format!("{}: the physical function has no network interface on the node", pf.address),
        )
        .details("VFs are set up through it: bind its network driver, and keep it on the node"));
    };
    let socket = Socket::open()?;
    if let Some(mac) = vf.mac {
        let (pf, pf_index) = (uplink.name.as_str(), uplink.index);
        Handle { socket: &socket, pf, pf_index, vf: place.index }.refuse_taken(mac)?;
    }
    if let Some(trunk) = &options.trunk {
        let found = pf.representors.iter().find(|(number, _)| *number == place.index);
        let Some((_, representor)) = found else {
            let ids: Vec<String> = trunk.0.iter().map(ToString::to_string).collect();
            let why = format!("VF {} of {} has no representor", place.index, uplink.name);
            return Err(Error::config("trunk", ids.join(","), &why).details(format!(
                "only a physical function in switchdev mode lets a VF tag by itself (devlink dev eswitch \
                 set pci/{} mode switchdev); leave trunk out, and the VF tags as its driver lets it",
                pf.address
            )));
        };
        vf.trunk = Some(VfTrunk::lacking(&socket, &representor.name, &trunk.0)?);
    }
    Ok(vf)
}
