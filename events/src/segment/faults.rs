//! Faults: places where a test has everything end, as a crash would there.
//!
//! Always true: outside tests they are passed. Absent on purpose: chance: a test walks all of them.

use std::path::Path;

use crate::error::Error;

/// Passes a place between two steps of the disk.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it may end here")]
pub(super) fn pass(_at: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
pub(super) use tests::pass;

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;

    thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Lets this thread pass so many places, and none behind them; all, where none is said.
    pub(in super::super) fn end_after(places: Option<u32>) {
        LEFT.set(places);
    }

    pub(in super::super) fn pass(at: &Path) -> Result<(), Error> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(Error::io("reach", at)(io::ErrorKind::Interrupted.into())),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
