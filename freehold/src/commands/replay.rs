//! `freehold replay`: recorded events sent to an endpoint's variants, and followed.

mod sweep;

use std::path::Path;
use std::time::Duration;

use api::client::Client;
use api::runs::{CatchUp, GroupBy, Load, Run, RunProgress, RunSpec};
use types::Name;

use super::runs::{rows, word_of};
use super::stream::query_of;
use crate::args::{GroupWord, LateWord, LoadArguments, ReplayArguments};
use crate::exit::Failure;
use crate::output::{Output, note};

/// How often a run is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Carries out the command.
pub(super) async fn run(
    mut arguments: ReplayArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    if let Some(condition) = arguments.load.sweep.take() {
        let range = std::mem::take(&mut arguments.sweep);
        return sweep::run((condition, range), spec(arguments)?, client, out).await;
    }
    let detach = arguments.detach;
    let run = client.run_create(&spec(arguments)?).await?;
    if detach {
        out.one(&run, rows)?;
        return note(&format!("to see how far it is: freehold runs show {}", run.id));
    }
    let run = follow(&run, client, out).await?;
    out.one(&run, rows)?;
    if let Some(error) = &run.error {
        return Err(Failure::refused(format!("the replay failed: {error}")));
    }
    Ok(())
}

/// Waits until a run has ended, and tells how far it is.
pub async fn follow(run: &Run, client: &Client, out: &Output) -> Result<Run, Failure> {
    let busy = out.busy(&format!("replaying {} to {}", run.spec.stream, run.spec.endpoint));
    let ended = loop {
        let now = client.run_fetch(run.id).await?;
        if now.state.ended() {
            break now;
        }
        if let Some(told) = now.progress.clone().and_then(|it| serde_json::from_value(it).ok()) {
            busy.set_message(how_far(&told));
        }
        tokio::time::sleep(PAUSE).await;
    };
    busy.finish_and_clear();
    Ok(ended)
}

fn how_far(progress: &RunProgress) -> String {
    let variant = |it: &api::runs::VariantOutcome| {
        let failed = it.answered - it.outcomes.get("ok").copied().unwrap_or(0).min(it.answered);
        let p99 = super::runs::response(it, |it| it.p99_ns);
        format!("{}: {} answered, {failed} not well, p99 {p99}", it.name, it.answered)
    };
    let variants: Vec<String> = progress.variants.iter().map(variant).collect();
    format!("{} sends; {}", progress.issued, variants.join("; "))
}

fn spec(arguments: ReplayArguments) -> Result<RunSpec, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(error.to_string()).hint("write ENDPOINT, or ENDPOINT@VARIANT")
    };
    let (endpoint, candidate) = match arguments.endpoint.split_once('@') {
        Some((endpoint, variant)) => (endpoint, Some(variant)),
        None => (arguments.endpoint.as_str(), None),
    };
    let endpoint: Name = endpoint.parse().map_err(|error| wrong(&error))?;
    let candidate = candidate.map(|it| it.parse::<Name>().map_err(|error| wrong(&error)));
    let variants = candidate.transpose()?.into_iter().chain(arguments.against).collect();
    let groups = arguments.group_by.into_iter().map(|word| match word {
        GroupWord::Region => GroupBy::Region,
        GroupWord::Group => GroupBy::Group,
        GroupWord::Type => GroupBy::Type,
        GroupWord::Label => GroupBy::Label,
    });
    Ok(RunSpec {
        endpoint,
        variants,
        rule: arguments.rule,
        stream: arguments.stream,
        selection: query_of(arguments.selection),
        group_by: groups.collect(),
        load: load(arguments.load)?,
        for_ms: arguments.for_ms,
        catch_up: match arguments.late {
            LateWord::Burst => CatchUp::Burst,
            LateWord::Window => CatchUp::Window,
            LateWord::Skip => CatchUp::Skip,
        },
        in_flight_max: arguments.in_flight,
        timeout_ms: arguments.timeout,
        seed: arguments.seed,
        judged: arguments.judged.told(),
        drills: arguments.drill,
        drill_production: arguments.drill_production,
    })
}

fn load(arguments: LoadArguments) -> Result<Load, Failure> {
    let LoadArguments { rate, poisson, speed, pattern, as_recorded: _, sweep: _ } = arguments;
    Ok(match (rate, poisson, speed, pattern) {
        (Some(uhz), ..) => Load::Rate { uhz },
        (_, Some(uhz), ..) => Load::Poisson { uhz },
        (_, _, Some(milli), _) => Load::Speed { milli },
        (_, _, _, Some(path)) => pattern_of(&path)?,
        _ => Load::AsRecorded,
    })
}

/// The load of a pattern's file.
pub(super) fn pattern_of(path: &Path) -> Result<Load, Failure> {
    let read = std::fs::read_to_string(path);
    let failed = |error| Failure::usage(format!("{}: {error}", path.display()));
    Ok(Load::Pattern { pattern: read.map_err(failed)? })
}

/// The word for what a run is, for tables.
pub(super) fn load_words(load: &Load) -> String {
    let rate = |uhz: &u64| format!("{}/s", word_of(*uhz, 1_000_000));
    match load {
        Load::AsRecorded => "as recorded".to_owned(),
        Load::Speed { milli } => format!("{}x", word_of(*milli, 1_000)),
        Load::Rate { uhz } => rate(uhz),
        Load::Poisson { uhz } => format!("{} at random", rate(uhz)),
        Load::Pattern { .. } => "by a pattern".to_owned(),
    }
}
