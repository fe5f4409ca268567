//! Judging a trigger: by what its variant answered lately, or by what a replay came to.

use std::collections::BTreeMap;

use api::runs::{RunOutcome, RunSpec};
use api::triggers::{TriggerCondition, TriggerSeen, TriggerSpec};
use policy::gates::{self, Judgement, Value};
use policy::triggers::{self, Right, Seen, Subject};
use store::endpoints::EndpointRow;
use store::endpoints::triggers::TriggerRow;
use types::{EndpointId, Mode, Name, Used};

use super::burn_of;
use super::right::{self, Accuracies, Counted, Unknown};
use super::seen::Lately;
use crate::Error;
use crate::operations::endpoints::gates::measured::{beside, condition, snapshot};
use crate::operations::items::from_json;

/// What live triggers of an endpoint are judged by.
pub(super) struct Live {
    /// The change of modes that holds.
    pub(super) number: u64,
    /// The newest change that no trigger made.
    pub(super) settled: u64,
    /// Since when each variant is used so, and is what it is.
    pub(super) since_ms: BTreeMap<EndpointId, u64>,
    /// Since when control can have heard of all that was answered.
    pub(super) heard_ms: u64,
    pub(super) now_ms: u64,
    pub(super) used: Vec<(EndpointRow, Used)>,
    pub(super) lately: BTreeMap<EndpointId, Lately>,
    pub(super) accuracies: Accuracies,
}

impl Live {
    /// Judges a trigger of live events.
    pub(super) fn judge(&self, row: &TriggerRow) -> Result<(Judgement, TriggerSeen), Error> {
        let spec: TriggerSpec = from_json(&row.spec)?;
        let of = |mode: Mode| self.used.iter().find(|(_, used)| used.mode == mode);
        let incumbent = of(Mode::Production).map(|(row, _)| row);
        let candidate = match &spec.variant {
            Some(name) => self.used.iter().map(|(row, _)| row).find(|row| row.variant == *name),
            None => incumbent,
        };
        let Some(candidate) = candidate else {
            return Ok((Judgement::NotKnown, nobody("the variant was removed")));
        };
        if right::is_about(&spec.when) {
            return self.judge_right(&spec, candidate, incumbent);
        }
        let window_ms = spec.window_ms.unwrap_or(0);
        let watched_ms = row.created_at_ms.max(self.heard_ms);
        let seen = |of: Option<&EndpointRow>, window_ms: u64| {
            let since_ms = of.and_then(|of| self.since_ms.get(&of.id)).copied().unwrap_or(0);
            let lately = of.and_then(|of| self.lately.get(&of.id));
            let watched = (since_ms, watched_ms);
            lately.map_or_else(Seen::default, |it| it.seen(window_ms, self.now_ms, watched))
        };
        let own = seen(Some(candidate), window_ms);
        let (judgement, subject) = match &spec.when {
            TriggerCondition::Is(wanted) => {
                let beside = seen(incumbent, window_ms);
                let judged = triggers::judge(&condition(wanted)?, &own.snapshot(&beside));
                (judged.judgement, judged.subject)
            }
            TriggerCondition::Burns(burn) => {
                let burn = burn_of(burn, window_ms);
                let short = seen(Some(candidate), burn.short_ms());
                let (judgement, burning) = burn.judge(&own, &short);
                (judgement, Subject::Burns(burning))
            }
            TriggerCondition::Worse {} => {
                let words = "which variant is worse is known of replays";
                return Ok((Judgement::NotKnown, nobody(words)));
            }
        };
        let counted = (own.events, own.bad);
        Ok((judgement, told(candidate.variant.clone(), judgement, &subject, counted)))
    }

    /// Judges a trigger of how right answers are, by what a gateway has counted.
    fn judge_right(
        &self,
        spec: &TriggerSpec,
        candidate: &EndpointRow,
        incumbent: Option<&EndpointRow>,
    ) -> Result<(Judgement, TriggerSeen), Error> {
        let TriggerCondition::Is(wanted) = &spec.when else {
            return Ok((Judgement::NotKnown, nobody("nothing is watched")));
        };
        let asked = (spec.window_ms.unwrap_or(0), &spec.judged);
        let counted = |of: &EndpointRow| {
            let since_ms = self.since_ms.get(&of.id).copied().unwrap_or(0);
            self.accuracies.of(asked, (&of.variant, since_ms), self.now_ms)
        };
        let own = counted(candidate);
        let beside = incumbent.and_then(|of| counted(of).ok());
        let right = |it: &Counted| it.right;
        let (own_right, beside) = (own.as_ref().ok().map(right), beside.as_ref().map(right));
        let snapshot = Right::snapshot(own_right.as_ref(), beside.as_ref());
        let judged = triggers::judge(&condition(wanted)?, &snapshot);
        let Right { labelled, right, .. } = own_right.unwrap_or_default();
        let counted = (labelled, labelled.saturating_sub(right));
        let variant = candidate.variant.clone();
        let mut told = told(variant, judged.judgement, &judged.subject, counted);
        told.words += &remarks(&own);
        Ok((judged.judgement, told))
    }
}

