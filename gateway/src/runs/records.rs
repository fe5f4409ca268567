//! Records of a run, given to whoever looks behind a figure.
//!
//! Always true: only the run's account is given them; as many are held at a time as are told.

use api::runs::{RecordsQuery, RunRecord, RunRecords};
use axum::body::Body;
use events::replay::{Record, files};
use http::Response;
use types::RunId;

use super::plan::begun;
use super::{failed, folder};
use crate::error::Error;
use crate::hub::Hub;
use crate::routes::{Caller, principal};
use crate::service::Incoming;
use crate::streams::{blocking, json, number, parameters, read};

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
    let from = incoming.from();
    let parts = incoming.parts;
    let caller = hub.caller(&parts.headers)?;
    let Caller::Known(known) = &caller else { return Err(Error::NoCredentials) };
    let action = access::Action::RunsRead;
    let resource = access::Resource::account(known.account);
    let request = access::Request { principal: principal(&caller), action, resource };
    if !hub.rights.allows(&request) {
        return Err(Error::Forbidden { action: action.as_str() });
    }
    let missing = || Error::NoRun { run: run.chars().take(160).collect() };
    let id: RunId = run.parse().map_err(|_| missing())?;
    let folder = folder(hub, id)?;
    let begun = begun(&folder).filter(|begun| begun.account == known.account);
    let names = begun.ok_or_else(missing)?.variants;
    let _place = hub.place(&caller, from)?;
    let query = query(&parts.uri)?;
    let found = blocking(move || {
        let mut found = RunRecords::default();
        let limit = query.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
        for record in files::read(&folder.join("records")).map_err(failed)? {
            let record = record.map_err(failed)?;
            let name = names.get(usize::from(record.variant)).map_or("", String::as_str);
            if matches(&query, &record, name) {
                found.matching += 1;
                if found.matching <= limit {
                    found.records.push(shown(&record, name));
                }
            }
        }
        Ok(found)
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
    let words: RecordsQuery = read(asked)?;
    Ok(RecordsQuery { from_ms, to_ms, response_us_min, response_us_max, limit, ..words })
}

fn matches(query: &RecordsQuery, record: &Record, name: &str) -> bool {
    let is = |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|it| it == has);
    let response_us = record.response_ns().map(|ns| ns / 1_000);
    is(&query.variant, name)
        && is(&query.outcome, record.outcome.word())
        && is(&query.region, &record.region)
        && is(&query.group, &record.group)
        && query.from_ms.is_none_or(|ms| record.offset_ns >= ms.saturating_mul(1_000_000))
        && query.to_ms.is_none_or(|ms| record.offset_ns < ms.saturating_mul(1_000_000))
        && query.response_us_min.is_none_or(|us| response_us.is_some_and(|it| it >= us))
        && query.response_us_max.is_none_or(|us| response_us.is_some_and(|it| it <= us))
}

fn shown(record: &Record, name: &str) -> RunRecord {
    RunRecord {
        sequence: record.sequence,
        copy: record.copy,
        variant: name.to_owned(),
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
    }
}
