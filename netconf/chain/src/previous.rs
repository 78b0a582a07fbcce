//! What the plugin before has made.

use attach::ends::Ends;
use cni::{AddResult, Call, Code, Error};
use kernel::link::{self, Link};

/// The previous result. Code 7 when there is none: the plugin has nothing to refine.
pub fn previous<'c>(call: &'c Call, plugin: &str) -> Result<&'c AddResult, Error> {
    call.prev_result.as_ref().ok_or_else(|| {
        Error::new(Code::CONFIG, format!("{plugin}: there is no prevResult"))
            .details("put it behind the plugin that makes the container's interface")
    })
}

/// The container's interface. Code 3 when it is not there.
pub fn inside(ends: &Ends<'_>) -> Result<Link, Error> {
    attach::container::look_up(&ends.inner, ends.ifname(), &ends.netns)
}

/// The node's end of the container's interface; `None` when it has none there, as a macvlan or a
/// device that was handed over.
pub fn peer(ends: &Ends<'_>, inside: &Link) -> Result<Option<Link>, Error> {
    let Some(index) = inside.peer.filter(|_| inside.kind == "veth") else { return Ok(None) };
    let found = link::get_by_index(&ends.host, index)?.filter(|link| link.kind == "veth");
    // An index alone says little: the same one may be another link's in the node's namespace.
    Ok(found.filter(|link| link.peer == Some(inside.index)))
}
