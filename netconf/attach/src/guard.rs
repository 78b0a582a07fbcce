//! What the firewall does for an attachment.

use cni::{AddResult, Attachment, Call, Error, IfName};
use firewall::{AntiSpoof, Masquerade, Wanted};
use ipnetwork::IpNetwork;

use crate::config;
use crate::finding::Findings;
use crate::undo::Undo;

/// What is wanted: masquerading of `addresses` when it is configured and there are any, and
/// anti-spoofing. `None` when it is nothing.
pub fn wanted(
    attachment: &Attachment,
    masquerade: Option<&config::Masquerade>,
    addresses: Vec<IpNetwork>,
    antispoof: Option<AntiSpoof>,
) -> Option<Wanted> {
    let masquerade = masquerade.filter(|_| !addresses.is_empty()).map(|conf| Masquerade {
        addresses,
        exempt: conf.exempt.clone(),
        network_exempt: conf.network_exempt,
    });
    (masquerade.is_some() || antispoof.is_some()).then(|| Wanted {
        attachment: attachment.clone(),
        masquerade,
        antispoof,
    })
}

/// Makes it, in one transaction, and registers the way back.
pub fn set<'a>(
    call: &'a Call,
    wanted: Option<&Wanted>,
    result: &AddResult,
    near: &IfName,
    undo: &mut Undo<'a>,
) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address.ip()).collect();
    let near = near.clone();
    undo.push(move || Ok(firewall::del(&call.attachment, Some(&addresses), Some(&near))?));
    Ok(firewall::add(wanted)?)
}

/// Compares it.
pub fn check(wanted: Option<&Wanted>, findings: &mut Findings) -> Result<(), Error> {
    if let Some(wanted) = wanted {
        firewall::check(wanted)?.into_iter().for_each(|difference| findings.add(difference));
    }
    Ok(())
}
