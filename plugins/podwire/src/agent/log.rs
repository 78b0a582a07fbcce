//! The log: on stderr, where the service manager takes it up.

use tracing::level_filters::LevelFilter;

use super::arguments::{Arguments, Format, Level};

/// Starts it.
pub fn start(arguments: &Arguments) {
    let level = match arguments.log_level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level);
    // Fails only where another log was started before.
    match arguments.log_format {
        Format::Text => log.init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}
