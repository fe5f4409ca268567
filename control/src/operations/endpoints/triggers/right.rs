//! How right captured answers are, as gateways have counted it within the windows of triggers.
//!
//! Always true: what was counted too long ago, of another stream, or of what a variant was before, is
//! not known; nor is anything where requests, or their answers, are not kept any more.
//! Absent on purpose: counting, which the gateway does that holds the stream.

use api::endpoints::captures::{CaptureSpec, Captured};
use api::internal::{AccuracyCount, AccuracyWatch, VariantAccuracy};
use api::runs::Judged;
use api::triggers::{TriggerCondition, TriggerOn, TriggerSpec};
use policy::accuracy::classes::Found;
use policy::triggers::{RIGHT, Right};
use serde::{Deserialize, Serialize};
use store::Tx;
use store::endpoints::accuracies::{AccuracyRow, accuracies_list, accuracies_trim, accuracy_put};
use store::endpoints::captures::capture_fetch;
use types::{EndpointId, Name, StreamId};

use super::super::gates::measured::word;
use crate::Error;
use crate::operations::items::from_json;

/// How old a count may be, where it is counted anew as often as this allows: gateways look every ten
/// seconds.
const AGE_MS: u64 = 60_000;
/// How old one may be at most, where looks take so long that they are seldom: what is older says
/// nothing of a variant that may have changed what it answers since.
const AGE_MS_MAX: u64 = 900_000;
/// How many looks may be late before a count is too old: one may fail, or be slow.
const LOOKS: u64 = 2;
/// Longest pointer, and longest label: streams take none that is longer.
const TERM_BYTES_MAX: usize = 256;

/// What is stored of a count.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    stream: StreamId,
    /// From when on all was looked at, by the gateway's clock.
    from_ms: u64,
    /// Whether the window reaches further back than that.
    #[serde(default)]
    is_cut: bool,
    /// Within how many milliseconds it was to be counted anew.
    #[serde(default)]
    next_within_ms: u64,
    variants: Vec<VariantAccuracy>,
}

/// How old a count may be, in milliseconds, that was to be counted anew within so many.
fn age_ms(next_within_ms: u64) -> u64 {
    next_within_ms.saturating_mul(LOOKS).clamp(AGE_MS, AGE_MS_MAX)
}

/// Whether a condition is about how right answers are.
pub(super) fn is_about(when: &TriggerCondition) -> bool {
    matches!(when, TriggerCondition::Is(wanted) if RIGHT.contains(&word(wanted.metric)))
}

/// Refuses settings by which no prediction could be read, and those that nothing follows from.
pub(super) fn check(spec: &TriggerSpec) -> Result<(), Error> {
    let Judged { prediction, positive, .. } = &spec.judged;
    if spec.judged.is_default() {
        return Ok(());
    }
    if spec.on == TriggerOn::Replay || !is_about(&spec.when) {
        return Err(Error::invalid(
            "how predictions are read is said where it is watched how right answers to live events \
             are: leave judged out",
        ));
    }
    let is_long = |text: &Option<String>| text.as_ref().is_some_and(|it| it.len() > TERM_BYTES_MAX);
    if is_long(prediction) || is_long(positive) {
        let message =
            format!("a prediction's place, or a label, has at most {TERM_BYTES_MAX} bytes");
        return Err(Error::invalid(message));
    }
    if prediction.as_ref().is_some_and(|it| !it.is_empty() && !it.starts_with('/')) {
        return Err(Error::invalid("a prediction's place is a JSON pointer, such as /score"));
    }
    Ok(())
}

/// The windows of triggers that are about how right answers are, each once.
pub(crate) fn watches<'a>(
    specs: impl Iterator<Item = &'a serde_json::Value>,
) -> Vec<AccuracyWatch> {
    let mut watches = Vec::new();
    // What cannot be read is told of where triggers are judged.
    for spec in specs.filter_map(|spec| from_json::<TriggerSpec>(spec).ok()) {
        let Some(window_ms) = spec.window_ms.filter(|_| is_about(&spec.when)) else { continue };
        let watch = AccuracyWatch { window_ms, judged: spec.judged };
        if !watches.contains(&watch) {
            watches.push(watch);
        }
    }
    watches
}

/// Keeps what a gateway has counted.
pub(crate) async fn put(
    tx: &mut Tx<'_>,
    counted: &[AccuracyCount],
    now_ms: u64,
) -> Result<(), store::Error> {
    for count in counted {
        let AccuracyCount { endpoint, stream, window_ms, from_ms, next_within_ms, .. } = *count;
        // Both times are the gateway's, whose clock need not be control's.
        let is_cut = from_ms > count.counted_at_ms.saturating_sub(window_ms);
        let variants = count.variants.clone();
        let told = Told { stream, from_ms, is_cut, next_within_ms, variants };
        let row = AccuracyRow {
            endpoint_id: endpoint,
            window_ms,
            terms: terms(&count.judged),
            // A clock that is ahead makes nothing newer than it is.
            counted_at_ms: count.counted_at_ms.min(now_ms),
            told: serde_json::to_value(told).unwrap_or_default(),
        };
        accuracy_put(tx, &row).await?;
    }
    Ok(())
}

