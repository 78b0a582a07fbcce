//! The units of systemd that come with it.

use std::path::Path;

/// A unit's keys with their values.
fn unit(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ipam/dhcp").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[', ';']));
    lines
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{name}: {line}")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_units_start_the_daemon_with_flags_that_it_knows_on_the_socket_that_plugins_ask() {
    testkit::need!(Sources);
    let has = |unit: &[(String, String)], key: &str, value: &str| {
        assert!(unit.iter().any(|(k, v)| k == key && v == value), "{key}={value}: {unit:?}");
    };
    let socket = unit("cni-dhcp.socket");
    has(&socket, "ListenStream", "/run/cni/dhcp.sock");
    has(&socket, "SocketMode", "0660");
    has(&socket, "SocketUser", "root");
    let service = unit("cni-dhcp.service");
    has(&service, "Requires", "cni-dhcp.socket");
    let (_, start) = service.iter().find(|(key, _)| key == "ExecStart").unwrap();
    let words: Vec<&str> = start.split(' ').collect();
    assert_eq!(words[..2], ["/opt/cni/bin/dhcp", "daemon"]);
    // Whatever else is said there, the daemon understands: with an unknown flag it tells its usage.
    let output = std::process::Command::new(testkit::directory().join("dhcp"))
        .args(&words[1..])
        .arg("-timeout=never")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("-timeout \"never\""), "{told}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    testkit::need!(Sources);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ipam/dhcp");
    let verify = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(["cni-dhcp.service", "cni-dhcp.socket"].map(|name| directory.join(name)))
        .output();
    let Ok(verify) = verify else { return testkit::not_run("systemd-analyze is not installed") };
    let told = String::from_utf8_lossy(&verify.stderr);
    // That the executable is not installed here is not the unit's fault.
    let wrong: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("cni-dhcp") && !line.contains("is not executable"))
        .collect();
    assert!(wrong.is_empty(), "{told}");
}
