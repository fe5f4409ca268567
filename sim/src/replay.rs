//! Replay: every call of a trace on a virtual host, one by one.
//!
//! Calls come at times drawn within their minute. A call goes to the warm instance of its function
//! that was used last, or to a new one, which takes a cold start; where memory is short, idle
//! instances go by greedy-dual, and calls queue in the order in which they came.
//!
//! Always true: an instance runs one call at a time; events happen in the order of time, and of
//! their numbers where that is equal; memory in use never passes the host's, where it has a limit.
//! Absent on purpose: processors, network, several hosts, and calls that fail.

mod arrivals;
mod function;
mod host;

use policy::warmth::Policy;

use crate::report::Report;
use crate::trace::Trace;

/// How long a start takes where nobody says otherwise: fetching, unpacking and starting code.
pub const COLD_MS: u64 = 1_000;

/// How a trace is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What arrivals and durations are drawn from.
    pub seed: u64,
    /// How long a start takes, in milliseconds.
    pub cold_ms: u64,
    /// Memory for instances, in KiB; `None` for as much as is wanted.
    pub memory_kib_max: Option<u64>,
}

impl Default for Settings {
    /// A seed, a start of the usual length, and memory enough.
    fn default() -> Self {
        Self { seed: 1, cold_ms: COLD_MS, memory_kib_max: None }
    }
}

/// Replays a trace under a policy.
pub fn replay(trace: &Trace, policy: Policy, settings: &Settings) -> Report {
    replay_watched(trace, policy, settings, |_| {})
}

/// Replays a trace, and tells after each minute of it how many are done.
pub fn replay_watched(
    trace: &Trace,
    policy: Policy,
    settings: &Settings,
    mut done: impl FnMut(usize),
) -> Report {
    let mut arrivals = arrivals::Arrivals::new(trace, settings.seed);
    let mut host = host::Host::new(trace, policy, settings);
    while let Some(minute) = arrivals.next_minute(trace) {
        for arrival in minute {
            host.arrive(*arrival);
        }
        done(arrivals.minutes());
    }
    host.finish(arrivals.end_ms())
}

#[cfg(test)]
mod tests;
