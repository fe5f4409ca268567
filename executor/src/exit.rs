//! How an instance ended.
//!
//! Always true: an exit tells either a code or a signal, unless the sandbox was lost before it
//! could say.

use serde::{Deserialize, Serialize};

/// The end of an instance, and what it used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// The program's exit code.
    pub code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// Whether it ended because it wanted more memory than its limit.
    pub oom: bool,
    /// Processor time of all its processes, in microseconds.
    pub cpu_us: u64,
    /// Largest resident memory seen, in bytes.
    pub memory_peak_bytes: u64,
    /// Why it ended.
    pub ending: Ending,
    /// The same in one sentence, for people.
    pub reason: String,
    /// The text of a job's `/opt/ml/output/failure`, cut to [`FAILURE_BYTES_MAX`].
    pub failure: Option<String>,
}

/// Most bytes of a failure text that are kept; enough for a traceback's end.
pub const FAILURE_BYTES_MAX: usize = 4_096;

impl Exit {
    /// Whether the program ended by itself with code 0.
    pub fn is_success(&self) -> bool {
        self.ending == Ending::Exited && self.code == Some(0)
    }
}

/// Why an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The program ended by itself, or by its own signal.
    Exited,
    /// Someone asked for its end.
    Killed,
    /// It wanted more memory than its limit.
    OutOfMemory,
    /// It ran for longer than its limit.
    TimedOut,
    /// It wrote more than its limit.
    OutOfScratch,
    /// It had more processes than its limit, where only watching holds that limit.
    TooManyProcesses,
    /// The sandbox itself died; nothing is known about the program.
    Lost,
}

/// What the sandbox tells about itself, one JSON object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// It waits to be claimed.
    Parked,
    /// The first process of the instance, by its number on this host; and the program's, where it
    /// is not one of the first's descendants.
    First { pid: i32, forked: Option<i32> },
    /// The program ended.
    Ended { code: Option<i32>, signal: Option<i32> },
    /// What all processes used.
    Used { cpu_us: u64, rss_peak_bytes: u64 },
}

/// What was learnt until the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The program's end, where the sandbox told it.
    pub(crate) ended: Option<(Option<i32>, Option<i32>)>,
    pub(crate) cpu_us: u64,
    pub(crate) memory_peak_bytes: u64,
    /// Why we ended it, where we did.
    pub(crate) forced: Option<Ending>,
    /// Whether the kernel killed for memory.
    pub(crate) oom_killed: bool,
}

/// The exit that these observations mean.
pub(crate) fn conclude(seen: Observed, failure: Option<String>) -> Exit {
    let ending = match (seen.forced, seen.ended) {
        (Some(forced), _) => forced,
        (None, _) if seen.oom_killed => Ending::OutOfMemory,
        (None, Some(_)) => Ending::Exited,
        (None, None) => Ending::Lost,
    };
    let (code, signal) = seen.ended.unwrap_or_default();
    let reason = match (ending, code, signal) {
        (Ending::Exited, Some(code), _) => format!("ended with code {code}"),
        (Ending::Exited, None, Some(signal)) => format!("ended by signal {signal}"),
        (Ending::Exited, None, None) => "ended".to_owned(),
        (Ending::Killed, ..) => "was stopped".to_owned(),
        (Ending::OutOfMemory, ..) => "wanted more memory than its limit".to_owned(),
        (Ending::TimedOut, ..) => "ran for longer than its limit".to_owned(),
        (Ending::OutOfScratch, ..) => "wrote more than its limit".to_owned(),
        (Ending::TooManyProcesses, ..) => "had more processes than its limit".to_owned(),
        (Ending::Lost, ..) => "the sandbox ended without a report".to_owned(),
    };
    Exit {
        code,
        signal,
        oom: ending == Ending::OutOfMemory,
        cpu_us: seen.cpu_us,
        memory_peak_bytes: seen.memory_peak_bytes,
        ending,
        reason,
        failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_did_outranks_what_the_program_says() {
        let ended = Some((None, Some(9)));
        let seen = Observed { ended, forced: Some(Ending::TimedOut), ..Observed::default() };
        assert_eq!(conclude(seen, None).ending, Ending::TimedOut);
        let seen = Observed { ended, oom_killed: true, ..Observed::default() };
        assert!(conclude(seen, None).oom);
        assert_eq!(conclude(Observed::default(), None).ending, Ending::Lost);
        let seen = Observed { ended: Some((Some(0), None)), ..Observed::default() };
        assert!(conclude(seen, None).is_success());
    }
}
