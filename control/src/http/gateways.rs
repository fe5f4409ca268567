//! What gateways answer themselves, described: the document is one, whoever answers.
//!
//! Always true: nothing here is called, and control answers none of it; that each is answered is held
//! by the test that walks the document over the whole program.
#![expect(dead_code, reason = "described here, and answered by gateways")]

use api::runs::{RecordsQuery, RunDriftQuery, RunRecords, RunSeries, SeriesQuery};
use api::streams::{
    AppendedEvents, Drift, DriftQuery, EventsQuery, ForgetSubject, ForgottenEvents, ImportQuery,
    ImportedEvents, LabelEvents, LabelledEvents, MadeEvents, MakeEvents, RuleQuery, SelectionQuery,
    StreamStats,
};
use types::{FunctionName, Name, RunId};

use crate::http::document::Octets;

/// The description of what gateways answer.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(paths(
    invoke_endpoint,
    ping_endpoint,
    invoke_function,
    events,
    append,
    import,
    label,
    make,
    forget,
    rule,
    stats,
    drift,
    records,
    series,
    run_drift
))]
pub struct Described;

/// An event in JSON, by `CloudEvents` 1.0.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = Object)]
pub struct CloudEvent(pub serde_json::Value);

/// Has an endpoint answer: JSON, CSV or an array of `NumPy` for a model, any event for a function.
/// `NAME@VARIANT` is a variant, `ACCOUNT.NAME` another account's.
#[utoipa::path(post, path = "/endpoints/{name}/invocations", tag = "endpoints",
    params(("name" = String, Path),
        ("freehold-key" = Option<String>, Header, description = "What the event belongs to: the \
            same key is answered by the same variant.")),
    request_body(content = Octets, content_type = "application/json"),
    responses((status = 200, body = Octets, content_type = "application/json",
        headers(("freehold-service-us" = u64, description = "How long the variant took, in \
            microseconds.")))))]
fn invoke_endpoint() {}

/// Says whether an endpoint can take requests.
#[utoipa::path(get, path = "/endpoints/{name}/ping", tag = "endpoints",
    params(("name" = String, Path)), responses((status = 200)))]
fn ping_endpoint() {}

/// Calls a function, or has it called later.
#[utoipa::path(post, path = "/v1/functions/{name}/invocations", tag = "functions",
    params(("name" = FunctionName, Path),
        ("qualifier" = Option<String>, Query, description = "A version or an alias."),
        ("mode" = Option<String>, Query, description = "event: it is called later.")),
    request_body(content = Octets, content_type = "application/json"),
    responses((status = 200, body = Octets, content_type = "application/json"),
        (status = 202, description = "It is kept, and called later.")))]
fn invoke_function() {}

/// Gives events in the order of their times.
#[utoipa::path(get, path = "/v1/streams/{name}/events", tag = "streams",
    params(("name" = Name, Path), SelectionQuery, EventsQuery),
    responses((status = 200, body = Octets, content_type = "application/jsonl")))]
fn events() {}

/// Adds events: one in binary or structured mode, or a batch. All of them, or none.
#[utoipa::path(post, path = "/v1/streams/{name}/events", tag = "streams",
    params(("name" = Name, Path)),
    request_body(content = Vec<CloudEvent>, content_type = "application/cloudevents-batch+json"),
    responses((status = 200, body = AppendedEvents)))]
fn append() {}

/// Adds what a file tells.
#[utoipa::path(post, path = "/v1/streams/{name}/imports", tag = "streams",
    params(("name" = Name, Path), ImportQuery),
    request_body(content = Octets, content_type = "application/octet-stream"),
    responses((status = 200, body = ImportedEvents)))]
fn import() {}

/// Says what events turned out to be.
#[utoipa::path(post, path = "/v1/streams/{name}/labels", tag = "streams",
    params(("name" = Name, Path)), request_body = LabelEvents,
    responses((status = 200, body = LabelledEvents)))]
fn label() {}

/// Makes events that are drawn from recorded ones.
#[utoipa::path(post, path = "/v1/streams/{name}/synthetic", tag = "streams",
    params(("name" = Name, Path)), request_body = MakeEvents,
    responses((status = 200, body = MadeEvents)))]
fn make() {}

/// Removes all events of a subject, and their labels.
#[utoipa::path(post, path = "/v1/streams/{name}/forget", tag = "streams",
    params(("name" = Name, Path)), request_body = ForgetSubject,
    responses((status = 200, body = ForgottenEvents)))]
fn forget() {}

/// Answers 1 where conditions hold of an event, and else 0, where a prediction is looked for.
#[utoipa::path(post, path = "/v1/rules/answers", tag = "streams", params(RuleQuery),
    request_body(content = CloudEvent, content_type = "application/cloudevents+json"),
    responses((status = 200, body = Octets, content_type = "application/json")))]
fn rule() {}

/// Sums up events.
#[utoipa::path(get, path = "/v1/streams/{name}/stats", tag = "streams",
    params(("name" = Name, Path), SelectionQuery),
    responses((status = 200, body = StreamStats)))]
fn stats() {}

/// Says which fields of events have changed, and since when, beside events of another time.
#[utoipa::path(get, path = "/v1/streams/{name}/drift", tag = "streams",
    params(("name" = Name, Path), SelectionQuery, DriftQuery),
    responses((status = 200, body = Drift)))]
fn drift() {}

/// Gives the requests behind a figure of a run.
#[utoipa::path(get, path = "/v1/runs/{run}/records", tag = "runs",
    params(("run" = RunId, Path), RecordsQuery),
    responses((status = 200, body = RunRecords)))]
fn records() {}

/// Says how a run went over its time, or over the hours of the day.
#[utoipa::path(get, path = "/v1/runs/{run}/series", tag = "runs",
    params(("run" = RunId, Path), SeriesQuery),
    responses((status = 200, body = RunSeries)))]
fn series() {}

/// Says whether a run's answers still are as another's were.
#[utoipa::path(get, path = "/v1/runs/{run}/drift", tag = "runs", operation_id = "drift",
    params(("run" = RunId, Path), RunDriftQuery),
    responses((status = 200, body = Drift)))]
fn run_drift() {}
