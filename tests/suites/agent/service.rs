//! What the agent tells others: health, metrics, the service manager, flannel's plugin, the log.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::ground::{Agent, Site, until};
use crate::nodes::ground::Mode;

/// Status code and body of a page.
fn page(mut stream: impl std::io::Read + std::io::Write, path: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn health_and_metrics_are_served_on_the_loopback() {
    let site = Site::new(Mode::Vxlan);
    let _agent = site.start_with(1, &["--listen", "127.0.0.1:9470"], &[]);
    let connect = || site.node(1).enter(|| TcpStream::connect("127.0.0.1:9470").unwrap());
    site.settles(1);
    site.agent_tells(1, "that all is well", |state| state["rounds"].as_u64() > Some(0));
    assert_eq!(page(connect(), "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(page(connect(), "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(page(connect(), "/nowhere").0, 404);
    let metrics = || page(connect(), "/metrics").1;
    for line in [
        "podwire_agent_in_line{network=\"pods\"} 1",
        "podwire_agent_source_up{network=\"pods\"} 1",
        "podwire_agent_peers{mode=\"tunnel\",network=\"pods\"} 2",
        "podwire_agent_mtu_bytes{network=\"pods\"} 1430",
        "# TYPE podwire_agent_changes_total counter",
    ] {
        assert!(metrics().contains(line), "{line}: {}", metrics());
    }
    site.node(1).run(&["ip", "link", "set", "eth0", "down"]);
    until("it is not ready", || match page(connect(), "/readyz") {
        (503, why) if why.contains("192.168.2.1") || why.contains("eth0") => Ok(()),
        other => Err(other),
    });
    // It lives all the same.
    assert_eq!(page(connect(), "/healthz").0, 200);
    assert!(metrics().contains("podwire_agent_in_line{network=\"pods\"} 0"));
}

#[test]
fn a_socket_of_the_file_system_serves_too_and_a_stale_one_is_replaced() {
    let site = Site::new(Mode::HostGw);
    let socket = site.home().join("agent.sock");
    let address = format!("unix:{}", socket.display());
    for _ in 0..2 {
        let agent = site.start_with(1, &["--listen", &address], &[]);
        until("it is ready", || {
            let stream = UnixStream::connect(&socket).map_err(|e| e.to_string())?;
            match page(stream, "/readyz") {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        agent.kill();
        assert!(socket.exists());
    }
}

#[test]
fn other_addresses_are_refused() {
    let site = Site::new(Mode::HostGw);
    for address in ["0.0.0.0:9470", "192.168.2.1:9470", "[::]:9470", "9470"] {
        let refused = site.command(1, "agent", &["--listen", address]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("loopback") || refused.err.contains("PORT"), "{refused:?}");
    }
    let _first = site.node(1).enter(|| std::net::TcpListener::bind("127.0.0.1:9471").unwrap());
    let taken = site.command(1, "agent", &["--listen", "127.0.0.1:9471"]);
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(taken.err.contains("9471"), "{taken:?}");
    let directory = format!("unix:{}", site.home().display());
    let taken = site.command(1, "agent", &["--listen", &directory]);
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(taken.err.contains(&format!("--listen {directory}: ")), "{taken:?}");
}

/// What the service manager hears, up to the word.
fn hears(manager: &UnixDatagram, word: &str) -> String {
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while !all.contains(word) {
        let length = match manager.recv(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.unwrap_or_else(|e| panic!("{word}: {e}: {all}")),
        };
        all.push_str(&String::from_utf8_lossy(&buffer[..length]));
        all.push('\n');
    }
    all
}

#[test]
fn the_service_manager_is_told() {
    let site = Site::new(Mode::HostGw);
    let path = site.home().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let env = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let agent: Agent = site.start_with(1, &[], &env);
    let told = hears(&manager, "READY=1");
    site.cluster.holds(1);
    assert!(told.contains("STATUS=2 peers, 0 faults"), "{told}");
    hears(&manager, "WATCHDOG=1");
    site.write_text("garbage");
    hears(&manager, "STATUS=2 peers; the source fails: ");
    agent.stop();
    hears(&manager, "STOPPING=1");
}

#[test]
fn flannels_plugin_is_told_what_it_needs() {
    let site = Site::new(Mode::Vxlan);
    let path = site.home().join("subnet.env");
    let argument = format!("--subnet-env={}", path.display());
    let _agent = site.start_with(1, &[&argument], &[]);
    let text = |mtu: u32| {
        format!(
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
             FLANNEL_IPV6_NETWORK=fd00:244::/32\nFLANNEL_IPV6_SUBNET=fd00:244:1::1/64\n\
             FLANNEL_MTU={mtu}\nFLANNEL_IPMASQ=true\n"
        )
    };
    let says = |mtu: u32| {
        until("subnet.env", || {
            let now = fs::read_to_string(&path).unwrap_or_default();
            if now == text(mtu) { Ok(()) } else { Err(now) }
        });
    };
    says(1430);
    site.cluster.fleet.set_mtu(1, 1400);
    says(1330);
    let conf = json!({
        "cniVersion": "1.1.0", "name": "cbr0", "type": "flannel", "subnetFile": path,
        "dataDir": site.node(1).directory().join("flannel"),
        "ipam": {"dataDir": site.node(1).leases()},
        "delegate": {"isDefaultGateway": true, "bridge": "cni0"},
    });
    let pod = site.node(1).pod();
    let attached = site.node(1).attach(&conf, &pod);
    assert!(attached.ip().starts_with("10.244.1."));
    assert_eq!(pod.link("eth0").unwrap()["mtu"], 1330);
}

#[test]
fn the_log_is_text_or_json() {
    let site = Site::new(Mode::HostGw);
    let agent = site.start_with(1, &["--log-format", "json"], &[]);
    agent.says("brought in line");
    let log = agent.stop();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let round = events.iter().find(|event| event["message"] == "brought in line").unwrap();
    assert_eq!((&round["level"], &round["peers"]), (&json!("INFO"), &json!(2)));
    assert!(events.iter().any(|event| {
        event["peer"] == "n2" && event["message"].as_str().unwrap().starts_with("ip route replace ")
    }));
}
