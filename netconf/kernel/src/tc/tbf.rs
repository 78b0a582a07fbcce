//! Token bucket filters.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};

use super::{ROOT, attribute, message, text};
use crate::Request;
use crate::attributes::{self, nest, number};
use crate::link::Link;
use crate::message::kind;

/// The handle `1:`, as the reference has it.
const HANDLE: u32 = 0x1_0000;
/// The kernel's tick is 64 ns (`PSCHED_SHIFT`).
const TICK: u32 = 6;
const SECOND: u128 = 1_000_000_000;
/// `TC_LINKLAYER_ETHERNET`: without it the kernel looks for a table that nobody uses any more.
const ETHERNET: u8 = 1;

/// `TCA_TBF_*` of include/uapi/linux/pkt_sched.h.
mod option {
    pub const PARAMETERS: u16 = 1;
    pub const RATE_64: u16 = 4;
    pub const BURST: u16 = 6;
}

/// What a token bucket filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tbf {
    /// Bytes in a second.
    pub rate: u64,
    /// How long the bucket takes to fill, in ticks of 64 ns; see [`Tbf::ticks`].
    pub buffer: u32,
    /// The bytes that wait at most; what comes then is lost.
    pub limit: u32,
}

impl Tbf {
    /// The time that a bucket of `burst` bytes takes to fill at `rate`, as the kernel tells it: of a number
    /// that is too large, the lower 32 bits.
    pub fn ticks(rate: u64, burst: u32) -> u32 {
        let time = u128::from(burst) * SECOND / u128::from(rate.max(1));
        u32::try_from((time >> TICK) & u128::from(u32::MAX)).unwrap_or_default()
    }

    /// Reads a filter's `TCA_OPTIONS`.
    pub(super) fn parse(options: &[u8]) -> Option<Self> {
        let find = |wanted: u16| attributes::of(options).find(|(kind, _)| *kind == wanted);
        // `struct tc_tbf_qopt`: rate and peak rate of 12 bytes each, limit, buffer, mtu.
        let (_, parameters) = find(option::PARAMETERS)?;
        let word = |at: usize| number(parameters.get(at..at + 4)?);
        let large = find(option::RATE_64).and_then(|(_, value)| value.try_into().ok());
        let rate = large.map_or(u64::from(word(8)?), u64::from_ne_bytes);
        Some(Self { rate, limit: word(24)?, buffer: word(28)? })
    }
}

/// Limits what leaves a link: a bucket of `burst` bytes, of which `rate` are filled up in a second. One
/// that is there under our handle is changed.
///
/// `tc qdisc replace dev LINK root handle 1: tbf rate RATEbps burst BURST limit LIMIT`
pub fn set(link: &Link, rate: u64, burst: u32, limit: u32) -> Request {
    let small = u32::try_from(rate).unwrap_or(u32::MAX);
    // `struct tc_ratespec`: cell, link layer, overhead, alignment, smallest packet, rate.
    let mut parameters = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    parameters.extend(small.to_ne_bytes());
    parameters.extend([0; 12]);
    for word in [limit, Tbf::ticks(rate, burst), 0] {
        parameters.extend(word.to_ne_bytes());
    }
    let mut options = nest(option::PARAMETERS, &parameters);
    if u64::from(small) != rate || small == u32::MAX {
        options.extend(nest(option::RATE_64, &rate.to_ne_bytes()));
    }
    options.extend(nest(option::BURST, &burst.to_ne_bytes()));
    let both = [nest(attribute::KIND, &text("tbf")), nest(attribute::OPTIONS, &options)];
    let payload = message(link.index, HANDLE, ROOT, 0, &both);
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    Request::of_bytes("limit the rate of", &link.name, flags, kind::NEW_QDISC, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_takes_its_time_to_fill() {
        // 1 MB at 1 MB/s: a second of 15 625 000 ticks.
        assert_eq!(Tbf::ticks(1_000_000, 1_000_000), 15_625_000);
        assert_eq!(Tbf::ticks(1, u32::MAX), {
            let all = u64::from(u32::MAX) * 15_625_000;
            u32::try_from(all & u64::from(u32::MAX)).unwrap()
        });
    }

    #[test]
    fn malformed_options_are_none_and_cause_no_panic() {
        for length in 0..40_u8 {
            let options = nest(option::PARAMETERS, &vec![1; usize::from(length)]);
            assert_eq!(Tbf::parse(&options).is_some(), length >= 32, "{length}");
        }
        assert_eq!(Tbf::parse(&[7, 0, 4, 0, 1]), None);
    }
}
