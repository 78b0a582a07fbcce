//! `podwire devices`: what the node has, what drives it, and whose it is.

mod entry;
mod holders;
mod names;
mod owner;
mod table;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use devices::{Device, Roots};

use crate::failure::Failure;
use crate::plain::{plain, plain_lines};
use entry::Entry;
use holders::Holders;
use owner::{Owner, Records};

/// Lists the node's network devices, what drives them and who has them
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print a JSON array, as README.md describes it
    #[arg(long)]
    json: bool,
    /// Where `sriov` and `host-device` keep their records (their `stateDir`)
    #[arg(long, value_name = "DIRECTORY", default_value = owner::DEFAULT_DIRECTORY)]
    state_dir: PathBuf,
}

/// Prints them, and on stderr what could not be read. The exit code is 1 when a device is left out.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let roots = Roots::system();
    let (devices, errors) = roots.network_devices()?;
    let mut notes = Vec::new();
    let mut records = Records::read(&arguments.state_dir, &mut notes);
    let mut entries: Vec<Entry> = devices
        .iter()
        .map(|device| entry(&roots, device, records.take(&device.id, Some(device)), &mut notes))
        .collect();
    entries.extend(records.rest().map(|(id, owner)| Entry::unseen(&id, owner)));
    Holders::find(&mut entries, &mut notes);

    if arguments.json {
        let text = serde_json::to_string_pretty(&entries).map_err(io::Error::from)?;
        writeln!(out, "{}", plain_lines(&text))?;
    } else if entries.is_empty() {
        writeln!(out, "no network devices on the PCI and the auxiliary bus")?;
    } else {
        writeln!(out, "{}", table::of(&entries))?;
    }
    out.flush()?;
    let mut stderr = io::stderr().lock();
    for note in errors.iter().chain(&notes) {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(stderr, "podwire: {}", plain(&note.to_string()));
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A device with its group and nodes; what of these cannot be read is a note.
fn entry(
    roots: &Roots,
    device: &Device,
    owner: Option<Owner>,
    notes: &mut Vec<cni::Error>,
) -> Entry {
    let group = roots.iommu_group(device).unwrap_or_else(|e| {
        notes.push(e);
        None
    });
    // Told once: the nodes are asked of the group, too.
    let nodes = roots.nodes(device).unwrap_or_default();
    Entry::of(device, group.as_ref(), &nodes, owner)
}
