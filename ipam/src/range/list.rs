//! The range sets of a network: an attachment gets one address of each.

use std::net::IpAddr;

use cni::{Code, Error, Version};

use super::{Range, RangeConf, RangeSet};
use crate::address::Family;

/// The range sets of a network, at least one, free of overlaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<RangeSet>);

/// The parts of a config that name ranges.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// `runtimeConfig.ipRanges`, which come first.
    pub runtime: &'a [Vec<RangeConf>],
    /// `ipam.subnet` and its neighbours: the one range of old configs.
    pub single: &'a RangeConf,
    /// `ipam.ranges`.
    pub ranges: &'a [Vec<RangeConf>],
}

impl Sources<'_> {
    /// True when no source names a range.
    pub fn is_empty(&self) -> bool {
        self.runtime.is_empty() && self.ranges.is_empty() && !self.has_single()
    }

    /// Without a subnet the reference passes over the other keys of the single range.
    fn has_single(&self) -> bool {
        self.single.subnet.as_deref().is_some_and(|subnet| !subnet.is_empty())
    }
}

impl Ranges {
    /// The range sets that `sources` name. Code 7.
    pub fn new(sources: Sources<'_>, version: Version) -> Result<Self, Error> {
        if sources.is_empty() {
            return Err(Error::new(
                Code::CONFIG,
                "no IP ranges specified: ipam.ranges, ipam.subnet and runtimeConfig.ipRanges are all empty",
            )
            .details(r#"write "ranges": [[{"subnet": "10.1.0.0/16"}]]"#));
        }
        let mut sets = Vec::new();
        let mut keys = Vec::new();
        for (list, confs) in
            [("runtimeConfig.ipRanges", sources.runtime), ("ipam.ranges", sources.ranges)]
        {
            if list == "ipam.ranges" && sources.has_single() {
                let key = "ipam".to_owned();
                sets.push(set(&key, &[sources.single], std::slice::from_ref(&key))?);
                keys.push(key);
            }
            for (n, conf) in confs.iter().enumerate() {
                let key = format!("{list}[{n}]");
                let places: Vec<_> = (0..conf.len()).map(|n| format!("{key}[{n}]")).collect();
                let conf: Vec<_> = conf.iter().collect();
                sets.push(set(&key, &conf, &places)?);
                keys.extend(places);
            }
        }
        let ranges = Self(sets);
        ranges.check_overlaps(&keys)?;
        ranges.check_version(version)?;
        Ok(ranges)
    }

    /// The sets, in the order in which they give addresses.
    pub fn sets(&self) -> &[RangeSet] {
        &self.0
    }

    /// The range that has `address`.
    pub fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.0.iter().find_map(|set| set.range_of(address))
    }

    /// `keys` has the place in the config of every range.
    fn check_overlaps(&self, keys: &[String]) -> Result<(), Error> {
        let mut all: Vec<(&Range, &String)> =
            self.0.iter().flat_map(RangeSet::ranges).zip(keys).collect();
        all.sort_by_key(|(range, _)| (range.start(), range.end()));
        for pair in all.windows(2) {
            let [(one, one_key), (two, two_key)] = pair else { continue };
            if two.start() <= one.end() && one.family() == two.family() {
                return Err(Error::config(two_key, two, &format!("overlaps with {one_key} {one}"))
                    .details(
                        "an address could be given twice; shorten one by rangeStart and rangeEnd",
                    ));
            }
        }
        Ok(())
    }

    /// Results before 0.3.0 hold one address per family.
    fn check_version(&self, version: Version) -> Result<(), Error> {
        for family in [Family::V4, Family::V6] {
            let sets = self.0.iter().filter(|set| set.family() == Some(family)).count();
            if sets > 1 && version < Version::V0_3_0 {
                return Err(one_address_per_family(version, family, &format!("{sets} range sets")));
            }
        }
        Ok(())
    }
}

/// The error for configs of before 0.3.0 that ask for more than their results can hold.
pub fn one_address_per_family(version: Version, family: Family, asked: &str) -> Error {
    let why = format!(
        "a result of this version has one {} address, the config asks for {asked} of that family",
        family.name()
    );
    Error::config("cniVersion", version, &why).details("use cniVersion 0.3.0 or newer")
}

/// The set at `key`, whose ranges stand at `places`.
fn set(key: &str, confs: &[&RangeConf], places: &[String]) -> Result<RangeSet, Error> {
    let mut ranges: Vec<Range> = Vec::with_capacity(confs.len());
    for (conf, place) in confs.iter().zip(places) {
        let range = Range::new(conf, place)?;
        if let Some(first) = ranges.first()
            && first.family() != range.family()
        {
            return Err(Error::config(
                &format!("{place}.subnet"),
                range.subnet(),
                &format!("not of the family of {}, the first of its range set", first.subnet()),
            )
            .details(format!("give each family a set of its own in the list around {key}")));
        }
        ranges.push(range);
    }
    let set = RangeSet(ranges);
    if set.ranges().is_empty() {
        return Err(Error::config(key, "[]", "an empty range set gives no address")
            .details("remove it, or put a subnet into it"));
    }
    if set.capacity() == 0 {
        return Err(Error::config(key, &set, "the only address of the range set is its gateway"));
    }
    Ok(set)
}
