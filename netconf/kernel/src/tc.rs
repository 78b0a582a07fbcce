//! Traffic control: queueing disciplines and filters of links. The messages are made here of plain
//! attributes, since the codecs of all disciplines would outweigh the two that are used.

mod qdisc;
mod redirect;
mod tbf;

pub use qdisc::{Qdisc, create_classifier, delete_classifier, delete_root, ingress, root};
pub use redirect::{Filter, delete as delete_filters, filters, redirect};
pub use tbf::{Tbf, set as set_tbf};

/// `TC_H_ROOT`: what leaves the link.
const ROOT: u32 = 0xffff_ffff;
/// `TC_H_INGRESS` and `TC_H_CLSACT`: what comes in by it.
const INGRESS: u32 = 0xffff_fff1;
/// `ffff:0`, the handle that both have.
const INGRESS_HANDLE: u32 = 0xffff_0000;
/// `TC_H_CLSACT` with `TC_H_MIN_INGRESS`: the filters of what comes in, for both disciplines.
const FILTERS: u32 = 0xffff_fff2;

/// `TCA_*` of include/uapi/linux/rtnetlink.h.
mod attribute {
    pub const KIND: u16 = 1;
    pub const OPTIONS: u16 = 2;
}

/// `struct tcmsg` (family, padding, link, handle, parent, info).
const HEADER: usize = 20;

fn message(link: u32, handle: u32, parent: u32, info: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let head = [0, link, handle, parent, info];
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(attributes.iter().flatten());
    bytes
}

/// A text with its NUL.
fn text(value: &str) -> Vec<u8> {
    [value.as_bytes(), &[0]].concat()
}
