//! Reading the whole directory: what the index is made from, and what GC looks through.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use cni::Error;

use super::directory::{Directory, UNFINISHED, content_of, failed, remove};
use super::index::{Image, Index};
use super::{Content, Holder};

/// Makes the index anew. An unfinished lease that a crash left is removed on the way.
pub fn index(directory: &Directory, path: PathBuf) -> Result<Index, Error> {
    let path_of_leases = directory.path();
    // Counting is cheap beside reading the files, and spares the tables their growth.
    let files = fs::read_dir(path_of_leases).map_err(|e| failed("reading", path_of_leases, &e))?;
    let mut image = Image::new(files.count());
    for_each(directory, |address, _, content| {
        if let (Some(address), Content::Held(Holder { container, .. })) = (address, content) {
            image.insert(address, &container);
        }
        Ok(())
    })?;
    let unfinished = directory.path().join(UNFINISHED);
    if unfinished.exists() {
        let _ = remove(&unfinished);
    }
    Ok(Index::make(path, image))
}

/// Every file whose name is an address, in whatever way it is written.
pub fn leases(directory: &Directory) -> Result<Vec<(PathBuf, Content)>, Error> {
    let mut leases = Vec::new();
    for_each(directory, |_, path, content| {
        leases.push((path, content));
        Ok(())
    })?;
    Ok(leases)
}

/// The address is none where the name is not the address's own text: such a file holds nothing.
fn for_each(
    directory: &Directory,
    mut each: impl FnMut(Option<IpAddr>, PathBuf, Content) -> Result<(), Error>,
) -> Result<(), Error> {
    let path = directory.path();
    let entries = fs::read_dir(path).map_err(|e| failed("reading", path, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| failed("reading", path, &e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Ok(address) = name.parse::<IpAddr>() else { continue };
        let file = entry.path();
        // What cannot be read may be a lease.
        let content = content_of(&file).unwrap_or_else(|error| {
            Content::Held(Holder { container: format!("unknown: {error}"), ifname: None })
        });
        let own = (address.to_string() == name).then_some(address);
        each(own, file, content)?;
    }
    Ok(())
}
