//! Event source mappings, in Lambda's shapes: streams that functions are fed from.
//!
//! Absent on purpose: queues, brokers and databases, several readers of a part of a stream, and sums
//! over windows of time, each of which is refused in words.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use api::functions::sources::{CreateSource, Source, SourceSpec, SourceStart, UpdateSource};
use types::{FunctionReference, SourceId, StreamReference, stream_arn};

use super::{Json, Pages, Refusal, Who, query, some};
use crate::operations::functions::sources as operations;
use crate::{Control, Error};

/// How functions say which events they failed.
const REPORTS: &str = "ReportBatchItemFailures";

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route("/2015-03-31/event-source-mappings", get(list).post(create))
        .route("/2015-03-31/event-source-mappings/", get(list).post(create))
        .route("/2015-03-31/event-source-mappings/{uuid}", get(fetch).put(update).delete(remove))
}

/// What may be asked for. Of what is absent, a change leaves what there is.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Asked {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    enabled: Option<bool>,
    batch_size: Option<u32>,
    filter_criteria: Option<Filters>,
    maximum_batching_window_in_seconds: Option<u64>,
    parallelization_factor: Option<u32>,
    starting_position: Option<String>,
    starting_position_timestamp: Option<f64>,
    destination_config: Option<Destinations>,
    /// -1 for none.
    maximum_record_age_in_seconds: Option<i64>,
    bisect_batch_on_function_error: Option<bool>,
    /// -1 for ever.
    maximum_retry_attempts: Option<i64>,
    tumbling_window_in_seconds: Option<u64>,
    function_response_types: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Filters {
    filters: Option<Vec<Filter>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    pattern: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Destinations {
    on_failure: Option<Destination>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Destination {
    destination: Option<String>,
}

impl Asked {
    /// How events are given, after what there was before.
    fn spec(&self, before: SourceSpec) -> Result<SourceSpec, Refusal> {
        if self.parallelization_factor.is_some_and(|factor| factor != 1) {
            return Err(Refusal::invalid("ParallelizationFactor is 1: a stream has one reader"));
        }
        if self.tumbling_window_in_seconds.is_some_and(|seconds| seconds != 0) {
            return Err(Refusal::invalid(
                "TumblingWindowInSeconds is 0: nothing is summed up here",
            ));
        }
        let mut spec = before;
        spec.enabled = self.enabled.unwrap_or(spec.enabled);
        spec.batch = self.batch_size.unwrap_or(spec.batch);
        let window_s = self.maximum_batching_window_in_seconds;
        spec.window_ms = window_s.map_or(spec.window_ms, |s| s.saturating_mul(1_000));
        spec.bisect = self.bisect_batch_on_function_error.unwrap_or(spec.bisect);
        if let Some(filters) = &self.filter_criteria {
            let filters = filters.filters.iter().flatten();
            spec.filters = filters.filter_map(|filter| filter.pattern.clone()).collect();
        }
        if let Some(destinations) = &self.destination_config {
            let named = destinations.on_failure.as_ref().and_then(|it| it.destination.clone());
            spec.on_failure = named.filter(|named| !named.is_empty());
        }
        if let Some(retries) = self.maximum_retry_attempts {
            spec.retries = bounded(retries, "MaximumRetryAttempts")?;
        }
        if let Some(age_s) = self.maximum_record_age_in_seconds {
            spec.age_s = bounded(age_s, "MaximumRecordAgeInSeconds")?;
        }
        if let Some(types) = &self.function_response_types {
            if let Some(other) = types.iter().find(|kind| *kind != REPORTS) {
                return Err(Refusal::invalid(format!(
                    "FunctionResponseTypes is {REPORTS}: {other}"
                )));
            }
            spec.reports_failures = !types.is_empty();
        }
        Ok(spec)
    }

    fn start(&self) -> Result<SourceStart, Refusal> {
        match self.starting_position.as_deref() {
            Some("TRIM_HORIZON") => Ok(SourceStart::Oldest),
            Some("LATEST") => Ok(SourceStart::Next),
            Some("AT_TIMESTAMP") => {
                let seconds = self.starting_position_timestamp;
                let seconds = seconds.filter(|seconds| (0.0..1e12).contains(seconds));
                let missing = || Refusal::invalid("StartingPositionTimestamp is missing");
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked above"
                )]
                let at_ms = (seconds.ok_or_else(missing)? * 1_000.0) as u64;
                Ok(SourceStart::AtMs(at_ms))
            }
            _ => {
                let message = "StartingPosition is TRIM_HORIZON, LATEST or AT_TIMESTAMP";
                Err(Refusal::invalid(message))
            }
        }
    }
}

