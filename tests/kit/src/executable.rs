//! Where the plugins under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory of the plugins under test: `PODWIRE_BIN`, else the build directory of this test
/// executable, whose plugins are built first.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| match std::env::var_os("PODWIRE_BIN") {
        Some(directory) => std::fs::canonicalize(directory).expect("the directory PODWIRE_BIN"),
        None => build(),
    })
}

/// True when the plugins under test have one of this name.
pub fn found(name: &str) -> bool {
    directory().join(name).is_file()
}

/// The directory of the reference plugins, where they are installed: `REFERENCE_PLUGINS`, else
/// `/usr/lib/cni`.
pub fn reference_directory() -> Option<PathBuf> {
    let directory = match std::env::var_os("REFERENCE_PLUGINS") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from("/usr/lib/cni"),
    };
    directory.join("bridge").is_file().then_some(directory)
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    // target/debug/deps/suites-0123 -> target/debug
    let directory = test.parent().and_then(Path::parent).expect("a build directory").to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bins", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"))
        .arg("--target-dir")
        .arg(directory.parent().expect("a target directory"))
        .status()
        .expect("cargo");
    assert!(status.success(), "the plugins do not build");
    directory
}
