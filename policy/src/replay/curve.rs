//! Curve: how a load grows and falls, how much of it has come by a time, and when so much has come.
//!
//! What has come is counted in units of which an event has 10^15: microhertz times nanoseconds.
//! So the sum under a curve is an integer, and the time of the n-th send is where it passes n.
//!
//! Always true: the time that is found is the last whole nanosecond by which no more has come; for
//! a sine to 1 µs, wherever its rate is at least a millionth of its swing.
//! Absent on purpose: what is sent.

use super::fixed;

/// Units of an event.
pub(super) const UNITS: u128 = 1_000_000_000_000_000;

/// How the rate of sends goes. Rates are in microhertz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// It stays.
    Step { rate_uhz: u64 },
    /// It goes from one to another, evenly.
    Ramp { from_uhz: u64, to_uhz: u64 },
    /// It swings about a mean, upwards first.
    Sine { mean_uhz: u64, swing_uhz: u64, every_ns: u64 },
    /// It is high at the beginning of each period.
    Spikes { base_uhz: u64, peak_uhz: u64, lasting_ns: u64, every_ns: u64 },
    /// It is that of the recording: events come with their own distances.
    Recorded { times_ppm: u32 },
}

/// A shape, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) shape: Shape,
    pub(super) for_ns: u64,
}

impl Piece {
    /// What has come after so many nanoseconds, `for_ns` at most, in units.
    pub(super) fn come(&self, at_ns: u64) -> u128 {
        let at = u128::from(at_ns);
        match self.shape {
            Shape::Step { rate_uhz } => u128::from(rate_uhz) * at,
            Shape::Ramp { from_uhz, to_uhz } => self.ramped(from_uhz, to_uhz, at),
            Shape::Sine { mean_uhz, swing_uhz, every_ns } => {
                let sine = fixed::half_turn_sine_squared_q62(at_ns % every_ns, every_ns);
                let swing = fixed::by_pi(u128::from(swing_uhz) * u128::from(every_ns));
                u128::from(mean_uhz) * at + fixed::times_q(swing, sine.into(), 62)
            }
            Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns } => {
                let (periods, rest) = (at_ns / every_ns, at_ns % every_ns);
                let high = u128::from(periods) * u128::from(lasting_ns.min(every_ns))
                    + u128::from(rest.min(lasting_ns));
                u128::from(peak_uhz) * high + u128::from(base_uhz) * (at - high)
            }
            Shape::Recorded { .. } => 0,
        }
    }

    /// `from at + (to - from) at² / (2 for)`, cut to a whole number: exact, since only the rest of
    /// the division is divided again.
    fn ramped(&self, from_uhz: u64, to_uhz: u64, at: u128) -> u128 {
        let twice = 2 * u128::from(self.for_ns);
        let (whole, rest) = (at * at / twice, at * at % twice);
        let even = u128::from(from_uhz) * at;
        let change = u128::from(from_uhz.abs_diff(to_uhz));
        if to_uhz >= from_uhz {
            even + change * whole + change * rest / twice
        } else {
            even - change * whole - (change * rest).div_ceil(twice)
        }
    }

    /// When so much has come, in nanoseconds from the piece's beginning: none where it never has.
    ///
    /// The search begins at `near_ns`, the last one found: it costs little where that is near.
    pub(super) fn when(&self, units: u128, near_ns: u64) -> Option<u64> {
        if units >= self.come(self.for_ns) {
            return None;
        }
        Some(match self.shape {
            Shape::Step { rate_uhz } => narrow(units / u128::from(rate_uhz)),
            Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns } => {
                let high = u128::from(peak_uhz) * u128::from(lasting_ns);
                let period = high + u128::from(base_uhz) * u128::from(every_ns - lasting_ns);
                let (periods, rest) = (units / period, units % period);
                let within = match rest.checked_sub(high) {
                    None => rest / u128::from(peak_uhz),
                    Some(rest) => u128::from(lasting_ns) + rest / u128::from(base_uhz),
                };
                narrow(periods * u128::from(every_ns) + within)
            }
            Shape::Ramp { .. } | Shape::Sine { .. } => self.search(units, near_ns),
            Shape::Recorded { .. } => return None,
        })
    }

    /// The last nanosecond by which no more has come.
    fn search(&self, units: u128, near_ns: u64) -> u64 {
        let near_ns = near_ns.min(self.for_ns);
        let come = self.come(near_ns);
        let mut low = if come <= units { (near_ns, come) } else { (0, 0) };
        let mut step_ns = 1_024;
        let mut high = loop {
            let at_ns = low.0.saturating_add(step_ns).min(self.for_ns);
            let come = self.come(at_ns);
            if come > units || at_ns == self.for_ns {
                break (at_ns, come);
            }
            (low, step_ns) = ((at_ns, come), step_ns * 4);
        };
        // Probes close to both sides of where a straight line would pass; at times in the middle, so
        // that it ends soon where no line is near.
        for round in 0_u32.. {
            let width_ns = high.0 - low.0;
            if width_ns <= 1 {
                break;
            }
            let guess_ns = low.0 + part(units - low.1, high.1 - low.1, width_ns);
            let aside_ns = width_ns / 4_096 + 1;
            let probe_ns = match round % 5 {
                0 | 2 => guess_ns.saturating_sub(aside_ns),
                1 | 3 => guess_ns.saturating_add(aside_ns),
                _ => low.0 + width_ns / 2,
            };
            let probe_ns = probe_ns.clamp(low.0 + 1, high.0 - 1);
            let come = self.come(probe_ns);
            *(if come <= units { &mut low } else { &mut high }) = (probe_ns, come);
        }
        low.0
    }
}

/// About `width * part / whole`; the part is less than the whole.
fn part(part: u128, whole: u128, width: u64) -> u64 {
    let cut = (u128::BITS - whole.leading_zeros()).saturating_sub(64);
    narrow(u128::from(width) * (part >> cut) / (whole >> cut).max(1))
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
