//! The journal: what instances of functions wrote, and a line before and after each call, on its
//! way to control.
//!
//! Always true: a call never waits for its lines to be kept; lines of an instance are numbered from
//! 1, so that a repeated delivery adds nothing; lines that were not kept are counted, and told of.
//! Absent on purpose: where they are kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use api::internal::InstanceLogs;
use api::internal::functions::{Called, milliseconds};
use api::pages::LogLine;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use types::{InstanceId, RevisionId};

use crate::Agent;
use crate::retry::Pauses;

/// Lines that wait for control at one time.
const WAITING_MAX: usize = 10_000;
/// Lines of a host that are kept in a second: a call writes three, and more than some hundred calls
/// a second would have the database do nothing else.
const LINES_A_SECOND_MAX: u64 = 1_000;
/// Lines of an instance that are kept in a second beside those, whatever others write: those of some
/// calls, so that one that writes without end takes no neighbour's.
const LINES_OWN_MAX: u64 = 20;
/// Lines handed over in one call.
const LINES_MAX: usize = 500;
/// A little time in which lines gather, so that not each is a call.
const GATHER_MS: u64 = 50;
/// Tries to hand lines over while control is away, some minutes.
const TRIES_MAX: u32 = 60;

/// A line, and whose it is.
#[derive(Debug)]
struct Entry {
    revision: RevisionId,
    instance: InstanceId,
    line: LogLine,
}

/// Lines on their way to control.
#[derive(Debug)]
pub(crate) struct Journal {
    sender: mpsc::Sender<Entry>,
    /// Until somebody forwards them.
    receiver: Mutex<Option<mpsc::Receiver<Entry>>>,
    window: Mutex<Window>,
    dropped: AtomicU64,
}

/// Lines of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    second: u64,
    lines: u64,
}

impl Window {
    /// Whether this second has room for a line. Lines may be told of late: then they count as now.
    fn admit(&mut self, second: u64, lines_max: u64) -> bool {
        if self.second < second {
            *self = Self { second, lines: 0 };
        }
        let room = self.lines < lines_max;
        self.lines += u64::from(room);
        room
    }
}

impl Default for Journal {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let (window, dropped) = (Mutex::default(), AtomicU64::new(0));
        Self { sender, receiver: Mutex::new(Some(receiver)), window, dropped }
    }
}

/// The lines of one instance, numbered.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    /// None where nothing is kept.
    of: Option<(RevisionId, InstanceId)>,
    written: u64,
    /// What is kept of it whatever others write.
    own: Window,
}

impl Writer {
    pub(super) fn new(revision: RevisionId, instance: InstanceId) -> Self {
        Self { of: Some((revision, instance)), written: 0, own: Window::default() }
    }

    /// One whose lines are kept nowhere.
    pub(super) fn muted() -> Self {
        Self { of: None, written: 0, own: Window::default() }
    }

