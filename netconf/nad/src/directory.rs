//! The node's directory of configurations, for a NetworkAttachmentDefinition that has none itself.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cni::{Code, Error, Json};
use kernel::regular;

use crate::Network;

/// The network named `name` of the first file of `directory` that has it: files that end in `.conf`,
/// `.json` and `.conflist`, in the order of their names. As in the working group's client library, a
/// file that cannot be read ends the search if it comes before; the error names it. Codes 5 to 7.
pub(crate) fn find(directory: &Path, name: &str) -> Result<Network, Error> {
    let at = directory.display();
    let files = files(directory)
        .map_err(|e| Error::new(Code::IO, format!("read the directory {at}: {e}")))?;
    for file in &files {
        let shown = file.display();
        let text = read(file).map_err(|e| Error::new(Code::IO, format!("read {shown}: {e}")))?;
        let network = named(&text, file, name).map_err(|e| {
            e.while_(format_args!("the file {shown}"))
                .details(format!("mend or remove it: it stands in the way of {name}"))
        })?;
        if let Some(network) = network {
            return Ok(network);
        }
    }
    let found: Vec<_> = files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    Err(Error::new(Code::CONFIG, format!("no configuration in {at} has the name {name:?}"))
        .details(format!("files that end in .conf, .json or .conflist: {found}")))
}

/// More than this is no configuration.
const LARGEST: u64 = 4 << 20;

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let open = regular::open(File::options().read(true), file)?;
    open.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if matches!(kind, "conf" | "json" | "conflist") && !entry.file_type()?.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The file's network if it is the wanted one.
fn named(text: &[u8], file: &Path, name: &str) -> Result<Option<Network>, Error> {
    let tree = Json::parse(text, "the configuration")?;
    let own = match tree.get("name") {
        None => "",
        Some(Json::String(own)) => own,
        Some(other) => return Err(crate::name::not("name", "a text", other)),
    };
    let is_list = file.extension().is_some_and(|e| e == "conflist");
    if is_list && own.is_empty() {
        return Err(Error::new(Code::CONFIG, "name is missing in a list"));
    }
    if !is_list && tree.get("type").is_none() {
        return Err(Error::new(Code::CONFIG, "type is missing")
            .details("a list of plugins belongs in a file that ends in .conflist"));
    }
    if own != name {
        return Ok(None);
    }
    Network::parse(text, name).map(Some)
}
