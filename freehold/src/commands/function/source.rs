//! `freehold function source`: streams that functions are fed from.

use api::client::Client;
use api::functions::sources::{CreateSource, Source, SourceSpec, SourceStart, UpdateSource};
use types::{FunctionName, SourceId};

use super::super::every;
use crate::args::{SourceArguments, SourceCommand};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: SourceCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        SourceCommand::Add(wanted) => {
            let (function, wanted) = wanted_of(wanted);
            let made = client.source_create(&function, &wanted).await?;
            out.one(&made, rows)?;
            note(&format!("to see how far it is: freehold function source list {function}"))
        }
        SourceCommand::List { function } => {
            let function = &function;
            let all: Vec<Source> =
                every(|page| async move { client.sources_list(function, &page).await }).await?;
            let heads = ["source", "stream", "state", "delivered", "given up", "next", "last"];
            out.list(&all, &heads, |it| {
                vec![
                    it.id.to_string(),
                    it.stream.to_string(),
                    state(it).to_owned(),
                    it.delivered.to_string(),
                    it.given_up.to_string(),
                    it.next_event.to_string(),
                    it.result.clone(),
                ]
            })
        }
        SourceCommand::Show { function, source } => {
            out.one(&client.source_fetch(&function, source).await?, rows)
        }
        SourceCommand::Pause { function, source } => {
            out.one(&enable(client, (&function, source), false).await?, rows)
        }
        SourceCommand::Resume { function, source } => {
            out.one(&enable(client, (&function, source), true).await?, rows)
        }
        SourceCommand::Delete { function, source } => {
            client.source_delete(&function, source).await?;
            note(&format!("{function} is not fed from it any more"))
        }
    }
}

async fn enable(
    client: &Client,
    (function, id): (&FunctionName, SourceId),
    enabled: bool,
) -> Result<Source, Failure> {
    let now = client.source_fetch(function, id).await?;
    let spec = SourceSpec { enabled, ..now.spec };
    let wanted = UpdateSource { spec, generation: now.generation };
    Ok(client.source_update(function, id, &wanted).await?)
}

fn wanted_of(wanted: SourceArguments) -> (FunctionName, CreateSource) {
    let spec = SourceSpec {
        start: wanted.from,
        batch: wanted.batch,
        window_ms: wanted.window,
        filters: wanted.filters,
        reports_failures: wanted.reports_failures,
        bisect: wanted.bisect,
        retries: wanted.retries,
        age_s: wanted.age.map(|age_ms| age_ms.div_ceil(1_000)),
        on_failure: wanted.on_failure,
        enabled: true,
    };
    let qualifier = wanted.qualifier.unwrap_or_default();
    (wanted.function, CreateSource { stream: wanted.stream, qualifier, spec })
}

const fn state(source: &Source) -> &'static str {
    if source.spec.enabled { "feeds" } else { "paused" }
}

/// A source for people.
fn rows(source: &Source) -> Vec<(String, String)> {
    let spec = &source.spec;
    let start = match spec.start {
        SourceStart::Oldest => "the oldest event".to_owned(),
        SourceStart::Next => "the next event".to_owned(),
        SourceStart::AtMs(at_ms) => time(at_ms),
    };
    let retries = spec.retries.map_or_else(|| "for ever".to_owned(), |count| count.to_string());
    let failed = match (spec.reports_failures, spec.bisect) {
        (true, true) => "from the event that is named, in halves",
        (true, false) => "from the event that is named",
        (false, true) => "in halves",
        (false, false) => "whole",
    };
    let rows = [
        ("source", source.id.to_string()),
        ("function", source.function.to_string()),
        ("version", source.qualifier.clone()),
        ("stream", source.stream.to_string()),
        ("state", state(source).to_owned()),
        ("began with", start),
        ("batch", format!("{} events, or after {} ms", spec.batch, spec.window_ms)),
        ("filters", spec.filters.join("\n")),
        ("what failed comes", failed.to_owned()),
        ("retries", retries),
        ("given up after", spec.age_s.map_or_else(String::new, |age_s| format!("{age_s} s"))),
        ("on failure", spec.on_failure.clone().unwrap_or_else(|| "kept as dead".to_owned())),
        ("delivered", source.delivered.to_string()),
        ("left out", source.filtered.to_string()),
        ("given up", source.given_up.to_string()),
        ("next event", source.next_event.to_string()),
        ("last", source.result.clone()),
        ("made", time(source.created_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
