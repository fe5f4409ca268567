//! The journal: what instances of functions wrote, and a line before and after each call, on its
//! way to control.
//!
//! Always true: a call never waits for its lines to be kept; lines of an instance are numbered from
//! 1, so that a repeated delivery adds nothing; lines that were not kept are counted, and told of.
//! Absent on purpose: where they are kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use api::internal::InstanceLogs;
use api::internal::functions::Called;
use api::pages::LogLine;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use types::{InstanceId, RequestId, RevisionId};

use crate::Agent;
use crate::retry::Pauses;

/// Lines that wait for control at one time.
const WAITING_MAX: usize = 10_000;
/// Lines of a host that are kept in a second: a call writes three, and more than some hundred calls
/// a second would have the database do nothing else.
const LINES_A_SECOND_MAX: u64 = 1_000;
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

#[derive(Debug, Default)]
struct Window {
    second: u64,
    lines: u64,
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
    revision: RevisionId,
    instance: InstanceId,
    written: u64,
}

impl Writer {
    pub(super) fn new(revision: RevisionId, instance: InstanceId) -> Self {
        Self { revision, instance, written: 0 }
    }

    /// Writes a line, where there is room.
    pub(super) fn write(&mut self, journal: &Journal, (at_ms, source): (u64, &str), text: String) {
        if !journal.admit(at_ms) {
            return;
        }
        let lost = journal.dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let told = format!("{lost} lines of this host were not kept: they came too fast");
            self.send(journal, (at_ms, "platform", "warning"), told);
        }
        self.send(journal, (at_ms, source, "info"), text);
    }

    fn send(&mut self, journal: &Journal, (at_ms, source, level): (u64, &str, &str), text: String) {
        self.written += 1;
        let line = LogLine {
            seq: self.written,
            at_ms,
            source: source.to_owned(),
            level: level.to_owned(),
            text,
        };
        let entry = Entry { revision: self.revision, instance: self.instance, line };
        if journal.sender.try_send(entry).is_err() {
            journal.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Journal {
    /// Whether this second has room for a line.
    fn admit(&self, now_ms: u64) -> bool {
        let mut window = self.window.lock();
        let second = now_ms / 1_000;
        if window.second != second {
            *window = Window { second, lines: 0 };
        }
        window.lines += 1;
        let room = window.lines <= LINES_A_SECOND_MAX;
        if !room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        room
    }
}

/// A call's id as Lambda's users look for it in logs.
pub(super) fn shown(id: &str) -> String {
    id.parse::<RequestId>().map_or_else(|_| id.to_owned(), |id| id.uuid().to_string())
}

/// The line behind a call. Source of its beginning: Lambda's `REPORT` line.
pub(super) fn report(id: &str, called: &Called, memory_mib: u64) -> String {
    let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
    let billed_ms = called.duration_us.div_ceil(1_000);
    let used_mib = called.memory_peak_bytes.div_ceil(1 << 20);
    let mut line = format!(
        "REPORT RequestId: {}\tDuration: {}\tBilled Duration: {billed_ms} ms\t\
         Memory Size: {memory_mib} MB\tMax Memory Used: {used_mib} MB",
        shown(id),
        ms(called.duration_us),
    );
    if let Some(start) = called.start {
        let parts = [
            ("Init Duration", start.init_us),
            ("Wait", called.waited_us),
            ("Code", start.code_us),
            ("Sandbox", start.sandbox_us),
        ];
        for (name, us) in parts {
            line += &format!("\t{name}: {}", ms(us));
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
        let start = StartTimes { code_us: 1_000, sandbox_us: 2_000, init_us: 17_000 };
        let cold = report(id, &called(Some(start)), 128);
        let told = "\tInit Duration: 17.00 ms\tWait: 20.00 ms\tCode: 1.00 ms\tSandbox: 2.00 ms";
        assert!(cold.ends_with(told), "{cold}");
    }

    #[test]
    fn lines_beyond_what_is_kept_are_counted_and_told_of() {
        let journal = Journal::default();
        let mut writer =
            Writer::new(RevisionId::new(uuid::Uuid::nil()), InstanceId::new(uuid::Uuid::nil()));
        for _ in 0..LINES_A_SECOND_MAX + 5 {
            writer.write(&journal, (1_000, "stdout"), "a line".to_owned());
        }
        writer.write(&journal, (2_000, "stdout"), "the next second".to_owned());
        let mut receiver = journal.receiver.lock().take().unwrap();
        let mut lines = Vec::new();
        while let Ok(entry) = receiver.try_recv() {
            lines.push(entry.line);
        }
        assert_eq!(lines.len() as u64, LINES_A_SECOND_MAX + 2);
        let told = &lines[lines.len() - 2];
        assert!(told.text.starts_with("5 lines of this host"), "{told:?}");
        let numbers: Vec<u64> = lines.iter().map(|line| line.seq).collect();
        assert!(numbers.iter().zip(1..).all(|(seq, wanted)| *seq == wanted));
    }
}
