//! The table.

use comfy_table::{Table, presets};
use devices::DriverClass;

use super::entry::{Entry, Kind, Named};
use super::holders::Process;
use super::owner::Owner;
use crate::plain::plain;

/// What stands where there is nothing to tell.
const NOTHING: &str = "-";

/// A line per device, in columns that are as wide as they need to be, so that a line stays one when it is
/// searched with `grep`.
pub fn of(entries: &[Entry]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "DEVICE",
        "KIND",
        "NAME",
        "DRIVER",
        "CLASS",
        "INTERFACE",
        "NUMA",
        "IOMMU GROUP",
        "OWNER",
    ]);
    for entry in entries {
        table.add_row(row(entry).map(|cell| plain(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn row(entry: &Entry) -> [String; 9] {
    [
        entry.id.to_string(),
        kind(entry),
        name(entry),
        entry.driver.clone().unwrap_or_else(nothing),
        entry.class.map_or_else(nothing, str::to_owned),
        list(entry.interfaces.iter().map(|interface| interface.name.as_str())),
        entry.numa_node.map_or_else(nothing, |node| node.to_string()),
        group(entry),
        owner(entry),
    ]
}

fn kind(entry: &Entry) -> String {
    let of = |what: &str| {
        let number = entry.number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let parent = entry.parent.map_or_else(nothing, |parent| parent.to_string());
        format!("{what} {number} of {parent}")
    };
    match (entry.kind, entry.vfs.unwrap_or_default()) {
        (Kind::Vf, _) => of("VF"),
        (Kind::Sf, _) => of("SF"),
        (Kind::Pf, 0) => "PF".to_owned(),
        (Kind::Pf, 1) => "PF, 1 VF".to_owned(),
        (Kind::Pf, vfs) => format!("PF, {vfs} VFs"),
        (Kind::Function, _) => "function".to_owned(),
        (Kind::Unseen, _) => "not here".to_owned(),
    }
}

fn name(entry: &Entry) -> String {
    let (Some(vendor), Some(device)) = (&entry.vendor, &entry.device) else { return nothing() };
    let word = |named: &Named| named.name.map_or_else(|| format!("[{}]", named.id), str::to_owned);
    format!("{} {}", word(vendor), word(device))
}

fn group(entry: &Entry) -> String {
    let Some(group) = &entry.iommu_group else { return nothing() };
    match (group.no_iommu, group.obstacles.first()) {
        (true, _) => format!("{} (no IOMMU)", group.number),
        // To a network driver the group does not matter.
        (false, Some(obstacle)) if entry.class == Some(DriverClass::Vfio.as_str()) => {
            format!("{} (blocked by {obstacle})", group.number)
        }
        (false, _) => group.number.to_string(),
    }
}

fn owner(entry: &Entry) -> String {
    let mut parts = Vec::new();
    if let Some(owner) = &entry.owner {
        parts.push(attachment(owner));
        parts.extend(processes(&owner.processes));
    }
    // A process of the owner's that has the node open is the owner's, and told.
    let inside = entry.owner.iter().flat_map(|owner| &owner.processes);
    let inside: Vec<&Process> = inside.collect();
    let others: Vec<Process> =
        entry.opened_by.iter().filter(|p| !inside.contains(p)).cloned().collect();
    parts.extend(processes(&others).map(|text| format!("open in {text}")));
    if parts.is_empty() { nothing() } else { parts.join(", ") }
}

/// As runtimes' tools shorten a container's id.
const SHORT: usize = 12;

fn attachment(owner: &Owner) -> String {
    let container: String = owner.container.chars().take(SHORT).collect();
    let state = match (owner.stale, owner.phase.as_str()) {
        (true, _) => " (stale record)",
        (false, "ready") => "",
        (false, "taken") => " (being attached)",
        (false, _) => " (being released)",
    };
    format!("{} of container {container} in {}{state}", owner.ifname, owner.network)
}

/// The first of them, as a container may have hundreds.
fn processes(all: &[Process]) -> Option<String> {
    let first = all.first()?;
    let first = format!("{} ({})", first.name, first.pid);
    Some(match all.len() - 1 {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

fn list<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let text = all.collect::<Vec<_>>().join(",");
    if text.is_empty() { nothing() } else { text }
}

fn nothing() -> String {
    NOTHING.to_owned()
}
