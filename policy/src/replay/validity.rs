//! Validity: whether a run may be believed, and why not.
//!
//! A run that did not send what it was to send, when it was to, measures its sender. So it is said
//! to be `INVALID`, with every reason; and what need not spoil it, a stop or a gap, is disclosed.
//!
//! Always true: every condition that is not met is a reason of its own, with its value and its
//! limit; a run that meets all of them is valid. Absent on purpose: how many events a percentile
//! needs (an argument), and what was measured.

use std::fmt;

use super::decimal;
use super::pace::ON_TIME_NS;

/// The rate may be off by so many thousandths of it.
pub const RATE_OFF_MILLI_MAX: u64 = 10;
/// Part of the latency that 99 of 100 requests keep within, in thousandths, by which 99 of 100 sends
/// may be late, where that is more than [`ON_TIME_NS`].
pub const LAG_MILLI_MAX: u64 = 50;
/// A sender that uses so many thousandths of its processors' time, or more, waits for itself.
pub const BUSY_MILLI: u32 = 800;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sends that its schedule had, up to where it ended or was stopped.
    pub asked: u64,
    /// The time that these take, in nanoseconds, without gaps.
    pub asked_ns: u64,
    /// Sends that went.
    pub sent: u64,
    /// The time that they took, in nanoseconds, without gaps: to the end of the asked time, or to the
    /// last of them where that was later.
    pub took_ns: u64,
    /// Sends that were left out, since they were late.
    pub skipped: u64,
    /// Sends that found no room among those under way.
    pub dropped: u64,
    /// Up to so many nanoseconds 99 of 100 sends were late.
    pub lag_p99_ns: u64,
    /// Up to so many nanoseconds 99 of 100 answers took.
    pub latency_p99_ns: u64,
    /// Events that count, each once.
    pub events: u64,
    /// The part of its processors' time that the sender used, in thousandths.
    pub busy_milli: u32,
    /// It was stopped before its end.
    pub stopped: bool,
    /// How often it was resumed.
    pub resumed: u32,
    /// Time between stops and resumptions, in nanoseconds.
    pub gap_ns: u64,
    /// It could not be resumed: its events were not those that it had begun with.
    pub changed: bool,
}

/// What a run has to come to at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its time, in nanoseconds.
    pub took_ns_min: u64,
    /// Events for the percentile that is asked for.
    pub events_min: u64,
}

/// Why a run is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It had another rate than was asked for.
    #[error(
        "sent {}/s where {}/s was asked for, more than {} % apart: ask for a lower rate, or send \
         from a machine with more processors",
        decimal(*.sent_uhz), decimal(*.asked_uhz), RATE_OFF_MILLI_MAX / 10
    )]
    Rate {
        /// The rate at which it sent, in microhertz.
        sent_uhz: u64,
        /// The rate that was asked for, in microhertz.
        asked_uhz: u64,
    },
    /// Some sends were late and left out.
    #[error(
        "{skipped} sends were late and left out: ask for a lower rate, or let late ones be sent"
    )]
    Skipped {
        /// How many.
        skipped: u64,
    },
    /// Some sends had no room.
    #[error(
        "{dropped} sends found no room among those under way: ask for a lower rate, or allow more \
         at a time"
    )]
    Dropped {
        /// How many.
        dropped: u64,
    },
    /// Sends were late.
    #[error(
        "99 of 100 sends were up to {} ms late, more than {} ms: send from a machine that does \
         nothing else",
        decimal(*.lag_ns), decimal(*.lag_ns_max)
    )]
    Lag {
        /// How late, in nanoseconds.
        lag_ns: u64,
        /// How late they may be, in nanoseconds.
        lag_ns_max: u64,
    },
    /// It was too short.
    #[error("took {} ms, less than {} ms: let it run longer", decimal(*.took_ns), decimal(*.took_ns_min))]
    Short {
        /// The time, in nanoseconds.
        took_ns: u64,
        /// The least, in nanoseconds.
        took_ns_min: u64,
    },
    /// There were too few events.
    #[error(
        "{events} events are too few for the percentile that is asked for, which needs {events_min}: \
         let it run longer, or ask for a lower percentile"
    )]
    Few {
        /// How many.
        events: u64,
        /// The least.
        events_min: u64,
    },
    /// The sender was busy.
    #[error(
        "the sender used {}.{} % of its processors' time, and {} % or more holds back what it \
         measures: ask for a lower rate, or send from a machine with more processors",
        busy_milli / 10, busy_milli % 10, BUSY_MILLI / 10
    )]
    Busy {
        /// The part, in thousandths.
        busy_milli: u32,
    },
}

