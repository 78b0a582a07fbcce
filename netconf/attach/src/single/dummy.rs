//! A dummy: an interface that holds addresses and leads nowhere.

use cni::{Error, NetConf};
use kernel::Socket;
use kernel::link::{self, Link, New};

use super::{Kind, Parent, made};
use crate::ends::Ends;
use crate::finding::Findings;

/// `dummy` has no options of its own.
#[derive(Debug)]
pub struct Dummy;

impl Kind for Dummy {
    const NAME: &'static str = "dummy";
    const LINK: &'static str = "dummy";
    const NEEDS: &'static str = "CONFIG_DUMMY (module dummy)";
    const PARENT: Parent = Parent::None;

    fn parse(_: &NetConf) -> Result<Self, Error> {
        Ok(Self)
    }

    fn create(&self, socket: &Socket, new: &New<'_>) -> Result<(), Error> {
        made::<Self>(socket.run(link::create_dummy(new)))
    }

    fn compare(&self, _: &Ends<'_>, _: &Link, _: &mut Findings) -> Result<(), Error> {
        Ok(())
    }
}
