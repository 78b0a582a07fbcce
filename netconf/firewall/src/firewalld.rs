//! firewalld, asked over the system's D-Bus: sources of its zones, at run time as the reference
//! plugin does it. Nothing is executed, and firewalld is not started by being asked.

mod bus;
mod message;

use std::io;

use kernel::{Error, Result};

use self::bus::{Answer, Bus};
use self::message::Call;

const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const ZONES: &str = "org.fedoraproject.FirewallD1.zone";
/// firewalld's words for a source that is not in the zone.
const GONE: [&str; 4] = ["UNKNOWN_SOURCE", "NOT_ENABLED", "ZONE_CONFLICT", "INVALID_ZONE"];

/// A running firewalld.
#[derive(Debug)]
pub struct Firewalld {
    bus: Bus,
}

impl Firewalld {
    /// firewalld, `None` when its name has no owner or when there is no bus.
    pub fn connect() -> Result<Option<Self>> {
        let failed = |e| Error::new("ask the system's D-Bus for", "firewalld", e);
        let Some(mut bus) = Bus::connect().map_err(failed)? else { return Ok(None) };
        let owned = bus.call(&Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "NameHasOwner",
            arguments: &[NAME],
        });
        match owned.map_err(failed)? {
            Answer::Boolean(true) => Ok(Some(Self { bus })),
            Answer::Refused { text, .. } => Err(failed(io::Error::other(text))),
            _ => Ok(None),
        }
    }

    /// `firewall-cmd --zone=ZONE --add-source=SOURCE`: no error when it is there. EEXIST when
    /// another zone has it.
    pub fn add_source(&mut self, zone: &str, source: &str) -> Result<()> {
        let failed = |e| Error::new("add a source to firewalld's zone", what(zone, source), e);
        match self.ask("addSource", zone, source).map_err(failed)? {
            Answer::Refused { text, .. } if text.starts_with("ZONE_ALREADY_SET") => Ok(()),
            Answer::Refused { text, .. } => Err(failed(io::Error::other(text))),
            _ => Ok(()),
        }
    }

    /// `firewall-cmd --zone=ZONE --remove-source=SOURCE`: no error when it, or the zone, is not
    /// there.
    pub fn remove_source(&mut self, zone: &str, source: &str) -> Result<()> {
        let failed = |e| Error::new("remove a source from firewalld's zone", what(zone, source), e);
        match self.ask("removeSource", zone, source).map_err(failed)? {
            Answer::Refused { text, .. } if GONE.iter().any(|gone| text.starts_with(gone)) => {
                Ok(())
            }
            Answer::Refused { text, .. } => Err(failed(io::Error::other(text))),
            _ => Ok(()),
        }
    }

    /// `firewall-cmd --zone=ZONE --query-source=SOURCE`
    pub fn has_source(&mut self, zone: &str, source: &str) -> Result<bool> {
        let failed = |e| Error::new("look up a source of firewalld's zone", what(zone, source), e);
        match self.ask("querySource", zone, source).map_err(failed)? {
            Answer::Boolean(has) => Ok(has),
            Answer::Refused { text, .. } => Err(failed(io::Error::other(text))),
            Answer::Other => Ok(false),
        }
    }

    fn ask(&mut self, member: &str, zone: &str, source: &str) -> io::Result<Answer> {
        kernel::fault::point("firewalld")?;
        self.bus.call(&Call {
            destination: NAME,
            path: PATH,
            interface: ZONES,
            member,
            arguments: &[zone, source],
        })
    }
}

fn what(zone: &str, source: &str) -> String {
    format!("{zone}: {source}")
}
