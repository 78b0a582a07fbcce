//! Filters that hand all that comes in over to another link.

use netlink_packet_core::NLM_F_CREATE;

use super::{FILTERS, HEADER, attribute, message, text};
use crate::attributes::{self, nest, number};
use crate::link::Link;
use crate::message::{Bytes, Object, kind};
use crate::{Request, Result, Socket};

/// `ETH_P_ALL` in network order.
const EVERY_PROTOCOL: u16 = 3_u16.to_be();

/// `TCA_U32_*` of include/uapi/linux/pkt_cls.h.
mod option {
    pub const SELECTOR: u16 = 5;
    pub const ACTIONS: u16 = 7;
}
/// `TCA_ACT_*`, and of the action `mirred` its `TCA_MIRRED_PARMS`.
mod action {
    pub const KIND: u16 = 1;
    pub const OPTIONS: u16 = 2;
    pub const PARAMETERS: u16 = 2;
}

/// A filter of what comes in by a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its priority: the lower, the earlier.
    pub priority: u16,
    /// Its kind: `u32`, `bpf`.
    pub kind: String,
    /// The link that it hands packets over to.
    pub redirects_to: Option<u32>,
}

/// Hands every packet that comes in by `link` over to the link `to`, as if it left by that one.
///
/// `tc filter add dev LINK ingress protocol all prio N u32 match u32 0 0 action mirred egress redirect dev TO`
pub fn redirect(link: &Link, priority: u16, to: &Link) -> Request {
    // `struct tc_u32_sel`: terminal, one key; and that key, which matches everything.
    let mut selector = vec![1, 0, 1, 0];
    selector.extend([0; 12]);
    selector.extend([0; 16]);
    // `struct tc_mirred`: index, capabilities, TC_ACT_STOLEN, two counters, TCA_EGRESS_REDIR, link.
    let words = [0, 0, 4, 0, 0, 1, to.index];
    let parameters: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let parameters = nest(action::PARAMETERS, &parameters);
    let mirred = [nest(action::KIND, &text("mirred")), nest(action::OPTIONS, &parameters)].concat();
    let options =
        [nest(option::SELECTOR, &selector), nest(option::ACTIONS, &nest(1, &mirred))].concat();
    let both = [nest(attribute::KIND, &text("u32")), nest(attribute::OPTIONS, &options)];
    let payload = message(link.index, 0, FILTERS, info(priority), &both);
    let on = format!("{} to {}", link.name, to.name);
    Request::of_bytes("redirect what comes in by", on, NLM_F_CREATE, kind::NEW_FILTER, payload)
}

/// Removes the filters of a priority. ENOENT when there is none.
///
/// `tc filter del dev LINK ingress protocol all prio N`
pub fn delete(link: &Link, priority: u16) -> Request {
    let payload = message(link.index, 0, FILTERS, info(priority), &[]);
    let op = "remove the redirection of what comes in by";
    Request::of_bytes(op, &link.name, 0, kind::DELETE_FILTER, payload)
}

/// The filters of what comes in by a link. A dump that the kernel filters by link.
///
/// `tc filter show dev LINK ingress`
pub fn filters(socket: &Socket, link: &Link) -> Result<Vec<Filter>> {
    let request = Bytes(message(link.index, 0, FILTERS, 0, &[]));
    match socket.dump("list the filters of", &link.name, kind::GET_FILTER, &request) {
        Ok(objects) => Ok(objects.iter().filter_map(read).collect()),
        // Without a discipline for them.
        Err(e) if e.errno() == libc::EINVAL || e.is_gone() => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

fn read(object: &Object) -> Option<Filter> {
    let (head, all) = object.payload.split_at_checked(HEADER)?;
    (object.kind == kind::NEW_FILTER).then_some(())?;
    let info = number(head.get(16..20)?)?;
    let find = |all, wanted: u16| attributes::of(all).find(|(kind, _)| *kind == wanted);
    let sort = attributes::text(find(all, attribute::KIND)?.1);
    let redirects_to = || {
        let (_, options) = find(all, attribute::OPTIONS).filter(|_| sort == "u32")?;
        let (_, actions) = find(options, option::ACTIONS)?;
        let (_, first) = find(actions, 1)?;
        let (_, options) = find(first, action::OPTIONS)?;
        let (_, parameters) = find(options, action::PARAMETERS)?;
        number(parameters.get(24..28)?)
    };
    let redirects_to = redirects_to();
    Some(Filter { priority: u16::try_from(info >> 16).ok()?, kind: sort, redirects_to })
}

fn info(priority: u16) -> u32 {
    (u32::from(priority) << 16) | u32::from(EVERY_PROTOCOL)
}
