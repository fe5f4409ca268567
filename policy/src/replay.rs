//! Replay: which recorded event is sent when, to whom, and whether what was sent proves anything.
//!
//! [`schedule`] says of every send its time, its event and which copy it is; [`resample`] holds a
//! rate by leaving events out and repeating them; [`pattern`] reads a load from a text; [`pace`]
//! says what becomes of what is late; [`validity`] judges a run; [`variants`] and [`share`] say who
//! gets an event; [`sweep`] finds the largest rate that is borne, [`turns`] who sends next; [`drill`]
//! says how long a variant takes to be well again, [`usage`] what its instances used.
//!
//! Always true: the same events, settings and seed give the same sends, byte for byte, on every
//! machine; memory does not grow with events. Absent on purpose: clocks, payloads, connections.

mod curve;
pub mod drill;
mod fixed;
pub mod pace;
pub mod pattern;
pub mod resample;
pub mod schedule;
pub mod share;
pub mod sweep;
pub mod turns;
pub mod usage;
pub mod validity;
pub mod variants;

use std::fmt;

pub use fixed::word;

/// Millionths of an event per second in one event per second: rates are told in microhertz.
pub const UHZ: u64 = 1_000_000;

/// What a schedule has to know of a recorded event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in nanoseconds since 1970.
    pub time_ns: u64,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its region, group and label together, as a number of the caller's.
    pub stratum: u32,
}

/// One send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it is intended, in nanoseconds from the start of the run.
    pub offset_ns: u64,
    /// The event's number in the stream.
    pub sequence: u64,
    /// Which copy of the event it is: 0 for the first, the only one that is evidence.
    pub copy: u64,
    /// The event's stratum.
    pub stratum: u32,
}

/// A positive rational number, in its lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    parts: u64,
    of: u64,
}

impl Ratio {
    /// The whole.
    pub const ONE: Self = Self { parts: 1, of: 1 };

    /// So many parts of so many; none where either is 0.
    pub fn new(parts: u64, of: u64) -> Option<Self> {
        Self::reduced(u128::from(parts), u128::from(of))
    }

    /// By how much a recording of so many events in so long a time, in milliseconds, has to be
    /// resampled for it to have a rate at its own speed.
    ///
    /// None where one of them is 0, or where numbers of 64 bits cannot tell it exactly.
    pub fn of_rate(rate_uhz: u64, events: u64, span_ms: u64) -> Option<Self> {
        let recorded = u128::from(events) * u128::from(UHZ * 1_000);
        Self::reduced(u128::from(rate_uhz) * u128::from(span_ms), recorded)
    }

    fn reduced(parts: u128, of: u128) -> Option<Self> {
        if parts == 0 || of == 0 {
            return None;
        }
        let (mut divisor, mut rest) = (parts, of);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        let parts = u64::try_from(parts / divisor).ok()?;
        Some(Self { parts, of: u64::try_from(of / divisor).ok()? })
    }

    /// The upper number.
    pub fn parts(self) -> u64 {
        self.parts
    }

    /// The lower number.
    pub fn of(self) -> u64 {
        self.of
    }

    /// Whether it lies within 1/`most` to `most`.
    fn is_within(self, most: u64) -> bool {
        let (parts, of, most) = (u128::from(self.parts), u128::from(self.of), u128::from(most));
        parts <= of * most && of <= parts * most
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            1 => write!(f, "{}", self.parts),
            of => write!(f, "{}/{of}", self.parts),
        }
    }
}

/// A number of millionths as a decimal number: `1.5`.
fn decimal(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / UHZ, millionths % UHZ);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The millionths in a decimal number without a sign, of six places at most: `500`, `1.5`.
fn millionths(text: &str) -> Option<u64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(places) || places.len() > 6 {
        return None;
    }
    let places: u64 = format!("{places:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(UHZ)?.checked_add(places)
}

#[cfg(test)]
mod tests;