/// Forgets what is too old to be used, and gives how much.
pub(crate) async fn trim(tx: &mut Tx<'_>, now_ms: u64) -> Result<u64, store::Error> {
    accuracies_trim(tx, now_ms.saturating_sub(AGE_MS_MAX)).await
}

/// The members of the settings always come in one order.
fn terms(judged: &Judged) -> String {
    serde_json::to_string(judged).unwrap_or_default()
}

/// What was counted lately of an endpoint, and of which stream it has to be.
#[derive(Debug, Default)]
pub(super) struct Accuracies {
    capture: Option<(StreamId, CaptureSpec)>,
    counted: Vec<AccuracyRow>,
}

/// What was counted of one variant within a window.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) right: Right,
    /// Events with a label whose answer is not kept.
    pub(super) left_out: u64,
    /// From when on all was looked at, where the window reaches further back.
    pub(super) only_from_ms: Option<u64>,
}

/// Why nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    NotCaptured,
    NoAnswers,
    NotCounted,
}

impl Unknown {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NotCaptured => "requests of the endpoint are not captured",
            Self::NoAnswers => "the capture keeps no answers",
            Self::NotCounted => {
                "no gateway has told lately how right this variant, as it is now used, was"
            }
        }
    }
}

impl Accuracies {
    /// Reads it.
    pub(super) async fn read(tx: &mut Tx<'_>, id: EndpointId) -> Result<Self, store::Error> {
        // What cannot be read counts as no capture: routes, which have it too, say so.
        let capture = capture_fetch(tx, id).await?.and_then(|row| {
            let spec = from_json(&row.spec).ok()?;
            Some((row.stream_id, spec))
        });
        Ok(Self { capture, counted: accuracies_list(tx, id).await? })
    }

    /// Why nothing can be counted, if so.
    pub(super) fn hindrance(&self) -> Option<Unknown> {
        match &self.capture {
            None => Some(Unknown::NotCaptured),
            Some((_, spec)) if spec.what == Captured::Requests => Some(Unknown::NoAnswers),
            Some(_) => None,
        }
    }

    /// What was counted lately within a window, of a variant that is what it is since then.
    pub(super) fn of(
        &self,
        (window_ms, judged): (u64, &Judged),
        (variant, since_ms): (&Name, u64),
        now_ms: u64,
    ) -> Result<Counted, Unknown> {
        if let Some(unknown) = self.hindrance() {
            return Err(unknown);
        }
        let terms = terms(judged);
        let is_it = |row: &&AccuracyRow| row.window_ms == window_ms && row.terms == terms;
        let row = self.counted.iter().find(is_it).ok_or(Unknown::NotCounted)?;
        let told: Told = from_json(&row.told).map_err(|_| Unknown::NotCounted)?;
        let is_of_it = self.capture.as_ref().is_some_and(|(stream, _)| *stream == told.stream);
        if !is_of_it || row.counted_at_ms.saturating_add(age_ms(told.next_within_ms)) < now_ms {
            return Err(Unknown::NotCounted);
        }
        let is_it = |it: &&VariantAccuracy| it.variant == *variant && it.since_ms == since_ms;
        let it = told.variants.iter().find(is_it).ok_or(Unknown::NotCounted)?;
        let (both, predicted) = (it.true_positives, it.predicted_positives);
        let positive = Found { both, predicted, right: it.positives };
        Ok(Counted {
            right: Right { labelled: it.labelled, right: it.right, positive },
            left_out: it.left_out,
            only_from_ms: told.is_cut.then_some(told.from_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_believed_for_two_looks_within_bounds() {
        for (next_within_ms, believed_ms) in [
            (0, 60_000),
            (30_000, 60_000),
            (30_001, 60_002),
            (450_000, 900_000),
            (450_001, 900_000),
            (u64::MAX, 900_000),
        ] {
            assert_eq!(age_ms(next_within_ms), believed_ms, "{next_within_ms}");
        }
    }

    #[test]
    fn what_was_stored_before_is_read() {
        let stream = StreamId::new(uuid::Uuid::nil());
        let old = serde_json::json!({ "stream": stream, "from_ms": 7, "variants": [] });
        let told: Told = from_json(&old).unwrap();
        assert_eq!((told.from_ms, told.is_cut, told.next_within_ms), (7, false, 0));
    }
}
