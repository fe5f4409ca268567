//! `freehold runs`: replays, how far they are, and what they came to.

mod drills;
mod series;
mod shown;

use api::client::Client;
use api::runs::{Run, RunDriftQuery, RunFollows, RunOutcome, RunProgress, VariantOutcome};
use types::RunId;

use super::every;
use super::replay::load_words;
use super::stream;
use super::wording::word;
use crate::args::RunsCommand;
use crate::exit::Failure;
use crate::output::{Output, share, time};
pub(super) use shown::{bound, response};
use shown::{pair, sent, variant};

/// Carries out the command.
pub(super) async fn run(
    command: RunsCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        RunsCommand::List => {
            let all: Vec<Run> = every(|page| async move { client.runs_list(&page).await }).await?;
            let heads =
                ["run", "endpoint", "variants", "stream", "load", "state", "valid", "begun"];
            out.list(&all, &heads, |run| {
                vec![
                    run.id.to_string(),
                    run.spec.endpoint.to_string(),
                    names(run),
                    run.spec.stream.to_string(),
                    load_words(&run.spec.load),
                    word(&run.state),
                    outcome(run).map_or_else(String::new, |it| valid(&it).to_owned()),
                    time(run.created_at_ms),
                ]
            })
        }
        RunsCommand::Show { id } => out.one(&client.run_fetch(id).await?, rows),
        RunsCommand::Stop { id } => out.one(&client.run_stop(id).await?, rows),
        RunsCommand::Series(wanted) => series::run(wanted, client, out).await,
        RunsCommand::Drift { id, against, variant, against_variant, alarm_every } => {
            let (alarm_every, seed) = (Some(alarm_every), None);
            let query = RunDriftQuery { against, variant, against_variant, alarm_every, seed };
            stream::drift::show(&client.run_drift(id, &query).await?, out)
        }
        RunsCommand::Compare { ids } => compare(&ids, client, out).await,
    }
}

/// A row of a comparison.
#[derive(serde::Serialize)]
struct Compared {
    run: RunId,
    valid: Option<bool>,
    load: String,
    variant: VariantOutcome,
}

async fn compare(ids: &[RunId], client: &Client, out: &Output) -> Result<(), Failure> {
    let mut all = Vec::new();
    for id in ids {
        let run = client.run_fetch(*id).await?;
        let Some(outcome) = outcome(&run) else {
            return Err(Failure::refused(format!("{id} has come to nothing yet"))
                .hint(format!("how far it is: freehold runs show {id}")));
        };
        let load = load_words(&run.spec.load);
        all.extend(outcome.variants.into_iter().map(|variant| Compared {
            run: run.id,
            valid: Some(outcome.valid),
            load: load.clone(),
            variant,
        }));
    }
    let heads = [
        "run",
        "load",
        "valid",
        "variant",
        "answered",
        "ok",
        "p50",
        "p99",
        "p99 at most",
        "accuracy",
        "precision",
        "recall",
        "auc",
        "availability",
    ];
    out.list(&all, &heads, |it| {
        let ppm = |ppm: Option<u64>| ppm.map(share).unwrap_or_default();
        let VariantOutcome { name, answered, outcomes, accuracy, .. } = &it.variant;
        vec![
            it.run.to_string(),
            it.load.clone(),
            if it.valid == Some(true) { "VALID" } else { "INVALID" }.to_owned(),
            name.clone(),
            answered.to_string(),
            outcomes.get("ok").copied().unwrap_or(0).to_string(),
            response(&it.variant, |it| it.p50_ns),
            response(&it.variant, |it| it.p99_ns),
            bound(&it.variant),
            ppm(accuracy.accuracy_ppm()),
            ppm(accuracy.precision_ppm()),
            ppm(accuracy.recall_ppm()),
            ppm(accuracy.auc.map(|auc| auc.value_ppm)),
            ppm(it.variant.availability_ppm),
        ]
    })
}

/// What a run came to, once it has ended.
pub fn outcome(run: &Run) -> Option<RunOutcome> {
    serde_json::from_value(run.outcome.clone()?).ok()
}

const fn valid(outcome: &RunOutcome) -> &'static str {
    if outcome.valid { "VALID" } else { "INVALID" }
}

fn names(run: &Run) -> String {
    let names: Vec<&str> = run.spec.variants.iter().map(types::Name::as_str).collect();
    names.join(", ")
}

/// A run for people.
pub(super) fn rows(run: &Run) -> Vec<(String, String)> {
    let outcome = outcome(run);
    let mut rows = vec![
        ("run", run.id.to_string()),
        ("endpoint", run.spec.endpoint.to_string()),
        ("stream", run.spec.stream.to_string()),
        ("load", load_words(&run.spec.load)),
        ("drills", drills::wanted(&run.spec.drills)),
        ("follows", run.follows.as_ref().map(follows).unwrap_or_default()),
        ("state", word(&run.state)),
        ("error", run.error.clone().unwrap_or_default()),
        ("begun", time(run.created_at_ms)),
        ("ended", run.ended_at_ms.map(time).unwrap_or_default()),
    ];
    let mut variants = Vec::new();
    let mut pairs = Vec::new();
    if let Some(outcome) = outcome {
        let reasons = std::iter::once(valid(&outcome).to_owned());
        let disclosed = outcome.disclosed.iter().map(|it| format!("disclosed: {it}"));
        let reasons: Vec<String> =
            reasons.chain(outcome.reasons.clone()).chain(disclosed).collect();
        rows.push(("valid", reasons.join("\n")));
        rows.push(("sent", sent(&outcome)));
        rows.push(("accounted for", outcome.durability_ppm.map(share).unwrap_or_default()));
        rows.push(("schedule", outcome.schedule.digest.chars().take(16).collect()));
        rows.push(("seed", outcome.schedule.seed.map_or_else(String::new, |it| it.to_string())));
        (variants, pairs) = (outcome.variants, outcome.pairs);
    } else if let Some(told) = run.progress.clone() {
        let told: RunProgress = serde_json::from_value(told).unwrap_or_default();
        rows.push(("sends", told.issued.to_string()));
        (variants, pairs) = (told.variants, told.pairs);
    }
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let mut rows: Vec<(String, String)> =
        filled.map(|(key, value)| (key.to_owned(), value)).collect();
    rows.extend(variants.iter().map(|it| (it.name.clone(), variant(it))));
    let others = variants.iter().skip(1).zip(&pairs);
    rows.extend(others.filter_map(|(other, pairs)| {
        let first = variants.first()?;
        Some((format!("{} and {}", first.name, other.name), pair(pairs)))
    }));
    rows
}

/// Why a run follows another, in words.
fn follows(it: &RunFollows) -> String {
    format!("{}, by the trigger {}; change {} in a row", it.run, it.trigger, it.changes)
}

/// A number of parts, as a decimal without zeros at its end.
pub(super) fn word_of(parts: u64, of: u64) -> String {
    let (whole, rest) = (parts / of, parts % of);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = of.ilog10() as usize;
    let text = format!("{whole}.{rest:0digits$}");
    // Three digits tell enough.
    let cut = text.len().min(text.find('.').unwrap_or(0) + 4);
    text[..cut].trim_end_matches('0').trim_end_matches('.').to_owned()
}
