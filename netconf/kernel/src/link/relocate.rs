//! A link's way into another namespace.

use rtnetlink::LinkUnspec;

use crate::message::kind;
use crate::{Netns, Request};

/// Moves the link into a namespace, where it is called `new`, by one request: nobody ever sees it under
/// its new name here or under its old one there, unless the old name is free there, where it passes
/// for the length of the request. The kernel sets it down and takes its addresses away. Its index
/// stays where that is free in the namespace.
///
/// EEXIST when `new` or one of its alternative names is taken there. Where the new name is one of its
/// own alternative names, take that away before ([`delete_altname`](super::delete_altname)).
///
/// `ip link set dev NAME netns NETNS name NEW` (net/core/rtnetlink.c, `do_setlink`)
pub fn relocate(index: u32, name: &str, to: &Netns, new: &str) -> Request {
    let message = LinkUnspec::new_with_index(index).setns_by_fd(to.fd()).name(new).build();
    let on = format!("{name}, to {} as {new}", to.path().display());
    Request::new("move the link", on, 0, kind::SET_LINK, &message)
}
