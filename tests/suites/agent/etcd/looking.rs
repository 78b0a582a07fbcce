//! `plan` and `status` look at etcd and write nothing there.

use std::fs;

use testkit::need;

use super::ground::Ground;
use crate::agent::ground::{Printed, until};
use crate::nodes::ground::Mode;

const NONE: &str = "this node has no lease below /coreos.com/network/subnets/";

impl Ground {
    fn command(&self, n: usize, command: &str) -> Printed {
        self.site.command_as(n, command, &self.arguments(n))
    }

    /// Runs a command that leaves etcd and the node as they were.
    #[track_caller]
    fn look(&self, command: &str) -> Printed {
        self.site.conflist(1);
        let etcd = || (self.revision(), self.leases(), self.control(&["lease", "list"]).unwrap());
        let (before, node) = (etcd(), self.site.node(1).snapshot());
        let printed = self.command(1, command);
        assert_eq!(etcd(), before, "{command} wrote: {printed:?}");
        node.assert_same(&self.site.node(1).snapshot());
        printed
    }
}

#[test]
fn a_plan_takes_no_lease() {
    need!(Etcd);
    let ground = Ground::new(Mode::HostGw);
    let _second = ground.start(2, "60");
    until("a subnet", || {
        if ground.subnet(2).is_empty() { Err(ground.site.agent_state(2)) } else { Ok(()) }
    });
    let plan = ground.look("plan");
    assert_eq!((plan.code, plan.out.as_str()), (Some(1), ""), "{plan:?}");
    assert!(plan.err.contains(NONE) && plan.err.contains("podwire once"), "{plan:?}");
    let status = ground.look("status");
    assert_eq!(status.code, Some(3), "{status:?}");
    // One takes it.
    let once = ground.command(1, "once");
    assert_eq!(once.code, Some(0), "{once:?}");
    let own = ground.lease(&ground.key(1)).expect("a lease");
    assert_ne!(own.lease, 0);
    for (command, told) in [("plan", ""), ("status", "kernel: in line")] {
        let looked = ground.look(command);
        assert_eq!(looked.code, Some(0), "{looked:?}");
        assert!(looked.out.contains(told) && !looked.out.contains('#'), "{looked:?}");
    }
    // By its address alone it is known as well, and so is what would be done.
    let file = ground.site.cluster.fleet.roster.path(ground.site.node(1));
    let text = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    ground.site.node(1).run(&["ip", "route", "del", &ground.subnet(2), "metric", "112"]);
    let plan = ground.look("plan");
    let lacking = format!("ip route replace {} via 192.168.2.2", ground.subnet(2));
    assert!(plan.code == Some(0) && plan.out.contains(&lacking), "{plan:?}");
    // Without a lease it is what was remembered that would be taken again.
    ground.control(&["lease", "revoke", &format!("{:x}", own.lease)]).unwrap();
    fs::write(&file, text).unwrap();
    let plan = ground.look("plan");
    let last = format!("its last one, {}, would be taken again", own.key);
    assert!(plan.code == Some(0) && plan.out.contains(&lacking), "{plan:?}");
    assert!(plan.out.contains(NONE) && plan.out.contains(&last), "{plan:?}");
    // Unless somebody else has it now.
    let other = r#"{"PublicIP":"192.168.2.77","BackendType":"host-gw"}"#;
    ground.put(&format!("subnets/{}", own.key), other);
    let plan = ground.look("plan");
    assert!(plan.code == Some(1) && plan.err.contains(NONE), "{plan:?}");
}
