//! Joining a container by one link of its own: upon one of the node's ([`Macvlan`], [`Ipvlan`],
//! [`Vlan`]), or upon none ([`Dummy`], [`Tap`]). What the kinds have in common is here, once; each says
//! in a file of its own what tells it from the others.
//!
//! The link is made first, in the container and under its final name, and then the address manager
//! is asked, which may have to speak through it. What is made is recorded before ([`record`]), so
//! that GC finds it in whatever namespace.

mod add;
mod check;
mod config;
mod dummy;
mod ipvlan;
mod macvlan;
mod parent;
mod record;
mod status;
mod tap;
mod teardown;
mod vlan;

pub use config::{Config, Options};
pub use dummy::Dummy;
pub use ipvlan::Ipvlan;
pub use macvlan::Macvlan;
pub use tap::{Tap, run_labelled};
pub use vlan::Vlan;

use cni::{AddResult, Call, Code, Error, GcCall, IfName, NetConf, Plugin, StatusCall};
use kernel::Socket;
use kernel::link::{Link, New};

use crate::ends::Ends;
use crate::finding::Findings;

/// What tells one kind of link from the others.
pub trait Kind: Sized {
    /// The plugin's `type`.
    const NAME: &'static str;
    /// The kernel's word for the kind (`ip -d link`).
    const LINK: &'static str;
    /// How a kernel that has it is built.
    const NEEDS: &'static str;
    /// Upon which link of the node's it is made.
    const PARENT: Parent;
    /// `mac` of the configuration, and of the runtime, is for it.
    const MAC: bool = true;
    /// `MAC` of `CNI_ARGS` is, too. Then other keys there are refused unless `IgnoreUnknown` is
    /// set; the kinds whose reference plugin never read `CNI_ARGS` leave it to the address manager.
    const ARGS: bool = false;
    /// Upon a link of the same kind it is made upon that one's own parent: the kernel does so.
    const FLAT: bool = false;
    /// The largest MTU that it can have.
    const LARGEST_MTU: u32 = 65535;
    /// Its neighbours are told of it once it has its addresses.
    const ANNOUNCED: bool = false;

    /// Reads and checks the options of its own. Code 6 or 7.
    fn parse(conf: &NetConf) -> Result<Self, Error>;

    /// The parent, where the configuration names none and the default route's is not meant. Code 7.
    fn chained_parent(&self, _: &Call) -> Result<Option<IfName>, Error> {
        Ok(None)
    }

    /// Takes the previous result's addresses where there is no address manager.
    fn inherited(&self, _: &Call) -> Option<AddResult> {
        None
    }

    /// Makes it: `socket` is of its parent's namespace.
    fn create(&self, socket: &Socket, new: &New<'_>) -> Result<(), Error>;

    /// What cannot be told when it is made. It is down still.
    fn complete(&self, _: &Ends<'_>, _: &Link, _: &Options) -> Result<(), Error> {
        Ok(())
    }

    /// Compares what it is with what is wanted; `link` is of the kind.
    fn compare(&self, ends: &Ends<'_>, link: &Link, findings: &mut Findings) -> Result<(), Error>;
}

/// Upon what a link is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Upon none.
    None,
    /// Upon the one that `master` names, which must be up.
    Named,
    /// Upon the one that `master` names, else that of the default route.
    NamedOrDefault,
}

/// What came of making a link of a kind. Code 101 when something stands in its place, 100 with a
/// word on what the kernel lacks where it has no such kind.
fn made<K: Kind>(outcome: kernel::Result<()>) -> Result<(), Error> {
    let Err(e) = outcome else { return Ok(()) };
    let errno = e.errno();
    let error = Error::from(e);
    Err(match errno {
        libc::EEXIST => Error { code: Code::CONFLICT, ..error },
        libc::EBUSY => Error { code: Code::CONFLICT, ..error }.details(
            "a bridge's port, and a device that has macvlans or ipvlans, bears no link of another kind",
        ),
        libc::EOPNOTSUPP | libc::ENOENT | libc::ENODEV | libc::ENXIO => {
            error.details(format!("{} needs a kernel with {}", K::NAME, K::NEEDS))
        }
        _ => error,
    })
}

/// The plugin of a kind.
#[derive(Debug)]
pub struct Single<K>(std::marker::PhantomData<K>);

impl<K> Default for Single<K> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<K: Kind> Plugin for Single<K> {
    const NAME: &'static str = K::NAME;

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        add::add::<K>(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        teardown::del(call, K::LINK)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        check::check::<K>(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        teardown::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        status::status::<K>(call)
    }
}
