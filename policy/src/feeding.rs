//! Feeding: events of a stream, given to a function batch by batch, in order.
//!
//! A batch is worked from its front: what the function took is done, and what it failed comes again
//! after a pause, whole, halved, or from the event on that it named, until it is given up. What is
//! too large for a call is halved at once.
//!
//! Always true: a call begins with the first event that is not done; every event is taken by the
//! function or given up, once; what never reached the function is no try, but its age counts.
//! Absent on purpose: clocks, events, where cursors are kept and who is told of what was given up.

use std::ops::Range;

use crate::backoff;

/// Most events of a batch. Source: Lambda's `BatchSize` for streams, as the next ones.
pub const BATCH_MAX: u32 = 10_000;
/// Events of a batch where nothing is said.
pub const BATCH: u32 = 100;
/// Longest wait for a batch to become full, in milliseconds.
pub const WINDOW_MS_MAX: u64 = 300_000;
/// Most retries that can be asked for; more is for ever.
pub const RETRIES_MAX: u32 = 10_000;
/// Youngest and oldest age at which events may be given up, in milliseconds: a minute and a week.
pub const AGE_MS_MIN: u64 = 60_000;
pub const AGE_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// The shortest pause before what failed comes again, in milliseconds; it doubles with each failure.
pub const PAUSE_MS_MIN: u64 = 500;
/// The longest such pause, in milliseconds.
pub const PAUSE_MS_MAX: u64 = 60_000;

/// How events are given to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    batch: u32,
    window_ms: u64,
    bisect: bool,
    retries: Option<u32>,
    age_ms: Option<u64>,
}

/// Settings that are out of their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A batch of nothing, or too large.
    #[error("a batch of {batch} events: ask for 1 to {BATCH_MAX}")]
    Batch {
        /// What was asked for.
        batch: u32,
    },
    /// A wait that is too long.
    #[error("a batch waits for {window_ms} ms: ask for 0 to {WINDOW_MS_MAX} ms")]
    Window {
        /// What was asked for, in milliseconds.
        window_ms: u64,
    },
    /// Too many retries.
    #[error("{retries} retries: ask for 0 to {RETRIES_MAX}, or say nothing to have them for ever")]
    Retries {
        /// What was asked for.
        retries: u32,
    },
    /// An age that is too young or too old.
    #[error(
        "events of {age_ms} ms are too young or too old to be given up: ask for {AGE_MS_MIN} to \
         {AGE_MS_MAX} ms, or say nothing to never give them up for their age"
    )]
    Age {
        /// What was asked for, in milliseconds.
        age_ms: u64,
    },
}

impl Settings {
    /// Batches of so many events, that wait so long to become full.
    ///
    /// # Errors
    ///
    /// When one of them is out of its limits.
    pub fn new(batch: u32, window_ms: u64) -> Result<Self, Refusal> {
        if !(1..=BATCH_MAX).contains(&batch) {
            return Err(Refusal::Batch { batch });
        }
        if window_ms > WINDOW_MS_MAX {
            return Err(Refusal::Window { window_ms });
        }
        Ok(Self { batch, window_ms, bisect: false, retries: None, age_ms: None })
    }

    /// What failed comes again so often, and is given up at such an age; none is for ever.
    ///
    /// # Errors
    ///
    /// When one of them is out of its limits.
    pub fn giving_up(self, retries: Option<u32>, age_ms: Option<u64>) -> Result<Self, Refusal> {
        if let Some(retries) = retries.filter(|retries| *retries > RETRIES_MAX) {
            return Err(Refusal::Retries { retries });
        }
        let fits = |age_ms: &u64| (AGE_MS_MIN..=AGE_MS_MAX).contains(age_ms);
        if let Some(age_ms) = age_ms.filter(|age_ms| !fits(age_ms)) {
            return Err(Refusal::Age { age_ms });
        }
        Ok(Self { retries, age_ms, ..self })
    }

    /// What failed comes again in halves, which is no retry.
    #[must_use]
    pub fn bisecting(self, bisect: bool) -> Self {
        Self { bisect, ..self }
    }

    /// Most events of a batch.
    pub fn batch(&self) -> u32 {
        self.batch
    }
}

/// What was gathered for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathered {
    pub events: u32,
    /// Whether the next event would not fit.
    pub full: bool,
    /// When the first of them was found, in milliseconds.
    pub since_ms: u64,
}

/// What becomes of a batch that is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// It is given to the function.
    Call,
    /// More events are waited for, so many milliseconds at most; for ever where there is none yet.
    Wait(Option<u64>),
}

/// Says whether a batch waits for more events.
pub fn gather(gathered: &Gathered, settings: &Settings, now_ms: u64) -> Gather {
    let waited_ms = now_ms.saturating_sub(gathered.since_ms);
    match gathered.events {
        0 => Gather::Wait(None),
        events if gathered.full || events >= settings.batch => Gather::Call,
        _ if waited_ms >= settings.window_ms => Gather::Call,
        _ => Gather::Wait(Some(settings.window_ms - waited_ms)),
    }
}

/// Why events are given up, as whoever is told of it reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The function failed them as often as they may be tried.
    RetriesExhausted,
    /// They are older than they may be.
    AgeExceeded,
}