/// A number, where -1 says that there is no limit.
fn bounded<T: TryFrom<i64>>(number: i64, name: &str) -> Result<Option<T>, Refusal> {
    if number == -1 {
        return Ok(None);
    }
    let fits = T::try_from(number).map_err(|_| Refusal::invalid(format!("{name} is too small")));
    fits.map(Some)
}

fn function(text: Option<&str>, own: &str) -> Result<FunctionReference, Refusal> {
    let text = text.ok_or_else(|| Refusal::invalid("FunctionName is missing"))?;
    let named: FunctionReference =
        text.parse().map_err(|error| Refusal::invalid(format!("{error}")))?;
    if named.account.as_ref().is_some_and(|number| number != own) {
        return Err(Refusal::missing(format!("Function {text}")));
    }
    Ok(named)
}

fn stream(text: Option<&str>, own: &str) -> Result<StreamReference, Refusal> {
    let text = text.ok_or_else(|| Refusal::invalid("EventSourceArn is missing"))?;
    let named: StreamReference =
        text.parse().map_err(|error| Refusal::invalid(format!("EventSourceArn: {error}")))?;
    if named.account.as_ref().is_some_and(|number| number != own) {
        return Err(Refusal::missing(format!("Stream {text}")));
    }
    Ok(named)
}

async fn create(
    State(control): State<Control>,
    Who(caller, region): Who,
    Json(asked): Json<Asked>,
) -> Result<Response, Refusal> {
    let own = types::functions::account_number(caller.account);
    let named = function(asked.function_name.as_deref(), &own)?;
    let stream = stream(asked.event_source_arn.as_deref(), &own)?.name;
    let begun = SourceSpec { start: asked.start()?, ..SourceSpec::default() };
    let qualifier = qualifier_of(&named).to_owned();
    let wanted = CreateSource { stream, qualifier, spec: asked.spec(begun)? };
    let made = operations::create(&control, &caller, &named.name, wanted).await?;
    let shape = shape(&made, (caller.account, &region), None);
    Ok((StatusCode::ACCEPTED, axum::Json(shape)).into_response())
}

/// The qualifier as it is stored.
fn qualifier_of(named: &FunctionReference) -> &str {
    crate::operations::functions::settings::stored_qualifier(&named.qualifier)
}

async fn list(
    State(control): State<Control>,
    Who(caller, region): Who,
    pages: Pages,
    Narrowed { function: of, stream: from }: Narrowed,
) -> Result<axum::Json<Value>, Refusal> {
    let own = types::functions::account_number(caller.account);
    let mut all = operations::list_all(&control, &caller).await?;
    if let Some(of) = of {
        let named = function(Some(&of), &own)?;
        all.retain(|it| it.function == named.name && it.qualifier == qualifier_of(&named));
    }
    if let Some(from) = from {
        let named = stream(Some(&from), &own)?;
        all.retain(|it| it.stream == named.name);
    }
    let (page, marker) = pages.of(all, |it| it.id.to_string());
    let shapes: Vec<Value> =
        page.iter().map(|it| shape(it, (caller.account, &region), None)).collect();
    let told = vec![("EventSourceMappings", shapes.into()), ("NextMarker", marker)];
    Ok(axum::Json(some(told)))
}

/// What a list is narrowed to.
struct Narrowed {
    function: Option<String>,
    stream: Option<String>,
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Narrowed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let (function, stream) = (query(parts, "FunctionName"), query(parts, "EventSourceArn"));
        Ok(Self { function, stream })
    }
}

async fn fetch(
    State(control): State<Control>,
    Who(caller, region): Who,
    Path(uuid): Path<String>,
) -> Result<axum::Json<Value>, Refusal> {
    let found = operations::find(&control, &caller, id(&uuid)?).await?;
    Ok(axum::Json(shape(&found, (caller.account, &region), None)))
}

