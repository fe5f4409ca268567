//! Schedule: which event is sent when, one send after the other, as far as anybody asks.
//!
//! Intended times are the run's own: nothing that happens while it is sent moves them. Where sends
//! come at a rate, the n-th is where the sum of the rate passes n, or n exponential gaps; where they
//! come as recorded, copies of an event are spread until the next one.
//!
//! Always true: times never go back and lie within the duration, whatever those of events do; the
//! whole state is one event, an account for each stratum and the pattern. The digest is of all sends
//! so far. Absent on purpose: clocks, and what becomes of what is late ([`super::pace`]).

mod settings;

use std::iter::Peekable;

pub use settings::{Arrivals, FACTOR_MAX, Mode, Refusal, Settings};

use super::curve::{Piece, Shape, UNITS};
use super::pattern::WHOLE_PPM;
use super::resample::Resample;
use super::{Event, Planned, Ratio, fixed};

/// What a digest is of: another form of the record has another name.
const DIGEST_OF: &[u8] = b"freehold replay schedule 1\n";

/// Why a schedule has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its duration is over.
    Duration,
    /// There are no more events.
    Events,
    /// Its pattern is over.
    Pattern,
}

/// What a schedule has come to so far; what a run is repeated by, and checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Where its chance began, if it has any.
    pub seed: Option<u64>,
    /// Sends.
    pub sends: u64,
    /// Events that were read and decided about.
    pub events: u64,
    /// Of them, those that are not sent.
    pub omitted: u64,
    /// Sends that repeat an event: load, and no evidence.
    pub duplicates: u64,
    /// Events that happened before the one that was read before them.
    pub disordered: u64,
    /// Why it has ended, if it has.
    pub end: Option<End>,
    /// BLAKE3 of every send: offset, sequence and copy in 8 bytes each, stratum in 4, least first.
    pub digest: [u8; 32],
}

/// A digest of sends, one after the other: that of a [`Proof`], for who follows what was sent.
#[derive(Clone, Debug)]
pub struct Digest(blake3::Hasher);

impl Default for Digest {
    fn default() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DIGEST_OF);
        Self(hasher)
    }
}

impl Digest {
    /// Adds the next send.
    pub fn add(&mut self, planned: &Planned) {
        let Planned { offset_ns, sequence, copy, stratum } = *planned;
        let mut record = [0; 28];
        record[..8].copy_from_slice(&offset_ns.to_le_bytes());
        record[8..16].copy_from_slice(&sequence.to_le_bytes());
        record[16..24].copy_from_slice(&copy.to_le_bytes());
        record[24..].copy_from_slice(&stratum.to_le_bytes());
        self.0.update(&record);
    }

