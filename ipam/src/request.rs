//! Addresses that a runtime asks for by name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::Error;

use crate::address::parse_with_or_without_prefix;
use crate::range::{RangeSet, Ranges};

/// Addresses asked for and not yet given, each with the key that it came from.
#[derive(Debug, Default)]
pub struct Requests(Vec<(String, IpAddr)>);

impl Requests {
    /// The union of `lists`; each is the key of a list and its texts. Prefix lengths are ignored.
    /// Code 7.
    pub fn new(lists: &[(&str, &[String])]) -> Result<Self, Error> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for (key, texts) in lists {
            for (n, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
                let key =
                    if *key == "CNI_ARGS IP" { (*key).to_owned() } else { format!("{key}[{n}]") };
                let address = parse_with_or_without_prefix(&key, text)?;
                if seen.insert(address) {
                    all.push((key, address));
                }
            }
        }
        Ok(Self(all))
    }

    /// What each set of `ranges` is asked for. Every request must find a set that has it and
    /// was not asked before, and must not be a gateway. Code 7.
    pub fn assign(mut self, ranges: &Ranges) -> Result<Vec<Option<Request>>, Error> {
        let mut assigned = Vec::with_capacity(ranges.sets().len());
        for set in ranges.sets() {
            let at = self.0.iter().position(|(_, address)| set.range_of(*address).is_some());
            assigned.push(
                at.map(|at| self.0.remove(at)).map(|(key, address)| Request { key, address }),
            );
        }
        for request in assigned.iter().flatten() {
            request.check_gateway(ranges)?;
        }
        let Some((key, address)) = self.0.first() else { return Ok(assigned) };
        Err(unmet(key, *address, ranges, &assigned))
    }
}

/// The parts of a value of `CNI_ARGS`.
pub fn comma_separated(value: Option<&str>) -> Vec<String> {
    let parts = value.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// An address asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The config key, or the variable, that asks.
    pub key: String,
    /// The address.
    pub address: IpAddr,
}

impl Request {
    fn check_gateway(&self, ranges: &Ranges) -> Result<(), Error> {
        match ranges.range_of(self.address) {
            Some(range) if range.gateway() == self.address => Err(Error::config(
                &self.key,
                self.address,
                &format!("the requested address is the gateway of subnet {}", range.subnet()),
            )
            .details(format!("ask for another one of {range}"))),
            _ => Ok(()),
        }
    }
}

fn unmet(key: &str, address: IpAddr, ranges: &Ranges, assigned: &[Option<Request>]) -> Error {
    let sets = ranges.sets().iter().zip(assigned);
    let rival = sets.clone().find(|(set, _)| set.range_of(address).is_some());
    if let Some((set, Some(other))) = rival {
        return Error::config(
            key,
            address,
            &format!(
                "range set {set} gives one address, and {} asks for {} of it",
                other.key, other.address
            ),
        )
        .details("ask for one address of each range set at most");
    }
    let known: Vec<String> = ranges.sets().iter().map(RangeSet::to_string).collect();
    Error::config(
        key,
        address,
        &format!("the requested address is outside of {}", known.join(" and ")),
    )
    .details("ask for an address inside of one of the ranges, or add a range that has it")
}
