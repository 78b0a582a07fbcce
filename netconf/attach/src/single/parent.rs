//! The link that another one is made upon.

use cni::{Code, Error};
use kernel::link::{self, Link};
use kernel::{Socket, route};

use super::{Kind, Options, Parent};

/// The parent: the one that is named, else that of the default route; `None` for kinds without.
/// `socket` is of its namespace. Code 7 when there is none, or it cannot bear the MTU; 11 while it is
/// down and may not be.
pub fn find<K: Kind>(socket: &Socket, options: &Options) -> Result<Option<Link>, Error> {
    if K::PARENT == Parent::None {
        return Ok(None);
    }
    let parent = match &options.master {
        Some(name) => named(socket, name.as_str(), options.in_container)?,
        None => default(socket, options.in_container)?,
    };
    if let Some(mtu) = options.mtu.filter(|mtu| *mtu > parent.mtu) {
        return Err(Error::config(
            "mtu",
            mtu,
            &format!("master {} has an MTU of {}", parent.name, parent.mtu),
        )
        .details(format!("set mtu to {} or less, or 0 for the master's own", parent.mtu)));
    }
    if K::PARENT == Parent::Named && !parent.up {
        return Err(Error::new(
            Code::TRY_AGAIN,
            format!("master {:?}: it is down, and so would be what is made upon it", parent.name),
        )
        .details(format!("ip link set {} up", parent.name)));
    }
    Ok(Some(parent))
}

fn place(in_container: bool) -> &'static str {
    if in_container { "in the container" } else { "on the node" }
}

fn named(socket: &Socket, name: &str, in_container: bool) -> Result<Link, Error> {
    link::get(socket, name)?.ok_or_else(|| {
        let why = format!("there is no such interface {}", place(in_container));
        Error::config("master", format_args!("{name:?}"), &why)
    })
}

fn default(socket: &Socket, in_container: bool) -> Result<Link, Error> {
    for ipv6 in [false, true] {
        if let Some(index) = route::default_link(socket, ipv6)?
            && let Some(link) = link::get_by_index(socket, index)?
        {
            return Ok(link);
        }
    }
    Err(Error::new(
        Code::CONFIG,
        format!(
            "master is not set, and there is no default route {} whose interface it could be",
            place(in_container)
        ),
    )
    .details("name the interface that the container's one is made upon"))
}
