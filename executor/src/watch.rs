//! Watching one instance: memory, scratch and processes, and its share of the processors where
//! the kernel does not hold it.
//!
//! What to do is decided by plain functions of what was seen; only [`Watch::look`] touches the
//! machine.
//! Always true: where the kernel holds a limit, watching only counts.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use types::Limits;

use crate::cgroup::Group;
use crate::exit::Ending;
use crate::instance::Instance;
use crate::tree;

/// How often to look, in milliseconds: a program that fills memory as fast as it can takes some
/// hundred mebibytes in this time, which the resource limit catches.
const PERIOD_MS: u64 = 50;
/// The same where the kernel holds every limit but that of the scratch folders: looks cost little
/// then, and many instances are looked at.
const PERIOD_HELD_MS: u64 = 250;
/// How far ahead of its share an instance may run before it is stopped, in microseconds.
const CREDIT_US_MAX: i64 = 100_000;
/// Every how many looks the scratch folders are counted; that walks through them.
const SCRATCH_EVERY: u64 = 5;

/// What was seen so far; shared with those who ask.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) cpu_us: AtomicU64,
    pub(crate) memory_bytes: AtomicU64,
    pub(crate) memory_peak_bytes: AtomicU64,
    pub(crate) processes: AtomicU64,
    /// The first process, by its number on this host; 0 before it is known.
    pub(crate) first: AtomicI32,
    /// The program's, where it is not one of the first's descendants; else 0.
    pub(crate) forked: AtomicI32,
    /// Whether its processes are stopped because nobody needs them. Held by whoever stops them or
    /// lets them go on, so that a look that is under way does not undo what another does.
    pub(crate) frozen: Mutex<bool>,
}

impl Seen {
    /// All processes of the instance, its own first one first; none before that is known.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let known =
            |number: &AtomicI32| Some(number.load(Ordering::Relaxed)).filter(|pid| *pid > 0);
        known(&self.first).map_or_else(Vec::new, |first| tree::instance(first, known(&self.forked)))
    }
}

