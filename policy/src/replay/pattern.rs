//! Pattern: a load as a text, one piece after the other, each on a line of its own.
//!
//! ```text
//! step 500/s for 1m                            # stays
//! ramp 500/s to 2000/s for 30s                 # grows or falls evenly
//! sine 1000/s +- 400/s every 20s for 2m        # swings about a mean, upwards first
//! spikes 200/s to 3000/s lasting 500ms every 10s for 1m
//! recorded x 1.5 for 5m                        # as recorded, with half as many events more
//! ```
//! Always true: a text is read or refused with its line and a cure. Absent on purpose: files.

use jiff::SignedDuration;

use super::curve::{Piece, Shape};
use super::{Ratio, UHZ, decimal, millionths};

/// Longest text of a pattern, in bytes: more than its pieces have use for.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// Most pieces of a pattern: more are a recording.
pub const PIECES_MAX: usize = 1_000;
/// Highest rate, in microhertz: ten million events in a second, more than one machine sends.
pub const RATE_UHZ_MAX: u64 = 10_000_000_000_000;
/// Longest run, in milliseconds, and the longest pattern: 30 days.
pub const RUN_MS_MAX: u64 = 30 * 86_400_000;
/// Largest factor of a recorded piece: a flood a thousand times as large says nothing of the first.
pub const TIMES_MAX: u64 = 1_000;

/// The same in nanoseconds.
pub(super) const RUN_NS_MAX: u64 = RUN_MS_MAX * 1_000_000;
/// The whole of a recorded piece's factor, in millionths.
pub(super) const WHOLE_PPM: u32 = 1_000_000;

/// A load, piece by piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Refusal {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is too long.
    #[error("the pattern goes on beyond {PATTERN_BYTES_MAX} bytes: shorten it")]
    Bytes,
    /// There are too many pieces.
    #[error("this is piece {}, and {PIECES_MAX} are the most: join some", PIECES_MAX + 1)]
    Pieces,
    /// There is none.
    #[error("there is no piece: write one, such as step 500/s for 1m")]
    Empty,
    /// All of them take too long together.
    #[error("up to here the pattern takes more than {} days: shorten it", RUN_MS_MAX / 86_400_000)]
    Length,
    /// The first word is none that is known.
    #[error("{word:?} is no piece: begin with step, ramp, sine, spikes or recorded")]
    Word {
        /// What stands there.
        word: String,
    },
    /// The words after it are not as they have to be.
    #[error("write this piece as: {form}")]
    Form {
        /// An example.
        form: &'static str,
    },
    /// A rate is none.
    #[error(
        "{text:?} is no rate: write events per second, such as 500/s or 0.25/s, of at most {}/s \
         and with at most six places",
        decimal(RATE_UHZ_MAX)
    )]
    Rate {
        /// What stands there.
        text: String,
    },
    /// A time is none.
    #[error("{text:?} is no time: write it as 500ms, 30s, 5m or 1h30m, and longer than 0")]
    Time {
        /// What stands there.
        text: String,
    },
    /// A factor is none.
    #[error(
        "{text:?} is no factor: write a number such as 1.5, more than 0 and at most {TIMES_MAX}, \
         with at most six places"
    )]
    Factor {
        /// What stands there.
        text: String,
    },
    /// A sine would go below nothing.
    #[error("a swing of {swing}/s goes below 0/s: make it at most the mean, {mean}/s")]
    Swing {
        /// The swing, in events per second.
        swing: String,
        /// The mean, in events per second.
        mean: String,
    },
    /// A spike lasts longer than its period.
    #[error("a spike lasts longer than from one to the next: make its period longer")]
    Spike,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// When the text is none, with the line and what to write instead.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut bytes, mut length_ns, mut last) = (0_usize, 0_u64, 1);
        for (line, text) in (1..).zip(text.split('\n')) {
            let refused = |fault| Refusal { line, fault };
            last = line;
            bytes = bytes.saturating_add(text.len() + 1);
            if bytes > PATTERN_BYTES_MAX {
                return Err(refused(Fault::Bytes));
            }
            let said = text.split('#').next().unwrap_or_default();
            let words: Vec<&str> = said.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            if pieces.len() == PIECES_MAX {
                return Err(refused(Fault::Pieces));
            }
            let piece = piece(&words).map_err(refused)?;
            length_ns = length_ns.saturating_add(piece.for_ns);
            if length_ns > RUN_NS_MAX {
                return Err(refused(Fault::Length));
            }
            pieces.push(piece);
        }
        if pieces.is_empty() {
            return Err(Refusal { line: last, fault: Fault::Empty });
        }
        Ok(Self { pieces })
    }

    /// The same load so many times as high, each rate to the nearest millionth of an event per
    /// second; none where one would be too high.
    #[must_use]
    pub fn times(&self, factor: Ratio) -> Option<Self> {
        let pieces: Option<Vec<Piece>> = self
            .pieces
            .iter()
            .map(|piece| Some(Piece { shape: scaled(piece.shape, factor)?, ..*piece }))
            .collect();
        Some(Self { pieces: pieces? })
    }

    /// How long it takes, in nanoseconds.
    pub fn length_ns(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.for_ns).sum()
    }

    /// A pattern of one piece.
    pub(super) fn of(shape: Shape, for_ns: u64) -> Self {
        Self { pieces: vec![Piece { shape, for_ns }] }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

fn piece(words: &[&str]) -> Result<Piece, Fault> {
    match *words {
        ["step", rate, "for", time] => {
            let shape = Shape::Step { rate_uhz: rate_uhz(rate)? };
            Ok(Piece { shape, for_ns: time_ns(time)? })
        }
        ["ramp", from, "to", to, "for", time] => {
            let shape = Shape::Ramp { from_uhz: rate_uhz(from)?, to_uhz: rate_uhz(to)? };
            Ok(Piece { shape, for_ns: time_ns(time)? })
        }
        ["sine", mean, "+-" | "±", swing, "every", every, "for", time] => {
            let (mean_uhz, swing_uhz) = (rate_uhz(mean)?, rate_uhz(swing)?);
            if swing_uhz > mean_uhz {
                return Err(Fault::Swing { swing: decimal(swing_uhz), mean: decimal(mean_uhz) });
            }
            let shape = Shape::Sine { mean_uhz, swing_uhz, every_ns: time_ns(every)? };
            Ok(Piece { shape, for_ns: time_ns(time)? })
        }
        ["spikes", base, "to", peak, "lasting", lasting, "every", every, "for", time] => {
            let (base_uhz, peak_uhz) = (rate_uhz(base)?, rate_uhz(peak)?);
            let (lasting_ns, every_ns) = (time_ns(lasting)?, time_ns(every)?);
            if lasting_ns > every_ns {
                return Err(Fault::Spike);
            }
            let shape = Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns };
            Ok(Piece { shape, for_ns: time_ns(time)? })
        }
        ["recorded", "x" | "×", factor, "for", time] => {
            let shape = Shape::Recorded { times_ppm: times_ppm(factor)? };
            Ok(Piece { shape, for_ns: time_ns(time)? })
        }
        [word, ..] => Err(form(word)),
        [] => Err(form("")),
    }
}

