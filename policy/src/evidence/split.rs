//! The split: whether arms have the shares of events that were planned for them.
//!
//! Where they have not, the splitter is broken, and no comparison of arms is to be believed.
//!
//! Always true: the order of events changes nothing; arms without a share are never expected.
//! Absent on purpose: which events an arm lost.

use super::{Evidence, LN_MAX, Percent, WHOLE_PPM, float, part};

/// How many events what is planned counts for: shares that are off by a twentieth are seen soonest.
const PRIOR: f64 = 400.0;

/// An arm, as planned and as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its planned part of events; those of all arms make a whole.
    pub planned_ppm: u32,
    /// Its events.
    pub events: u64,
}

/// The logarithm of the evidence that the shares are other than planned.
///
/// The likelihood averaged over a Dirichlet distribution around the plan, over the likelihood of the
/// plan (Lindon and Malek, arXiv 2011.03567).
pub fn evidence_ln(arms: &[Share]) -> f64 {
    let planned: f64 = arms.iter().map(|arm| part(arm.planned_ppm)).sum();
    let seen: f64 = arms.iter().map(|arm| float(arm.events)).sum();
    let mut ln = libm::lgamma(PRIOR) - libm::lgamma(PRIOR + seen);
    for arm in arms.iter().filter(|arm| arm.events > 0) {
        if arm.planned_ppm == 0 {
            return LN_MAX;
        }
        let share = part(arm.planned_ppm) / planned;
        let events = float(arm.events);
        ln += libm::lgamma(PRIOR * share + events) - libm::lgamma(PRIOR * share);
        ln -= events * libm::log(share);
    }
    Evidence::bounded(ln, 0.0).revert_ln
}

/// A split that is not as planned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "arm {arm} had {} of events where {} were planned: the split is broken, and its arms cannot be \
     compared", Percent(*seen_ppm), Percent(*planned_ppm)
)]
pub struct Broken {
    /// The arm that is farthest off, for its plan: its place, from 0.
    pub arm: usize,
    /// Its part of events.
    pub seen_ppm: u32,
    /// The planned one.
    pub planned_ppm: u32,
}

/// Says whether a split is broken, wrongly at any time with a chance of `bound_ppm` at most.
pub fn broken(arms: &[Share], bound_ppm: u32) -> Option<Broken> {
    if evidence_ln(arms) < super::boundary_ln(bound_ppm) {
        return None;
    }
    let all: u128 = arms.iter().map(|arm| u128::from(arm.events)).sum();
    let seen_ppm = |arm: &Share| {
        let part = u128::from(arm.events) * u128::from(WHOLE_PPM) / all.max(1);
        u32::try_from(part).unwrap_or(WHOLE_PPM)
    };
    let far = |arm: &Share| {
        let far = u64::from(seen_ppm(arm).abs_diff(arm.planned_ppm));
        far * u64::from(WHOLE_PPM) / u64::from(arm.planned_ppm.max(1))
    };
    let (place, arm) = arms.iter().enumerate().max_by_key(|(place, arm)| (far(arm), *place))?;
    Some(Broken { arm: place, seen_ppm: seen_ppm(arm), planned_ppm: arm.planned_ppm })
}

#[cfg(test)]
mod tests;
