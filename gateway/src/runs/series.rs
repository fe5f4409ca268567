//! How a run went over its time, out of its cells, or by the hours of the day at which its events
//! happened, out of its records.
//!
//! Always true: only the run's account is told; a run that goes on is told as it is now.

use api::runs::{RunSeries, SeriesBy, SeriesLine, SeriesPoint, SeriesQuery, SeriesTimes};
use axum::body::Body;
use events::replay::cells::{Cells, OTHERS};
use events::replay::series::{self, Asked, By, Key, Series};
use events::replay::{Cell, Outcome};
use http::Response;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use policy::sketch::Sketch;

use super::told::used;
use super::{Mine, mine};
use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;
use crate::streams::{blocking, flag, json, number, parameters, read, zone};

/// Points of a line, about, where no step is said: as many as a chart shows well.
const POINTS: u64 = 60;
/// Steps that people know, in milliseconds.
const STEPS_MS: [u64; 18] = [
    125, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000,
];

/// Answers `GET /v1/runs/{run}/series`.
///
/// # Errors
///
/// [`Error::NoRun`] also where the caller may not know, [`Error::BadRequest`] with the parameter that
/// is wrong.
pub(crate) async fn series(
    hub: &Hub,
    incoming: Incoming,
    run: &str,
) -> Result<Response<Body>, Error> {
    let Mine { id, records, names, place, .. } =
        mine(hub, (&incoming.parts, incoming.from()), run).await?;
    let query = query(&incoming.parts.uri)?;
    let (mut asked, by) = (asked(&query, &names)?, query.by.unwrap_or_default());
    let step_ms = query.step.as_deref().map(step_ms).transpose()?;
    let (hours, name) = (query.hours == Some(true), query.zone.clone());
    if name.is_some() && !hours {
        return Err(Error::bad_request("zone is of hours=true: points are times since the start"));
    }
    let tz = zone(name.as_deref())?;
    let live = hub.runs.cells(id);
    let found = blocking(move || {
        let _place = place;
        if hours {
            let hour = |ns: u64| hour_of(ns, &tz);
            return series::by_hour(records, &asked, hour).map_err(Error::from);
        }
        let cells = live.map_or_else(|| series::cells(records).map_err(Error::from), Ok)?;
        asked.step_ms = step_ms.unwrap_or_else(|| usual_ms(&cells, &asked));
        Ok(series::by_time(&cells, &asked))
    });
    let zone = hours.then(|| name.unwrap_or_else(|| "UTC".to_owned()));
    Ok(json(&told(&found.await?, (by, zone), &names)))
}

fn query(uri: &http::Uri) -> Result<SeriesQuery, Error> {
    let mut all = parameters(uri)?;
    let from_ms = number(&mut all, "from_ms")?;
    let to_ms = number(&mut all, "to_ms")?;
    let hours = flag(&mut all, "hours")?;
    let words: SeriesQuery = read(all)?;
    Ok(SeriesQuery { from_ms, to_ms, hours, ..words })
}

fn asked(query: &SeriesQuery, names: &[String]) -> Result<Asked, Error> {
    let place = |wanted: &String| super::records::place(names, wanted);
    Ok(Asked {
        step_ms: 1,
        by: match query.by.unwrap_or_default() {
            SeriesBy::Variant => By::Variant,
            SeriesBy::Region => By::Region,
            SeriesBy::Group => By::Group,
        },
        from_ms: query.from_ms.unwrap_or(0),
        to_ms: query.to_ms.unwrap_or(u64::MAX),
        variant: query.variant.as_ref().map(place).transpose()?,
        region: query.region.clone(),
        group: query.group.clone(),
    })
}

/// A number and its unit: `500ms`, `10s`, `5m`, `1h`.
fn step_ms(text: &str) -> Result<u64, Error> {
    let end = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let of_ms = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000_u64),
        _ => None,
    };
    let step = number.parse::<u64>().ok().zip(of_ms);
    let step = step.and_then(|(number, of_ms)| number.checked_mul(of_ms)).filter(|ms| *ms > 0);
    step.ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        Error::bad_request(format!("step={text}: write one such as 500ms, 10s, 5m or 1h"))
    })
}

