//! `freehold runs series`: how a replay went over its time, or over the hours of the day.

use api::client::Client;
use api::runs::{RunSeries, SeriesBy, SeriesPoint, SeriesQuery, SeriesTimes};
use serde::Serialize;

use crate::args::{SeriesArguments, SeriesWord};
use crate::exit::Failure;
use crate::output::{Output, bytes, micros, note, share};

/// A point with its line, as a row.
#[derive(Serialize)]
struct Row {
    key: String,
    point: SeriesPoint,
}

/// Carries out the command.
pub(super) async fn run(
    wanted: SeriesArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let query = SeriesQuery {
        by: Some(match wanted.by {
            SeriesWord::Variant => SeriesBy::Variant,
            SeriesWord::Region => SeriesBy::Region,
            SeriesWord::Group => SeriesBy::Group,
        }),
        step: wanted.step,
        // A zone says of what hours they are; without hours it would mean nothing.
        hours: (wanted.hours || wanted.zone.is_some()).then_some(true),
        zone: wanted.zone,
        variant: wanted.variant,
        region: wanted.region,
        group: wanted.group,
        ..SeriesQuery::default()
    };
    let told = client.run_series(wanted.id, &query).await?;
    if out.json() {
        return out.one(&told, |_| Vec::new());
    }
    let rows: Vec<Row> = told.lines.iter().flat_map(rows).collect();
    let heads = [
        "from",
        "of",
        "requests",
        "not ok",
        "p50",
        "p99",
        "right",
        "busy",
        "waiting p99",
        "starts",
        "memory",
    ];
    out.list(&rows, &heads, |row| cells(row, &told))?;
    match &told.zone {
        Some(zone) => note(&format!("hours of the day of {zone}, by when events happened")),
        None => Ok(()),
    }
}

fn rows(line: &api::runs::SeriesLine) -> Vec<Row> {
    let row = |point: &SeriesPoint| Row { key: line.key.clone(), point: point.clone() };
    line.points.iter().map(row).collect()
}

fn cells(row: &Row, told: &RunSeries) -> Vec<String> {
    let point = &row.point;
    let time = |times: Option<SeriesTimes>, of: fn(SeriesTimes) -> u64| {
        times.map_or_else(String::new, |times| micros(of(times) / 1_000))
    };
    let number = |value: Option<u64>| value.map(|it| it.to_string()).unwrap_or_default();
    let right = |_: u64| share(point.right * 1_000_000 / point.judged.max(1));
    vec![
        since(point.at_ms, told.zone.is_some()),
        row.key.clone(),
        point.requests.to_string(),
        point.not_ok.to_string(),
        time(point.response, |it| it.p50_ns),
        time(point.response, |it| it.p99_ns),
        Some(point.judged).filter(|judged| *judged > 0).map(right).unwrap_or_default(),
        point.busy_milli.map(|milli| super::word_of(milli, 1_000)).unwrap_or_default(),
        time(point.queue, |it| it.p99_ns),
        number(point.cold_starts),
        point.memory_bytes.map(bytes).unwrap_or_default(),
    ]
}

/// A time since the start, `1:05.250`, or an hour of the day, `14:00`.
fn since(at_ms: u64, is_hour: bool) -> String {
    let (seconds, rest) = (at_ms / 1_000, at_ms % 1_000);
    if is_hour {
        return format!("{:02}:00", seconds / 3_600);
    }
    let rest = if rest == 0 { String::new() } else { format!(".{rest:03}") };
    format!("{}:{:02}{rest}", seconds / 60, seconds % 60)
}
