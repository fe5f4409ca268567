//! The verdict on a candidate: promote, revert, keep sampling, or at the deadline inconclusive.
//!
//! Each guardrail watches one metric with error bounds of its own. The candidate is reverted as soon
//! as the evidence of one says so, and promoted once that of each has. So the chance to revert one
//! that is worse nowhere is the sum of all `alpha` at most, and the chance to promote one that is
//! worse somewhere by the margin is the largest `beta`, however often it is judged.
//!
//! Always true: what was decided first stays; a guardrail that has passed is watched until all have;
//! where both happen in one judgement, it is reverted; what is inconclusive reverts.
//! Absent on purpose: carrying it out.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Direction, Evidence, Percent, Shown, WHOLE_PPM, Watch, boundary_ln};

/// Guardrails of a candidate: more share the bound out into parts too small to be reached.
pub const GUARDRAILS_MAX: usize = 50;

/// One metric that a candidate must not make worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// The chance that this one reverts a candidate that is within its tolerance, at most.
    pub alpha_ppm: u32,
    /// The chance that this one passes a candidate that is worse by the margin, at most.
    pub beta_ppm: u32,
    /// What is watched.
    pub watch: Watch,
    /// The evidence of earlier stages, with the same margins.
    #[serde(default)]
    pub carried: Evidence,
}

impl Guardrail {
    /// The evidence of all stages so far.
    pub fn evidence(&self) -> Evidence {
        self.carried.and(self.watch.evidence())
    }

    /// Carries the evidence over to a stage that begins, in which other events are counted: with
    /// another share, or on live events after recorded ones. Where that asks something else, such as
    /// rates after pairs, or has other margins, it begins without.
    #[must_use]
    pub fn next_stage(&self, watch: Watch) -> Self {
        let asks_the_same = self.watch.asks_the_same(&watch);
        let carried = if asks_the_same { self.evidence() } else { Evidence::default() };
        Self { watch, carried, ..*self }
    }

    /// The chance of an error in this direction.
    fn bound_ppm(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Revert => self.alpha_ppm,
            Direction::Promote => self.beta_ppm,
        }
    }

    /// How its evidence of one direction stands.
    pub fn standing(&self, name: &str, direction: Direction) -> Standing {
        let bound_ppm = self.bound_ppm(direction);
        let carried_ln = self.carried.of(direction);
        Standing {
            guardrail: name.to_owned(),
            direction,
            evidence_ln: self.evidence().of(direction),
            bound_ppm,
            events_more: self.watch.events_more(direction, boundary_ln(bound_ppm) - carried_ln),
            watch: self.watch,
        }
    }
}

/// Why guardrails cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing would ever be promoted or reverted.
    #[error("there is no guardrail, so nothing could be decided: name at least one metric")]
    None,
    /// More than [`GUARDRAILS_MAX`].
    #[error("{count} guardrails, and at most {GUARDRAILS_MAX} can be watched: leave some out")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A bound that no evidence reaches, or that any does.
    #[error(
        "guardrail {guardrail} has an error bound of {bound_ppm} parts in a million: it must be \
         more than nothing and less than the whole"
    )]
    Bound {
        /// Which one.
        guardrail: String,
        /// What it has.
        bound_ppm: u32,
    },
    /// The same candidate could be promoted and reverted.
    #[error("guardrail {guardrail} tolerates as much as it refuses: its margin must be larger")]
    Margin {
        /// Which one.
        guardrail: String,
    },
    /// A candidate would be reverted whatever it does.
    #[error(
        "the guardrails together revert a healthy candidate with a chance of {alpha_ppm} parts in \
         a million: lower their alpha until the sum is below the whole"
    )]
    Alpha {
        /// The sum.
        alpha_ppm: u64,
    },
}

/// Says whether these can be watched.
///
/// # Errors
///
/// [`Refusal`], with the first reason.
pub fn check(guardrails: &BTreeMap<String, Guardrail>) -> Result<(), Refusal> {
    if guardrails.is_empty() {
        return Err(Refusal::None);
    }
    if guardrails.len() > GUARDRAILS_MAX {
        return Err(Refusal::TooMany { count: guardrails.len() });
    }
    for (name, guardrail) in guardrails {
        for bound_ppm in [guardrail.alpha_ppm, guardrail.beta_ppm] {
            if bound_ppm == 0 || bound_ppm >= WHOLE_PPM {
                return Err(Refusal::Bound { guardrail: name.clone(), bound_ppm });
            }
        }
        if !guardrail.watch.is_ordered() {
            return Err(Refusal::Margin { guardrail: name.clone() });
        }
    }
    let alpha_ppm = guardrails.values().map(|one| u64::from(one.alpha_ppm)).sum();
    if alpha_ppm >= u64::from(WHOLE_PPM) {
        return Err(Refusal::Alpha { alpha_ppm });
    }
    Ok(())
}

/// What to do with a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing is known yet.
    #[default]
    KeepSampling,
    /// It is not worse by any margin.
    Promote,
    /// It is worse than it may be.
    Revert,
    /// The deadline came first, which reverts too.
    Inconclusive,
}

