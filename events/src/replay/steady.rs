//! The steady clock of a run, in nanoseconds, and waiting by it.
//!
//! Always true: it never goes back, and does not follow when the machine's calendar is set; a wait is
//! for a moment, not for a length, so that waits do not add up their errors.
//! Absent on purpose: the calendar; a run notes once where the two stand.

use std::num::NonZeroU64;

use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};

const SECOND_NS: u64 = 1_000_000_000;

/// The steady clock, from some moment before the program began.
pub(super) fn now_ns() -> u64 {
    ns(clock_gettime(ClockId::Monotonic))
}

/// The processors' time that this thread has used.
pub(super) fn thread_cpu_ns() -> u64 {
    ns(clock_gettime(ClockId::ThreadCPUTime))
}

/// Asks the kernel to wake this thread when it says, and not up to 50 µs later.
pub(super) fn wake_in_time() {
    // Where it refuses, what is late is measured as late.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

/// Sleeps until the clock says so, or a signal comes.
pub(super) fn sleep_until(until_ns: u64) {
    let request = timespec(until_ns);
    let _ = clock_nanosleep_absolute(ClockId::Monotonic, &request);
}

pub(super) fn timespec(ns: u64) -> Timespec {
    let part = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Timespec { tv_sec: part(ns / SECOND_NS), tv_nsec: part(ns % SECOND_NS) }
}

fn ns(time: Timespec) -> u64 {
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * SECOND_NS + part(time.tv_nsec)
}
