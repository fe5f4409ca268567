//! Broken: why there is no instance for a call, and what its caller and the function's owner are told.
//!
//! Always true: the call that an instance was made for is in the log, as any other: with what the
//! program wrote before it ended, why it did, and where the time went.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use api::internal::functions::near::Outcome;
use api::internal::functions::{Called, StartTimes};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use executor::runtime_api::Failure;
use types::FunctionRuntime;

use super::journal::{self, Journal};
use super::lines::Lines;

/// Why a package whose `bootstrap` is its program cannot be started, where that can be seen before;
/// else the fault would look like this host's. The type is Lambda's.
pub(super) fn entrypoint(runtime: FunctionRuntime, package: &Path) -> Option<Failure> {
    if !matches!(runtime, FunctionRuntime::Provided) {
        return None;
    }
    let message = match fs::metadata(package.join("bootstrap")) {
        Ok(found) if !found.is_file() => "bootstrap is not a file",
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            "bootstrap may not be executed: chmod +x bootstrap, and give the code again"
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            "there is no file bootstrap at the top of the code: the runtime provided starts it"
        }
        // What else there is, the start itself tells.
        Ok(_) | Err(_) => return None,
    };
    Some(Failure::new("Runtime.InvalidEntrypoint", message))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_be_started_is_its_owners_fault() {
        let folder = tempfile::tempdir().unwrap();
        let why = |runtime| {
            let failure = entrypoint(runtime, folder.path())?;
            assert_eq!(failure.kind, "Runtime.InvalidEntrypoint");
            Some(String::from_utf8(failure.payload.to_vec()).unwrap())
        };
        assert!(why(FunctionRuntime::Provided).unwrap().contains("there is no file bootstrap"));
        assert_eq!(why(FunctionRuntime::Python3), None);
        let program = folder.path().join("bootstrap");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(why(FunctionRuntime::Provided).unwrap().contains("chmod +x"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(why(FunctionRuntime::Provided), None);
        fs::remove_file(&program).unwrap();
        fs::create_dir(&program).unwrap();
        assert!(why(FunctionRuntime::Provided).unwrap().contains("not a file"));
    }
}
