//! The status as a table.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{Table, presets};

use super::{Peer, Status};
use crate::agent::state;
use crate::plain::plain;

/// How many commands are shown.
const SHOWN: usize = 10;

/// Writes it.
pub fn table(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let node = status.node.as_deref().unwrap_or("unknown");
    let mtu = status.mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default();
    let Status { network, way, .. } = status;
    let count = status.peers.len();
    writeln!(out, "network {network} ({way}), node {}{mtu}, {count} peers", plain(node))?;
    match (&status.agent.state, status.agent.running) {
        (Some(told), true) => writeln!(
            out,
            "agent: pid {} since {}, source {}, last round {}, {} changes",
            told.pid,
            time(told.started),
            plain(&told.source),
            time(told.last_success),
            told.changes
        )?,
        (_, true) => writeln!(out, "agent: begins")?,
        (Some(told), false) => {
            writeln!(out, "agent: not running, last seen {}", time(told.last_success))?;
        }
        (None, false) => writeln!(out, "agent: not running")?,
    }
    for trouble in status.troubles() {
        writeln!(out, "trouble: {}", plain(&trouble))?;
    }
    if status.trouble.is_none() {
        match status.lacking.len() {
            0 => writeln!(out, "kernel: in line")?,
            n => writeln!(out, "kernel: {n} differences, mended by")?,
        }
    }
    for command in status.lacking.iter().take(SHOWN) {
        writeln!(out, "  {}", plain(command))?;
    }
    if status.lacking.len() > SHOWN {
        writeln!(out, "  ... (podwire plan shows all)")?;
    }
    if status.peers.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PEER", "NODE", "PODS", "MODE", "ROUTE", "CHANGED", "REASON"]);
    for peer in &status.peers {
        table.add_row(row(peer));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn row(peer: &Peer) -> [String; 7] {
    let route = match (peer.mode, peer.in_place) {
        (None, _) => "none",
        (Some(_), true) => "in place",
        (Some(_), false) => "lacking",
    };
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        plain(&peer.name),
        dash(peer.node_ips.join(",")),
        dash(peer.pod_cidrs.join(",")),
        dash(peer.mode.unwrap_or_default().to_owned()),
        route.to_owned(),
        dash(peer.last_change.map(time).unwrap_or_default()),
        dash(plain(&peer.reasons.join("; "))),
    ]
}

/// A time as RFC 3339 writes it, and how long ago that was where it was today.
pub fn time(seconds: u64) -> String {
    if seconds == 0 {
        return "never".to_owned();
    }
    let ago = state::now().saturating_sub(seconds);
    if ago < 24 * 3600 {
        return format!("{} ago", humantime::format_duration(Duration::from_secs(ago)));
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}
