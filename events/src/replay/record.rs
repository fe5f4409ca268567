//! Records: what became of each send, one by one.
//!
//! Always true: a send to a variant has one record, whatever became of it; times are nanoseconds
//! since 1970 by a clock that is steady within a leg of the run.
//! Absent on purpose: sums ([`super::cells`]), files ([`super::files`]).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered, with a status below 400.
    Ok,
    /// It was refused by a status from 400.
    ClientError,
    /// It failed by a status from 500.
    ServerError,
    /// Its answer was not whole in time.
    Timeout,
    /// There was no connection.
    Refused,
    /// The connection ended before the answer was whole.
    Reset,
    /// What came was no answer.
    Invalid,
    /// It was not sent, since too many were under way.
    Dropped,
    /// It was not sent, since it was late.
    Skipped,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::ClientError,
        Self::ServerError,
        Self::Timeout,
        Self::Refused,
        Self::Reset,
        Self::Invalid,
        Self::Dropped,
        Self::Skipped,
    ];

    /// That of an answer's status.
    pub fn of_status(status: u16) -> Self {
        match status {
            0..400 => Self::Ok,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Invalid => "invalid",
            Self::Dropped => "dropped",
            Self::Skipped => "skipped",
        }
    }

    /// What a word is for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }

    /// Whether an answer came, of whatever status.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Ok | Self::ClientError | Self::ServerError)
    }

    /// Whether it was sent.
    pub fn is_sent(self) -> bool {
        !matches!(self, Self::Dropped | Self::Skipped)
    }
}

/// What an answer tells of what it took, each as far as whoever ran it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// How long it waited for an instance or a batch, in microseconds.
    pub queue_us: Option<u64>,
    /// How long the start of the instance took that it had to wait for, in microseconds; none where
    /// one was there.
    pub start_us: Option<u64>,
    /// Time of processors, in microseconds.
    pub cpu_us: Option<u64>,
    /// The most memory of its instance so far, in bytes.
    pub memory_bytes: Option<u64>,
}

impl Took {
    /// Reads it: `queue=120, start=3000, cpu=900, memory=41943040`, in any order; whatever else there
    /// is, or is no number, says nothing.
    pub fn read(text: &str) -> Self {
        let mut took = Self::default();
        for part in text.split(',') {
            let Some((name, value)) = part.trim().split_once('=') else { continue };
            let field = match name {
                "queue" => &mut took.queue_us,
                "start" => &mut took.start_us,
                "cpu" => &mut took.cpu_us,
                "memory" => &mut took.memory_bytes,
                _ => continue,
            };
            *field = value.parse().ok();
        }
        took
    }
}

impl fmt::Display for Took {
    /// As [`Took::read`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("queue", self.queue_us),
            ("start", self.start_us),
            ("cpu", self.cpu_us),
            ("memory", self.memory_bytes),
        ];
        let known = all.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        for (at, (name, value)) in known.enumerate() {
            let between = if at == 0 { "" } else { ", " };
            write!(f, "{between}{name}={value}")?;
        }
        Ok(())
    }
}

/// What became of a send to a variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The send's place in the schedule, from 0.
    pub number: u64,
    /// The event's number in its stream.
    pub sequence: u64,
    /// Which copy of the event it is: 0 is the only one that is evidence.
    pub copy: u64,
    /// The variant's place.
    pub variant: u16,
    /// The event's stratum.
    pub stratum: u32,
    /// The event's region.
    pub region: Arc<str>,
    /// The event's group.
    pub group: Arc<str>,
    /// When the event happened, where that is known.
    pub happened_ns: Option<u64>,
    /// When it was intended, from the start of the run.
    pub offset_ns: u64,
    /// When it was intended.
    pub intended_ns: u64,
    /// When it was sent, if it was.
    pub sent_ns: Option<u64>,
    /// When the first byte of its answer came.
    pub first_ns: Option<u64>,
    /// When that became of it: its answer was whole, or it was given up.
    pub done_ns: u64,
    /// How long the service says that it took, in microseconds.
    pub service_us: Option<u64>,
    /// What else its answer tells that it took.
    pub took: Took,
    /// The status of its answer.
    pub status: Option<u16>,
    /// What became of it.
    pub outcome: Outcome,
    /// Bytes of the request.
    pub bytes_out: u64,
    /// Bytes of the answer.
    pub bytes_in: u64,
    /// CRC-32 of what was kept of the answer's body, to compare variants by.
    pub answer_crc: Option<u32>,
    /// What the answer predicts, as a number.
    pub score: Option<f64>,
    /// What the answer predicts, as a word.
    pub class: Option<Arc<str>>,
    /// What was right.
    pub label: Option<Arc<str>>,
    /// Whether what it predicts was right, of an event with a label; what is not predicted was not.
    pub right: Option<bool>,
}