impl Condition {
    /// The word for it. Source: Lambda's records of what was not processed of a stream.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetryAttemptsExhausted",
            Self::AgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// What is done next with a batch. Events are named by their places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These are given to the function.
    Call(Range<usize>),
    /// Nothing before this time, in milliseconds.
    Wait(u64),
    /// These are given up; whoever is to be told of it is told first.
    GiveUp(Range<usize>, Condition),
    /// All of it is done.
    Done,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The function took all.
    Took,
    /// The function took what is before this place, and failed what is there.
    TookUntil(usize),
    /// The function failed.
    Failed,
    /// It is more than a call may carry. It will be so each time.
    TooLarge,
    /// It never reached the function: nothing was free, or a host failed.
    Missed,
}

/// Events of a batch that are called together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    events: Range<usize>,
    /// Times that the function failed its first event.
    failed: u32,
    /// Times in a row that it did not reach the function.
    missed: u32,
    /// Whether the function has said that it was the first event that it failed.
    named: bool,
    /// When it is called again, in milliseconds.
    again_ms: u64,
}

/// A batch that is worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// When each event was accepted, in milliseconds.
    accepted_ms: Vec<u64>,
    /// What is not done, the last part first.
    spans: Vec<Span>,
}

impl Work {
    /// Nothing of it is done. Of each event it is told when it was accepted, in milliseconds.
    pub fn new(accepted_ms: Vec<u64>) -> Self {
        let whole = Span::new(0..accepted_ms.len());
        let spans = if whole.events.is_empty() { Vec::new() } else { vec![whole] };
        Self { accepted_ms, spans }
    }

    /// The place of the first event that is not done.
    pub fn done(&self) -> usize {
        self.spans.last().map_or(self.accepted_ms.len(), |span| span.events.start)
    }

    /// What is done next.
    pub fn next(&self, settings: &Settings, now_ms: u64) -> Step {
        let Some(span) = self.spans.last() else { return Step::Done };
        let Range { start, end } = span.events;
        if let Some(age_ms) = settings.age_ms {
            let is_old = |at: &u64| at.saturating_add(age_ms) < now_ms;
            let old = self.accepted_ms[start..end].iter().take_while(|at| is_old(at)).count();
            if old > 0 {
                return Step::GiveUp(start..start + old, Condition::AgeExceeded);
            }
        }
        if settings.retries.is_some_and(|retries| span.failed > retries) {
            // The others may be good.
            let end = if span.named { start + 1 } else { end };
            return Step::GiveUp(start..end, Condition::RetriesExhausted);
        }
        if span.again_ms > now_ms { Step::Wait(span.again_ms) } else { Step::Call(start..end) }
    }

    /// Notes how the call ended that [`Work::next`] asked for. The seed spreads pauses.
    pub fn ended(&mut self, ended: Ended, settings: &Settings, (now_ms, seed): (u64, u64)) {
        let Some(mut span) = self.spans.pop() else { return };
        match ended {
            Ended::Took => return,
            Ended::TookUntil(at) if at >= span.events.end => return,
            Ended::TookUntil(at) if at > span.events.start => {
                span = Span { failed: 1, named: true, ..Span::new(at..span.events.end) };
            }
            // Nothing has failed: the parts are called without a pause.
            Ended::TooLarge if span.events.len() > 1 => return self.halve(&span, 0),
            Ended::TookUntil(_) | Ended::Failed if settings.bisect && span.events.len() > 1 => {
                return self.halve(&span, now_ms.saturating_add(pause_ms(1, seed)));
            }
            Ended::TookUntil(_) | Ended::Failed | Ended::TooLarge => {
                span.failed = span.failed.saturating_add(1);
                span.missed = 0;
                span.named = matches!(ended, Ended::TookUntil(_));
            }
            Ended::Missed => span.missed = span.missed.saturating_add(1),
        }
        let failures = if span.missed > 0 { span.missed } else { span.failed };
        span.again_ms = now_ms.saturating_add(pause_ms(failures, seed));
        self.spans.push(span);
    }

    /// Has a part come again as two, the first of them at this time, in milliseconds.
    fn halve(&mut self, span: &Span, again_ms: u64) {
        let half = span.events.start + span.events.len() / 2;
        self.spans.push(Span::new(half..span.events.end));
        self.spans.push(Span { again_ms, ..Span::new(span.events.start..half) });
    }

    /// Notes that whoever is to be told was told of what [`Work::next`] has given up.
    pub fn given_up(&mut self, events: &Range<usize>) {
        let Some(span) = self.spans.pop() else { return };
        let rest = events.end.max(span.events.start)..span.events.end;
        if !rest.is_empty() {
            self.spans.push(Span::new(rest));
        }
    }
}

impl Span {
    fn new(events: Range<usize>) -> Self {
        Self { events, failed: 0, missed: 0, named: false, again_ms: 0 }
    }
}

fn pause_ms(failures: u32, seed: u64) -> u64 {
    // A pause may be as short as half of what it is drawn from.
    backoff::pause_ms(failures, 2 * PAUSE_MS_MIN, PAUSE_MS_MAX, seed)
}

#[cfg(test)]
mod tests;
