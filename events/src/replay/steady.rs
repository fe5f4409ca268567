//! The steady clock of a run, in nanoseconds, and waiting by it.
//!
//! Always true: it never goes back, and does not follow when the machine's calendar is set; a wait is
//! for a moment, not for a length, so that waits do not add up their errors.
//! Absent on purpose: the calendar; a run notes once where the two stand.

use std::num::NonZeroU64;

use nix::libc;
use rustix::process::getpriority_process;
use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};

const SECOND_NS: u64 = 1_000_000_000;
/// The time that a thread runs which is not to wait for others: the least that Linux takes. One that
/// wakes runs at once where its turn is shorter than that of who runs (since Linux 6.12).
const TURN_NS: u64 = 100_000;
/// By how much threads that work ahead or afterwards are nicer: each has a ninth of the weight, so that
/// a thread that sends half of the time is not over its share. What waits for them is bounded, and
/// counted where it holds anything up.
const NICER: i32 = 10;
const NICE_MAX: i32 = 19;

/// The steady clock, from some moment before the program began.
pub(super) fn now_ns() -> u64 {
    ns(clock_gettime(ClockId::Monotonic))
}

/// The processors' time that this thread has used.
pub(super) fn thread_cpu_ns() -> u64 {
    ns(clock_gettime(ClockId::ThreadCPUTime))
}

/// Has this thread wake when it says, and not up to 50 µs later, and run as soon as it wakes, before
/// others of this program that run for longer.
pub(super) fn run_in_time() {
    // Where it refuses, what is late is measured as late.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    schedule(TURN_NS, 0);
}

/// Has this thread stand back behind those whose delays are measured.
pub(super) fn stand_back() {
    schedule(0, NICER);
}

/// Asks for turns of this length, 0 for the usual one, and to be so much nicer.
#[expect(unsafe_code, reason = "sched_setattr has no safe form among our dependencies")]
fn schedule(turn_ns: u64, nicer: i32) {
    // Where anything is refused, what is late by it is measured as late.
    let Ok(nice) = getpriority_process(None) else { return };
    let attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0),
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: (nice + nicer).min(NICE_MAX),
        sched_priority: 0,
        sched_runtime: turn_ns,
        sched_deadline: 0,
        sched_period: 0,
    };
    let (thread, flags) = (0, 0);
    // SAFETY: the kernel reads as many bytes as `attributes` says that it has, and 0 is this thread.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, flags) };
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
