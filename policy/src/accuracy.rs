//! Accuracy: how often predictions are right, of events whose right answer is known.
//!
//! [`classes`] counts words against words, also those of two candidates; [`scores`] says how well
//! numbers tell one class from the others; [`calibration`] whether a number means what it says;
//! [`estimate`] how often decisions are right where nobody has said so yet.
//!
//! Always true: what is counted are integers, so that parts in any order and divided in any way come
//! to the same; floats come last, and beyond the four operations and the root through `libm`.
//! Absent on purpose: which events count. A copy of an event is no new evidence: it is not counted.

pub mod calibration;
pub mod classes;
pub mod estimate;
pub mod scores;

pub use calibration::Calibration;
pub use classes::Classes;
pub use estimate::Estimate;
pub use scores::Scores;

use crate::evidence::{WHOLE_PPM, float, part};

/// A part of a whole, as far as there is a whole.
fn ratio(of: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(of) / float(whole))
}

/// How many standard deviations from the mean a normal variable stays within, with that confidence.
///
/// To 2^-50 of it, by bisection of the complementary error function.
pub(crate) fn deviations(confidence_ppm: u32) -> f64 {
    let outside = part(WHOLE_PPM - confidence_ppm.clamp(1, WHOLE_PPM - 1)) / part(WHOLE_PPM);
    let (mut few, mut many) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(few, many);
        if libm::erfc(middle / std::f64::consts::SQRT_2) > outside {
            few = middle;
        } else {
            many = middle;
        }
    }
    f64::midpoint(few, many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_the_tables() {
        for (confidence_ppm, expected) in
            [(682_689, 1.0), (950_000, 1.959_963_985), (990_000, 2.575_829_304)]
        {
            assert!((deviations(confidence_ppm) - expected).abs() < 2e-6);
        }
    }
}
