//! The log: on stderr, where the service manager takes it up.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;

use super::arguments::{Arguments, Format, Level};
use crate::plain::plain;

/// Starts it.
pub fn start(arguments: &Arguments) {
    let level = match arguments.log_level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(|| Lines(io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level);
    // Fails only where another log was started before.
    match arguments.log_format {
        Format::Text => log.init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}

/// Writes each event as a line, whatever is in it: an error may name what somebody else chose.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    /// To be called with a whole event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = plain(text.strip_suffix('\n').unwrap_or(&text)) + "\n";
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let mut lines = Lines(Vec::new());
        lines.write_all(b"ERROR key \"a\nINFO all is well\x1b[2J\n").unwrap();
        assert_eq!(lines.0, b"ERROR key \"a\\u000aINFO all is well\\u001b[2J\n");
    }
}