impl Record {
    /// How much too late it was sent: the sender's own doing.
    pub fn lag_ns(&self) -> Option<u64> {
        self.sent_ns.map(|sent_ns| sent_ns.saturating_sub(self.intended_ns))
    }

    /// From when it was intended until its answer was whole: what whoever asks at that time feels.
    pub fn response_ns(&self) -> Option<u64> {
        self.sent_ns.map(|_| self.done_ns.saturating_sub(self.intended_ns))
    }

    /// From when it was sent until that became of it.
    pub fn latency_ns(&self) -> Option<u64> {
        self.sent_ns.map(|sent_ns| self.done_ns.saturating_sub(sent_ns))
    }

    /// What of its latency the service does not account for.
    pub fn overhead_ns(&self) -> Option<u64> {
        let service_ns = self.service_us?.saturating_mul(1_000);
        self.latency_ns().map(|latency_ns| latency_ns.saturating_sub(service_ns))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// A record of an answer, or of none, in this second of a run.
    pub(crate) fn record(second: u64, outcome: Outcome) -> Record {
        let intended_ns = 1_700_000_000 * SECOND_NS + second * SECOND_NS;
        Record {
            number: second,
            sequence: second + 10,
            copy: 0,
            variant: 0,
            stratum: 3,
            region: "eu".into(),
            group: "".into(),
            happened_ns: None,
            offset_ns: second * SECOND_NS,
            intended_ns,
            sent_ns: outcome.is_sent().then_some(intended_ns + 20),
            first_ns: outcome.is_answered().then_some(intended_ns + 700),
            done_ns: intended_ns + 900,
            service_us: None,
            took: Took::default(),
            status: outcome.is_answered().then_some(200),
            outcome,
            bytes_out: 100,
            bytes_in: 50,
            answer_crc: None,
            score: None,
            class: None,
            label: None,
            right: None,
        }
    }

    #[test]
    fn what_an_answer_took_is_read_as_it_is_written() {
        let all = [None, Some(0), Some(u64::MAX)];
        for (at, queue_us) in all.into_iter().enumerate() {
            let took = Took { queue_us, cpu_us: all[2 - at], start_us: Some(7), ..Took::default() };
            assert_eq!(Took::read(&took.to_string()), took);
        }
        let took = Took { memory_bytes: Some(5), queue_us: Some(1), ..Took::default() };
        assert_eq!(took.to_string(), "queue=1, memory=5");
        assert_eq!(Took::read("memory=5,queue=1, cpu=-1, other=3, start"), took);
        assert_eq!((Took::read(""), Took::default().to_string().as_str()), (Took::default(), ""));
    }

    #[test]
    fn words_of_outcomes_lead_back() {
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(Outcome::of_word(outcome.word()), Some(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
            assert_eq!(outcome as usize, at);
            assert!(outcome.is_sent() || !outcome.is_answered());
        }
    }

    #[test]
    fn times_are_told_apart() {
        let mut record = record(1, Outcome::Ok);
        record.service_us = Some(0);
        assert_eq!((record.lag_ns(), record.latency_ns()), (Some(20), Some(880)));
        assert_eq!((record.response_ns(), record.overhead_ns()), (Some(900), Some(880)));
        let skipped = self::record(1, Outcome::Skipped);
        assert_eq!(
            (skipped.lag_ns(), skipped.response_ns(), skipped.overhead_ns()),
            (None, None, None)
        );
    }
}
