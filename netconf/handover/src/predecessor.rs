//! What sriov-cni and the reference's host-device have handed over before our plugins took their place, as
//! records of ours, so that a DEL gives it back as it does its own. The node need not be drained.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cni::{Attachment, Call, Code, Error, Json};
use devices::{Device, DeviceId};
use kernel::link::{self, Link, Vf, VfLinkState, VfRate, VfVlan, VlanProtocol};
use kernel::{MacAddr, Netns, durable, regular};
use serde::Deserialize;

use crate::desk::Desk;
use crate::journal::Entry;
use crate::mend::spare_name;
use crate::record::{Asked, Identity, Original, Owner, Phase, Record, VERSION, VfPlace};
use crate::vf::VfWanted;
use crate::wanted::{Sought, link_device};

/// Where sriov-cni keeps what it did: a file per attachment, and one per device in `pci/`.
const SRIOV_CNI: &str = "/var/lib/cni/sriov";
/// Its files are some kilobytes.
const LARGEST: u64 = 1 << 20;
/// `ETH_P_8021AD`, as it writes the kind of a VLAN tag.
const SERVICE_TAG: u32 = 0x88a8;

/// A device that a predecessor handed over, and its files, which go when the record stands.
#[derive(Debug)]
pub struct Inherited {
    /// The record.
    pub record: Record,
    files: Vec<PathBuf>,
}

impl Inherited {
    /// Writes the record down, and removes the predecessor's files. Code 5.
    pub fn adopt(&self, desk: &Desk) -> Result<(), Error> {
        desk.journal.write(&self.record)?;
        remove(&self.files)
    }
}

/// The device of an attachment of the plugin `kind`, if its predecessor has handed it over and nobody else
/// has it by now.
pub fn inherited(
    kind: &str,
    desk: &Desk,
    call: &Call,
    sought: &Sought,
) -> Result<Option<Inherited>, Error> {
    let found = match kind {
        "sriov" => of_sriov_cni(desk, call)?,
        _ => of_host_device(desk, call, sought)?,
    };
    let Some(found) = found else { return Ok(None) };
    if desk.journal.read(&found.record.device)? == Entry::Nothing {
        return Ok(Some(found));
    }
    remove(&found.files)?;
    Ok(None)
}

/// sriov-cni's file of an attachment, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cache {
    name: String,
    #[serde(rename = "deviceID")]
    device_id: String,
    #[serde(rename = "VFID")]
    vf_id: u32,
    orig_vf_state: Before,
    mac: String,
    vlan: Option<u16>,
    #[serde(rename = "min_tx_rate")]
    min_rate: Option<u32>,
    #[serde(rename = "max_tx_rate")]
    max_rate: Option<u32>,
    spoofchk: String,
    trust: String,
    #[serde(rename = "link_state")]
    link_state: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Before {
    #[serde(rename = "hostIFName")]
    host_name: String,
    spoof_chk: bool,
    trust: bool,
    #[serde(rename = "adminMAC")]
    admin_mac: String,
    #[serde(rename = "effectiveMAC")]
    effective_mac: String,
    vlan: u16,
    #[serde(rename = "vlanQoS")]
    vlan_qos: u8,
    vlan_proto: u32,
    min_tx_rate: u32,
    max_tx_rate: u32,
    link_state: u32,
    #[serde(rename = "MTU")]
    mtu: u32,
}

fn of_sriov_cni(desk: &Desk, call: &Call) -> Result<Option<Inherited>, Error> {
    let Attachment { container, ifname, network } = &call.attachment;
    let path = Path::new(SRIOV_CNI).join(format!("{container}-{ifname}"));
    let Some(text) = read(&path) else { return Ok(None) };
    let cache = Json::parse(&text, "sriov-cni's file").and_then(|json| json.decode::<Cache>());
    let Ok(cache) = cache.map_err(|e| cni::warn(format_args!("{}: {e}", path.display()))) else {
        return Ok(None);
    };
    let Ok(id) = cache.device_id.parse::<DeviceId>() else { return Ok(None) };
    if cache.name != network.as_str() {
        return Ok(None);
    }
    let files = vec![path.clone(), Path::new(SRIOV_CNI).join("pci").join(id.to_string())];
    let device = match desk.roots.device(&id) {
        Ok(device) if !is_of_an_earlier_boot(&path) => device,
        // It was made anew since, or is not there: as its driver made it.
        _ => {
            remove(&files)?;
            return Ok(None);
        }
    };
    let place = device.vf.map(|vf| VfPlace { pf: vf.pf, number: vf.index });
    let identity = Identity { vf: place, ..identity(&device, None) };
    let asked = Asked { vf: cache.asked(), ..Asked::default() };
    let original = cache.original(desk, call, &device)?;
    let record = Record {
        identity,
        original,
        original_vf: Some(cache.original_vf()),
        wanted: asked,
        ..record(desk, call, "sriov", &device)?
    };
    Ok(Some(Inherited { record, files }))
}

impl Cache {
    /// What it set back at a DEL: what was configured, and the address wherever one was.
    fn asked(&self) -> VfWanted {
        let was = self.original_vf();
        let given = |text: &str| !text.is_empty();
        VfWanted {
            vlan: self.vlan.map(|_| was.vlan),
            mac: self.mac.parse().ok(),
            min_rate: self.min_rate,
            max_rate: self.max_rate,
            spoof_check: given(&self.spoofchk).then_some(self.spoofchk == "on"),
            trust: given(&self.trust).then_some(self.trust == "on"),
            link_state: was.link_state.filter(|_| given(&self.link_state)),
            ..VfWanted::default()
        }
    }

