//! `dhcp daemon`: holds the leases of all containers of the node, in one thread.

mod clients;
mod events;
mod flags;
mod holders;
mod inside;
mod listener;
mod machine;
mod message;
mod record;

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use events::{Event, Events};
use flags::Flags;
use holders::Holders;
use listener::Listener;

/// Runs the daemon until it is told to end.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let flags = match Flags::parse(arguments) {
        Ok(flags) => flags,
        Err(why) => {
            let help = if why.is_empty() { String::new() } else { format!("dhcp daemon: {why}\n") };
            cni::warn(help + flags::USAGE.trim_end());
            return ExitCode::from(2);
        }
    };
    match serve(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            cni::warn(format_args!("dhcp daemon: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: Flags) -> Result<(), String> {
    raise_file_limit();
    // Signals wait in their descriptor from now on, so that none ends the daemon half-way.
    let events = Events::open().map_err(|e| format!("preparing to wait for events: {e}"))?;
    if let Some(above) = flags.state.parent().filter(|above| !above.as_os_str().is_empty()) {
        // Others keep theirs there, too.
        DirBuilder::new().recursive(true).mode(0o755).create(above).map_err(|e| {
            format!("-state {}: making the directory above: {e}", flags.state.display())
        })?;
    }
    let lock = flags.state.join("lock");
    let _lock = kernel::Lock::take("-state", &lock, 0o700, Duration::ZERO).map_err(|e| {
        format!("{e}; does another daemon keep its leases there? Give each its own -state")
    })?;
    let listener = Listener::open(&flags.socket)?;
    let _pid = flags.pidfile.clone().map(Pidfile::write).transpose()?;
    events.add_listener(&listener.socket).map_err(|e| format!("listening: {e}"))?;
    let mut clients =
        clients::Clients::new(listener.socket.try_clone().map_err(|e| e.to_string())?);
    let mut holders = Holders::load(flags)?;
    // When plugins are let in again that have to wait.
    let mut full = None;
    loop {
        let due = holders.work(&events, &mut clients);
        if full.is_some_and(|until| until <= events::now()) {
            full = None;
            set_listening(&events, &listener, true)?;
        }
        let due = due.min(full.unwrap_or(due));
        for event in events.wait(due).map_err(|e| format!("waiting for events: {e}"))? {
            match event {
                Event::Told => return Ok(()),
                Event::Knock => {
                    if let Err(e) = clients.accept(&events) {
                        // They would be announced again and again.
                        cni::warn(format_args!("dhcp daemon: plugins have to wait: {e}"));
                        full = Some(events::now() + FULL);
                        set_listening(&events, &listener, false)?;
                    }
                }
                Event::Client(client) => {
                    if let Some(request) = clients.read(client) {
                        holders.serve(client, request, &mut clients);
                    }
                    if clients.is_gone(client) {
                        holders.forget_client(client);
                    }
                }
                Event::Packet(socket) => holders.hear(socket, &mut clients),
                Event::Time => {}
            }
        }
    }
}

/// For how long nobody is let in when there are no descriptors for more.
const FULL: Duration = Duration::from_millis(500);

fn set_listening(events: &Events, listener: &Listener, listening: bool) -> Result<(), String> {
    events.set_listening(&listener.socket, listening).map_err(|e| format!("listening: {e}"))
}

/// Every ADD has two descriptors while it waits, and services may have 1024 unless they ask for more.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // It serves with what it has where that is refused.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The file with the process id, gone with the value.
struct Pidfile(PathBuf);

impl Pidfile {
    fn write(path: PathBuf) -> Result<Self, String> {
        let mut options = File::options();
        kernel::regular::open(options.write(true).create(true).truncate(true), &path)
            .and_then(|mut file| write!(file, "{}", std::process::id()))
            .map_err(|e| format!("-pidfile {}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
