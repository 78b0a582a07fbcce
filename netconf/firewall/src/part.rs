//! Parts of a layout that an ADD makes sure of.

use kernel::Result;
use kernel::netfilter::{Attributes, Request, Socket};

use crate::nft::{Rule, Table};

/// A part of the layout: the chain that tells whether it is there, with its rules.
pub(crate) struct Part<'a> {
    pub(crate) table: Table,
    pub(crate) chain: String,
    pub(crate) rules: Vec<Vec<Attributes>>,
    /// All of it, which may be sent again.
    pub(crate) create: Box<dyn Fn() -> Vec<Request> + 'a>,
}

impl Part<'_> {
    /// True when the chain has its rules and no others, so that one that was emptied or changed by
    /// hand is mended. The rules of one chain are few, and as many as before whatever else there
    /// is. Where they change all the while, they are taken for wrong: to send them again does no
    /// harm.
    pub(crate) fn is_whole(&self, socket: &mut Socket) -> Result<bool> {
        match socket.dump(&self.table.rules(&self.chain)) {
            Ok(listed) => Ok(Rule::are(&listed, &self.rules)),
            Err(error) if error.errno() == libc::EAGAIN => Ok(false),
            Err(error) => Err(error),
        }
    }
}
