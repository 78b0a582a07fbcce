//! `tuning`: sysctls of the container's namespace, and attributes of its interface. What they were is
//! kept in a file, from before the first change until DEL has brought it back.

mod allowlist;
mod backup;
mod check;
mod collect;
mod config;
mod key;
mod settings;

use std::path::Path;

use attach::ability::unavailable;
use attach::ends::Ends;
use attach::undo::Undo;
use cni::{AddResult, Call, Error, StatusCall};
use kernel::link::Link;
use kernel::{Netns, sysctl};

use crate::previous::{inside, previous};
use allowlist::Allowlist;
use backup::Backup;
pub use check::check;
pub use collect::gc;
use config::Config;

/// The sysctls that configurations may set, where the node has an opinion.
const ALLOWLIST: &str = "/etc/cni/tuning/allowlist.conf";

/// Sets what is asked for. When a step fails, everything is as it was.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::of_call(call)?;
    let mut result = previous(call, "tuning")?.clone();
    attach::config::check_mtu(conf.settings.mtu, &result)?;
    Allowlist::read(Path::new(ALLOWLIST))?.permit(&conf.sysctls)?;
    if conf.is_empty() {
        return Ok(result);
    }
    let ends = Ends::open(call)?;
    let link = inside(&ends)?;
    let mut undo = Undo::default();
    match change(&conf, &ends, &link, &mut undo) {
        Ok(()) => {
            conf.settings.tell(&mut result, &link.name, &ends.sandbox());
            Ok(result)
        }
        Err(e) => Err(undo.run(e)),
    }
}

fn change<'a>(
    conf: &Config,
    ends: &'a Ends<'_>,
    link: &Link,
    undo: &mut Undo<'a>,
) -> Result<(), Error> {
    let attachment = &ends.call.attachment;
    let before = Backup::take(conf, ends, link)?;
    let path = backup::path(&conf.directory, attachment);
    let place = path.clone();
    let known = before.clone();
    undo.push(move || {
        known.restore(&ends.netns, &ends.inner)?;
        backup::remove(&place)
    });
    before.write(&path)?;
    ends.netns.enter(|| {
        conf.sysctls.iter().try_for_each(|wanted| {
            sysctl::write(&wanted.key.path(&link.name), &format!("{}\n", wanted.value))
        })
    })?;
    for outcome in ends.inner.run_all(&conf.settings.requests(link)) {
        outcome?;
    }
    Ok(())
}

/// Brings back what was, and forgets it. What cannot be brought back by trying again is warned of and no
/// error: it must not keep the rest of the list from being removed.
pub fn del(call: &Call) -> Result<(), Error> {
    let path = backup::path(&config::directory(&call.conf), &call.attachment);
    let Some(before) = Backup::read(&path)? else { return backup::remove(&path) };
    if !before.may_be_of(&call.attachment) {
        return Ok(());
    }
    collect::release(&path, &before, call.netns.as_deref())
}

/// Says whether an ADD could be served: the options hold together and are allowed, a container's
/// namespace has the sysctls.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::of_network(&call.conf)?;
    Allowlist::read(Path::new(ALLOWLIST))?.permit(&conf.sysctls)?;
    Netns::trial(|| {
        conf.sysctls.iter().try_for_each(|wanted| {
            // Each interface has the same ones; a fresh namespace has `lo`.
            sysctl::exists(&wanted.key.path("lo"))
        })
    })
    .map_err(unavailable)
}
