//! A rate and a burst, and the token bucket that they make.

use cni::Error;
use kernel::Request;
use kernel::link::Link;
use kernel::tc::{self, Tbf};

/// How long what exceeds the burst may wait before it is lost, in milliseconds.
const LATENCY: u128 = 25;
/// The longest time that the kernel lets a bucket of the reference take to fill, in nanoseconds.
const LONGEST: u128 = u32::MAX as u128;
const SECOND: u128 = 1_000_000_000;
/// What a frame has beyond its MTU (`ETH_HLEN`).
const ETHERNET_HEADER: u32 = 14;

/// A limit as it was asked for, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    rate: u64,
    burst: u32,
}

impl Limit {
    /// `WAYRate` in bits per second and `WAYBurst` in bits; `None` when both are 0.
    pub fn parse(way: &str, rate: u64, burst: u64) -> Result<Option<Self>, Error> {
        let (rate_key, burst_key) = (format!("{way}Rate"), format!("{way}Burst"));
        match (rate, burst) {
            (0, 0) => return Ok(None),
            (_, 0) => {
                let why = format!("{burst_key} must be set as well");
                return Err(Error::config(&rate_key, rate, &why));
            }
            (0, _) => {
                let why = format!("{rate_key} must be set as well");
                return Err(Error::config(&burst_key, burst, &why));
            }
            (1..8, _) => {
                return Err(Error::config(&rate_key, rate, "it is in bits per second, 8 or more"));
            }
            _ => {}
        }
        let small = u32::try_from(burst / 8).ok().filter(|bytes| *bytes < u32::MAX);
        match small {
            Some(burst) => Ok(Some(Self { rate: rate / 8, burst })),
            None => Err(Error::config(&burst_key, burst, "it is in bits, less than 4 GiB of them")),
        }
    }

    /// The bytes of the bucket of a link with this MTU. A frame that is larger than the bucket would never
    /// pass. The runtimes of Kubernetes ask for bursts of 256 MiB: of the reference's bucket the
    /// kernel counts no more than 4.3 seconds, and so do we, where it would count all.
    fn bucket(self, mtu: u32) -> u32 {
        let most = u128::from(self.rate) * LONGEST / SECOND;
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.burst.min(most).max(mtu.saturating_add(ETHERNET_HEADER))
    }

    /// The bytes that may wait.
    fn room(self, bucket: u32) -> u32 {
        let waiting = u128::from(self.rate) * LATENCY / 1000;
        u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(bucket)
    }

    /// Sets it on what leaves a link.
    pub fn set(self, link: &Link) -> Request {
        let bucket = self.bucket(link.mtu);
        tc::set_tbf(link, self.rate, bucket, self.room(bucket))
    }

    /// What of the bucket that a link has differs, in words. The reference's has the burst as it was
    /// asked for, of which the kernel counts 4.3 seconds.
    pub fn difference(self, have: &Tbf, mtu: u32) -> Option<String> {
        let ours = self.bucket(mtu);
        let longest = u32::MAX >> 6;
        let possible = [
            (Tbf::ticks(self.rate, ours), self.room(ours)),
            (Tbf::ticks(self.rate, self.burst), self.room(self.burst)),
            (longest, self.room(self.burst)),
        ];
        if have.rate != self.rate {
            return Some(format!("the rate is {} bytes/s instead of {}", have.rate, self.rate));
        }
        let near = |a: u32, b: u32| {
            // The reference and `tc` count in microseconds.
            let apart = a.wrapping_sub(b).min(b.wrapping_sub(a));
            apart <= 32 + b / 1000
        };
        let fits =
            |(ticks, room): &(u32, u32)| near(have.buffer, *ticks) && near(have.limit, *room);
        if possible.iter().any(fits) {
            return None;
        }
        let (ticks, room) = possible[0];
        Some(format!(
            "burst and limit are {} ticks and {} bytes instead of {ticks} and {room}",
            have.buffer, have.limit
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rate: u64, burst: u64) -> Limit {
        Limit::parse("ingress", rate, burst).unwrap().unwrap()
    }

    #[test]
    fn a_bucket_holds_a_frame_and_no_more_than_four_seconds() {
        let usual = limit(8_000_000, 800_000);
        assert_eq!((usual.bucket(1500), usual.room(100_000)), (100_000, 125_000));
        assert_eq!(limit(8_000_000, 8).bucket(1500), 1514);
        // What Kubernetes' runtimes ask for: 10 Mbit/s with a burst of 2^31-1 bits.
        assert_eq!(limit(10_000_000, 2_147_483_647).bucket(1500), 5_368_709);
        assert_eq!(limit(800_000_000_000, 8_000_000_000).bucket(1500), 1_000_000_000);
    }

    #[test]
    fn the_reference_and_ours_are_the_same_limit() {
        for (rate, burst) in [(8_000_000, 800_000), (10_000_000, 2_147_483_647), (64_000, 12_000)] {
            let limit = limit(rate, burst);
            let bucket = limit.bucket(1500);
            let ours = Tbf {
                rate: rate / 8,
                buffer: Tbf::ticks(rate / 8, bucket),
                limit: limit.room(bucket),
            };
            assert_eq!(limit.difference(&ours, 1500), None);
            let other = Tbf { limit: ours.limit * 2, ..ours };
            assert!(limit.difference(&other, 1500).is_some());
            let other = Tbf { rate: ours.rate + 1, ..ours };
            assert!(limit.difference(&other, 1500).is_some());
        }
    }
}
