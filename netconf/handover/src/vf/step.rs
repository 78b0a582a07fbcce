//! One setting, as `ip link set dev PF vf N` takes it.

use std::fmt;

use kernel::MacAddr;
use kernel::link::{Vf, VfLinkState, VfRate, VfSetting, VfVlan};

use super::VfWanted;

/// A setting that is named, judged and left out by itself. The bounds of the rate are two, although the
/// kernel takes both with one request: hardware that knows one of them alone is common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Vlan(VfVlan),
    Mac(Option<MacAddr>),
    MinRate(u32),
    MaxRate(u32),
    SpoofCheck(bool),
    Trust(bool),
    LinkState(VfLinkState),
    QueryRss(bool),
}

impl Step {
    /// The request, where the VF is as `now`: the other bound of the rate stays.
    pub(super) fn setting(self, now: &Vf) -> VfSetting {
        match self {
            Self::Vlan(vlan) => VfSetting::Vlan(vlan),
            Self::Mac(mac) => VfSetting::Mac(mac),
            Self::MinRate(min) => VfSetting::Rate(VfRate { min, ..now.rate }),
            Self::MaxRate(max) => VfSetting::Rate(VfRate { max, ..now.rate }),
            Self::SpoofCheck(on) => VfSetting::SpoofCheck(on),
            Self::Trust(on) => VfSetting::Trust(on),
            Self::LinkState(state) => VfSetting::LinkState(state),
            Self::QueryRss(on) => VfSetting::QueryRss(on),
        }
    }

    /// Whether it is so. `None` where the driver does not tell.
    pub(super) fn holds(self, vf: &Vf) -> Option<bool> {
        match self {
            // Without a VLAN the kind of its tag has no meaning.
            Self::Vlan(vlan) => Some(vf.vlan == vlan || vf.vlan.id == 0 && vlan.id == 0),
            Self::Mac(Some(mac)) => Some(vf.mac == Some(mac)),
            // Some drivers tell the address that the VF chose itself.
            Self::Mac(None) => vf.mac.is_none().then_some(true),
            Self::MinRate(min) => Some(vf.rate.min == min),
            Self::MaxRate(max) => Some(vf.rate.max == max),
            Self::SpoofCheck(on) => vf.spoof_check.map(|now| now == on),
            Self::Trust(on) => vf.trust.map(|now| now == on),
            Self::LinkState(state) => vf.link_state.map(|now| now == state),
            Self::QueryRss(on) => vf.query_rss.map(|now| now == on),
        }
    }

    /// What the VF has instead, in the same words.
    pub(super) fn instead(self, vf: &Vf) -> String {
        let now = match self {
            Self::Vlan(_) => Some(Self::Vlan(vf.vlan)),
            Self::Mac(_) => Some(Self::Mac(vf.mac)),
            Self::MinRate(_) => Some(Self::MinRate(vf.rate.min)),
            Self::MaxRate(_) => Some(Self::MaxRate(vf.rate.max)),
            Self::SpoofCheck(_) => vf.spoof_check.map(Self::SpoofCheck),
            Self::Trust(_) => vf.trust.map(Self::Trust),
            Self::LinkState(_) => vf.link_state.map(Self::LinkState),
            Self::QueryRss(_) => vf.query_rss.map(Self::QueryRss),
        };
        now.map_or_else(|| "nothing that the driver tells".to_owned(), |now| now.to_string())
    }

    /// The key of the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Vlan(_) => "vlan",
            Self::Mac(_) => "mac",
            Self::MinRate(_) => "min_tx_rate",
            Self::MaxRate(_) => "max_tx_rate",
            Self::SpoofCheck(_) => "spoofchk",
            Self::Trust(_) => "trust",
            Self::LinkState(_) => "link_state",
            Self::QueryRss(_) => "queryRss",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinRate(min) => write!(f, "min_tx_rate {min}"),
            Self::MaxRate(max) => write!(f, "max_tx_rate {max}"),
            other => other.setting(&Vf::default()).fmt(f),
        }
    }
}

impl VfWanted {
    /// What is wanted, one after the other, for a VF that is as `now`. The address comes before the spoof
    /// check, which some drivers refuse a VF without one.
    pub(super) fn steps(&self, now: &Vf) -> Vec<Step> {
        let mut steps = Vec::new();
        steps.extend(self.vlan.map(Step::Vlan));
        steps.extend(self.mac.map(|mac| Step::Mac(Some(mac))));
        steps.extend(rates(self.min_rate, self.max_rate, now.rate));
        steps.extend(self.spoof_check.map(Step::SpoofCheck));
        steps.extend(self.trust.map(Step::Trust));
        steps.extend(self.link_state.map(Step::LinkState));
        steps.extend(self.query_rss.map(Step::QueryRss));
        steps
    }

