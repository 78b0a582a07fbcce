use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::range::{RangeConf, Ranges, Sources};

struct Lab {
    root: TempDir,
    network: NetworkName,
}

impl Lab {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), network: "net".parse().unwrap() }
    }

    fn store(&self) -> Store {
        Store::create(self.root.path(), &self.network).unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("net")
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.dir()).unwrap();
        fs::write(self.dir().join(name), content).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn held(&self, container: &str) -> Vec<String> {
        let held = self.store().held(&attachment(container)).unwrap();
        held.iter().map(|(address, _)| address.to_string()).collect()
    }

    /// True when the next call would use the index as it is.
    fn index_fits(&self) -> bool {
        let directory = Directory::open(self.root.path(), &self.network).unwrap().unwrap();
        let path = index_path(self.root.path(), &self.network);
        Index::load(&path, &directory.stamp().unwrap()).is_ok()
    }
}

fn attachment(container: &str) -> Attachment {
    Attachment {
        network: "net".parse().unwrap(),
        container: container.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

fn pool(subnet: &str) -> Ranges {
    let ranges: Vec<Vec<RangeConf>> =
        serde_json::from_value(json!([[{ "subnet": subnet }]])).unwrap();
    let single = RangeConf::default();
    let sources = Sources { runtime: &[], single: &single, ranges: &ranges };
    Ranges::new(sources, cni::Version::V1_1_0).unwrap()
}

fn next(store: &mut Store, pool: &Ranges, container: &str) -> Option<String> {
    let taken = store.take_next(&pool.sets()[0], 0, &attachment(container)).unwrap();
    taken.map(|(address, _)| {
        store.remember(0, address);
        address.to_string()
    })
}

#[test]
fn a_lease_has_the_references_name_content_and_mode() {
    let lab = Lab::new();
    assert_eq!(next(&mut lab.store(), &pool("10.1.0.0/24"), "c1").unwrap(), "10.1.0.2");
    assert_eq!(lab.names(), ["10.1.0.2", "last_reserved_ip.0", "lock"]);
    let file = lab.dir().join("10.1.0.2");
    assert_eq!(fs::read(&file).unwrap(), b"c1\r\neth0");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(lab.dir().join("last_reserved_ip.0")).unwrap(), b"10.1.0.2");
    assert_eq!(fs::metadata(lab.dir()).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn the_round_robin_goes_on_after_the_last_and_wraps() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/29");
    let mut given = Vec::new();
    for n in 0..5 {
        given.push(next(&mut lab.store(), &pool, &format!("c{n}")).unwrap());
    }
    assert_eq!(given, ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"]);
    assert_eq!(next(&mut lab.store(), &pool, "c9"), None);
    lab.store().release("10.1.0.4".parse().unwrap(), "c2").unwrap();
    lab.store().release("10.1.0.3".parse().unwrap(), "c1").unwrap();
    assert_eq!(next(&mut lab.store(), &pool, "c9").unwrap(), "10.1.0.3");
    assert_eq!(next(&mut lab.store(), &pool, "c10").unwrap(), "10.1.0.4");
}

#[test]
fn empty_and_torn_files_are_given_again() {
    let lab = Lab::new();
    lab.write("10.1.0.2", "");
    lab.write("10.1.0.3", "\0\0\0\0\0\0\0\0");
    lab.write("10.1.0.4", "reserved by the administrator");
    let pool = pool("10.1.0.0/24");
    for (container, address) in [("c1", "10.1.0.2"), ("c2", "10.1.0.3"), ("c3", "10.1.0.5")] {
        assert_eq!(next(&mut lab.store(), &pool, container).unwrap(), address);
    }
    assert_eq!(fs::read(lab.dir().join("10.1.0.3")).unwrap(), b"c2\r\neth0");
}

#[test]
fn what_is_in_the_way_of_a_lease_is_walked_around() {
    let lab = Lab::new();
    fs::create_dir_all(lab.dir().join("10.1.0.2")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", lab.dir().join("10.1.0.3")).unwrap();
    let pool = pool("10.1.0.0/24");
    assert_eq!(next(&mut lab.store(), &pool, "c1").unwrap(), "10.1.0.3");
    assert_eq!(next(&mut lab.store(), &pool, "c2").unwrap(), "10.1.0.4");
}

/// Opened as a file is, each of these would wait for ever, with the lock held.
#[test]
fn nothing_waits_for_a_fifo() {
    use nix::sys::stat::Mode;
    let lab = Lab::new();
    let fifo = |path: &Path| {
        let _ = fs::remove_file(path);
        nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    };
    let is_fifo = |name: &str| {
        use std::os::unix::fs::FileTypeExt as _;
        fs::metadata(lab.dir().join(name)).unwrap().file_type().is_fifo()
    };
    let pool = pool("10.1.0.0/24");
    assert_eq!(next(&mut lab.store(), &pool, "c1").unwrap(), "10.1.0.2");
    for name in ["10.1.0.3", "last_reserved_ip.0", "notes"] {
        fifo(&lab.dir().join(name));
    }
    std::os::unix::fs::symlink("notes", lab.dir().join("10.1.0.4")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(lab.dir().join("10.1.0.5")).unwrap();
    fifo(&index_path(lab.root.path(), &lab.network));
    assert_eq!(next(&mut lab.store(), &pool, "c2").unwrap(), "10.1.0.6");
    assert!(lab.index_fits(), "the index's FIFO is still there");
    for name in ["10.1.0.3", "10.1.0.4", "10.1.0.5"] {
        let taken = lab.store().take(name.parse().unwrap(), &attachment("c3")).unwrap();
        let Taken::No(holder) = taken else { panic!("{name} was given") };
        assert!(holder.container.contains("not a regular file"), "{holder}");
    }
    assert_eq!(lab.held("c1"), ["10.1.0.2"]);
    lab.store().keep_only(&BTreeSet::new()).unwrap();
    assert!(is_fifo("10.1.0.3") && is_fifo("10.1.0.4") && is_fifo("last_reserved_ip.0"));
    assert_eq!(lab.held("c2"), [""; 0]);

    fifo(&lab.dir().join("lock"));
    let error = Store::create(lab.root.path(), &lab.network).unwrap_err();
    assert_eq!(error.code, Code::IO);
    assert!(error.msg.contains("/lock: not a regular file"), "{error}");
}

#[test]
fn the_index_is_used_until_somebody_else_changes_the_directory() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/24");
    next(&mut lab.store(), &pool, "c1").unwrap();
    assert!(lab.index_fits());
    assert_eq!(lab.held("c1"), ["10.1.0.2"]);
    assert!(lab.index_fits());

    lab.write("10.1.0.3", "c2\r\neth0");
    assert!(!lab.index_fits());
    assert_eq!(lab.held("c2"), ["10.1.0.3"]);
    assert!(lab.index_fits());
    assert_eq!(next(&mut lab.store(), &pool, "c3").unwrap(), "10.1.0.4");

    fs::remove_file(lab.dir().join("10.1.0.3")).unwrap();
    assert!(!lab.index_fits());
    assert_eq!(lab.held("c2"), [""; 0]);
}

/// The times of a directory have the grain of the kernel's clock; a change right after ours would
/// leave them as they are, had they not been set apart.
#[test]
fn a_change_in_the_same_tick_of_the_clock_is_noticed() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/16");
    for n in 0..300 {
        let address = next(&mut lab.store(), &pool, &format!("c{n}")).unwrap();
        // Newer kernels have finer times for files that are looked at; older ones need this.
        let meta = fs::metadata(lab.dir()).unwrap();
        assert_ne!((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
        fs::remove_file(lab.dir().join(address)).unwrap();
        assert!(!lab.index_fits(), "round {n}");
    }
}

#[test]
fn a_directory_that_was_replaced_is_noticed() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/24");
    next(&mut lab.store(), &pool, "c1").unwrap();
    fs::remove_dir_all(lab.dir()).unwrap();
    assert!(Store::open(lab.root.path(), &lab.network).unwrap().is_none());
    assert_eq!(lab.held("c1"), [""; 0]);
    assert_eq!(next(&mut lab.store(), &pool, "c2").unwrap(), "10.1.0.2");
}

#[test]
fn a_file_edited_in_place_is_believed_over_the_index() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/24");
    next(&mut lab.store(), &pool, "c1").unwrap();
    fs::write(lab.dir().join("10.1.0.2"), "c2\r\neth0").unwrap();
    assert!(lab.index_fits(), "an edit does not show in the directory");
    assert_eq!(lab.held("c1"), [""; 0]);
    assert_eq!(lab.held("c2"), ["10.1.0.2"]);
}

#[test]
fn a_torn_or_foreign_index_is_made_anew() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/24");
    for n in 0..20 {
        next(&mut lab.store(), &pool, &format!("c{n}")).unwrap();
    }
    let path = index_path(lab.root.path(), &lab.network);
    let whole = fs::read(&path).unwrap();
    for step in 0..40 {
        let mut bytes = whole.clone();
        let at = step * whole.len() / 40;
        match step % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at..(at + 64).min(whole.len())].fill(0xff),
            _ => bytes[at] = !bytes[at],
        }
        fs::write(&path, bytes).unwrap();
        for n in 0..20 {
            assert_eq!(lab.held(&format!("c{n}")), [format!("10.1.0.{}", n + 2)], "step {step}");
        }
        let container = format!("d{step}");
        let address = next(&mut lab.store(), &pool, &container).unwrap();
        lab.store().release(address.parse().unwrap(), &container).unwrap();
    }
}