    /// Writes a line, where there is room; else it is not even made.
    pub(super) fn write(
        &mut self,
        journal: &Journal,
        (at_ms, source): (u64, &str),
        text: impl FnOnce() -> String,
    ) {
        let Some(of) = self.of else { return };
        if !self.own.admit(at_ms / 1_000, LINES_OWN_MAX) && !journal.admit(at_ms) {
            return;
        }
        let lost = journal.dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let told = format!("{lost} lines of this host were not kept: they came too fast");
            self.send(journal, of, (at_ms, "platform", "warning"), told);
        }
        self.send(journal, of, (at_ms, source, "info"), text());
    }

    fn send(
        &mut self,
        journal: &Journal,
        (revision, instance): (RevisionId, InstanceId),
        (at_ms, source, level): (u64, &str, &str),
        text: String,
    ) {
        self.written += 1;
        let line = LogLine {
            seq: self.written,
            at_ms,
            source: source.to_owned(),
            level: level.to_owned(),
            text,
        };
        let entry = Entry { revision, instance, line };
        if journal.sender.try_send(entry).is_err() {
            journal.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Journal {
    /// Whether this host has room for a line of anybody's in this second.
    fn admit(&self, now_ms: u64) -> bool {
        let room = self.window.lock().admit(now_ms / 1_000, LINES_A_SECOND_MAX);
        if !room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        room
    }
}

/// The line behind a call.
pub(super) fn report(id: &str, called: &Called, memory_mib: u64) -> String {
    let ms = milliseconds;
    let used_mib = called.memory_peak_bytes.div_ceil(1 << 20);
    let mut line = called.report(id);
    line += &format!("\tMemory Size: {memory_mib} MB\tMax Memory Used: {used_mib} MB");
    if let Some(start) = called.start {
        line += &format!("\tInit Duration: {}\tWait: {}", ms(start.init_us), ms(called.waited_us));
        for (name, us) in start.explained(called.waited_us) {
            let (first, rest) = name.split_at(1);
            line += &format!("\t{}{rest}: {}", first.to_uppercase(), ms(us));
        }
    }
    if let Some(error) = &called.error {
        line += &format!("\tError Type: {error}");
    }
    line
}

/// Hands lines over, until the tasks stop and all are handed over.
pub(crate) async fn forward(agent: Agent) {
    let Some(mut receiver) = agent.shared.functions.journal.receiver.lock().take() else { return };
    let stopping = agent.shared.tasks.stopping();
    loop {
        let first = tokio::select! {
            entry = receiver.recv() => entry,
            () = stopping.cancelled() => receiver.try_recv().ok(),
        };
        let Some(first) = first else { return };
        agent.shared.clock.sleep_ms(GATHER_MS).await;
        let mut batch: BTreeMap<(RevisionId, InstanceId), Vec<LogLine>> = BTreeMap::new();
        let mut count = 0;
        let mut next = Some(first);
        while let Some(Entry { revision, instance, line }) = next {
            batch.entry((revision, instance)).or_default().push(line);
            count += 1;
            next = if count < LINES_MAX { receiver.try_recv().ok() } else { None };
        }
        for ((revision, instance), lines) in batch {
            deliver(&agent, (revision, instance), &InstanceLogs { lines }).await;
        }
    }
}

async fn deliver(agent: &Agent, of: (RevisionId, InstanceId), logs: &InstanceLogs) {
    // Also while the agent stops: the last lines come then.
    let never = CancellationToken::new();
    let mut pauses = Pauses::new();
    for _ in 0..TRIES_MAX {
        match agent.shared.control.function_logs(of, logs).await {
            Ok(()) => return,
            Err(error) if error.is_transient() && !agent.shared.tasks.stopping().is_cancelled() => {
                pauses.wait(&agent.shared.clock, &never).await;
            }
            Err(error) => {
                let revision = of.0;
                tracing::debug!(%revision, %error, "control does not want these lines");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use api::internal::functions::StartTimes;

    use super::*;

    fn called(start: Option<StartTimes>) -> Called {
        Called {
            duration_us: 1_234,
            waited_us: 20_000,
            start,
            memory_peak_bytes: 40 << 20,
            ..Called::default()
        }
    }

    #[test]
    fn a_report_is_read_as_lambdas_is() {
        let id = "req-00000000000000000000000000000007";
        let warm = report(id, &called(None), 128);
        assert_eq!(
            warm,
            "REPORT RequestId: 00000000-0000-0000-0000-000000000007\tDuration: 1.23 ms\t\
             Billed Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB"
        );
        let start =
            StartTimes { code_us: 1_000, sandbox_us: 1_500, init_us: 17_000, dependencies_us: 0 };
        let cold = report(id, &called(Some(start)), 128);
        let told = "\tInit Duration: 17.00 ms\tWait: 20.00 ms\tAllocation: 1.50 ms\t\
                    Code: 1.00 ms\tDependencies: 0.00 ms\tScheduling: 0.50 ms\t\
                    Initialisation: 17.00 ms";
        assert!(cold.ends_with(told), "{cold}");
    }

    #[test]
    fn lines_beyond_what_is_kept_are_counted_and_told_of() {
        let journal = Journal::default();
        let mut writer =
            Writer::new(RevisionId::new(uuid::Uuid::nil()), InstanceId::new(uuid::Uuid::nil()));
        let kept = LINES_OWN_MAX + LINES_A_SECOND_MAX;
        for _ in 0..kept + 5 {
            writer.write(&journal, (1_000, "stdout"), || "a line".to_owned());
        }
        writer.write(&journal, (2_000, "stdout"), || "the next second".to_owned());
        let mut receiver = journal.receiver.lock().take().unwrap();
        let mut lines = Vec::new();
        while let Ok(entry) = receiver.try_recv() {
            lines.push(entry.line);
        }
        assert_eq!(lines.len() as u64, kept + 2);
        let told = &lines[lines.len() - 2];
        assert!(told.text.starts_with("5 lines of this host"), "{told:?}");
        let numbers: Vec<u64> = lines.iter().map(|line| line.seq).collect();
        assert!(numbers.iter().zip(1..).all(|(seq, wanted)| *seq == wanted));
    }

    #[test]
    fn who_writes_without_end_takes_no_neighbours_lines() {
        let journal = Journal::default();
        let of = |number| Writer::new(RevisionId::new(uuid::Uuid::nil()), InstanceId::new(number));
        let (mut loud, mut quiet) = (of(uuid::Uuid::nil()), of(uuid::Uuid::from_u128(1)));
        for second in 1..=3 {
            for at_ms in (0..2 * LINES_A_SECOND_MAX).map(|_| second * 1_000) {
                loud.write(&journal, (at_ms, "stdout"), || "loud".to_owned());
            }
            for _ in 0..LINES_OWN_MAX {
                quiet.write(&journal, (second * 1_000, "stdout"), || "quiet".to_owned());
            }
            // A line of the second before opens no new one.
            loud.write(&journal, ((second - 1) * 1_000, "stdout"), || "late".to_owned());
        }
        let mut receiver = journal.receiver.lock().take().unwrap();
        let mut kept = BTreeMap::new();
        while let Ok(entry) = receiver.try_recv() {
            *kept.entry(entry.line.text).or_insert(0) += 1;
        }
        assert_eq!(kept.get("quiet"), Some(&(3 * LINES_OWN_MAX)));
        assert_eq!(kept.get("loud"), Some(&(3 * (LINES_OWN_MAX + LINES_A_SECOND_MAX))));
        assert_eq!(kept.get("late"), None);
    }
}
