//! Reports: what a policy would have cost.
//!
//! Always true: exact counts; shares in parts per million, rounded down.
//! Absent on purpose: how long the simulation took, which is the caller's to measure.

/// What happened to the calls of a trace, and what idle instances took meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls.
    pub calls: u64,
    /// Those that no warm instance took.
    pub cold: u64,
    /// The 75th percentile over functions of the share of calls that were cold.
    pub cold_share_p75_ppm: u64,
    /// Memory of instances that waited for a call or were warmed ahead, in KiB times milliseconds.
    pub idle_kib_ms: u128,
    /// Time that calls waited, for a cold start or for memory.
    pub waited_ms: u64,
    /// Calls that found no memory and had to queue.
    pub queued: u64,
    /// Instances that went early, for want of memory.
    pub evicted: u64,
    /// Windows that were asked for.
    pub decisions: u64,
}

impl Report {
    /// The report of several functions, each of which has a report of its own.
    pub fn together<'a>(functions: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        let mut calls = Vec::new();
        for one in functions {
            all.calls += one.calls;
            all.cold += one.cold;
            all.idle_kib_ms += one.idle_kib_ms;
            all.waited_ms += one.waited_ms;
            all.queued += one.queued;
            all.evicted += one.evicted;
            all.decisions += one.decisions;
            calls.push(Calls { all: one.calls, cold: one.cold });
        }
        all.cold_share_p75_ppm = cold_share_p75_ppm(calls.into_iter());
        all
    }

    /// Idle memory in MiB times minutes, rounded down.
    pub fn idle_mib_minutes(&self) -> u64 {
        u64::try_from(self.idle_kib_ms / (1024 * 60_000)).unwrap_or(u64::MAX)
    }
}

/// Calls of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) all: u64,
    pub(crate) cold: u64,
}

/// The 75th percentile of the share of cold calls over functions that were called at all: the
/// least share that three quarters of them do not exceed.
pub(crate) fn cold_share_p75_ppm(functions: impl Iterator<Item = Calls>) -> u64 {
    let called = functions.filter(|calls| calls.all > 0);
    let mut shares: Vec<u64> = called.map(|calls| calls.cold * 1_000_000 / calls.all).collect();
    shares.sort_unstable();
    let rank = (shares.len() * 3).div_ceil(4);
    rank.checked_sub(1).map_or(0, |place| shares[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quarters_of_the_functions_have_no_larger_share() {
        let calls = |all, cold| Calls { all, cold };
        let called = [calls(4, 1), calls(2, 1), calls(10, 1), calls(1, 1), calls(0, 0)];
        assert_eq!(cold_share_p75_ppm(called.into_iter()), 500_000);
        assert_eq!(cold_share_p75_ppm(std::iter::empty()), 0);
    }
}
