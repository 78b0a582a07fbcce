//! Containers, as far as the network sees them.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Netns;

/// A container: an id and a network namespace.
#[derive(Debug)]
pub struct Pod {
    /// The container's id.
    pub id: String,
    netns: Netns,
}

impl Pod {
    /// A container of a new id in a namespace of its own.
    pub fn new() -> Self {
        Self::within(Netns::new())
    }

    /// A container of a new id in this namespace.
    pub fn within(netns: Netns) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let id = format!("pod-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { id, netns }
    }
}

impl Default for Pod {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Pod {
    type Target = Netns;

    fn deref(&self) -> &Netns {
        &self.netns
    }
}

impl DerefMut for Pod {
    fn deref_mut(&mut self) -> &mut Netns {
        &mut self.netns
    }
}
