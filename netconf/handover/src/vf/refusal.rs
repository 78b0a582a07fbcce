//! Why a setting was not made, and how to mend it.

use cni::{Code, Error};

use super::step::Step;

/// `ENOTSUPP`: the kernel's own, which some drivers let out.
const NOT_SUPPORTED_INSIDE: i32 = 524;

/// What stood against a setting.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The kernel or the driver said no.
    Kernel(kernel::Error),
    /// It said yes, and the VF has something else, in these words.
    Ignored(String),
}

impl Refusal {
    /// True when the hardware or its driver cannot do it at all, as opposed to now or with this value.
    /// `carries`: the PF has a carrier, without which a driver may refuse any rate.
    pub(super) fn is_unsupported(&self, step: Step, carries: bool) -> bool {
        let error = match self {
            Self::Kernel(error) => error,
            Self::Ignored(_) => return true,
        };
        match error.errno() {
            libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENOSYS | NOT_SUPPORTED_INSIDE => true,
            // igb, ixgbe: a VF of theirs has no guaranteed rate, which they call an invalid one.
            libc::EINVAL => matches!(step, Step::MinRate(min) if min != 0) && carries,
            _ => false,
        }
    }

    /// As the runtime will read it.
    pub(super) fn error(self, pf: &str, vf: u32, step: Step, up: bool, carries: bool) -> Error {
        let what = format!("VF {vf} of {pf}: {step}");
        let lacking = self.is_unsupported(step, carries);
        let error = match self {
            Self::Kernel(error) => error,
            Self::Ignored(instead) => {
                let msg = format!("{what}: accepted, but the VF has {instead}");
                return Error::new(Code::KERNEL, msg).details(missing(step));
            }
        };
        let errno = error.errno();
        let words = format!("{what}: {}", error.source);
        let mut error = Error { msg: words, ..Error::from(error) };
        if lacking {
            error = error.details(missing(step));
        } else if !carries
            && errno == libc::EINVAL
            && matches!(step, Step::MaxRate(_) | Step::MinRate(_))
        {
            error = error.details(format!("{pf} has no carrier, without which it limits nothing"));
        } else if errno == libc::EINVAL && matches!(step, Step::MaxRate(_)) {
            error = error.details(format!("the rate is in Mbit/s, at most the speed of {pf}"));
        } else if matches!(errno, libc::EBUSY | libc::EAGAIN) {
            error = error.details("the device was busy for as long as was waited");
        } else if errno == libc::EPERM {
            let needed = "it takes CAP_NET_ADMIN in the initial user namespace";
            error = error.details(needed);
        }
        if !up {
            error = error.details(format!("{pf} is down: ip link set dev {pf} up"));
        }
        error
    }
}

/// How a configuration does without a setting that the hardware does not know.
fn missing(step: Step) -> String {
    let key = step.key();
    match step {
        Step::MinRate(_) => format!(
            "this hardware guarantees no rate (Intel's VFs mostly do not): leave {key} out, or set \
             onUnsupported to \"warn\""
        ),
        Step::Vlan(vlan) if vlan.protocol == kernel::link::VlanProtocol::Service => {
            "this hardware puts \
             no 802.1ad tags on for a VF: set vlanProto to \"802.1q\", or onUnsupported to \"warn\""
                .to_owned()
        }
        _ => format!(
            "this hardware or its driver does not know it: leave {key} out, or set onUnsupported to \
             \"warn\""
        ),
    }
}
