//! What a plugin is to the protocol.

use crate::{AddResult, Call, Error, GcCall, StatusCall, Version};

/// A plugin: one method per verb. VERSION never reaches it.
pub trait Plugin {
    /// Its `type`, which is its executable's name.
    const NAME: &'static str;

    /// The versions it speaks.
    const VERSIONS: &'static [Version] = Version::ALL;

    /// Attaches the container, or leaves nothing behind.
    fn add(&self, call: &Call) -> Result<AddResult, Error>;

    /// Removes the attachment. Succeeds when it is already gone, in part or whole.
    fn del(&self, call: &Call) -> Result<(), Error>;

    /// Compares the attachment with `call.prev_result` and the config. The dispatcher made sure
    /// that there is a previous result.
    fn check(&self, call: &Call) -> Result<(), Error>;

    /// Removes every attachment of the network that `call.valid` does not list.
    fn gc(&self, call: &GcCall) -> Result<(), Error>;

    /// Says whether an ADD could be served now; code 50 or 51 when not.
    fn status(&self, call: &StatusCall) -> Result<(), Error>;
}
