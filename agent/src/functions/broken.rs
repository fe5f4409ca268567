//! Broken: why there is no instance for a call, and what its caller and the function's owner are told.
//!
//! Always true: the call that an instance was made for is in the log, as any other: with what the
//! program wrote before it ended, why it did, and where the time went.

use api::internal::functions::near::Outcome;
use api::internal::functions::{Called, StartTimes};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use executor::runtime_api::Failure;

use super::journal::{self, Journal};
use super::lines::Lines;

/// What became of an instance that has not begun.
#[derive(Debug)]
pub(crate) struct Broken {
    kind: String,
    payload: Bytes,
    start: StartTimes,
    /// What it has used, in bytes; 0 of one that was never made.
    memory_peak_bytes: u64,
    lines: Box<Lines>,
}

/// The call that is told of it.
#[derive(Debug)]
pub(super) struct Unrun<'a> {
    pub(super) id: &'a str,
    /// Whether its caller wants the end of its lines.
    pub(super) log_tail: bool,
    pub(super) waited_us: u64,
    /// For how long what was to run had been replaced, where it is the call's fallback.
    pub(super) stale_ms: Option<u64>,
    /// What its instance would have had.
    pub(super) memory_mib: u64,
    pub(super) now_ms: u64,
}

impl Broken {
    /// One that took so long, and has left these lines.
    pub(super) fn new(failure: Failure, start: StartTimes, lines: Lines) -> Self {
        let Failure { kind, payload } = failure;
        Self { kind, payload, start, memory_peak_bytes: 0, lines: Box::new(lines) }
    }

    /// The same, where it has used so much.
    pub(super) fn having_used(self, memory_peak_bytes: u64) -> Self {
        Self { memory_peak_bytes, ..self }
    }

    /// In words, for the function's owner.
    pub(super) fn told(&self) -> String {
        let said: serde_json::Value = serde_json::from_slice(&self.payload).unwrap_or_default();
        match said["errorMessage"].as_str() {
            Some(message) => format!("{}: {message}", self.kind),
            None => self.kind.clone(),
        }
    }

    /// What the call that it was made for is told; its log is written.
    pub(super) fn outcome(mut self, journal: &Journal, call: &Unrun<'_>) -> Outcome {
        let told = self.told();
        let mut called = Called {
            error: Some(self.kind),
            waited_us: call.waited_us,
            stale_ms: call.stale_ms,
            start: Some(self.start),
            memory_peak_bytes: self.memory_peak_bytes,
            ..Called::default()
        };
        let began_ms = call.now_ms.saturating_sub(call.waited_us / 1_000);
        self.lines.begin((call.id, began_ms), call.log_tail);
        self.lines.tell(journal, call.now_ms, &told);
        let report = || journal::report(call.id, &called, call.memory_mib);
        let tail = self.lines.end(journal, (call.id, call.now_ms), report);
        called.log_tail = tail.map(|tail| BASE64_STANDARD.encode(tail));
        Outcome { called, payload: self.payload }
    }
}
