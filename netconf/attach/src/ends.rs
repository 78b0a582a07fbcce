//! The two namespaces that a call of ADD or CHECK works in.

use cni::{AddResult, Call, Error, Interface};
use kernel::link::{self, Link};
use kernel::{MacAddr, Netns, Socket};

use crate::undo::Undo;
use crate::veth;

/// The node's end and the container's end of an attachment.
pub struct Ends<'a> {
    /// The call.
    pub call: &'a Call,
    /// The container's namespace.
    pub netns: Netns,
    /// A socket in the node's namespace.
    pub host: Socket,
    /// A socket in the container's namespace.
    pub inner: Socket,
}

impl<'a> Ends<'a> {
    /// Opens both. Code 8 when CNI_NETNS is not the namespace of a container.
    pub fn open(call: &'a Call) -> Result<Self, Error> {
        let netns = Netns::open(call.netns()?)?;
        let host = Socket::open()?;
        let inner = netns.socket()?;
        Ok(Self { call, netns, host, inner })
    }

    /// The interface's name in the container.
    pub fn ifname(&self) -> &str {
        self.call.attachment.ifname.as_str()
    }

    /// The container as results name it.
    pub fn sandbox(&self) -> String {
        self.netns.path().to_string_lossy().into_owned()
    }

    /// Runs the steps of an ADD; when one fails, those before it are taken back. Code 101, before
    /// the first step, when the container has an interface of that name.
    pub fn add<'b>(
        &'b self,
        steps: impl FnOnce(&mut Undo<'b>) -> Result<AddResult, Error>,
    ) -> Result<AddResult, Error> {
        if link::get(&self.inner, self.ifname())?.is_some() {
            return Err(veth::interface_exists(&self.call.attachment, &self.netns));
        }
        let mut undo = Undo::default();
        match steps(&mut undo) {
            Ok(result) => Ok(result),
            Err(e) => Err(undo.run(e)),
        }
    }
}

/// A link as results name it; `sandbox` is empty for one of the node.
pub fn interface(link: &Link, sandbox: &str) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.as_ref().map(MacAddr::to_string).unwrap_or_default(),
        mtu: (!sandbox.is_empty()).then_some(link.mtu),
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    }
}
