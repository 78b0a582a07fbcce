//! Queueing disciplines.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};

use super::tbf::Tbf;
use super::{HEADER, INGRESS, INGRESS_HANDLE, ROOT, attribute, message, text};
use crate::attributes::{self, nest, number};
use crate::link::Link;
use crate::message::{Object, kind};
use crate::{Request, Result, Socket};

/// A queueing discipline that a link has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    /// Its kind: `tbf`, `noqueue`, `clsact`.
    pub kind: String,
    /// Its handle: `1:` is 0x10000. 0 when nobody asked for it.
    pub handle: u32,
    /// What it is told, where it is a token bucket filter.
    pub tbf: Option<Tbf>,
}

/// The discipline of what leaves a link; `None` while the link has never been up.
///
/// `tc qdisc show dev LINK root`
pub fn root(socket: &Socket, link: &Link) -> Result<Option<Qdisc>> {
    get(socket, link, ROOT)
}

/// The discipline of what comes in by a link.
///
/// `tc qdisc show dev LINK ingress`
pub fn ingress(socket: &Socket, link: &Link) -> Result<Option<Qdisc>> {
    get(socket, link, INGRESS)
}

fn get(socket: &Socket, link: &Link, parent: u32) -> Result<Option<Qdisc>> {
    let payload = message(link.index, 0, parent, 0, &[]);
    // Older kernels answer to the group alone unless they are told to echo (net/sched/sch_api.c,
    // `qdisc_notify`).
    let flags = NLM_F_ECHO;
    let op = "look up the queueing discipline of";
    let request = Request::of_bytes(op, &link.name, flags, kind::GET_QDISC, payload);
    match socket.get(request) {
        Ok(objects) => Ok(objects.iter().find_map(read)),
        // EINVAL for one that the kernel itself put there and does not tell of.
        Err(e) if e.errno() == libc::ENOENT || e.errno() == libc::EINVAL => Ok(None),
        Err(e) => Err(e),
    }
}

fn read(object: &Object) -> Option<Qdisc> {
    let (head, all) = object.payload.split_at_checked(HEADER)?;
    (object.kind == kind::NEW_QDISC).then_some(())?;
    let find = |wanted: u16| attributes::of(all).find(|(kind, _)| *kind == wanted);
    let sort = attributes::text(find(attribute::KIND)?.1);
    let options = find(attribute::OPTIONS).filter(|_| sort == "tbf");
    let tbf = options.and_then(|(_, options)| Tbf::parse(options));
    Some(Qdisc { kind: sort, handle: number(head.get(8..12)?)?, tbf })
}

/// Makes place for filters of what comes in. EEXIST when there is one.
///
/// `tc qdisc add dev LINK clsact`
pub fn create_classifier(link: &Link) -> Request {
    let kinds = [nest(attribute::KIND, &text("clsact"))];
    let payload = message(link.index, INGRESS_HANDLE, INGRESS, 0, &kinds);
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    Request::of_bytes("add clsact to", &link.name, flags, kind::NEW_QDISC, payload)
}

/// Removes that place with all of its filters.
///
/// `tc qdisc del dev LINK clsact`
pub fn delete_classifier(link: &Link) -> Request {
    let payload = message(link.index, INGRESS_HANDLE, INGRESS, 0, &[]);
    Request::of_bytes("remove clsact of", &link.name, 0, kind::DELETE_QDISC, payload)
}

/// Gives a link the discipline back that it has by default.
///
/// `tc qdisc del dev LINK root`
pub fn delete_root(link: &Link) -> Request {
    let payload = message(link.index, 0, ROOT, 0, &[]);
    let op = "remove the queueing discipline of";
    Request::of_bytes(op, &link.name, 0, kind::DELETE_QDISC, payload)
}
