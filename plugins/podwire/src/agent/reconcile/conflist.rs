//! The conflist, read again whenever it may say something else.

use std::sync::Arc;

use cni::Error;
use tracing::{info, warn};

use super::schedule::Cause;
use super::{Agent, report, source};
use crate::agent::monitor::Monitor;
use crate::agent::network::Network;
use crate::agent::publish::{self, Form};
use crate::agent::state::Trouble;
use crate::agent::watch::Watched;

/// Listens for what concerns the firewall's part of the network.
pub fn follow_ruleset(monitor: &Monitor, network: &Network) {
    let config = network.config.clone();
    if !config.masquerade {
        return;
    }
    if let Err(error) =
        monitor.follow_ruleset(move |change| cluster::node::is_met_by(&config, change))
    {
        warn!(%error, "changes of the ruleset will not be heard of");
    }
}

impl Agent {
    /// Reads the conflist, and goes on with what it says where that can be. Else that of before holds.
    pub fn reread(&mut self) {
        let read = Network::read(&self.arguments.network).and_then(|new| self.take_over(new));
        let mut state = self.state.lock();
        let before = state.conflist_trouble.take();
        match (&read, &before) {
            (Err(error), before) => {
                let before = before.as_ref().map(|before| before.what.as_str());
                report::trouble(
                    before,
                    error,
                    "the conflist cannot be followed, that of before holds",
                );
            }
            (Ok(()), Some(_)) => info!("the conflist can be followed again"),
            (Ok(()), None) => {}
        }
        let now = Trouble::now(before.clone(), read.as_ref().err());
        let is_news = now != before;
        state.conflist_trouble = now;
        drop(state);
        if is_news {
            self.save();
        }
    }

    fn take_over(&mut self, new: Network) -> Result<(), Error> {
        if new == *self.network {
            return Ok(());
        }
        let named = |e: Error| e.while_(format!("--network {}", self.arguments.network.display()));
        self.network.may_become(&new).map_err(named)?;
        if !new.has_the_source_of(&self.network) {
            let source = source::open(&self.arguments, &new).map_err(named)?;
            self.earlier += self.listener.told.borrow().version;
            self.listener = source::start(source);
        }
        if self.publishes && new.peers_file != self.network.peers_file {
            self.left.push(self.network.peers_file.clone());
            self.peers_file = Watched::new(&new.peers_file);
        }
        follow_ruleset(&self.monitor, &new);
        info!("the conflist has changed");
        self.network = Arc::new(new);
        self.schedule.call(Cause::Conflist);
        Ok(())
    }

    /// Removes the plugins' files that the conflist named before, once there is the new one.
    pub fn discard_left(&mut self) {
        for path in std::mem::take(&mut self.left) {
            if path == self.network.peers_file {
                continue;
            }
            if let Err(error) = publish::discard(&path, Form::Peers) {
                warn!(%error, path = %path.display(), "cannot remove the peersFile of before");
            }
        }
    }
}
