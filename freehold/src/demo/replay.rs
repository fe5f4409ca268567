//! `freehold demo replay`: recorded sign-ins sent to candidates, one refused by its gate, one promoted
//! through a bake, and one that fails in its bake and comes back by itself.

mod signins;

use std::path::Path;

use api::client::{Client, Invocation};
use api::endpoints::{
    ChangeMode, CreateVariant, DeployRequest, GateCondition, GateMetric, GateSpec, Promote,
};
use api::functions::CreateFunction;
use api::pages::PageQuery;
use api::runs::{GroupBy, Judged, Load, Run, RunOutcome, RunSpec};
use api::streams::{CreateStream, LabelEvents, SelectionQuery, StreamSpec};
use serde::Serialize;
use types::{FunctionRuntime, Mode, Name};

use super::functions::{send, word};
use super::teller::{Step, Teller, say};
use crate::cloud::Running;
use crate::commands;
use crate::exit::Failure;
use crate::output::{Output, share};
use signins::{Recorded, SECONDS, recorded};

/// The functions: two models, a rule, and one that fails where nobody tried it. Each takes some time,
/// as a model does: on what answers at once, a sender beside it shows before anything else does.
const CODE: &str = "\
import time

def today(event, context):
    time.sleep(0.2)
    return {\"risk\": 1.0 if event[\"failures\"] >= 5 else 0.0}

def rule(event, context):
    time.sleep(0.2)
    return {\"risk\": 1.0 if event[\"country\"] != \"no\" else 0.0}

def better(event, context):
    time.sleep(0.2)
    strange = event[\"country\"] != \"no\" or event[\"new_device\"]
    return {\"risk\": 1.0 if event[\"failures\"] >= 3 and strange else 0.0}

def slow(event, context):
    time.sleep(0.7)
    return better(event, context)

def faulty(event, context):
    time.sleep(0.2)
    return {\"risk\": 1.0 / event[\"failures\"]}
";
const ENDPOINT: &str = "signins";
const MAIN: &str = "main";
/// How much faster than it happened, in thousandths.
const SPEED_MILLI: u64 = 10_000;
/// Replays of a candidate until one is valid: this machine may do something else too.
const TRIES: u32 = 5;
/// The part of the keys of a bake, and how long it takes.
const BAKE_BP: u32 = 5_000;
const BAKE_MS: u64 = 8_000;
/// Longest wait for anything, and between two looks.
const WAIT: std::time::Duration = std::time::Duration::from_mins(1);
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// Customers who sign in at one time during a bake.
const CALLERS: usize = 8;

/// What the story came to.
#[derive(Debug, Serialize)]
pub struct Report {
    events: u64,
    /// What the gate said of the candidate that is too slow.
    refused: Vec<String>,
    /// What it said of the one that was promoted.
    promoted: Vec<String>,
    /// Why the bake put it into production.
    baked: String,
    /// Why the faulty one came back.
    reverted: String,
    steps: Vec<Step>,
    total_ms: u64,
}

/// Tells the story, and writes its report.
pub(super) async fn tell(
    cloud: &Running,
    scratch: &Path,
    (teller, out): (&mut Teller, &Output),
) -> Result<(), Failure> {
    let client = &commands::client(&cloud.http, &cloud.operator_token, None)?;
    let recorded = recorded();
    let kept = keep(client, &recorded);
    teller
        .step("sign-ins as they were recorded, and what became of them, into a stream", kept)
        .await?;
    let made = deploy(client, scratch);
    teller.step("an endpoint with what runs today, a rule and two candidates", made).await?;
    let gated = gate(client);
    teller.step("a gate: quick, without errors, and more often right than today", gated).await?;
    let tried = try_out(client, "slow");
    let told = "the accurate but slow candidate: ten times as fast as recorded, beside today's and the rule";
    let refused = teller.step(told, tried).await?;
    let tried = try_out(client, "better");
    let promoted = teller.step("the quick one, on the same events", tried).await?;
    let baked = bake(client, (cloud, &recorded), "better");
    let told = "it answers half of the customers for a while, watched, and then all of them";
    let baked = teller.step(told, baked).await?;
    let reverted = bake(client, (cloud, &recorded), "faulty");
    let told =
        "a candidate with a fault that nobody saw is given half of them: it comes back by itself";
    let reverted = teller.step(told, reverted).await?;
    let report = Report {
        events: recorded.len() as u64,
        refused,
        promoted,
        baked,
        reverted,
        steps: teller.steps.clone(),
        total_ms: teller.total_ms(),
    };
    out.one(&report, |report| {
        let rows = [
            ("events", report.events.to_string()),
            ("slow was refused", report.refused.join("\n")),
            ("better was promoted", report.promoted.join("\n")),
            ("and baked", report.baked.clone()),
            ("faulty came back", report.reverted.clone()),
            ("took", format!("{}.{:03} s", report.total_ms / 1_000, report.total_ms % 1_000)),
        ];
        rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    })
}

async fn keep(client: &Client, recorded: &[Recorded]) -> Result<(), Failure> {
    let name: Name = word(ENDPOINT);
    let spec = StreamSpec { description: "generated".to_owned(), ..StreamSpec::default() };
    client.stream_create(&CreateStream { name: name.clone(), spec }).await?;
    let events: Vec<_> = recorded.iter().map(Recorded::event).collect();
    let appended = client.stream_append(&name, &events).await?;
    let labels = LabelEvents { labels: recorded.iter().map(Recorded::label).collect(), rule: None };
    client.stream_label(&name, &labels).await?;
    let stats = client.stream_stats(&name, &SelectionQuery::default()).await?;
    let risky = recorded.iter().filter(|it| it.risky).count();
    say(&format!("{} sign-ins of {SECONDS} seconds, {risky} of them risky", stats.events))?;
    expect(appended.stored == stats.events, "an event is missing")
}

async fn deploy(client: &Client, scratch: &Path) -> Result<(), Failure> {
    let object = send(client, (ENDPOINT, CODE), scratch).await?;
    for name in ["today", "rule", "better", "slow", "faulty"] {
        let wanted = CreateFunction {
            handler: format!("app.{name}"),
            ..CreateFunction::new(word(name), FunctionRuntime::Python3, object)
        };
        client.function_create(&wanted).await?;
    }
    let source = |name: &str| word(&format!("function:{name}"));
    let wanted =
        DeployRequest { name: word(ENDPOINT), source: source("today"), instance_type: None };
    client.endpoint_create(&wanted).await?;
    commands::wait_until_ready(client, &word(ENDPOINT)).await?;
    for name in ["rule", "better", "slow", "faulty"] {
        let wanted =
            CreateVariant { variant: word(name), source: source(name), instance_type: None };
        client.variant_create(&word(ENDPOINT), &wanted).await?;
        commands::wait_until_variant_ready(client, &word(ENDPOINT), &word(name)).await?;
    }
    say("today's model is in production; the others see no customer")
}

async fn gate(client: &Client) -> Result<(), Failure> {
    let of = GateCondition::of;
    let quick = GateCondition { at_most: Some(500_000), ..of(GateMetric::ResponseP50Us) };
    let good = GateCondition { at_most: Some(10_000), ..of(GateMetric::ErrorsPpm) };
    let right =
        GateCondition { at_least_of_incumbent_ppm: Some(1_020_000), ..of(GateMetric::AccuracyPpm) };
    let verdict = of(GateMetric::Verdict);
    let gate = GateSpec { conditions: vec![quick, good, right, verdict], automatic: false };
    client.gate_put(&word(ENDPOINT), &gate).await?;
    say(
        "half of the answers within half a second; 99 of 100 good; right 1.02 times as often; and the verdict",
    )
}

/// Replays to a candidate, and asks the gate.
async fn try_out(client: &Client, candidate: &str) -> Result<Vec<String>, Failure> {
    let spec = RunSpec {
        endpoint: word(ENDPOINT),
        variants: [candidate, MAIN, "rule"].map(word).to_vec(),
        rule: None,
        stream: word(ENDPOINT),
        selection: SelectionQuery::default(),
        group_by: vec![GroupBy::Region],
        load: Load::Speed { milli: SPEED_MILLI },
        for_ms: None,
        catch_up: api::runs::CatchUp::Burst,
        in_flight_max: None,
        timeout_ms: None,
        seed: Some(7),
        judged: Judged { prediction: Some("/risk".to_owned()), ..Judged::default() },
        drills: Vec::new(),
        drill_production: false,
    };
    let (run, outcome) = valid(client, &spec).await?;
    for variant in &outcome.variants {
        let right = variant.accuracy.accuracy_ppm().map(share).unwrap_or_default();
        let p50 = crate::output::micros(variant.response.p50_ns.unwrap_or(0) / 1_000);
        say(&format!(
            "{}: {} answers, {right} right, half within {p50}",
            variant.name, variant.answered
        ))?;
    }
    let wanted =
        Promote { run: run.id, mode: Mode::Bake, share_bp: BAKE_BP, for_ms: Some(BAKE_MS) };
    let told = client.variant_promote(&word(ENDPOINT), &word(candidate), &wanted).await?;
    let lines: Vec<String> = told.lines.iter().map(|line| line.words.clone()).collect();
    lines.iter().try_for_each(|line| say(line))?;
    let right = told.promoted == (candidate == "better");
    expect(right, &format!("the gate has let {candidate} pass or not: {}", told.reason))?;
    say(if told.promoted { "promoted" } else { "refused" })?;
    Ok(lines)
}

/// A run that may be believed.
async fn valid(client: &Client, spec: &RunSpec) -> Result<(Run, RunOutcome), Failure> {
    let out = Output::new(crate::args::Format::Json);
    for _ in 0..TRIES {
        let begun = client.run_create(spec).await?;
        let run = commands::follow_run(&begun, client, &out).await?;
        let Some(outcome) = commands::run_outcome(&run) else {
            let why = run.error.unwrap_or_default();
            return Err(Failure::refused(format!("the replay failed: {why}")));
        };
        let facts = &outcome.facts;
        say(&format!(
            "{} of {} requests sent, 99 of 100 at most {} late: {}",
            facts.sent,
            facts.asked,
            crate::output::micros(facts.lag_p99_ns / 1_000),
            if outcome.valid { "VALID" } else { "INVALID" },
        ))?;
        if outcome.valid {
            return Ok((run, outcome));
        }
        outcome.reasons.iter().try_for_each(|reason| say(reason))?;
    }
    Err(Failure::refused("this machine is too busy for a replay")
        .hint("try again when it does nothing else"))
}

/// Has customers sign in until the bake is decided; gives why.
async fn bake(
    client: &Client,
    (cloud, recorded): (&Running, &[Recorded]),
    candidate: &str,
) -> Result<String, Failure> {
    let endpoint = client.endpoint_fetch(&word(ENDPOINT)).await?;
    let is_baking = endpoint.variants.iter().any(|it| it.used.mode == Mode::Bake);
    let mut number = endpoint.modes_number;
    if !is_baking {
        let change = ChangeMode {
            mode: Mode::Bake,
            share_bp: BAKE_BP,
            for_ms: Some(3_600_000),
            reason: "by hand, past the gate".to_owned(),
            modes_number: number,
        };
        client.variant_mode(&word(ENDPOINT), &word(candidate), &change).await?;
        number += 1;
    }
    let customers = futures::future::join_all((0..CALLERS).map(|caller| {
        let mine = recorded.iter().cycle().skip(caller * 200);
        async move {
            for recorded in mine {
                ask(cloud, recorded).await;
            }
        }
    }));
    let decided = async {
        let begun = std::time::Instant::now();
        while begun.elapsed() < WAIT {
            let page = client.modes_list(&word(ENDPOINT), &PageQuery::default()).await?;
            if let Some(change) = page.items.into_iter().find(|it| it.number > number) {
                return Ok(change);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Failure::refused("the bake was not decided in time"))
    };
    let change = tokio::select! {
        change = decided => change?,
        _ = customers => unreachable!("they never cease"),
    };
    let in_production =
        |it: &types::Used| it.mode == Mode::Production && it.variant.as_str() == "better";
    expect(change.modes.iter().any(in_production), "another one is in production")?;
    say(&format!("{}: {}", change.decided_by, change.reason))?;
    Ok(change.reason)
}

/// A customer signs in; whether that goes well is what the bake counts.
async fn ask(cloud: &Running, recorded: &Recorded) {
    let Ok(client) = commands::client(&cloud.http, &cloud.operator_token, None) else { return };
    let invocation = Invocation {
        media_type: "application/json".to_owned(),
        accept: None,
        body: recorded.data().to_string().into(),
        header_length: None,
        wait_ms: 30_000,
    };
    let _ = client.endpoint_invoke(ENDPOINT, invocation).await;
}

fn expect(law: bool, otherwise: &str) -> Result<(), Failure> {
    if law { Ok(()) } else { Err(Failure::refused(otherwise.to_owned())) }
}