    /// What sets that back. What the driver never told is taken to have been the kernel's default.
    pub(super) fn steps_back(&self, original: &Vf, now: &Vf) -> Vec<Step> {
        let min = self.min_rate.map(|_| original.rate.min);
        let max = self.max_rate.map(|_| original.rate.max);
        let mut steps = Vec::new();
        steps.extend(self.vlan.map(|_| Step::Vlan(original.vlan)));
        steps.extend(self.mac.map(|_| Step::Mac(original.mac)));
        steps.extend(rates(min, max, now.rate));
        let spoof_check = original.spoof_check.unwrap_or(true);
        steps.extend(self.spoof_check.map(|_| Step::SpoofCheck(spoof_check)));
        steps.extend(self.trust.map(|_| Step::Trust(original.trust.unwrap_or(false))));
        let link_state = original.link_state.unwrap_or(VfLinkState::Auto);
        steps.extend(self.link_state.map(|_| Step::LinkState(link_state)));
        steps.extend(self.query_rss.map(|_| Step::QueryRss(original.query_rss.unwrap_or(false))));
        steps
    }

    /// Leaves a setting out.
    pub(super) fn leave_out(&mut self, step: Step) {
        match step {
            Step::Vlan(_) => self.vlan = None,
            Step::Mac(_) => self.mac = None,
            Step::MinRate(_) => self.min_rate = None,
            Step::MaxRate(_) => self.max_rate = None,
            Step::SpoofCheck(_) => self.spoof_check = None,
            Step::Trust(_) => self.trust = None,
            Step::LinkState(_) => self.link_state = None,
            Step::QueryRss(_) => self.query_rss = None,
        }
    }
}

/// The bounds in an order in which neither step has the lower one above the upper one, which the kernel
/// refuses (net/core/rtnetlink.c, `rtnl_set_vf_rate`). An upper bound of 0 is none.
fn rates(min: Option<u32>, max: Option<u32>, now: VfRate) -> Vec<Step> {
    let lower_first = max.is_some_and(|max| max != 0 && max < now.min);
    let steps = [min.map(Step::MinRate), max.map(Step::MaxRate)];
    let mut steps: Vec<Step> = steps.into_iter().flatten().collect();
    if !lower_first {
        steps.reverse();
    }
    steps
}

#[cfg(test)]
mod tests {
    use kernel::link::VlanProtocol;

    use super::*;

    fn wanted() -> VfWanted {
        VfWanted {
            vlan: Some(VfVlan { id: 100, qos: 3, protocol: VlanProtocol::Customer }),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
            min_rate: Some(100),
            max_rate: Some(200),
            spoof_check: Some(false),
            trust: Some(true),
            link_state: Some(VfLinkState::Enable),
            query_rss: Some(true),
            trunk: None,
        }
    }

    fn texts(steps: &[Step]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_setting_is_named_as_ip_writes_it() {
        assert_eq!(
            texts(&wanted().steps(&Vf::default())),
            [
                "vlan 100 qos 3 proto 802.1q",
                "mac 02:00:00:00:00:01",
                "max_tx_rate 200",
                "min_tx_rate 100",
                "spoofchk off",
                "trust on",
                "state enable",
                "query_rss on",
            ]
        );
    }

    #[test]
    fn only_what_was_wanted_is_set_back() {
        let original = Vf { rate: VfRate { min: 5, max: 9 }, ..Vf::default() };
        let wanted = VfWanted { max_rate: Some(200), trust: Some(true), ..VfWanted::default() };
        let back = wanted.steps_back(&original, &Vf::default());
        assert_eq!(texts(&back), ["max_tx_rate 9", "trust off"]);
    }

    #[test]
    fn the_lower_bound_never_passes_the_upper_one_on_the_way() {
        let way = |now: (u32, u32), to: (u32, u32)| {
            let mut vf = Vf { rate: VfRate { min: now.0, max: now.1 }, ..Vf::default() };
            for step in rates(Some(to.0), Some(to.1), vf.rate) {
                let VfSetting::Rate(rate) = step.setting(&vf) else { panic!("{step}") };
                assert!(rate.max == 0 || rate.min <= rate.max, "{now:?} to {to:?}: {rate:?}");
                vf.rate = rate;
            }
            assert_eq!(vf.rate, VfRate { min: to.0, max: to.1 });
        };
        let bounds = [(0, 0), (0, 100), (50, 100), (200, 300), (300, 0), (100, 100)];
        for now in bounds {
            for to in bounds {
                way(now, to);
            }
        }
    }

    #[test]
    fn what_is_left_out_is_wanted_no_more() {
        let mut wanted = wanted();
        for step in wanted.clone().steps(&Vf::default()) {
            assert!(!wanted.is_empty());
            wanted.leave_out(step);
            assert!(!wanted.steps(&Vf::default()).contains(&step));
        }
        assert!(wanted.is_empty());
    }

    #[test]
    fn without_a_vlan_the_kind_of_its_tag_does_not_matter() {
        let none = VfVlan { id: 0, qos: 0, protocol: VlanProtocol::Service };
        assert_eq!(Step::Vlan(none).holds(&Vf::default()), Some(true));
        let tag = VfVlan { id: 1, ..none };
        let customer = Vf { vlan: VfVlan { id: 1, ..VfVlan::default() }, ..Vf::default() };
        assert_eq!(Step::Vlan(tag).holds(&customer), Some(false));
    }
}
