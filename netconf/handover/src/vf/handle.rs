//! A VF and the physical function that is asked about it.

use std::time::{Duration, Instant};

use attach::finding::Findings;
use cni::{Code, Error};
use kernel::events::{Events, Group};
use kernel::link::{self, Vf};
use kernel::{MacAddr, Socket};

use super::VfWanted;
use super::refusal::Refusal;
use super::step::Step;
use crate::OnUnsupported;

/// How long a device that says it is busy is asked again: drivers do so while a VF resets itself, which
/// takes some seconds at most (i40e and ice wait for 4 s themselves).
const BUSY: Duration = Duration::from_secs(5);
/// How long a setting may take to be seen where the driver makes it later.
const SEEN: Duration = Duration::from_secs(2);
/// The first pause between two tries, doubled each time, and cut short by a change of any link.
const PAUSE: Duration = Duration::from_millis(5);

/// A VF, through its physical function.
#[derive(Debug)]
pub struct Handle<'a> {
    /// A socket in the PF's namespace, which is the thread's own.
    pub socket: &'a Socket,
    /// The PF's interface.
    pub pf: &'a str,
    /// Its index.
    pub pf_index: u32,
    /// The VF's number.
    pub vf: u32,
}

impl Handle<'_> {
    /// The VF as it is now. `None` where the PF keeps no list of its VFs (paravirtual ones). Code 7 when
    /// the list lacks this one.
    pub fn read(&self) -> Result<Option<Vf>, Error> {
        let list = link::list_vfs(self.socket, self.pf_index, self.pf)?;
        if list.is_empty() {
            return Ok(None);
        }
        let count = list.len();
        let mut list = list.into_iter();
        list.find(|vf| vf.index == self.vf).map(Some).ok_or_else(|| {
            let msg =
                format!("VF {} of {}: the PF lists {count} VFs, not this one", self.vf, self.pf);
            let mend =
                "the number of VFs was changed meanwhile: let the device plugin find them anew";
            Error::new(Code::CONFIG, msg).details(mend)
        })
    }

    /// Refuses an address that the physical function or another of its VFs has. Code 7.
    pub fn refuse_taken(&self, mac: MacAddr) -> Result<(), Error> {
        let list = link::list_vfs(self.socket, self.pf_index, self.pf)?;
        let other = list.iter().find(|vf| vf.index != self.vf && vf.mac == Some(mac));
        let holder = match other {
            Some(vf) => format!("VF {} of {}", vf.index, self.pf),
            None => match link::get_by_index(self.socket, self.pf_index)? {
                Some(link) if link.mac == Some(mac) => format!("the physical function {}", self.pf),
                _ => return Ok(()),
            },
        };
        Err(Error::config("mac", mac, &format!("{holder} has it already"))
            .details("two functions of one adapter with one address take each other's packets"))
    }

    /// Refuses what is wanted of a VF that the PF does not list. With [`OnUnsupported::Warn`] it is a
    /// warning.
    pub fn refuse_unlisted(
        &self,
        wanted: &VfWanted,
        unsupported: OnUnsupported,
    ) -> Result<(), Error> {
        let Some(first) = wanted.steps(&Vf::default()).first().copied() else { return Ok(()) };
        let msg = format!("VF {} of {}: {first}: the PF lists no VFs", self.vf, self.pf);
        let error = Error::new(Code::KERNEL, msg).details(format!(
            "its driver lets nothing be set of a VF: leave {} and the like out, or set onUnsupported to \
             \"warn\"",
            first.key()
        ));
        match unsupported {
            OnUnsupported::Fail => Err(error),
            OnUnsupported::Warn => {
                cni::warn(format_args!("{error}; left out, as all settings of the VF"));
                Ok(())
            }
        }
    }

    /// Sets what is wanted and differs from `original`, one after the other, each read back, and gives
    /// what is in force: all that was wanted, without what the hardware does not know where that was to
    /// be left out. The error names the setting, the VF and the kernel's reason; what was set before
    /// stays set, and [`restore`](Self::restore) takes it back.
    pub fn apply(
        &self,
        original: &Vf,
        wanted: &VfWanted,
        unsupported: OnUnsupported,
    ) -> Result<VfWanted, Error> {
        let mut in_force = wanted.clone();
        let mut now = original.clone();
        for step in wanted.steps(original) {
            match self.set(step, &mut now) {
                Ok(()) => {}
                Err((error, true)) if unsupported == OnUnsupported::Warn => {
                    cni::warn(format_args!("{error}; left out"));
                    in_force.leave_out(step);
                }
                Err((error, _)) => return Err(error),
            }
        }
        if let Some(trunk) = &wanted.trunk {
            trunk.add(self.socket)?;
        }
        Ok(in_force)
    }

    /// Sets back, of all that was wanted, what is not as in `original`, each read back. Goes on after
    /// errors.
    pub fn restore(&self, original: &Vf, wanted: &VfWanted) -> Vec<Error> {
        let mut errors = Vec::new();
        if let Some(trunk) = &wanted.trunk {
            errors.extend(trunk.remove(self.socket).err());
        }
        let mut now = match self.read() {
            Ok(Some(now)) => now,
            Ok(None) => return errors,
            Err(e) => {
                errors.push(e);
                return errors;
            }
        };
        for step in wanted.steps_back(original, &now) {
            match self.set(step, &mut now) {
                // What the hardware does not know was never set.
                Ok(()) | Err((_, true)) => {}
                Err((error, false)) => errors.push(error),
            }
        }
        errors
    }

    /// Adds a finding for each setting that is not as wanted. What the driver does not tell passes.
    pub fn compare(&self, wanted: &VfWanted, findings: &mut Findings) -> Result<(), Error> {
        if let Some(trunk) = &wanted.trunk {
            trunk.compare(self.socket, findings)?;
        }
        let Some(now) = self.read()? else { return Ok(()) };
        for step in wanted.steps(&now) {
            if step.holds(&now) == Some(false) {
                let (vf, pf, instead) = (self.vf, self.pf, step.instead(&now));
                findings.add(format!("VF {vf} of {pf} has {instead} instead of {step}"));
            }
        }
        Ok(())
    }

    /// Sets the administrative address, `None` to let the VF choose again.
    pub(super) fn set_mac(&self, mac: Option<MacAddr>) -> Result<(), Error> {
        let Some(mut now) = self.read()? else { return Ok(()) };
        self.set_anyway(Step::Mac(mac), &mut now).map_err(|(error, _)| error)
    }

    /// Makes a setting, unless it holds already. The error comes with whether it is for lack of support.
    fn set(&self, step: Step, now: &mut Vf) -> Result<(), (Error, bool)> {
        if step.holds(now) == Some(true) {
            return Ok(());
        }
        self.set_anyway(step, now)
    }

    fn set_anyway(&self, step: Step, now: &mut Vf) -> Result<(), (Error, bool)> {
        let refused = |refusal: Refusal| {
            let pf = link::get_by_index(self.socket, self.pf_index).ok().flatten();
            let up = pf.as_ref().is_none_or(|pf| pf.up);
            let carries = pf.as_ref().is_none_or(|pf| pf.up && pf.running);
            let lacking = refusal.is_unsupported(step, carries);
            (refusal.error(self.pf, self.vf, step, up, carries), lacking)
        };
        let setting = step.setting(now);
        again(
            BUSY,
            |error: &kernel::Error| is_busy(error),
            || self.socket.run(link::set_vf(self.pf_index, self.pf, self.vf, setting)),
        )
        .map_err(|e| refused(Refusal::Kernel(e)))?;
        let seen = || match self.read() {
            Ok(Some(vf)) if step.holds(&vf) == Some(false) => Err(Ok(vf)),
            Ok(vf) => Ok(vf),
            Err(e) => Err(Err(e)),
        };
        match again(SEEN, Result::is_ok, seen) {
            Ok(vf) => *now = vf.unwrap_or_default(),
            Err(Ok(vf)) => {
                let instead = step.instead(&vf);
                *now = vf;
                return Err(refused(Refusal::Ignored(instead)));
            }
            Err(Err(e)) => return Err((e, false)),
        }
        Ok(())
    }
}

/// True for what a driver says while a VF resets itself.
pub(super) fn is_busy(error: &kernel::Error) -> bool {
    matches!(error.errno(), libc::EBUSY | libc::EAGAIN)
}

/// Tries again what failed in a way that passes, until it does not, or `patience` is at its end.
pub(super) fn again<T, E>(
    patience: Duration,
    passes: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let end = Instant::now() + patience;
    let mut pause = PAUSE;
    let mut events = None;
    loop {
        let error = match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let left = end.saturating_duration_since(Instant::now());
        if !passes(&error) || left.is_zero() {
            return Err(error);
        }
        // A driver that is done tells nobody; what it did to a link, the kernel does tell.
        let mut woken = false;
        let look = || Ok(std::mem::replace(&mut woken, true).then_some(()));
        match events.get_or_insert_with(|| Events::open(Group::Link)) {
            Ok(events) => drop(events.wait("the device", pause.min(left), look)),
            Err(_) => return Err(error),
        }
        pause *= 2;
    }
}
