//! Files of device information.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use cni::Json;
use nad::device_info::{self, Device, DeviceInfo, PciInfo};
use tempfile::TempDir;

struct Ground {
    _directory: TempDir,
    file: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("devinfo/cni/default-net-c1_net1");
        Self { _directory: directory, file }
    }

    fn holding(text: &str) -> Self {
        let ground = Self::new();
        fs::create_dir_all(ground.file.parent().unwrap()).unwrap();
        fs::write(&ground.file, text).unwrap();
        fs::set_permissions(&ground.file, fs::Permissions::from_mode(0o444)).unwrap();
        ground
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn tree(&self) -> Json {
        Json::parse(&fs::read(&self.file).unwrap(), "the file").unwrap()
    }

    fn neighbours(&self) -> usize {
        fs::read_dir(self.file.parent().unwrap()).unwrap().count()
    }
}

fn info() -> PciInfo {
    PciInfo {
        pci_address: "0000:01:10.0".to_owned(),
        pf_pci_address: Some("0000:01:00.0".to_owned()),
        rdma_device: Some("mlx5_2".to_owned()),
        ..PciInfo::default()
    }
}

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes(), "expected").unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_that_is_missing_is_begun_and_so_is_its_directory() {
    let ground = Ground::new();
    device_info::augment(ground.path(), &info()).unwrap();
    let expected = r#"{"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:01:10.0",
        "rdma-device": "mlx5_2", "pf-pci-address": "0000:01:00.0"}}"#;
    assert_eq!(ground.tree(), json(expected));
    assert_eq!(mode(&ground.file), 0o444);
    assert_eq!(mode(ground.file.parent().unwrap()), 0o755);
    assert_eq!(ground.neighbours(), 1);
    let read = device_info::read(ground.path()).unwrap().unwrap();
    assert_eq!(*read.device(), Device::Pci(info()));
}

#[test]
fn what_a_device_plugin_wrote_is_completed_and_nothing_of_it_changes() {
    let ground = Ground::holding(
        r#"{"vendor/x": [1, {"a": null}], "type": "pci", "version": "1.0.0",
        "pci": {"pci-address": "0000:01:10.0", "rdma-device": "mlx5_9", "later": 7,
        "pf-pci-address": ""}}"#,
    );
    device_info::augment(ground.path(), &info()).unwrap();
    let expected = r#"{"vendor/x": [1, {"a": null}], "type": "pci", "version": "1.1.0",
        "pci": {"pci-address": "0000:01:10.0", "rdma-device": "mlx5_9", "later": 7,
        "pf-pci-address": "0000:01:00.0"}}"#;
    assert_eq!(ground.tree(), json(expected));
    assert_eq!(mode(&ground.file), 0o444);
    assert_eq!(ground.neighbours(), 1);
}

#[test]
fn a_file_that_lacks_nothing_is_not_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let ground = Ground::new();
    device_info::augment(ground.path(), &info()).unwrap();
    let before = fs::metadata(&ground.file).unwrap().ino();
    device_info::augment(ground.path(), &info()).unwrap();
    assert_eq!(fs::metadata(&ground.file).unwrap().ino(), before);
}

#[test]
fn a_vdpa_device_gets_the_addresses_behind_it() {
    let ground = Ground::holding(
        r#"{"type": "vdpa", "version": "1.1.0", "vdpa": {"parent-device": "vdpa3",
        "driver": "vhost", "path": "/dev/vhost-vdpa-3"}}"#,
    );
    device_info::augment(ground.path(), &info()).unwrap();
    let expected = r#"{"type": "vdpa", "version": "1.1.0", "vdpa": {"parent-device": "vdpa3",
        "driver": "vhost", "path": "/dev/vhost-vdpa-3", "pci-address": "0000:01:10.0",
        "pf-pci-address": "0000:01:00.0"}}"#;
    assert_eq!(ground.tree(), json(expected));
}

#[test]
fn every_type_is_read_and_what_is_read_is_written_alike() {
    for text in [
        r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:01:02.2","vhost-net":"/dev/vhost-net","rdma-device":"mlx5_1","pf-pci-address":"0000:01:02.0","representor-device":"eth3"}}"#,
        r#"{"type":"vdpa","version":"1.1.0","vdpa":{"parent-device":"vdpa3","driver":"virtio","path":"/sys/bus/virtio/devices/virtio5","pci-address":"0000:01:02.2","pf-pci-address":"0000:01:02.0","representor-device":"eth3"}}"#,
        r#"{"type":"vhost-user","version":"1.1.0","vhost-user":{"mode":"server","path":"/run/v.sock"}}"#,
        r#"{"type":"memif","version":"1.1.0","memif":{"role":"slave","path":"/run/m.sock","mode":"inject-punt"}}"#,
    ] {
        let read = DeviceInfo::parse(text.as_bytes(), "it").unwrap();
        assert_eq!(DeviceInfo::from(read.device().clone()), read);
        assert_eq!(read.tree().to_string(), text);
    }
}