/// The shortest step that people know of which few points are enough.
fn usual_ms(cells: &Cells, asked: &Asked) -> u64 {
    let last_ms = cells.iter().map(|(of, _)| of.from_ms + of.for_ms).max().unwrap_or(0);
    let span_ms = last_ms.min(asked.to_ms).saturating_sub(asked.from_ms);
    let enough = STEPS_MS.into_iter().find(|step_ms| span_ms / step_ms <= POINTS);
    enough.unwrap_or(span_ms / POINTS)
}

/// The hour of the day of a time in nanoseconds since 1970.
fn hour_of(ns: u64, tz: &TimeZone) -> u64 {
    let time = Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
    u64::try_from(tz.to_datetime(time).hour()).unwrap_or(0)
}

fn told(found: &Series, (by, zone): (SeriesBy, Option<String>), names: &[String]) -> RunSeries {
    let key = |key: Option<&Key>| match key {
        None => OTHERS.to_owned(),
        Some(Key::Name(name)) => name.to_string(),
        Some(Key::Variant(place)) => names.get(usize::from(*place)).cloned().unwrap_or_default(),
    };
    // An hour of the day is one of many days: it has no length by which work could be divided.
    let for_ms = zone.is_none().then_some(found.step_ms);
    let lines = found.lines.iter().map(|line| SeriesLine {
        key: key(line.key.as_ref()),
        points: line.windows.iter().map(|(at_ms, cell)| point(*at_ms, cell, for_ms)).collect(),
    });
    RunSeries {
        by,
        step_ms: found.step_ms,
        began_at_ms: found.began_ns.map(|ns| ns / 1_000_000),
        zone,
        lines: lines.collect(),
    }
}

fn point(at_ms: u64, cell: &Cell, for_ms: Option<u64>) -> SeriesPoint {
    let requests = cell.counts.all();
    SeriesPoint {
        at_ms,
        requests,
        not_ok: requests - cell.counts.of(Outcome::Ok),
        judged: cell.judged,
        right: cell.right,
        response: times(&cell.response),
        service: times(&cell.service),
        queue: times(&cell.queue),
        lag_p99_ns: cell.lag.quantile(990_000),
        busy_milli: for_ms.and_then(|for_ms| used::busy_milli(cell, for_ms)),
        cold_starts: (cell.used.told > 0).then_some(cell.used.starts),
        cpu_us: used::cpu_us(cell),
        memory_bytes: (cell.used.memory_bytes > 0).then_some(cell.used.memory_bytes),
    }
}

fn times(sketch: &Sketch) -> Option<SeriesTimes> {
    Some(SeriesTimes {
        p50_ns: sketch.quantile(500_000)?,
        p90_ns: sketch.quantile(900_000)?,
        p99_ns: sketch.quantile(990_000)?,
        max_ns: sketch.max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_or_refused() {
        let read = |text: &str| step_ms(text).map_err(|error| error.to_string());
        assert_eq!(
            [read("500ms"), read("10s"), read("5m"), read("1h")],
            [Ok(500), Ok(10_000), Ok(300_000), Ok(3_600_000)]
        );
        for wrong in ["", "s", "0s", "1.5s", "10", "10 s", "99999999999999999999s", "1d"] {
            assert!(read(wrong).unwrap_err().contains("500ms, 10s, 5m or 1h"), "{wrong}");
        }
    }

    /// Also over the nights in which clocks are changed: a quarter to three in Oslo, twice.
    #[test]
    fn hours_are_those_of_the_zone() {
        let tz = zone(Some("Europe/Oslo")).unwrap();
        let at = |text: &str| {
            let time: Timestamp = text.parse().unwrap();
            hour_of(u64::try_from(time.as_nanosecond()).unwrap(), &tz)
        };
        assert_eq!(at("2026-10-25T00:45:00Z"), 2);
        assert_eq!(at("2026-10-25T01:45:00Z"), 2);
        assert_eq!(at("2026-07-01T22:30:00Z"), 0);
        assert_eq!(hour_of(0, &zone(None).unwrap()), 0);
    }

    #[test]
    fn few_points_are_enough() {
        let asked = |to_ms| Asked {
            step_ms: 1,
            by: By::Variant,
            from_ms: 0,
            to_ms,
            variant: None,
            region: None,
            group: None,
        };
        assert_eq!(usual_ms(&Cells::default(), &asked(u64::MAX)), 125);
    }
}
