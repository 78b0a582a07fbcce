//! A range set: the pool that one address of an attachment is taken from.

use std::fmt;
use std::net::IpAddr;

use super::Range;
use crate::address::{Family, number};

/// Addresses from `first` to `last`, both included, as numbers. No gateway is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The family of both.
    pub family: Family,
    /// The first address.
    pub first: u128,
    /// The last address.
    pub last: u128,
}

impl Span {
    /// How many addresses it has; 2^128 is one less.
    pub fn len(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// Never true: a span has at least one address.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// As ranges are written: `10.1.0.2-10.1.0.254`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family.address(self.first), self.family.address(self.last))
    }
}

/// A pool: ranges of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(pub(super) Vec<Range>);

impl RangeSet {
    /// Its ranges.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// The range that has `address`.
    pub fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(address))
    }

    /// Every address that can be given, each once, in the order in which the reference tries
    /// them: round robin, beginning after the address given `last`.
    pub fn spans_after(&self, last: Option<IpAddr>) -> Vec<(Span, &Range)> {
        let whole = |range: &Range| (number(range.start), number(range.end));
        let at = last.and_then(|last| {
            let index = self.0.iter().position(|range| range.contains(last))?;
            Some((index, number(last)))
        });
        let mut spans = Vec::with_capacity(self.0.len() * 2 + 2);
        let Some((index, last)) = at else {
            for range in &self.0 {
                let (first, last) = whole(range);
                push_without_gateway(&mut spans, range, first, last);
            }
            return spans;
        };
        let (before, from) = self.0.split_at(index);
        let Some((range, after)) = from.split_first() else { return spans };
        let (start, end) = whole(range);
        if last < end {
            push_without_gateway(&mut spans, range, last + 1, end);
        }
        for range in after.iter().chain(before) {
            let (first, last) = whole(range);
            push_without_gateway(&mut spans, range, first, last);
        }
        push_without_gateway(&mut spans, range, start, last);
        spans
    }

    /// How many addresses it can give.
    pub fn capacity(&self) -> u128 {
        self.spans_after(None).iter().fold(0, |sum: u128, (span, _)| sum.saturating_add(span.len()))
    }

    pub(super) fn family(&self) -> Option<Family> {
        self.0.first().map(Range::family)
    }
}

fn push_without_gateway<'a>(
    spans: &mut Vec<(Span, &'a Range)>,
    range: &'a Range,
    first: u128,
    last: u128,
) {
    let family = range.family();
    let gateway = number(range.gateway);
    if gateway < first || gateway > last {
        spans.push((Span { family, first, last }, range));
        return;
    }
    if first < gateway {
        spans.push((Span { family, first, last: gateway - 1 }, range));
    }
    if gateway < last {
        spans.push((Span { family, first: gateway + 1, last }, range));
    }
}

/// `10.1.0.1-10.1.0.254,10.2.0.1-10.2.0.254`, as the reference writes sets.
impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, range) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}