#[test]
fn information_about_something_else_is_refused_and_kept() {
    for (text, words) in [
        (
            r#"{"type": "pci", "pci": {"pci-address": "0000:01:10.2"}}"#,
            "pci.pci-address \"0000:01:10.2\": the information is about another device",
        ),
        (
            r#"{"type": "memif", "memif": {"role": "master", "path": "/a", "mode": "ip"}}"#,
            "type \"memif\": the information is about a socket",
        ),
        (r#"{"type": "pci"}"#, "pci: is missing"),
        (r#"{"type": "pci", "pci": {}}"#, "pci.pci-address: is missing"),
        (r#"{"type": "pci", "pci": []}"#, "pci: must be"),
        (
            r#"{"type": "gpu"}"#,
            "type \"gpu\": no such type of device information (there are pci, vdpa, vhost-user and memif)",
        ),
        (r#"{"version": "1.1.0"}"#, "type is missing"),
        (r#"{"type": "pci", "version": "2.0.0"}"#, "version \"2.0.0\": only version 1 is known"),
        (
            r#"{"type": "vdpa", "vdpa": {"parent-device": "v", "driver": "other"}}"#,
            "vdpa.driver \"other\": must be one of vhost, virtio",
        ),
        ("[]", "must be"),
        ("root:x:0:0", "is not JSON"),
        ("", "is not JSON"),
    ] {
        let ground = Ground::holding(text);
        let error = device_info::augment(ground.path(), &info()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(ground.path()), "{error}");
        assert_eq!(fs::read_to_string(&ground.file).unwrap(), text);
        assert_eq!(ground.neighbours(), 1);
    }
}

#[test]
fn a_path_that_leads_astray_is_refused_before_anything_is_touched() {
    for (path, words) in [
        ("", "is empty"),
        ("devinfo/cni/x", "must be absolute"),
        ("/run/devinfo/../../etc/passwd", "without '..'"),
        ("/run/devinfo/..", "without '..'"),
        ("/run/devinfo/x/", "must be the path of a file"),
        ("/run/devinfo/.", "must be the path of a file"),
        ("/", "must be the path of a file"),
        ("/etc/passwd", "outside of any directory of device information"),
        ("/etc/devinfo", "outside of any directory of device information"),
        ("/run/devinfo/a\0b", "NUL"),
    ] {
        for result in [
            device_info::augment(path, &info()),
            device_info::read(path).map(drop),
            device_info::write(path, &Device::Pci(info()).into()),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.code, cni::Code::CONFIG);
            let error = error.to_string();
            assert!(error.contains(words), "{path:?}: {error}");
            assert!(error.contains("runtimeConfig.CNIDeviceInfoFile"), "{error}");
        }
    }
}

#[test]
fn a_symbolic_link_in_its_place_is_not_followed() {
    let ground = Ground::holding("");
    let target = ground.file.with_file_name("target");
    fs::rename(&ground.file, &target).unwrap();
    symlink(&target, &ground.file).unwrap();
    let error = device_info::augment(ground.path(), &info()).unwrap_err().to_string();
    assert!(error.contains("symbolic link, which is not followed"), "{error}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "");
}

#[test]
fn a_directory_by_way_of_somebody_elses_link_is_refused() {
    let ground = Ground::holding("");
    let directory = ground.file.parent().unwrap();
    let link = directory.with_file_name("link");
    symlink(directory, &link).unwrap();
    let through = link.join("new");
    let through = through.to_str().unwrap();
    device_info::augment(through, &info()).unwrap(); // the link is our own
    if std::os::unix::fs::lchown(&link, Some(65534), None).is_err() {
        return; // not root: there is nobody else to be
    }
    let error = device_info::augment(through, &info()).unwrap_err().to_string();
    assert!(error.contains("belongs to user 65534"), "{error}");
}

#[test]
fn what_is_no_regular_file_is_neither_read_nor_waited_for() {
    let ground = Ground::new();
    fs::create_dir_all(&ground.file).unwrap();
    let error = device_info::augment(ground.path(), &info()).unwrap_err();
    assert_eq!(error.code, cni::Code::IO);
    assert!(error.msg.contains("a directory"), "{error}");
}
