//! Rates: between what a rate of bad events lies, of which some were seen.
//!
//! The bounds of Clopper and Pearson (1934): those rates under which what was seen is not yet too
//! unlikely on either side.
//!
//! Always true: the part that was seen is within the bounds; nothing is said of no events.
//! Absent on purpose: looking again and again: these bounds are ones for a fixed number of events.

use super::beta::{Point, regularised};
use super::{WHOLE_PPM, float, part};

/// Between what a rate lies, in parts per million, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// It is no less, with the confidence.
    pub lower_ppm: u32,
    /// It is no more, with the confidence.
    pub upper_ppm: u32,
}

/// Between what a rate lies of which `bad` of `events` were seen, each side with that confidence;
/// rounded outwards. None of no events.
pub fn bounds(events: u64, bad: u64, confidence_ppm: u32) -> Option<Rate> {
    if events == 0 {
        return None;
    }
    let bad = bad.min(events);
    let doubt = part(WHOLE_PPM - confidence_ppm.clamp(1, WHOLE_PPM - 1)) / part(WHOLE_PPM);
    // The chance of so many bad ones or more rises with the rate, and that of so many or fewer falls.
    let too_low = |ppm: u32| at_least(events, bad, ppm) <= doubt;
    let too_high = |ppm: u32| 1.0 - at_least(events, bad + 1, ppm) <= doubt;
    let lower_ppm = if bad == 0 { 0 } else { first(|ppm| !too_low(ppm)).saturating_sub(1) };
    let upper_ppm = if bad == events { WHOLE_PPM } else { first(too_high) };
    Some(Rate { lower_ppm, upper_ppm })
}

/// The chance that at least so many of `events` are bad.
fn at_least(events: u64, bad: u64, ppm: u32) -> f64 {
    match (bad, ppm) {
        (0, _) => 1.0,
        (_, 0) => 0.0,
        (bad, _) if bad > events => 0.0,
        (_, ppm) if ppm >= WHOLE_PPM => 1.0,
        (bad, ppm) => {
            let rate = Point::of(part(ppm), part(WHOLE_PPM - ppm));
            regularised(float(bad), float(events - bad + 1), rate)
        }
    }
}

/// The first of all parts per million for which it is so, where it then stays so.
fn first(is_so: impl Fn(u32) -> bool) -> u32 {
    let (mut least, mut most) = (0, WHOLE_PPM);
    while least < most {
        let middle = least + (most - least) / 2;
        if is_so(middle) {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    least
}

#[cfg(test)]
mod tests;
