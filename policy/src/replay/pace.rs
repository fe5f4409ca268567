//! Pace: whether a send waits, goes, or is left out, as the clock stands.
//!
//! Deadlines are those of the schedule, never moved: a send that is late is sent late or left out,
//! and both are counted, so that no pause of the sender is taken for a quick answer.
//!
//! Always true: what is due is sent or counted. Absent on purpose: clocks, waiting.

/// A send is in time up to so many nanoseconds after it is due: no machine is more exact.
pub const ON_TIME_NS: u64 = 1_000_000;

/// What becomes of sends that are late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// They are sent at once, however late.
    Burst,
    /// They are sent at once while they are no later than this; else they are left out.
    Window {
        /// How late, in nanoseconds.
        late_ns: u64,
    },
    /// They are left out: what is sent is sent in time, within [`ON_TIME_NS`].
    Skip,
}

impl CatchUp {
    /// How late a send may be, in nanoseconds.
    fn late_ns_max(self) -> u64 {
        match self {
            Self::Burst => u64::MAX,
            Self::Window { late_ns } => late_ns,
            Self::Skip => ON_TIME_NS,
        }
    }
}

/// What to do with the next send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is not due yet.
    Wait {
        /// For so many nanoseconds.
        for_ns: u64,
    },
    /// It goes.
    Send {
        /// So many nanoseconds after it was due.
        late_ns: u64,
    },
    /// It is left out.
    Skip {
        /// So many nanoseconds after it was due.
        late_ns: u64,
    },
}

/// Says what to do with a send that is due at `due_ns`, by the same clock as `now_ns`.
pub fn decide(now_ns: u64, due_ns: u64, catch_up: CatchUp) -> Step {
    match now_ns.checked_sub(due_ns) {
        None => Step::Wait { for_ns: due_ns - now_ns },
        Some(late_ns) if late_ns <= catch_up.late_ns_max() => Step::Send { late_ns },
        Some(late_ns) => Step::Skip { late_ns },
    }
}

/// What sends came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They went.
    pub sent: u64,
    /// Of them, those that went more than [`ON_TIME_NS`] late.
    pub late: u64,
    /// They were left out.
    pub skipped: u64,
}

impl Counts {
    /// Counts what was done.
    pub fn count(&mut self, step: Step) {
        match step {
            Step::Wait { .. } => {}
            Step::Send { late_ns } => {
                self.sent += 1;
                self.late += u64::from(late_ns > ON_TIME_NS);
            }
            Step::Skip { .. } => self.skipped += 1,
        }
    }
}

#[cfg(test)]
mod tests;
