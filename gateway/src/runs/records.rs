//! Records of a run, given to whoever looks behind a figure.
//!
//! Always true: only the run's account is given them; as many are held at a time as are told.

use api::runs::{RecordsQuery, RunRecord, RunRecords};
use axum::body::Body;
use events::replay::files::{self, Wanted};
use events::replay::{Outcome, Record};
use http::Response;

use super::{Mine, mine};
use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;
use crate::streams::{blocking, flag, json, number, parameters, read};

/// Records that are told where nothing is said, and at most.
const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

/// Answers `GET /v1/runs/{run}/records`.
///
/// # Errors
///
/// [`Error::NoRun`] also where the caller may not know.
pub(crate) async fn records(
    hub: &Hub,
    incoming: Incoming,
    run: &str,
) -> Result<Response<Body>, Error> {
    let Mine { records, names, place, .. } =
        mine(hub, (&incoming.parts, incoming.from()), run).await?;
    let query = query(&incoming.parts.uri)?;
    let wanted = wanted(&query, &names)?;
    let most = usize::try_from(query.limit.unwrap_or(LIMIT).min(LIMIT_MAX)).unwrap_or(usize::MAX);
    let found = blocking(move || {
        let _place = place;
        let found = files::find(records, &wanted, most).map_err(Error::from)?;
        let name = |record: &Record| names.get(usize::from(record.variant)).cloned();
        let records = found.records.iter().map(|it| shown(it, name(it).unwrap_or_default()));
        Ok(RunRecords { records: records.collect(), matching: found.matching })
    });
    Ok(json(&found.await?))
}

fn query(uri: &http::Uri) -> Result<RecordsQuery, Error> {
    let mut asked = parameters(uri)?;
    let from_ms = number(&mut asked, "from_ms")?;
    let to_ms = number(&mut asked, "to_ms")?;
    let response_us_min = number(&mut asked, "response_us_min")?;
    let response_us_max = number(&mut asked, "response_us_max")?;
    let limit = number(&mut asked, "limit")?;
    let right = flag(&mut asked, "right")?;
    let words: RecordsQuery = read(asked)?;
    Ok(RecordsQuery { from_ms, to_ms, response_us_min, response_us_max, limit, right, ..words })
}

/// The place of a variant in its run.
pub(super) fn place(names: &[String], wanted: &str) -> Result<u16, Error> {
    let place = names.iter().position(|name| name == wanted);
    let place = place.and_then(|place| u16::try_from(place).ok());
    place.ok_or_else(|| Error::bad_request(format!("variant={wanted}: it was not in this run")))
}

/// The records that are meant.
fn wanted(query: &RecordsQuery, names: &[String]) -> Result<Wanted, Error> {
    let variant = query.variant.as_ref().map(|wanted| place(names, wanted));
    let outcome = query.outcome.as_ref().map(|word| {
        let outcome = Outcome::of_word(word);
        outcome.ok_or_else(|| Error::bad_request(format!("outcome={word}: there is none such")))
    });
    let ns = |ms: Option<u64>, of: u64| ms.map(|ms| ms.saturating_mul(of));
    Ok(Wanted {
        offset_ns: ns(query.from_ms, 1_000_000).unwrap_or(0)
            ..ns(query.to_ms, 1_000_000).unwrap_or(u64::MAX),
        response_ns: ns(query.response_us_min, 1_000).unwrap_or(0)
            ..ns(query.response_us_max, 1_000).map_or(u64::MAX, |ns| ns.saturating_add(1)),
        variant: variant.transpose()?,
        region: query.region.clone(),
        group: query.group.clone(),
        outcomes: outcome.transpose()?.into_iter().collect(),
        right: query.right,
    })
}

fn shown(record: &Record, variant: String) -> RunRecord {
    RunRecord {
        sequence: record.sequence,
        copy: record.copy,
        variant,
        region: record.region.to_string(),
        group: record.group.to_string(),
        offset_ns: record.offset_ns,
        lag_ns: record.lag_ns(),
        response_ns: record.response_ns(),
        latency_ns: record.latency_ns(),
        service_us: record.service_us,
        status: record.status,
        outcome: record.outcome.word().to_owned(),
        score: record.score,
        class: record.class.as_deref().map(str::to_owned),
        label: record.label.as_deref().map(str::to_owned),
        right: record.right,
        happened_ns: record.happened_ns,
        queue_us: record.took.queue_us,
        start_us: record.took.start_us,
    }
}
