//! What a replay came to, in words.

use api::runs::{Accuracy, ClassAccuracy, ConfusionCell, Pairs, RunOutcome, Times, VariantOutcome};

use crate::output::{bytes, micros, share};

/// Most pairs of label and prediction that are told; JSON has all of them.
const CELLS_MAX: usize = 9;

pub(super) fn sent(outcome: &RunOutcome) -> String {
    let (facts, schedule) = (&outcome.facts, &outcome.schedule);
    let rate = |count: u64, ns: u64| {
        let uhz = u128::from(count) * 1_000_000_000_000_000 / u128::from(ns.max(1));
        super::word_of(u64::try_from(uhz).unwrap_or(u64::MAX), 1_000_000)
    };
    format!(
        "{} of {} requests, {}/s of {}/s asked; {} events left out, {} repeated; 99 of 100 at most {} late",
        facts.sent,
        facts.asked,
        rate(facts.sent, facts.took_ns),
        rate(facts.asked, facts.asked_ns),
        schedule.omitted,
        schedule.duplicates,
        micros(facts.lag_p99_ns / 1_000),
    )
}

pub(super) fn variant(it: &VariantOutcome) -> String {
    let outcomes: Vec<String> =
        it.outcomes.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let availability = it.availability_ppm.map(|ppm| format!("; available {}", share(ppm)));
    let mut lines = vec![
        format!(
            "{} answered: {}{}",
            it.answered,
            outcomes.join(", "),
            availability.unwrap_or_default()
        ),
        format!(
            "response p50 {}, p99 {}, at most {}; service p50 {}; overhead p50 {}",
            response(it, |it| it.p50_ns),
            response(it, |it| it.p99_ns),
            bound(it),
            told(&it.service, |it| it.p50_ns),
            told(&it.overhead, |it| it.p50_ns),
        ),
        used(it),
    ];
    lines.extend(it.drills.iter().map(super::drills::outcome));
    lines.extend(right(&it.accuracy));
    lines.join("\n")
}

/// A time, where any is known.
fn told(times: &Times, of: fn(&Times) -> Option<u64>) -> String {
    let known = of(times).filter(|_| times.count > 0);
    known.map_or_else(|| "not known".to_owned(), |ns| micros(ns / 1_000))
}

/// What a part of the requests took at most: never, where that is one without a good answer.
pub(in crate::commands) fn response(it: &VariantOutcome, of: fn(&Times) -> Option<u64>) -> String {
    match of(&it.response) {
        Some(ns) => micros(ns / 1_000),
        None if it.recorded > 0 => "never".to_owned(),
        None => "-".to_owned(),
    }
}

/// What it took; what no answer said is not known, and is said to be.
fn used(it: &VariantOutcome) -> String {
    let used = &it.used;
    let known = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
    let milli = |milli: u64| super::word_of(milli, 1_000);
    let workers = used.workers.map(|most| format!(" of {most}")).unwrap_or_default();
    let busiest = used.busy_most_milli.map(|most| format!(", at most {}", milli(most)));
    let mut parts = vec![
        format!(
            "at work: {}{workers}{}",
            known(used.busy_milli.map(milli)),
            busiest.unwrap_or_default()
        ),
        format!("waiting p99 {}", told(&it.queue, |it| it.p99_ns)),
    ];
    let each = used.cold_start_us.map(|us| format!(", {} each", micros(us))).unwrap_or_default();
    parts.push(format!("cold starts {}{each}", known(used.cold_starts.map(|it| it.to_string()))));
    let processors: Vec<String> = [
        used.processors_us.map(|us| format!("{} in all", micros(us))),
        used.cpu_us.map(|us| format!("{} a request", micros(us))),
        used.cpu_milli.map(|busy| format!("{} in use", milli(busy))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let processors = (!processors.is_empty()).then(|| processors.join(", "));
    parts.push(format!("processors {}", known(processors)));
    parts.push(format!("memory {}", known(used.memory_bytes.map(bytes))));
    parts.push(format!("{} sent, {} received", bytes(it.bytes_out), bytes(it.bytes_in)));
    parts.join("; ")
}

/// How right it was.
fn right(accuracy: &Accuracy) -> Vec<String> {
    let ppm = |ppm: Option<u64>| ppm.map_or_else(|| "-".to_owned(), share);
    let mut lines = Vec::new();
    if let Some(right) = accuracy.accuracy_ppm() {
        lines.push(format!(
            "accuracy {} of {} labelled; precision {}, recall {}, F1 {}",
            share(right),
            accuracy.judged(),
            ppm(accuracy.precision_ppm()),
            ppm(accuracy.recall_ppm()),
            ppm(accuracy.f1_ppm()),
        ));
        let cell = |it: &ConfusionCell| format!("{}→{} {}", it.right, it.predicted, it.events);
        let cells: Vec<String> = accuracy.confusion.iter().take(CELLS_MAX).map(cell).collect();
        let rest = accuracy.confusion.len().saturating_sub(CELLS_MAX);
        let rest = if rest > 0 { format!(", and {rest} more") } else { String::new() };
        lines.push(format!("label→prediction: {}{rest}", cells.join(", ")));
    }
    if accuracy.classes.len() > 2 {
        let class = |it: &ClassAccuracy| format!("{} {}", it.class, ppm(it.f1_ppm()));
        let classes: Vec<String> = accuracy.classes.iter().map(class).collect();
        let mean = ppm(accuracy.macro_f1_ppm);
        lines.push(format!("F1 by class: {}; their mean {mean}", classes.join(", ")));
    }
    if let Some(auc) = &accuracy.auc {
        let between = auc.lower_ppm.zip(auc.upper_ppm);
        let between = between.map_or_else(
            || "too few events for an interval".to_owned(),
            |(lower, upper)| format!("between {} and {}", share(lower), share(upper)),
        );
        lines.push(format!("area under the curve {}, {between}", share(auc.value_ppm)));
    }
    if let Some(calibration) = &accuracy.calibration {
        let (error, brier) = (share(calibration.error_ppm), share(calibration.brier_ppm));
        lines.push(format!("scores as chances: off by {error}; squared error {brier}"));
    }
    if let Some(estimate) = &accuracy.estimate {
        lines.push(format!(
            "estimated without labels: accuracy {} of {} events, by scores and {} labels",
            share(estimate.accuracy_ppm),
            estimate.events,
            estimate.labelled,
        ));
    }
    if accuracy.unread > 0 {
        lines.push(format!("{} answers had no prediction", accuracy.unread));
    }
    lines
}

/// Below which 99 of 100 lie for sure, or how many more it needs to say so.
pub(in crate::commands) fn bound(it: &VariantOutcome) -> String {
    match (it.response.p99_upper_ns, it.response.p99_needs) {
        (Some(ns), _) => micros(ns / 1_000),
        (None, Some(needs)) => format!("not enough events: {needs} are needed"),
        (None, None) if it.recorded > 0 => "never".to_owned(),
        (None, None) => "-".to_owned(),
    }
}

pub(super) fn pair(pairs: &Pairs) -> String {
    let both = pairs.same + pairs.differ;
    let mut text = format!("the same answer to {} of {both} events", pairs.same);
    let judged = pairs.both_right + pairs.first_right + pairs.other_right + pairs.both_wrong;
    if judged > 0 {
        text += &format!(
            "; only the first right {} times, only the other {} times",
            pairs.first_right, pairs.other_right
        );
    }
    text
}