/// What is to be known about a run, though it does not spoil it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disclosure {
    /// It was stopped.
    #[error("stopped before its end")]
    Stopped,
    /// It went on after a gap.
    #[error("resumed {resumed} times, with gaps of {} ms together", decimal(*.gap_ns))]
    Resumed {
        /// How often.
        resumed: u32,
        /// The gaps together, in nanoseconds.
        gap_ns: u64,
    },
    /// It did not go on.
    #[error(
        "ended where it was interrupted, since its events are not those that it began with: labels \
         were told since, or events removed"
    )]
    Changed,
}

/// What is said of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// Why it is not to be believed; none where it is valid.
    pub reasons: Vec<Reason>,
    /// What else is to be known.
    pub disclosed: Vec<Disclosure>,
}

impl Validity {
    /// Whether the run may be believed.
    pub fn is_valid(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Whether the sender did not do as it should, so that the run says nothing of what it sent to. A
    /// rate that is off with sends that found no room is not its doing: those were asked for in time.
    pub fn is_of_sender(&self) -> bool {
        let has_no_room = self.reasons.iter().any(|it| matches!(it, Reason::Dropped { .. }));
        self.reasons.iter().any(|reason| match reason {
            Reason::Lag { .. } | Reason::Busy { .. } | Reason::Skipped { .. } => true,
            Reason::Rate { .. } => !has_no_room,
            Reason::Dropped { .. } | Reason::Short { .. } | Reason::Few { .. } => false,
        })
    }
}

impl fmt::Display for Validity {
    /// The word, and then each reason and disclosure in a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_valid() { "VALID" } else { "INVALID" })?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))?;
        self.disclosed.iter().try_for_each(|disclosed| write!(f, "\n  disclosed: {disclosed}"))
    }
}

/// Judges a run.
pub fn judge(facts: &Facts, needs: &Needs) -> Validity {
    let latency_part = u128::from(facts.latency_p99_ns) * u128::from(LAG_MILLI_MAX) / 1_000;
    let lag_ns_max = u64::try_from(latency_part).unwrap_or(u64::MAX).max(ON_TIME_NS);
    let (lag_ns, took_ns, events) = (facts.lag_p99_ns, facts.took_ns, facts.events);
    let (skipped, dropped, busy_milli) = (facts.skipped, facts.dropped, facts.busy_milli);
    let Needs { took_ns_min, events_min } = *needs;
    let rate = Reason::Rate {
        sent_uhz: rate_uhz(facts.sent, facts.took_ns),
        asked_uhz: rate_uhz(facts.asked, facts.asked_ns),
    };
    let conditions = [
        (is_rate_off(facts), rate),
        (skipped > 0, Reason::Skipped { skipped }),
        (dropped > 0, Reason::Dropped { dropped }),
        (lag_ns > lag_ns_max, Reason::Lag { lag_ns, lag_ns_max }),
        (took_ns < took_ns_min, Reason::Short { took_ns, took_ns_min }),
        (events < events_min, Reason::Few { events, events_min }),
        (busy_milli >= BUSY_MILLI, Reason::Busy { busy_milli }),
    ];
    let (resumed, gap_ns) = (facts.resumed, facts.gap_ns);
    let disclosures = [
        (facts.stopped, Disclosure::Stopped),
        (resumed > 0, Disclosure::Resumed { resumed, gap_ns }),
        (facts.changed, Disclosure::Changed),
    ];
    Validity { reasons: those_met(conditions), disclosed: those_met(disclosures) }
}

fn those_met<T, const N: usize>(conditions: [(bool, T); N]) -> Vec<T> {
    conditions.into_iter().filter_map(|(met, it)| met.then_some(it)).collect()
}

/// Whether the rate is off by more than it may be; what sent nothing in no time is.
fn is_rate_off(facts: &Facts) -> bool {
    let sent = u128::from(facts.sent) * u128::from(facts.asked_ns);
    let asked = u128::from(facts.asked) * u128::from(facts.took_ns);
    let allowed = asked / 1_000 * u128::from(RATE_OFF_MILLI_MAX);
    asked == 0 || sent.abs_diff(asked) > allowed
}

fn rate_uhz(sends: u64, in_ns: u64) -> u64 {
    let rate = u128::from(sends) * super::curve::UNITS / u128::from(in_ns.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
