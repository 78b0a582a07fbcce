//! What a driver calls the port behind a network interface.

/// A port's name taken apart (net/devlink/port.c, `__devlink_port_phys_port_name_get`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// `p0`, `p0s1`: where the cable is.
    Uplink(u32),
    /// `pf0`, `c1pf0`: it stands for a physical function, of another host's where there is a controller.
    Pf {
        /// Which host's, 0 the own one.
        controller: u32,
    },
    /// `pf0vf3`, `c1pf0vf3`, and `3` before Linux 4.20: it stands for a virtual function.
    Vf {
        /// Which host's, 0 the own one.
        controller: u32,
        /// The VF's number.
        number: u32,
    },
    /// `pf0sf88`, `c1pf0sf88`: it stands for a subfunction.
    Sf {
        /// Which host's, 0 the own one.
        controller: u32,
        /// The subfunction's number.
        number: u32,
    },
}

impl Port {
    /// `None` for a name that says nothing of the eswitch.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(number) = whole(name) {
            return Some(Self::Vf { controller: 0, number });
        }
        let (controller, rest) = match prefixed(name, "c") {
            Some(split) => split,
            None => (0, name),
        };
        let Some((_, rest)) = prefixed(rest, "pf") else {
            let (number, split) = prefixed(name, "p")?;
            let whole_port =
                split.is_empty() || split.strip_prefix('s').is_some_and(|s| whole(s).is_some());
            return whole_port.then_some(Self::Uplink(number));
        };
        if rest.is_empty() {
            return Some(Self::Pf { controller });
        }
        let number = |kind| prefixed(rest, kind).filter(|(_, end)| end.is_empty()).map(|(n, _)| n);
        if let Some(number) = number("vf") {
            return Some(Self::Vf { controller, number });
        }
        number("sf").map(|number| Self::Sf { controller, number })
    }

    /// True where the interface stands for another function than the one that it belongs to.
    pub fn is_representor(self) -> bool {
        !matches!(self, Self::Uplink(_))
    }
}

/// The number after a prefix, and what follows.
fn prefixed<'a>(text: &'a str, prefix: &str) -> Option<(u32, &'a str)> {
    let rest = text.strip_prefix(prefix)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    Some((whole(number)?, rest))
}

fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