impl Answer {
    /// Whether the incumbent is to have everything again.
    pub fn reverts(self) -> bool {
        matches!(self, Self::Revert | Self::Inconclusive)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeepSampling => "keep sampling",
            Self::Promote => "promote",
            Self::Revert => "revert",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// How the evidence of one guardrail stands in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Its name.
    pub guardrail: String,
    /// What the evidence speaks for.
    pub direction: Direction,
    /// Its logarithm.
    pub evidence_ln: f64,
    /// The chance that it is wrong, at most: it suffices from one over this on.
    pub bound_ppm: u32,
    /// What was seen.
    pub watch: Watch,
    /// How many more events it needs, if they are like those so far: an estimate, where there is one.
    pub events_more: Option<u64>,
}

impl Standing {
    /// Whether the evidence suffices.
    pub fn suffices(&self) -> bool {
        self.evidence_ln >= boundary_ln(self.bound_ppm)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guardrail, direction, evidence_ln, bound_ppm, watch, events_more } = self;
        let kind = if watch.asymptotic() { "asymptotic evidence" } else { "evidence" };
        let (claim, shown) = (watch.claim(*direction), Shown(*evidence_ln));
        let needed = Shown(boundary_ln(*bound_ppm));
        write!(f, "{guardrail}: {watch}; the {kind} that {claim} is {shown}")?;
        if self.suffices() {
            return write!(f, ", and {needed} suffices (wrong in at most {})", Percent(*bound_ppm));
        }
        write!(f, " of {needed}")?;
        match events_more {
            Some(events) => write!(f, ", which takes about {events} more events like these"),
            None => write!(f, ", which more events like these would not reach"),
        }
    }
}

/// How far a candidate may go undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// Most events of all stages.
    pub events_max: u64,
    /// The last moment, in milliseconds since 1970.
    pub until_ms: u64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events of all stages.
    pub events: u64,
    /// Now, in milliseconds since 1970.
    pub now_ms: u64,
}

/// What was decided so far, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    answer: Answer,
    /// As they stood when they passed.
    passed: BTreeMap<String, Standing>,
    reasons: Vec<Standing>,
}

impl Verdict {
    /// Judges the guardrails as they stand; nothing changes an answer other than to keep sampling.
    pub fn judge(
        &mut self,
        guardrails: &BTreeMap<String, Guardrail>,
        deadline: Deadline,
        progress: Progress,
    ) -> Answer {
        if self.answer != Answer::KeepSampling {
            return self.answer;
        }
        let mut reverts = false;
        for (name, guardrail) in guardrails {
            let evidence = guardrail.evidence();
            reverts |= evidence.revert_ln >= boundary_ln(guardrail.alpha_ppm);
            let passes = evidence.promote_ln >= boundary_ln(guardrail.beta_ppm);
            if passes && !self.passed.contains_key(name) {
                self.passed.insert(name.clone(), guardrail.standing(name, Direction::Promote));
            }
        }
        let passes =
            !guardrails.is_empty() && guardrails.keys().all(|name| self.passed.contains_key(name));
        let over = progress.events >= deadline.events_max || progress.now_ms >= deadline.until_ms;
        self.answer = match (reverts, passes, over) {
            (true, _, _) => Answer::Revert,
            (false, true, _) => Answer::Promote,
            (false, false, true) => Answer::Inconclusive,
            (false, false, false) => return Answer::KeepSampling,
        };
        self.reasons = self.standings(guardrails);
        self.answer
    }

    /// The answer of the last judgement.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Guardrails whose evidence has once sufficed to promote, as it stood then.
    pub fn passed(&self) -> &BTreeMap<String, Standing> {
        &self.passed
    }

    /// Why it was decided so, as it stood then; nothing while it is not.
    pub fn reasons(&self) -> &[Standing] {
        &self.reasons
    }

    /// What speaks for the answer: what suffices to revert; how each came to pass; and else how far
    /// all that have not passed are from either.
    pub fn standings(&self, guardrails: &BTreeMap<String, Guardrail>) -> Vec<Standing> {
        match self.answer {
            Answer::Revert => guardrails
                .iter()
                .map(|(name, one)| one.standing(name, Direction::Revert))
                .filter(Standing::suffices)
                .collect(),
            Answer::Promote => self.passed.values().cloned().collect(),
            Answer::KeepSampling | Answer::Inconclusive => guardrails
                .iter()
                .filter(|(name, _)| !self.passed.contains_key(*name))
                .flat_map(|(name, one)| {
                    [Direction::Revert, Direction::Promote].map(|way| one.standing(name, way))
                })
                .collect(),
        }
    }
}

/// The chance that healthy candidates are reverted, at most, in parts per million.
pub fn false_revert_ppm(guardrails: &BTreeMap<String, Guardrail>) -> u64 {
    guardrails.values().map(|one| u64::from(one.alpha_ppm)).sum()
}

/// The chance that one is promoted which is worse by a margin, at most, in parts per million.
pub fn false_promote_ppm(guardrails: &BTreeMap<String, Guardrail>) -> u32 {
    guardrails.values().map(|one| one.beta_ppm).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
