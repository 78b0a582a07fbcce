//! A TAP device with a label of SELinux.
//!
//! The kernel labels the device's socket as the process is that makes it, and asks the policy
//! whether who opens it later may (security/selinux/hooks.c, `selinux_tun_dev_alloc_security`). A
//! process seldom may change its own label, but it may say under which one it executes the next program:
//! so the plugin executes itself, and that process makes the device and ends. (The reference plugin
//! executes `ip` so.)

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use cni::{Code, Error};
use kernel::link;
use kernel::selinux::{self, NextProgram};
use kernel::{Netns, fault};

/// The first argument of the process that makes the device.
const WORD: &str = "make-a-labelled-tap";
/// The plugin, whatever became of its path.
const OURSELVES: &str = "/proc/self/exe";

/// Makes the device by a process of this label. Code 7 where there is no SELinux, or no such label.
pub fn create(tap: &link::Tap<'_>, label: &str, netns: Option<&Netns>) -> Result<(), Error> {
    let quoted = format!("{label:?}");
    if !selinux::is_enabled() {
        let why = "the node has no SELinux to give it a meaning";
        return Err(Error::config("selinuxContext", quoted, why));
    }
    let mut outcome = Ok(());
    let mut execute = || {
        let next = NextProgram::labelled(label)?;
        outcome = run_ourselves(tap);
        drop(next);
        Ok(())
    };
    let entered = match netns {
        Some(netns) => netns.enter(execute),
        None => execute(),
    };
    entered
        .map_err(|e| Error { code: Code::CONFIG, ..e.into() })
        .and(outcome)
        .map_err(|e| e.while_(format!("selinuxContext {quoted}")))
}

fn run_ourselves(tap: &link::Tap<'_>) -> Result<(), Error> {
    let failed = |why: String| Error::new(Code::IO, format!("make the TAP device: {why}"));
    let id = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let mut command = Command::new(OURSELVES);
    command.arg0("tap").args([WORD, tap.name, &u8::from(tap.multi_queue).to_string()]);
    command.args([id(tap.owner), id(tap.group)]);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = fault::point("execute ourselves")
        .and_then(|()| command.output())
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{} ({})", words.trim(), output.status)))
}

/// Makes the device, in the process that [`create`] executes: `None` in any other one.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let arguments: Vec<String> =
        arguments.skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let [word, name, multi_queue, owner, group] = arguments.as_slice() else { return None };
    if word != WORD {
        return None;
    }
    let tap = link::Tap {
        name,
        multi_queue: multi_queue == "1",
        owner: owner.parse().ok(),
        group: group.parse().ok(),
    };
    match link::create_tap(&tap) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(e) => {
            cni::warn(format_args!("{e}"));
            Some(ExitCode::FAILURE)
        }
    }
}
