use std::collections::BTreeSet;
use std::thread;

use cni::Plugin as _;
use ipam::HostLocal;

use crate::lab::Lab;

const CROWD: usize = 200;

/// Half of them as processes, half in this one, all at once.
fn all_at_once<T: Send>(work: impl Fn(usize, bool) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CROWD).map(|n| scope.spawn(move || work(n, n % 2 == 0))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_two_hundred_at_once_none_fails_and_no_address_is_given_twice() {
    let lab = Lab::new(&["10.1.0.0/24", "fd00::/64"]);
    let given = all_at_once(|n, process| {
        let container = format!("c{n}");
        if process {
            return lab.run("ADD", &container).addresses();
        }
        let result = HostLocal.add(&lab.call(&container)).unwrap();
        result.ips.iter().map(|ip| ip.address.ip().to_string()).collect()
    });
    let distinct: BTreeSet<&String> = given.iter().flatten().collect();
    assert_eq!(distinct.len(), 2 * CROWD);
    assert_eq!(lab.leases().len(), 2 * CROWD);

    all_at_once(|n, process| {
        let container = format!("c{n}");
        // Who added in the process is deleted by another, and the other way round.
        if process {
            HostLocal.del(&lab.call(&container)).unwrap();
        } else {
            assert!(lab.run("DEL", &container).ok);
        }
    });
    assert_eq!(lab.leases(), []);
    assert_eq!(lab.strays(), [""; 0]);
}

#[test]
fn a_pool_as_large_as_the_crowd_serves_all_of_it() {
    // 254 hosts, one of them the gateway, 53 taken: exactly 200 are left.
    let lab = Lab::new(&["10.1.0.0/24"]);
    for n in 0..53 {
        lab.run("ADD", &format!("before{n}")).addresses();
    }
    let given = all_at_once(|n, _| lab.run("ADD", &format!("c{n}")).addresses());
    assert_eq!(given.into_iter().flatten().collect::<BTreeSet<_>>().len(), CROWD);
    let full = lab.run("ADD", "late");
    assert_eq!(full.json["code"], 102, "{}", full.json);
}

#[test]
fn adds_and_dels_in_a_crowd_leave_nothing() {
    let lab = Lab::new(&["10.1.0.0/28"]);
    thread::scope(|scope| {
        for worker in 0..8 {
            let lab = &lab;
            scope.spawn(move || {
                for round in 0..20 {
                    let container = format!("w{worker}r{round}");
                    let added = lab.run("ADD", &container);
                    added.addresses();
                    let check = lab.check(&container, &added);
                    assert!(check.ok, "{}", check.json);
                    assert!(lab.run("DEL", &container).ok);
                }
            });
        }
    });
    assert_eq!(lab.leases(), []);
}
