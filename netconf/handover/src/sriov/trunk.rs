//! `trunk`: the VLANs that a VF tags itself, where its representor is a port of a bridge.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use cni::Error;
use serde::Deserialize;

const IDS: RangeInclusive<i64> = 1..=4094;

/// An element of `trunk` as it is written, as `vlanTrunk` of the plugin `bridge`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawTrunk {
    id: Option<i64>,
    #[serde(rename = "minID")]
    min_id: Option<i64>,
    #[serde(rename = "maxID")]
    max_id: Option<i64>,
}

/// The VLANs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk(pub BTreeSet<u16>);

impl Trunk {
    /// `None` for an empty list. Code 7.
    pub fn parse(list: &[RawTrunk]) -> Result<Option<Self>, Error> {
        let mut ids = BTreeSet::new();
        for (index, element) in list.iter().enumerate() {
            ids.extend(element.ids(index)?);
        }
        Ok((!ids.is_empty()).then_some(Self(ids)))
    }
}

impl RawTrunk {
    fn ids(&self, index: usize) -> Result<RangeInclusive<u16>, Error> {
        let place = format!("trunk[{index}]");
        let check = |key: &str, id: i64| {
            let fits = u16::try_from(id).ok().filter(|_| IDS.contains(&id));
            fits.ok_or_else(|| {
                Error::config(&format!("{place}.{key}"), id, "a VLAN id is 1 to 4094")
            })
        };
        match (self.id, self.min_id, self.max_id) {
            (Some(id), None, None) => check("id", id).map(|id| id..=id),
            (None, Some(min), Some(max)) if min > max => {
                let why = format!("it is more than maxID {max}");
                Err(Error::config(&format!("{place}.minID"), min, &why))
            }
            (None, Some(min), Some(max)) => Ok(check("minID", min)?..=check("maxID", max)?),
            _ => Err(Error::config(&place, "", "it has either id, or minID and maxID")),
        }
    }
}
