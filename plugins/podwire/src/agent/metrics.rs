//! The state as Prometheus reads it.

use prometheus::{Encoder as _, Gauge, IntCounter, Opts, Registry, TextEncoder};

use super::monitor::Monitor;
use super::state::State;

/// The text, made anew for each reader.
pub fn text(state: &State, monitor: &Monitor) -> prometheus::Result<Vec<u8>> {
    let page = Page { registry: Registry::new(), state };
    let (heard, lost) = monitor.counts();
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let yes = |is: bool| f64::from(u8::from(is));
    let plain: &[(&str, &str)] = &[];

    page.gauge("in_line", "1 when the last round went well", plain, yes(state.is_in_line()))?;
    let source_up = yes(state.source_trouble.is_none());
    page.gauge("source_up", "1 when the source can be read", plain, source_up)?;
    let conflist_up = yes(state.conflist_trouble.is_none());
    page.gauge("conflist_up", "1 when the conflist can be followed", plain, conflist_up)?;
    let help = "Peers that are served, by the way that leads to them";
    page.gauge("peers", help, &[("mode", "tunnel")], float(state.tunnelled))?;
    page.gauge("peers", help, &[("mode", "direct")], float(state.direct))?;
    page.gauge("faults", "What is wrong with peers", plain, float(state.faults.len()))?;
    page.gauge("mtu_bytes", "The pods' MTU", plain, f64::from(state.mtu))?;
    page.gauge("round_seconds", "How long the last round took", plain, state.took)?;
    let at = |seconds: u64| f64::from(u32::try_from(seconds).unwrap_or(u32::MAX));
    let help = "When a round went well last";
    page.gauge("last_success_timestamp_seconds", help, plain, at(state.last_success))?;

    let help = "Comparisons of all with the kernel";
    page.counter("rounds_total", help, &[("outcome", "ok")], state.rounds)?;
    page.counter("rounds_total", help, &[("outcome", "failed")], state.failed_rounds)?;
    page.counter("changes_total", "Changes of the kernel's state", plain, state.changes)?;
    page.counter("snapshots_total", "Descriptions that the source gave", plain, state.snapshots)?;
    page.counter("notifications_total", "The kernel's notifications", plain, heard)?;
    let help = "How often the kernel's notifications were lost";
    page.counter("notifications_lost_total", help, plain, lost)?;

    let mut text = Vec::new();
    TextEncoder::new().encode(&page.registry.gather(), &mut text)?;
    Ok(text)
}

struct Page<'s> {
    registry: Registry,
    state: &'s State,
}

impl Page<'_> {
    fn options(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Opts {
        let options = Opts::new(format!("podwire_agent_{name}"), help);
        let all = labels.iter().copied().chain([("network", self.state.network.as_str())]);
        all.fold(options, |options, (key, value)| options.const_label(key, value))
    }

    fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) -> prometheus::Result<()> {
        let gauge = Gauge::with_opts(self.options(name, help, labels))?;
        gauge.set(value);
        self.registry.register(Box::new(gauge))
    }

    fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) -> prometheus::Result<()> {
        let counter = IntCounter::with_opts(self.options(name, help, labels))?;
        counter.inc_by(value);
        self.registry.register(Box::new(counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_every_number_once_with_its_network() {
        let state =
            State { network: "pods".to_owned(), rounds: 7, tunnelled: 3, ..State::default() };
        let text = String::from_utf8(text(&state, &Monitor::default()).unwrap()).unwrap();
        for line in [
            r#"podwire_agent_rounds_total{network="pods",outcome="ok"} 7"#,
            r#"podwire_agent_peers{mode="tunnel",network="pods"} 3"#,
            r#"podwire_agent_in_line{network="pods"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
