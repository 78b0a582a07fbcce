//! An etcd that does not serve everybody: users with passwords, and certificates.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::need;

use super::ground::{Ground, Way, words};
use crate::agent::ground::{Site, until};
use crate::nodes::ground::Mode;

const PASSWORD: &str = "PODWIRE_ETCD_PASSWORD";

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Has etcd know `root`, and `podwire`, who may do in the network what he likes and nothing elsewhere.
fn lock(ground: &mut Ground) {
    for command in [
        "user add root:root",
        "user add podwire:secret",
        "role add podwire",
        "role grant-permission podwire --prefix=true readwrite /coreos.com/network/",
        "user grant-role podwire podwire",
        "auth enable",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        ground.control(&words).unwrap_or_else(|e| panic!("{command}: {e}"));
    }
    ground.way.control = words(&["--user", "root:root"]);
}

#[test]
fn agents_are_users_of_etcd_with_a_password() {
    need!(Etcd);
    let site = Site::of(Mode::HostGw, json!({}));
    let secret = site.home().join("password");
    fs::write(&secret, "wrong\n").unwrap();
    // A token is forgotten between two renewals of a lease.
    let way = Way {
        etcd: words(&["--auth-token-ttl", "1", "--bcrypt-cost", "4"]),
        agents: words(&["--etcd-username", "podwire"]),
        ..Way::default()
    };
    let mut ground = Ground::of(site, way);
    lock(&mut ground);
    let file = ["--etcd-password-file", path(&secret)];
    let mut agents: Vec<_> = (2..=3).map(|n| ground.start_with(n, "9", &file, &[])).collect();
    for agent in &agents {
        agent.says("invalid user ID or password");
    }
    let bare = ground.site.command_as(1, "plan", &ground.arguments(1));
    assert!(bare.code == Some(1) && bare.err.contains("--etcd-password-file"), "{bare:?}");
    // It is read again at the next try.
    fs::write(&secret, "secret\n").unwrap();
    agents.push(ground.start_with(1, "9", &[], &[(PASSWORD, "secret")]));
    ground.meet();
    ground.attach();
    let from: Vec<usize> = agents.iter().map(|agent| agent.log().len()).collect();
    let lease = format!("{:x}", ground.lease(&ground.key(2)).unwrap().lease);
    let left = || -> i64 {
        let told = ground.control(&["lease", "timetolive", &lease, "-w", "json"]).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        told["ttl"].as_i64().unwrap()
    };
    let (mut renewed, mut last) = (0, left());
    until("the lease is renewed again and again", || {
        let now = left();
        renewed += usize::from(now > last);
        last = now;
        if renewed == 3 { Ok(()) } else { Err(renewed) }
    });
    // With the token that it has, or a new one: nobody noticed.
    for (agent, from) in agents.iter().zip(from) {
        let log = agent.log();
        assert!(!log[from..].contains("auth token"), "{log}");
    }
    ground.put("subnets/10.244.0.128-26", r#"{"PublicIP":"192.168.2.77","BackendType":"host-gw"}"#);
    ground.leads_to(2, [ground.others(2), vec!["10.244.0.128/26".to_owned()]].concat());
    // The right is taken away: what is known holds, and is followed again afterwards.
    ground.control(&["user", "revoke-role", "podwire", "podwire"]).unwrap();
    ground.stop_etcd();
    ground.start_etcd();
    agents[0].says("permission denied");
    ground.site.cluster.all_talk();
    ground.control(&["user", "grant-role", "podwire", "podwire"]).unwrap();
    ground.control(&["del", "/coreos.com/network/subnets/10.244.0.128-26"]).unwrap();
    ground.leads_to(2, ground.others(2));
}

/// Makes a certificate in `home`, signed by `ca`, or by itself where that is its own name.
fn certificate(home: &Path, name: &str, ca: &str, more: &str) {
    let run = |line: &str| {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(home).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = format!(
        "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -subj /CN={name}"
    );
    if name == ca {
        return run(&format!("req -x509 {key} -days 2 -out {name}.pem"));
    }
    run(&format!("req {key} -out {name}.csr"));
    fs::write(home.join("extensions"), more).unwrap();
    run(&format!(
        "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"
    ));
}

#[test]
fn agents_and_etcd_know_each_other_by_certificates() {
    need!(Etcd);
    need!(Openssl);
    let site = Site::of(Mode::HostGw, json!({}));
    let home = site.home().join("tls");
    fs::create_dir(&home).unwrap();
    certificate(&home, "ca", "ca", "");
    certificate(&home, "other", "other", "");
    certificate(&home, "etcd", "ca", "subjectAltName=IP:192.168.2.1\n");
    certificate(&home, "client", "ca", "extendedKeyUsage=clientAuth\n");
    certificate(&home, "stranger", "other", "extendedKeyUsage=clientAuth\n");
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let way = Way {
        scheme: "https",
        etcd: vec![
            format!("--cert-file={}", at("etcd.pem")),
            format!("--key-file={}", at("etcd.key")),
            format!("--trusted-ca-file={}", at("ca.pem")),
            "--client-cert-auth".to_owned(),
        ],
        control: vec![
            format!("--cacert={}", at("ca.pem")),
            format!("--cert={}", at("client.pem")),
            format!("--key={}", at("client.key")),
        ],
        ..Way::default()
    };
    let mut ground = Ground::of(site, way);
    let (ca, other) = (at("ca.pem"), at("other.pem"));
    let (cert, key) = (at("node.pem"), at("node.key"));
    let put = |name: &str| {
        for end in ["key", "pem"] {
            fs::copy(home.join(format!("{name}.{end}")), home.join(format!("node.{end}"))).unwrap();
        }
    };
    put("stranger");
    let own = ["--etcd-cacert", &ca, "--etcd-cert", &cert, "--etcd-key", &key];
    // By flannel's names, too.
    let flannel = ["--etcd-cafile", &ca, "--etcd-certfile", &cert, "--etcd-keyfile", &key];
    let mut agents = vec![
        ground.start_with(1, "60", &own, &[]),
        ground.start_with(2, "60", &["--etcd-cacert", &ca], &[]),
        ground.start_with(3, "60", &["--etcd-cacert", &other], &[]),
    ];
    for agent in &agents {
        agent.says("the source fails");
        agent.says("etcd at https://192.168.2.1:2379: ");
    }
    assert_eq!(ground.leases(), []);
    // It is renewed, and read again at the next try.
    put("client");
    agents.truncate(1);
    agents.push(ground.start_with(2, "60", &own, &[]));
    agents.push(ground.start_with(3, "60", &flannel, &[]));
    ground.meet();
    ground.attach();
}