    /// What it has come to.
    pub fn bytes(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// The sends of a run, made as they are asked for.
#[derive(Clone, Debug)]
pub struct Schedule<I: Iterator<Item = Event>> {
    events: Peekable<I>,
    pieces: std::vec::IntoIter<Piece>,
    piece: Option<Piece>,
    /// When the piece begins.
    from_ns: u64,
    /// What had come before it, in [`UNITS`].
    from_units: u128,
    /// The time of the event that comes where the piece begins.
    anchor_ns: Option<u64>,
    speed: Ratio,
    /// What has come by the next send at a rate, in gaps of 2^-32.
    gaps_q32: u128,
    resample: Resample,
    current: Option<Current>,
    duration_ns: u64,
    last_ns: u64,
    latest_event_ns: u64,
    digest: Digest,
    proof: Proof,
}

/// An event that has copies left.
#[derive(Clone, Copy, Debug)]
struct Current {
    event: Event,
    copies: u64,
    sent: u64,
    /// Copies that were sent before the piece began.
    before: u64,
}

/// What a piece says of the next send.
enum Due {
    At(u64),
    /// It comes after the piece.
    Over,
    /// There is no event for it.
    NoEvent,
}

impl<I: Iterator<Item = Event>> Schedule<I> {
    /// Plans to send these events, which are in the order of their times and then of their numbers.
    ///
    /// # Errors
    ///
    /// When the settings are out of their limits.
    pub fn new<E>(events: E, settings: &Settings) -> Result<Self, Refusal>
    where
        E: IntoIterator<Item = Event, IntoIter = I>,
    {
        let (pattern, quicker, seed) = settings::checked(settings)?;
        let proof = Proof {
            seed,
            sends: 0,
            events: 0,
            omitted: 0,
            duplicates: 0,
            disordered: 0,
            end: None,
            digest: [0; 32],
        };
        let mut pieces = pattern.pieces().to_vec().into_iter();
        let piece = pieces.next();
        Ok(Self {
            events: events.into_iter().peekable(),
            pieces,
            piece,
            from_ns: 0,
            from_units: 0,
            anchor_ns: None,
            speed: quicker,
            gaps_q32: seed.map_or(0, |seed| gap_q32(seed, 0)),
            resample: Resample::new(settings.factor),
            current: None,
            duration_ns: settings.duration_ns,
            last_ns: 0,
            latest_event_ns: 0,
            digest: Digest::default(),
            proof,
        })
    }

    /// What it has come to so far.
    pub fn proof(&self) -> Proof {
        Proof { digest: self.digest.bytes(), ..self.proof }
    }

    /// The same without its digest, which takes longer than the rest.
    pub fn so_far(&self) -> &Proof {
        &self.proof
    }

    /// At a rate: the time first, and then an event for it.
    fn at_rate(&mut self, piece: &Piece) -> Due {
        let (gaps, rest) = (self.gaps_q32 >> 32, self.gaps_q32 & u128::from(u32::MAX));
        let units = (gaps * UNITS + ((rest * UNITS) >> 32)).saturating_sub(self.from_units);
        let Some(at_ns) = piece.when(units, self.last_ns.saturating_sub(self.from_ns)) else {
            return Due::Over;
        };
        let at_ns = self.from_ns.saturating_add(at_ns);
        if at_ns < self.duration_ns {
            if !self.has_copy() {
                return Due::NoEvent;
            }
            let gap_q32 = |seed| gap_q32(seed, self.proof.sends + 1);
            self.gaps_q32 += self.proof.seed.map_or(1 << 32, gap_q32);
        }
        Due::At(at_ns)
    }

    /// As recorded: an event first, and then its time.
    fn as_recorded(&mut self, piece: &Piece, times_ppm: u32) -> Due {
        loop {
            let begins = match (&self.current, self.events.peek()) {
                (Some(current), _) => current.event,
                (None, Some(next)) => *next,
                (None, None) => return Due::NoEvent,
            };
            let begins_ns = self.recorded_ns(begins.time_ns);
            if begins_ns.saturating_sub(self.from_ns) >= piece.for_ns {
                return Due::Over;
            }
            if begins_ns >= self.duration_ns {
                // What is not sent any more is not decided about.
                return Due::At(begins_ns);
            }
            if self.current.is_none() && !self.decide(times_ppm) {
                continue;
            }
            let Some(Current { copies, sent, before, .. }) = self.current else { continue };
            let next_ns = self.events.peek().map(|next| next.time_ns);
            let ends_ns = next_ns.map_or(begins_ns, |time_ns| self.recorded_ns(time_ns));
            let width = u128::from(ends_ns.saturating_sub(begins_ns));
            let spread = width * u128::from(sent - before) / u128::from(copies - before);
            let at_ns = begins_ns.saturating_add(u64::try_from(spread).unwrap_or(u64::MAX));
            if at_ns.saturating_sub(self.from_ns) >= piece.for_ns {
                return Due::Over;
            }
            return Due::At(at_ns);
        }
    }

    /// Where an event of this time comes in a recorded piece.
    fn recorded_ns(&mut self, time_ns: u64) -> u64 {
        let since = u128::from(time_ns.saturating_sub(*self.anchor_ns.get_or_insert(time_ns)));
        let after = since * u128::from(self.speed.of()) / u128::from(self.speed.parts());
        self.from_ns.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// Reads on until there is a copy to be sent; false where there is none.
    fn has_copy(&mut self) -> bool {
        while self.current.is_none() {
            if self.events.peek().is_none() {
                return false;
            }
            self.decide(WHOLE_PPM);
        }
        true
    }

    /// Decides about the next event; whether it is sent.
    fn decide(&mut self, times_ppm: u32) -> bool {
        let Some(event) = self.events.next() else { return false };
        self.proof.events += 1;
        self.proof.disordered += u64::from(event.time_ns < self.latest_event_ns);
        self.latest_event_ns = event.time_ns;
        let copies = self.resample.copies(event.stratum, times_ppm);
        self.proof.omitted += u64::from(copies == 0);
        self.current = (copies > 0).then_some(Current { event, copies, sent: 0, before: 0 });
        copies > 0
    }

    /// Goes on to the next piece.
    fn advance(&mut self, piece: &Piece) {
        self.from_ns = self.from_ns.saturating_add(piece.for_ns);
        self.from_units += piece.come(piece.for_ns);
        self.anchor_ns = None;
        if let Some(current) = &mut self.current {
            current.before = current.sent;
        }
        self.piece = self.pieces.next();
    }

    /// Sends the next copy.
    fn send(&mut self, at_ns: u64) -> Option<Planned> {
        let current = self.current.as_mut()?;
        let (event, copy) = (current.event, current.sent);
        current.sent += 1;
        if current.sent == current.copies {
            self.current = None;
        }
        self.last_ns = self.last_ns.max(at_ns);
        self.proof.sends += 1;
        self.proof.duplicates += u64::from(copy > 0);
        let (offset_ns, stratum) = (self.last_ns, event.stratum);
        let planned = Planned { offset_ns, sequence: event.sequence, copy, stratum };
        self.digest.add(&planned);
        Some(planned)
    }

    fn end(&mut self, end: End) -> Option<Planned> {
        self.piece = None;
        self.proof.end.get_or_insert(end);
        None
    }
}

impl<I: Iterator<Item = Event>> Iterator for Schedule<I> {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        loop {
            if self.from_ns >= self.duration_ns {
                return self.end(End::Duration);
            }
            let Some(piece) = self.piece else { return self.end(End::Pattern) };
            let due = match piece.shape {
                Shape::Recorded { times_ppm } => self.as_recorded(&piece, times_ppm),
                _ => self.at_rate(&piece),
            };
            match due {
                Due::At(at_ns) if at_ns >= self.duration_ns => return self.end(End::Duration),
                Due::At(at_ns) => return self.send(at_ns),
                Due::Over => self.advance(&piece),
                Due::NoEvent => return self.end(End::Events),
            }
        }
    }
}

/// The gap before a send, in 2^-32 of the mean.
fn gap_q32(seed: u64, number: u64) -> u128 {
    u128::from(fixed::exponential_q32(fixed::word(seed, number)))
}

#[cfg(test)]
mod tests;
