//! Pairs: a candidate and the incumbent on the same events, as in replay and shadow.
//!
//! Where an event is right or wrong, only what one of both got wrong tells anything ([`Pairs`], the
//! test of McNemar made sequential by [`super::counts::Ratio`]). Where the margin is one of the
//! accuracy itself, or a loss has more than two values, one bets on each difference ([`Differences`]).
//!
//! Always true: a bet is made from earlier events only; a bet never loses all there is.
//! Absent on purpose: events that only one of both had.

use serde::{Deserialize, Serialize};

use super::{Evidence, Margins, WHOLE_PPM, float, part};

/// The part of what could be lost on one difference that is bet at most: what is left after the
/// worst is half.
const STAKE_MAX: f64 = 0.5;

/// Events that both had, by who got them wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// All of them.
    pub events: u64,
    /// Those that only the candidate got wrong.
    pub candidate_only: u64,
    /// Those that only the incumbent got wrong.
    pub incumbent_only: u64,
}

impl Pairs {
    /// Counts an event by whether each got it wrong, or took longer than a limit.
    pub fn learn(&mut self, candidate_bad: bool, incumbent_bad: bool) {
        self.events = self.events.saturating_add(1);
        match (candidate_bad, incumbent_bad) {
            (true, false) => self.candidate_only = self.candidate_only.saturating_add(1),
            (false, true) => self.incumbent_only = self.incumbent_only.saturating_add(1),
            _ => {}
        }
    }

    /// Adds what was counted elsewhere; the order of events changes nothing.
    pub fn merge(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.candidate_only = self.candidate_only.saturating_add(other.candidate_only);
        self.incumbent_only = self.incumbent_only.saturating_add(other.incumbent_only);
    }
}

/// Bets on by how much more the candidate loses than the incumbent, event by event.
///
/// The evidence is what the bets have made of 1. Each is chosen by the mean and the variance so far,
/// as `gain / (variance + gain^2)` within limits (aGRAPA: Waudby-Smith and Ramdas 2024, "Estimating
/// means of bounded random variables by betting").
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    margins: Margins,
    events: u64,
    /// The sum of differences, and that of their squares.
    sum: f64,
    squares: f64,
    evidence: Evidence,
}

impl Differences {
    /// Before any event; the margins are differences, in parts of one.
    pub fn new(margins: Margins) -> Self {
        Self { margins, events: 0, sum: 0.0, squares: 0.0, evidence: Evidence::default() }
    }

    /// Counts the candidate's loss less the incumbent's, in parts per million; of losses from nothing
    /// to one, and so between plus and minus one: what is beyond counts as one.
    pub fn learn(&mut self, difference_ppm: i32) {
        let difference = (f64::from(difference_ppm) / part(WHOLE_PPM)).clamp(-1.0, 1.0);
        let revert = self.revert_bet();
        let promote = self.promote_bet();
        self.evidence = Evidence::bounded(
            self.evidence.revert_ln + libm::log1p(revert * (difference - self.tolerance())),
            self.evidence.promote_ln + libm::log1p(promote * (self.margin() - difference)),
        );
        self.events = self.events.saturating_add(1);
        self.sum += difference;
        self.squares += difference * difference;
    }

    /// Adds what was learnt elsewhere, from other events and with the same margins.
    ///
    /// Both had bet from the past, so the product is evidence as well; another order of the same
    /// events would have been bet on otherwise.
    pub fn merge(&mut self, other: &Self) {
        self.events = self.events.saturating_add(other.events);
        self.sum += other.sum;
        self.squares += other.squares;
        self.evidence = self.evidence.and(other.evidence);
    }

    /// What the differences are held against.
    pub fn margins(&self) -> Margins {
        self.margins
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The mean difference so far, in parts of one; nothing before the first event.
    pub fn mean(&self) -> f64 {
        if self.events == 0 { 0.0 } else { self.sum / float(self.events) }
    }

    /// The evidence so far.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// The evidence after so many times as many events, if they are like those so far.
    pub(super) fn grown(&self, factor: f64) -> Evidence {
        let more = float(self.events) * (factor - 1.0);
        let (mean, variance) = self.moments();
        // What a bet gains on average, to the second order.
        let growth = |bet: f64, gain: f64| bet * gain - bet * bet * (variance + gain * gain) / 2.0;
        let revert_ln = more * growth(self.revert_bet(), mean - self.tolerance());
        let promote_ln = more * growth(self.promote_bet(), self.margin() - mean);
        self.evidence.and(Evidence::bounded(revert_ln, promote_ln))
    }

    fn tolerance(&self) -> f64 {
        part(self.margins.tolerance_ppm) / part(WHOLE_PPM)
    }

    fn margin(&self) -> f64 {
        part(self.margins.margin_ppm) / part(WHOLE_PPM)
    }

    /// A difference of minus one loses `1 + tolerance` times the bet.
    fn revert_bet(&self) -> f64 {
        let (mean, variance) = self.moments();
        bet(mean - self.tolerance(), variance, 1.0 + self.tolerance())
    }

    /// A difference of plus one loses `1 - margin` times the bet.
    fn promote_bet(&self) -> f64 {
        let (mean, variance) = self.moments();
        bet(self.margin() - mean, variance, 1.0 - self.margin())
    }

    /// Mean and variance, as if one event of mean nothing and variance one had come before.
    fn moments(&self) -> (f64, f64) {
        let count = float(self.events) + 1.0;
        let mean = self.sum / count;
        (mean, ((self.squares + 1.0) / count - mean * mean).max(0.0))
    }
}

/// The bet on a gain that is expected, where the worst loses `loss` times as much.
fn bet(gain: f64, variance: f64, loss: f64) -> f64 {
    let spread = variance + gain * gain;
    if gain <= 0.0 || spread <= 0.0 {
        return 0.0;
    }
    (gain / spread).min(STAKE_MAX / loss.max(STAKE_MAX))
}

#[cfg(test)]
mod tests;
