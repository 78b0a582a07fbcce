//! A physical function: what has virtual functions.

use std::path::Path;

use cni::{Code, Error};

use crate::attribute::{self, Base};
use crate::device::interfaces;
use crate::{Netdev, PciAddress, Port, Roots, VfOf};

/// A physical function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalFunction {
    /// Its address.
    pub address: PciAddress,
    /// Its own network interface: the uplink, not a representor. `None` when it has no network driver
    /// or its interface is in another namespace.
    pub uplink: Option<Netdev>,
    /// The interfaces that stand for its VFs on the eswitch, with the VF's number; none but in
    /// switchdev mode.
    pub representors: Vec<(u32, Netdev)>,
    /// The VFs it has, by number, which need not be contiguous.
    pub vfs: Vec<(u32, PciAddress)>,
}

impl PhysicalFunction {
    pub(crate) fn read(roots: &Roots, address: PciAddress) -> Result<Self, Error> {
        let directory = roots.pci(address)?;
        let vfs = vfs(&directory)?;
        if vfs.is_empty() && vf_count(&directory)?.is_none() {
            let error = Error::new(Code::CONFIG, format!("{address} is no physical function"));
            let mend = match attribute::link(&directory.join("physfn"))? {
                Some(pf) => format!("it is a virtual function of {pf}"),
                None => {
                    "it has no sriov_totalvfs: neither hardware nor firmware give it VFs".to_owned()
                }
            };
            return Err(error.details(mend));
        }
        let mut uplinks = Vec::new();
        let mut representors = Vec::new();
        for netdev in interfaces(&directory)? {
            match netdev.eswitch_port() {
                None | Some(Port::Uplink(_)) => uplinks.push(netdev),
                Some(Port::Vf { controller: 0, number }) => representors.push((number, netdev)),
                // Another host's, behind the same card.
                Some(Port::Vf { .. } | Port::Pf { .. } | Port::Sf { .. }) => {}
            }
        }
        representors.sort_by_key(|(number, _)| *number);
        // In switchdev mode the uplink is named; an interface beside it without a port's name is something
        // else.
        uplinks.sort_by_key(|n| (n.eswitch_port().is_none(), n.port, n.index));
        Ok(Self { address, uplink: uplinks.into_iter().next(), representors, vfs })
    }
}

/// Of which PF a function is which VF.
pub fn vf_of(roots: &Roots, address: PciAddress, directory: &Path) -> Result<Option<VfOf>, Error> {
    let physfn = directory.join("physfn");
    let Some(name) = attribute::link(&physfn)? else { return Ok(None) };
    let pf = name
        .parse()
        .map_err(|_| attribute::malformed(&physfn, &name, "a link to a physical function"))?;
    let all = vfs(&roots.pci(pf)?)?;
    if let Some(&(index, _)) = all.iter().find(|(_, vf)| *vf == address) {
        return Ok(Some(VfOf { pf, index }));
    }
    // The links are made after the device and removed before it (drivers/pci/iov.c,
    // `pci_iov_add_virtfn`, `pci_iov_remove_virtfn`).
    let msg = format!("{address} is a virtual function of {pf}, which does not list it");
    let mend = "its VFs are being made or removed (sriov_numvfs): try again";
    Err(Error::new(Code::TRY_AGAIN, msg).details(mend))
}

/// How many VFs a function has, `None` where it can have none.
pub fn vf_count(directory: &Path) -> Result<Option<u32>, Error> {
    if attribute::number::<u32>(&directory.join("sriov_totalvfs"), Base::Decimal)?.is_none() {
        return Ok(None);
    }
    let count = attribute::number(&directory.join("sriov_numvfs"), Base::Decimal)?;
    Ok(Some(count.unwrap_or_default()))
}

/// The VFs of a function by number.
fn vfs(directory: &Path) -> Result<Vec<(u32, PciAddress)>, Error> {
    let mut all = Vec::new();
    for name in attribute::names(directory)? {
        let Some(number) = name.strip_prefix("virtfn").and_then(|n| n.parse().ok()) else {
            continue;
        };
        let path = directory.join(&name);
        // It may have gone since the directory was read.
        let Some(target) = attribute::link(&path)? else { continue };
        let address = target
            .parse()
            .map_err(|_| attribute::malformed(&path, &target, "a link to a virtual function"))?;
        all.push((number, address));
    }
    all.sort_unstable();
    Ok(all)
}