#[test]
fn without_a_place_for_the_index_everything_works() {
    let lab = Lab::new();
    // Nobody, root neither, can make a directory where a file is.
    fs::write(lab.root.path().join(".index"), "").unwrap();
    let pool = pool("10.1.0.0/24");
    for n in 0..200 {
        next(&mut lab.store(), &pool, &format!("c{n}")).unwrap();
    }
    assert_eq!(lab.held("c7"), ["10.1.0.9"]);
    lab.store().release("10.1.0.9".parse().unwrap(), "c7").unwrap();
    assert_eq!(lab.held("c7"), [""; 0]);
}

#[test]
fn the_index_grows_with_the_leases() {
    let lab = Lab::new();
    let pool = pool("10.1.0.0/16");
    for n in 0..500 {
        next(&mut lab.store(), &pool, &format!("c{n}")).unwrap();
        assert!(lab.index_fits(), "after lease {n}");
    }
    for n in 0..500 {
        assert_eq!(lab.held(&format!("c{n}")).len(), 1);
    }
}

#[test]
fn what_a_crash_left_unfinished_goes_with_the_next_call() {
    let lab = Lab::new();
    next(&mut lab.store(), &pool("10.1.0.0/24"), "c1").unwrap();
    lab.write(directory::UNFINISHED, "c2\r\neth0");
    assert_eq!(lab.held("c2"), [""; 0]);
    assert_eq!(lab.names(), ["10.1.0.2", "last_reserved_ip.0", "lock"]);
}
