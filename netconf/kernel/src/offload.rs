//! Checksum offload of a link, and the kernels that get it wrong.

use crate::Result;

/// True when the kernel computes the checksums of what it sends later than it encapsulates it.
/// (`ETHTOOL_GTXCSUM`, on a link of the calling thread's namespace)
///
/// `ethtool -k LINK | grep tx-checksumming`
pub fn transmit_checksum(link: &str) -> Result<bool> {
    todo!()
}

/// Turns it on or off (`ETHTOOL_STXCSUM`).
///
/// `ethtool -K LINK tx on|off`
pub fn set_transmit_checksum(link: &str, on: bool) -> Result<()> {
    todo!()
}

/// True for kernels that garble checksums of what they encapsulate after address translation when
/// that is offloaded: 5.7 and older.
pub fn is_broken_here() -> bool {
    todo!()
}
