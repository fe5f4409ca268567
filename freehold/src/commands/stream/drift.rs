//! `freehold stream drift`: which fields of events have changed beside those of another time.

use api::client::Client;
use api::streams::{Drift, DriftQuery, FieldDrift};

use super::query_of;
use crate::args::DriftArguments;
use crate::commands::runs::word_of;
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    wanted: DriftArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let query = DriftQuery {
        against_since: wanted.against_since,
        against_until: wanted.against_until,
        alarm_every: Some(wanted.alarm_every),
        seed: None,
    };
    let told = client.stream_drift(&wanted.name, &query_of(wanted.selection), &query).await?;
    show(&told, out)
}

/// Shows what has changed.
pub(in crate::commands) fn show(told: &Drift, out: &Output) -> Result<(), Failure> {
    if out.json() {
        return out.one(told, |_| Vec::new());
    }
    let heads = ["field", "has changed", "clear at", "by event", "apart", "by chance at most"];
    out.list(&told.fields, &heads, row)?;
    note(&format!(
        "{} beside {} of {}; at most one false alarm in {}",
        told.events, told.learnt_events, told.reference_events, told.alarm_every
    ))?;
    if told.new_fields.is_empty() {
        return Ok(());
    }
    note(&format!("new: {}", told.new_fields.join(", ")))
}

fn row(field: &FieldDrift) -> Vec<String> {
    // Three digits of an index tell enough.
    let index = |ppm: Option<u64>| ppm.map(|ppm| word_of(ppm, 1_000_000)).unwrap_or_default();
    vec![
        field.field.clone(),
        if field.changed { "yes" } else { "no" }.to_owned(),
        field.at_ns.map(|ns| time(ns / 1_000_000)).unwrap_or_default(),
        field.at_sequence.map(|it| it.to_string()).unwrap_or_default(),
        index(field.distance_ppm),
        index(field.by_chance_ppm),
    ]
}