async fn update(
    State(control): State<Control>,
    Who(caller, region): Who,
    Path(uuid): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<Response, Refusal> {
    let own = types::functions::account_number(caller.account);
    let before = operations::find(&control, &caller, id(&uuid)?).await?;
    let to = match &asked.function_name {
        None => (before.function.clone(), before.qualifier.clone()),
        Some(text) => {
            let named = function(Some(text), &own)?;
            (named.name.clone(), qualifier_of(&named).to_owned())
        }
    };
    let spec = asked.spec(before.spec.clone())?;
    let wanted = UpdateSource { spec, generation: before.generation };
    let changed = operations::change(&control, &caller, before, (to, wanted)).await?;
    let shape = shape(&changed, (caller.account, &region), None);
    Ok((StatusCode::ACCEPTED, axum::Json(shape)).into_response())
}

async fn remove(
    State(control): State<Control>,
    Who(caller, region): Who,
    Path(uuid): Path<String>,
) -> Result<Response, Refusal> {
    let found = operations::find(&control, &caller, id(&uuid)?).await?;
    operations::remove(&control, &caller, (&found.function, found.id)).await?;
    let shape = shape(&found, (caller.account, &region), Some("Deleting"));
    Ok((StatusCode::ACCEPTED, axum::Json(shape)).into_response())
}

fn id(uuid: &str) -> Result<SourceId, Refusal> {
    let read = uuid.parse::<Uuid>().map(SourceId::new);
    read.map_err(|_| Error::NotFound { what: format!("the event source mapping {uuid}") }.into())
}

/// An `EventSourceMappingConfiguration`.
fn shape(it: &Source, (account, region): (types::AccountId, &str), state: Option<&str>) -> Value {
    let arn = types::functions::function_arn(region, account, &it.function, &it.qualifier);
    let number = types::functions::account_number(account);
    let uuid = it.id.uuid().to_string();
    let spec = &it.spec;
    let (start, at_s) = match spec.start {
        SourceStart::Oldest => ("TRIM_HORIZON", Value::Null),
        SourceStart::Next => ("LATEST", Value::Null),
        SourceStart::AtMs(at_ms) => ("AT_TIMESTAMP", json!(at_ms / 1_000)),
    };
    let patterns = spec.filters.iter().map(|pattern| json!({ "Pattern": pattern }));
    let patterns: Vec<Value> = patterns.collect();
    let filters = if patterns.is_empty() { Value::Null } else { json!({ "Filters": patterns }) };
    let on_failure = spec.on_failure.as_ref();
    let destination = on_failure.map_or_else(|| json!({}), |name| json!({ "Destination": name }));
    let enabled = if spec.enabled { "Enabled" } else { "Disabled" };
    let result = if it.result.is_empty() { "No records processed" } else { it.result.as_str() };
    let types = if spec.reports_failures { json!([REPORTS]) } else { json!([]) };
    some(vec![
        (
            "EventSourceMappingArn",
            format!("arn:aws:lambda:{region}:{number}:event-source-mapping:{uuid}").into(),
        ),
        ("UUID", uuid.into()),
        ("StartingPosition", start.into()),
        ("StartingPositionTimestamp", at_s),
        ("BatchSize", spec.batch.into()),
        ("MaximumBatchingWindowInSeconds", (spec.window_ms / 1_000).into()),
        ("ParallelizationFactor", 1.into()),
        ("EventSourceArn", stream_arn(region, account, &it.stream).into()),
        ("FilterCriteria", filters),
        ("FunctionArn", arn.into()),
        // In seconds, since 1970.
        ("LastModified", (it.changed_at_ms / 1_000).into()),
        ("LastProcessingResult", result.into()),
        ("State", state.unwrap_or(enabled).into()),
        ("StateTransitionReason", "User action".into()),
        ("DestinationConfig", json!({ "OnFailure": destination })),
        ("MaximumRecordAgeInSeconds", spec.age_s.map_or(json!(-1), Value::from)),
        ("BisectBatchOnFunctionError", spec.bisect.into()),
        ("MaximumRetryAttempts", spec.retries.map_or(json!(-1), Value::from)),
        ("TumblingWindowInSeconds", 0.into()),
        ("FunctionResponseTypes", types),
    ])
}
