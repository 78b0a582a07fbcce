//! `podwire nad`: NetworkAttachmentDefinitions, judged and rendered.

mod lint;
mod render;

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use cni::{Code, Error};

use crate::failure::Failure;

/// Judges NetworkAttachmentDefinitions, and shows what Multus makes of them
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Lint(lint::Arguments),
    Render(render::Arguments),
}

/// Does it.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Lint(arguments) => lint::run(arguments, out),
        Command::Render(arguments) => render::run(arguments, out),
    }
}

/// More than this is no manifest.
const LARGEST: u64 = 64 << 20;

/// Reads a file, `-` for stdin. Code 5.
fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let failed = |e: io::Error| Error::new(Code::IO, format!("read {}: {e}", file.display()));
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut text)
    } else {
        fs::File::open(file).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut text))
    };
    read.map_err(failed)?;
    if text.len() as u64 > LARGEST {
        let msg = format!("{} is larger than a manifest can be", file.display());
        return Err(Error::new(Code::IO, msg));
    }
    Ok(text)
}

/// What a file is called in messages.
fn called(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
}

/// All of these files.
fn read_all(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    files.iter().map(|file| Ok((called(file), read(file)?))).collect()
}