    fn original_vf(&self) -> Vf {
        let was = &self.orig_vf_state;
        let service = was.vlan_proto == SERVICE_TAG;
        let protocol = if service { VlanProtocol::Service } else { VlanProtocol::Customer };
        Vf {
            index: self.vf_id,
            mac: was.admin_mac.parse().ok(),
            vlan: VfVlan { id: was.vlan, qos: was.vlan_qos, protocol },
            rate: VfRate { min: was.min_tx_rate, max: was.max_tx_rate },
            spoof_check: Some(was.spoof_chk),
            trust: Some(was.trust),
            link_state: match was.link_state {
                0 => Some(VfLinkState::Auto),
                1 => Some(VfLinkState::Enable),
                2 => Some(VfLinkState::Disable),
                _ => None,
            },
            query_rss: None,
        }
    }

    /// The interface as it was: what sriov-cni did not write down is as it is now.
    fn original(
        &self,
        desk: &Desk,
        call: &Call,
        device: &Device,
    ) -> Result<Option<Original>, Error> {
        let was = &self.orig_vf_state;
        if device.class.is_userspace() || was.host_name.parse::<cni::IfName>().is_err() {
            return Ok(None);
        }
        let now = find(desk, call, true, |link| is_of(link, &device.id))?;
        let now = now.as_ref().map(Original::of).unwrap_or_default();
        Ok(Some(Original {
            name: was.host_name.clone(),
            mac: was.effective_mac.parse::<MacAddr>().ok().or(now.mac),
            mtu: if was.mtu == 0 { now.mtu } else { was.mtu },
            up: false,
            promiscuous: false,
            all_multicast: false,
            alias: None,
            ..now
        }))
    }
}

/// The reference keeps no files: what it moved is still in the container, under the interface's name, with
/// its name on the host as alias. A pod can write that, so it counts only where the configuration says the
/// same; a device that is named by its address comes home under its spare name.
fn of_host_device(desk: &Desk, call: &Call, sought: &Sought) -> Result<Option<Inherited>, Error> {
    let ifname = call.attachment.ifname.as_str();
    let is_meant = |link: &Link| {
        let named = sought.name.is_some() && link.alias == sought.name;
        let same = sought.id.as_ref().is_some_and(|id| is_of(link, id));
        link.name == ifname && link.alias.is_some() && (named || same)
    };
    // One that came home by itself and is named by its address is not told from one that never left.
    let both = sought.id.is_none();
    let Some(link) = find(desk, call, both, is_meant)? else { return Ok(None) };
    let device = if let Some(id) = &sought.id {
        desk.roots.device(id)?
    } else {
        let name = sought.name.clone().unwrap_or_default();
        link_device(&Link { name, ..link.clone() })?
    };
    let name = sought.name.clone().unwrap_or_else(|| spare_name(&device.id));
    let original = Original { name, alias: None, up: false, ..Original::of(&link) };
    let record = Record {
        identity: identity(&device, Some(&link)),
        original: Some(original),
        ..record(desk, call, "host-device", &device)?
    };
    Ok(Some(Inherited { record, files: Vec::new() }))
}

/// A record without what is particular to the device.
fn record(desk: &Desk, call: &Call, plugin: &str, device: &Device) -> Result<Record, Error> {
    let netns = call.netns.clone().unwrap_or_default();
    let cookie = Netns::find(&netns)?.map_or(Ok(0), |netns| netns.cookie())?;
    let Attachment { network, container, ifname } = &call.attachment;
    Ok(Record {
        version: VERSION,
        plugin: plugin.to_owned(),
        owner: Owner {
            network: network.to_string(),
            container: container.to_string(),
            ifname: ifname.to_string(),
            netns,
            cookie,
        },
        boot: desk.boot.clone(),
        device: device.id.clone(),
        incarnation: device.incarnation,
        phase: Phase::Ready,
        identity: Identity::default(),
        original: None,
        original_vf: None,
        wanted: Asked::default(),
    })
}

fn identity(device: &Device, link: Option<&Link>) -> Identity {
    let parent = match &device.id {
        DeviceId::Link(_) => None,
        id => Some(id.to_string()),
    };
    Identity {
        driver: device.driver.clone(),
        inside: link.map(|link| link.index),
        kind: link.map(|link| link.kind.clone()).unwrap_or_default(),
        peer: link.and_then(|link| link.peer),
        parent,
        ..Identity::default()
    }
}

fn is_of(link: &Link, id: &DeviceId) -> bool {
    link.parent_device.as_deref() == Some(id.to_string().as_str())
}

/// A link of the container, or else, where it may have come home by itself, of the node.
fn find(
    desk: &Desk,
    call: &Call,
    at_home_too: bool,
    is: impl Fn(&Link) -> bool,
) -> Result<Option<Link>, Error> {
    let inside = call.netns.as_deref().map(Netns::find).transpose()?.flatten();
    if let Some(netns) = inside
        && let Some(link) = link::list(&netns.socket()?)?.into_iter().find(&is)
    {
        return Ok(Some(link));
    }
    if at_home_too { Ok(link::list(&desk.host)?.into_iter().find(is)) } else { Ok(None) }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = regular::open(File::options().read(true), path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// True for a file that was written before this boot, of which no VF remembers anything.
fn is_of_an_earlier_boot(path: &Path) -> bool {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    let written = fs::metadata(path).map(|file| file.mtime());
    booted.zip(written.ok()).is_some_and(|(booted, written): (i64, i64)| written < booted)
}

fn remove(files: &[PathBuf]) -> Result<(), Error> {
    for path in files {
        durable::remove(path).map_err(|e| {
            Error::new(Code::IO, format!("remove sriov-cni's {}: {e}", path.display()))
        })?;
    }
    Ok(())
}
