//! Prints what an ADD and a DEL cost among few and among many addresses and guarded links, in a
//! network namespace of its own: `cargo run --release -p firewall --example scale [ROUNDS]`.
//!
//! Then what it costs to change what a network exempts.
//!
//! One attachment comes and goes among those that stay, and the least of all rounds counts.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]
#![expect(clippy::unwrap_used, reason = "it cannot go on without what it asks for")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use cni::Attachment;
use firewall::{AntiSpoof, Masquerade, Wanted, add, del};
use ipnetwork::IpNetwork;
use nix::sched::{CloneFlags, unshare};

/// The addresses of one attachment of the population.
const EACH: u32 = 250;

fn main() {
    let rounds = std::env::args().nth(1).map_or(200, |rounds| rounds.parse().unwrap());
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let one = masquerade("one", vec!["10.1.255.1/16".parse().unwrap()]);
    println!("addresses     ADD ms   DEL ms");
    let mut have = 0;
    for many in [0, 10, 4_000, 60_000] {
        while have < many {
            let last = many.min(have + EACH);
            let addresses = (have..last).map(|n| format!("10.1.{}.{}/16", n / EACH, n % EACH + 1));
            let addresses = addresses.map(|address| address.parse().unwrap()).collect();
            add(&masquerade(&format!("many{have}"), addresses)).unwrap();
            have = last;
        }
        measure(many, &one, rounds);
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    println!("guarded links ADD ms   DEL ms");
    let mut have = 0;
    for many in [0, 10, 4_000, 60_000] {
        for n in have..many {
            add(&antispoof(n)).unwrap();
        }
        have = many;
        measure(many, &antispoof(1_000_000), rounds);
    }
    println!("exempt nodes  all ms   none     one      half");
    for many in [10, 1_000, 10_000, 60_000] {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        measure_exemptions(many);
    }
}

/// What it costs to fill the sets of a network, to find that nothing changed, to change one node,
/// and to replace half of them.
fn measure_exemptions(many: u32) {
    let network = "net".parse().unwrap();
    let nodes = |range: std::ops::Range<u32>| -> Vec<IpNetwork> {
        let address = |n: u32| {
            if n.is_multiple_of(2) {
                IpNetwork::from(IpAddr::from(Ipv4Addr::from_bits(0xac10_0000 + n)))
            } else {
                IpNetwork::from(IpAddr::from(Ipv6Addr::from_bits(
                    (0x2001_0db8 << 96) + u128::from(n),
                )))
            }
        };
        range.map(address).collect()
    };
    let timed = |wanted: &[IpNetwork]| {
        let begin = Instant::now();
        firewall::exempt::set(&network, wanted).unwrap();
        begin.elapsed().as_secs_f64() * 1000.0
    };
    let first = timed(&nodes(0..many));
    let same = timed(&nodes(0..many));
    let one = timed(&nodes(0..many + 1));
    let half = timed(&nodes(many / 2..many + many / 2));
    println!("{many:<13} {first:6.1}   {same:6.1}   {one:6.1}   {half:6.1}");
}

fn measure(many: u32, one: &Wanted, rounds: u32) {
    let (mut fastest_add, mut fastest_del) = (Duration::MAX, Duration::MAX);
    let addresses: Vec<_> =
        one.masquerade.iter().flat_map(|m| &m.addresses).map(IpNetwork::ip).collect();
    let link = one.antispoof.as_ref().map(|a| &a.link);
    for _ in 0..rounds {
        let begin = Instant::now();
        add(one).unwrap();
        fastest_add = fastest_add.min(begin.elapsed());
        let begin = Instant::now();
        del(&one.attachment, Some(&addresses), link).unwrap();
        fastest_del = fastest_del.min(begin.elapsed());
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{many:<13} {:6.3}   {:6.3}", milliseconds(fastest_add), milliseconds(fastest_del));
}

fn attachment(container: &str) -> Attachment {
    Attachment {
        network: "net".parse().unwrap(),
        container: container.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

fn masquerade(container: &str, addresses: Vec<IpNetwork>) -> Wanted {
    let masquerade = Some(Masquerade { addresses, ..Masquerade::default() });
    Wanted { attachment: attachment(container), masquerade, antispoof: None }
}

fn antispoof(n: u32) -> Wanted {
    let link = format!("veth{n}").parse().unwrap();
    let mac = kernel::MacAddr([2, 0, 0, 0, (n >> 8 & 255) as u8, (n & 255) as u8]);
    Wanted {
        attachment: attachment(&format!("guarded{n}")),
        masquerade: None,
        antispoof: Some(AntiSpoof { link, mac }),
    }
}