/// Watches one instance.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    instance: &'a Instance,
    /// As of this look, with what the sandbox needs; they may be changed.
    limits: Limits,
    seen: &'a Seen,
    share: Share,
    looks: u64,
    stopped: bool,
    /// Whether the kernel limits processes by itself.
    processes_held: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(instance: &'a Instance, processes_held: bool) -> Self {
        Self {
            instance,
            limits: instance.held_limits(),
            seen: &instance.seen,
            share: Share::default(),
            looks: 0,
            stopped: false,
            processes_held,
        }
    }

    /// How long to wait before the next look, in milliseconds.
    pub(crate) fn period_ms(&self) -> u64 {
        if self.held().is_some() { PERIOD_HELD_MS } else { PERIOD_MS }
    }

    /// The group, where the kernel holds its memory, processes and share of the processors.
    fn held(&self) -> Option<&'a Group> {
        Some(&*self.instance.group).filter(|group| group.limits_all())
    }

    /// Looks once; says why the instance must end, if it must.
    pub(crate) fn look(&mut self, now_us: u64) -> Option<Ending> {
        // Nothing changes meanwhile, and nobody else may let it go on.
        let seen = self.seen;
        let frozen = seen.frozen.lock();
        if *frozen {
            return None;
        }
        self.limits = self.instance.held_limits();
        match self.held() {
            Some(group) => self.look_at_group(group),
            None => self.look_at_processes(now_us),
        }
    }

    fn look_at_group(&mut self, group: &Group) -> Option<Ending> {
        let seen = self.seen;
        seen.processes.store(group.tasks().unwrap_or(0), Ordering::Relaxed);
        seen.cpu_us.fetch_max(group.cpu_us().unwrap_or(0), Ordering::Relaxed);
        let bytes = group.memory_bytes().unwrap_or(0);
        seen.memory_bytes.store(bytes, Ordering::Relaxed);
        seen.memory_peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        // The kernel ends one process and lets the others go on; an instance is whole or not.
        if bytes > self.limits.memory_bytes || group.oom_kills().unwrap_or(0) > 0 {
            return Some(Ending::OutOfMemory);
        }
        self.scratch()
    }

    fn scratch(&self) -> Option<Ending> {
        let full = self.instance.folders.written_bytes() > self.limits.scratch_bytes;
        full.then_some(Ending::OutOfScratch)
    }

    fn look_at_processes(&mut self, now_us: u64) -> Option<Ending> {
        let pids = self.seen.processes();
        self.looks += 1;
        let threads = tree::threads(&pids);
        self.seen.processes.store(threads, Ordering::Relaxed);
        let cpu_us = self.instance.group.cpu_us().unwrap_or_else(|| tree::cpu_us(&pids));
        let cpu_us = self.seen.cpu_us.fetch_max(cpu_us, Ordering::Relaxed).max(cpu_us);
        if !self.instance.group.limits_cpu() {
            self.hold_share(&pids, cpu_us, now_us);
        }
        // The kernel ends one process and lets the others go on; an instance is whole or not.
        let killed = self.instance.group.oom_kills().unwrap_or(0) > 0;
        if self.memory(&pids) > self.limits.memory_bytes || killed {
            return Some(Ending::OutOfMemory);
        }
        // The first process is the sandbox's own.
        if !self.processes_held && threads > u64::from(self.limits.processes) + 1 {
            return Some(Ending::TooManyProcesses);
        }
        if self.looks.is_multiple_of(SCRATCH_EVERY) { self.scratch() } else { None }
    }

    /// Memory now, and the largest seen.
    fn memory(&self, pids: &[i32]) -> u64 {
        let resident = tree::resident_bytes(pids);
        let mut bytes = resident;
        if bytes > self.limits.memory_bytes {
            // Files of the page cache and pages shared by processes are counted too often here;
            // ask better before ending anything.
            let exact = self.instance.group.memory_bytes();
            bytes = exact.unwrap_or_else(|| tree::proportional_bytes(pids));
        }
        self.seen.memory_bytes.store(bytes, Ordering::Relaxed);
        self.seen.memory_peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }

    fn hold_share(&mut self, pids: &[i32], cpu_us: u64, now_us: u64) {
        let stop = self.share.after(cpu_us, now_us, self.limits.cpu_milli);
        if stop == self.stopped && !stop {
            return;
        }
        self.stopped = stop;
        let signal = if stop { Signal::SIGSTOP } else { Signal::SIGCONT };
        // Not the first process: it only waits, and must reap.
        for &pid in pids.iter().skip(1) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// How far an instance is ahead of its share of the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    last: Option<(u64, u64)>,
    /// Processor time left to it, in microseconds; below zero it must wait.
    credit_us: i64,
}

impl Share {
    /// Books what was used and earned since the last time; says whether to stop.
    fn after(&mut self, cpu_us: u64, now_us: u64, cpu_milli: u32) -> bool {
        if let Some((last_cpu_us, last_us)) = self.last {
            let passed_us = now_us.saturating_sub(last_us);
            let earned_us = passed_us.saturating_mul(u64::from(cpu_milli)) / 1_000;
            let used_us = cpu_us.saturating_sub(last_cpu_us);
            let whole = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
            let credit_us = self.credit_us.saturating_add(whole(earned_us));
            self.credit_us = credit_us.saturating_sub(whole(used_us)).min(CREDIT_US_MAX);
        }
        self.last = Some((cpu_us, now_us));
        self.credit_us < 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever runs only while not stopped gets its share, and one look more at most.
        #[test]
        fn a_share_is_held_in_the_long_run(cpu_milli in 10..1_000_u32, looks in 50..500_u64) {
            let mut share = Share::default();
            let (mut cpu_us, mut now_us, mut stop) = (0, 0, false);
            for _ in 0..looks {
                now_us += PERIOD_MS * 1_000;
                if !stop {
                    cpu_us += PERIOD_MS * 1_000;
                }
                stop = share.after(cpu_us, now_us, cpu_milli);
            }
            let fair_us = now_us * u64::from(cpu_milli) / 1_000;
            let slack_us = CREDIT_US_MAX.unsigned_abs() + 3 * PERIOD_MS * 1_000;
            prop_assert!(cpu_us <= fair_us + slack_us, "{cpu_us} > {fair_us}");
            prop_assert!(cpu_us + slack_us >= fair_us, "{cpu_us} < {fair_us}");
        }
    }
}