/// What is to be known of a count beside its value.
fn remarks(counted: &Result<Counted, Unknown>) -> String {
    let counted = match counted {
        Ok(counted) => counted,
        Err(unknown) => return format!("; {}", unknown.words()),
    };
    let mut words = format!("; {} events with a label", counted.right.labelled);
    if let Some(from_ms) = counted.only_from_ms {
        let from = crate::moment::iso8601(from_ms);
        words += &format!(", of the newest alone, since {from}: there are too many");
    }
    if counted.left_out > 0 {
        words += &format!(", and {} whose answer is not kept", counted.left_out);
    }
    words
}

/// Judges a trigger of replays by one that has ended; none where its variant was not in it, or where
/// it is not to be believed.
pub(super) fn of_run(
    row: &TriggerRow,
    (spec, outcome): (&RunSpec, &RunOutcome),
    incumbent: Option<&Name>,
) -> Result<Option<(Judgement, TriggerSeen)>, Error> {
    let trigger: TriggerSpec = from_json(&row.spec)?;
    let candidate = match &trigger.variant {
        Some(name) => spec.variants.iter().position(|it| it == name),
        None => Some(0),
    };
    let Some(candidate) = candidate.filter(|place| *place < outcome.variants.len()) else {
        return Ok(None);
    };
    if !outcome.valid {
        return Ok(None);
    }
    let mut others = spec.variants.iter().enumerate().filter(|(place, _)| *place != candidate);
    let (judgement, subject) = match &trigger.when {
        TriggerCondition::Is(wanted) => {
            let beside = others.find(|(_, it)| Some(*it) == incumbent).map(|(place, _)| place);
            let seen = snapshot(outcome, candidate, beside);
            let judged = triggers::judge(&condition(wanted)?, &seen);
            (judged.judgement, judged.subject)
        }
        TriggerCondition::Worse {} => {
            // What is in production is held against all others, and they against it.
            let is_incumbent = incumbent == Some(&spec.variants[candidate]);
            let against = others.filter(|(_, it)| is_incumbent || Some(*it) == incumbent);
            let beside = beside(outcome, candidate, &against.collect::<Vec<_>>());
            let (judgement, worse) = triggers::worse(beside);
            (judgement, Subject::Worse(worse))
        }
        TriggerCondition::Burns(_) => return Ok(None),
    };
    let it = &outcome.variants[candidate];
    let good = it.outcomes.get("ok").copied().unwrap_or(0);
    let counted = (it.recorded, it.recorded.saturating_sub(good));
    let variant = spec.variants[candidate].clone();
    Ok(Some((judgement, told(variant, judgement, &subject, counted))))
}

fn told(
    variant: Name,
    judgement: Judgement,
    subject: &Subject,
    (requests, failures): (u64, u64),
) -> TriggerSeen {
    let value = match subject {
        Subject::Is(gates::Subject::Metric { value, .. }) => *value,
        Subject::Is(_) | Subject::Worse(_) => Value::Missing,
        Subject::Burns(burning) => burning.value(),
    };
    let bounds = value.bounds().unwrap_or_default();
    TriggerSeen {
        variant: Some(variant),
        judgement: word(judgement),
        words: subject.to_string(),
        lower: bounds.lower,
        upper: bounds.upper,
        requests,
        failures,
    }
}

fn nobody(words: &str) -> TriggerSeen {
    TriggerSeen {
        variant: None,
        judgement: word(Judgement::NotKnown),
        words: words.to_owned(),
        lower: None,
        upper: None,
        requests: 0,
        failures: 0,
    }
}

fn word(judgement: Judgement) -> String {
    let word = match judgement {
        Judgement::Holds => "holds",
        Judgement::NotKnown => "not_known",
        Judgement::Fails => "fails",
    };
    word.to_owned()
}