/// What is wrong with words that make no piece.
fn form(word: &str) -> Fault {
    let form = match word {
        "step" => "step 500/s for 1m",
        "ramp" => "ramp 500/s to 2000/s for 30s",
        "sine" => "sine 1000/s +- 400/s every 20s for 2m",
        "spikes" => "spikes 200/s to 3000/s lasting 500ms every 10s for 1m",
        "recorded" => "recorded x 1.5 for 5m",
        word => return Fault::Word { word: shown(word) },
    };
    Fault::Form { form }
}

/// What is repeated of a word: enough to find it.
fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

fn rate_uhz(text: &str) -> Result<u64, Fault> {
    let rate_uhz = text.strip_suffix("/s").and_then(millionths);
    let rate_uhz = rate_uhz.filter(|rate_uhz| *rate_uhz <= RATE_UHZ_MAX);
    rate_uhz.ok_or_else(|| Fault::Rate { text: shown(text) })
}

fn time_ns(text: &str) -> Result<u64, Fault> {
    let time: Option<SignedDuration> = text.parse().ok();
    let time_ns = time.and_then(|time| u64::try_from(time.as_nanos()).ok());
    let time_ns = time_ns.filter(|time_ns| *time_ns > 0);
    time_ns.ok_or_else(|| Fault::Time { text: shown(text) })
}

fn times_ppm(text: &str) -> Result<u32, Fault> {
    let times = millionths(text).filter(|times| (1..=TIMES_MAX * UHZ).contains(times));
    let times = times.and_then(|times| u32::try_from(times).ok());
    times.ok_or_else(|| Fault::Factor { text: shown(text) })
}

fn scaled(shape: Shape, factor: Ratio) -> Option<Shape> {
    let (parts, of) = (u128::from(factor.parts()), u128::from(factor.of()));
    let nearest = |number: u64, most: u64| {
        let number = (u128::from(number) * parts).checked_add(of / 2)? / of;
        u64::try_from(number).ok().filter(|number| *number <= most)
    };
    let rate = |rate_uhz| nearest(rate_uhz, RATE_UHZ_MAX);
    Some(match shape {
        Shape::Step { rate_uhz } => Shape::Step { rate_uhz: rate(rate_uhz)? },
        Shape::Ramp { from_uhz, to_uhz } => {
            Shape::Ramp { from_uhz: rate(from_uhz)?, to_uhz: rate(to_uhz)? }
        }
        Shape::Sine { mean_uhz, swing_uhz, every_ns } => {
            Shape::Sine { mean_uhz: rate(mean_uhz)?, swing_uhz: rate(swing_uhz)?, every_ns }
        }
        Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns } => {
            let (base_uhz, peak_uhz) = (rate(base_uhz)?, rate(peak_uhz)?);
            Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns }
        }
        Shape::Recorded { times_ppm } => {
            let times_ppm = nearest(times_ppm.into(), TIMES_MAX * UHZ)?;
            Shape::Recorded { times_ppm: u32::try_from(times_ppm).ok()? }
        }
    })
}

#[cfg(test)]
mod tests;
