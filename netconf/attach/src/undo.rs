//! Taking back the steps of an ADD that fails.

use cni::Error;

/// A step back.
type Step<'a> = Box<dyn FnOnce() -> Result<(), Error> + 'a>;

/// The steps back of what has been done so far.
#[derive(Default)]
pub struct Undo<'a>(Vec<Step<'a>>);

impl<'a> Undo<'a> {
    /// Registers how to take the next step back. Before the step itself, where the step may fail
    /// half-way.
    pub fn push(&mut self, step: impl FnOnce() -> Result<(), Error> + 'a) {
        self.0.push(Box::new(step));
    }

    /// Takes everything back, the last first. What cannot be taken back is added to the error's
    /// details; DEL will be asked to remove it.
    pub fn run(self, mut error: Error) -> Error {
        for step in self.0.into_iter().rev() {
            if let Err(left) = step() {
                error = error.details(format!("could not be taken back: {left}"));
            }
        }
        error
    }
}
