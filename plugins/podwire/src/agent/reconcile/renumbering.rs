//! This node's pods' networks, when they change under the pods.

use std::path::Path;

use ipnetwork::IpNetwork;
use peers::Fleet;

use crate::agent::publish;

/// Those that the plugins' file has, from an agent before or from anybody; none where it has none.
pub fn of_file(path: &Path) -> Vec<IpNetwork> {
    let fleet = publish::read(path).ok().and_then(|text| Fleet::parse(&text, "it").ok());
    fleet.map(|fleet| fleet.local.pod_cidrs).unwrap_or_default()
}

/// Warns when pods may have addresses that lead here no more.
pub fn warn(before: &[IpNetwork], now: &[IpNetwork]) {
    if let Some(text) = change(before, now) {
        tracing::warn!("{text}");
    }
}

fn change(before: &[IpNetwork], now: &[IpNetwork]) -> Option<String> {
    let within = |net: &&IpNetwork| {
        now.iter().any(|all| all.prefix() <= net.prefix() && all.contains(net.network()))
    };
    if before.iter().all(|net| within(&net)) {
        return None;
    }
    let list =
        |all: &[IpNetwork]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (before, now) = (list(before), list(now));
    Some(format!(
        "subnet changed from {before} to {now}: pods attached before keep addresses of {before} until they are made anew"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pods_lose_is_told() {
        let nets = |texts: &[&str]| -> Vec<IpNetwork> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let one = nets(&["10.244.1.0/24"]);
        let both = nets(&["10.244.1.0/24", "fd00:244::/64"]);
        for (before, now) in [(vec![], one.clone()), (one.clone(), both.clone())] {
            assert_eq!(change(&before, &now), None);
        }
        assert_eq!(change(&one, &nets(&["10.244.0.0/23"])), None, "the same pods and more");
        let text = change(&both, &nets(&["10.244.2.0/24"])).unwrap();
        assert!(text.starts_with(
            "subnet changed from 10.244.1.0/24, fd00:244::/64 to 10.244.2.0/24: pods"
        ));
        assert!(change(&both, &one).is_some(), "the IPv6 pods");
    }
}
