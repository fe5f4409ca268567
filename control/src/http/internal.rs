//! `/internal/v1`: what agents and gateways call.
//!
//! Always true: the listener says who is at the other end: this machine's owner over the Unix
//! socket, or a process by its certificate, which has to be the one that counts for its name.
//! Nobody else gets further than enrolling.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::routing::{get, post, put};
use futures::TryStreamExt as _;
use http::StatusCode;

use api::identity::{Process, Subject};
use api::internal::functions::provisioned::ProvisionedReport;
use api::internal::functions::sizes::{FunctionsUsage, SizeAnswer, SizeReport};
use api::internal::functions::sources::GivenUp;
use api::internal::functions::{
    EventOutcome, KeepEvents, NewEvent, Revision, TakeEvents, TakenEvents, UsageTaken,
};
use api::internal::{
    Assignments, ClaimStream, Enrol, Enrolled, HostReport, InstanceLogs, InstanceReport, Output,
    Renew, Renewed, Routes, RunReport, RunTaken, StreamClaimed, UsageReport, Watch,
};
use api::listen::Peer;
use types::{AccountId, EventId, HostId, InstanceId, RevisionId, RunId, SourceId, StreamId};

use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::{
    enrolments, functions, hosts, instances, routes as routing, runs, streams, usage,
};
use crate::{Control, Error};

/// The internal routes.
pub fn routes() -> Router<Control> {
    let output = Router::new()
        .route("/internal/v1/instances/{instance}/output", put(take_output))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/internal/v1/enrol", post(enrol))
        .route("/internal/v1/renew", post(renew))
        .route("/internal/v1/hosts/{host}", put(report_host))
        .route("/internal/v1/hosts/{host}/assignments", get(assignments))
        .route("/internal/v1/instances/{instance}/report", put(report))
        .route("/internal/v1/instances/{instance}/logs", post(logs))
        .route("/internal/v1/accounts/{account}/blobs/{kind}/{id}", get(blob))
        .route("/internal/v1/revisions/{revision}", get(revision))
        .route("/internal/v1/revisions/{revision}/logs/{instance}", post(function_logs))
        .route("/internal/v1/revisions/{revision}/sizes", post(revision_size))
        .route("/internal/v1/hosts/{host}/provisioned", put(report_provisioned))
        .route("/internal/v1/hosts/{host}/functions-usage", post(functions_usage))
        .route("/internal/v1/routes", get(watch_routes))
        .route("/internal/v1/usage", post(report_usage))
        .route("/internal/v1/streams/{stream}/claim", post(claim_stream))
        .route("/internal/v1/sources/{source}/given-up", post(give_up))
        .route("/internal/v1/runs/{run}/report", post(report_run))
        .route("/internal/v1/events", post(accept_event))
        .route("/internal/v1/events/take", post(take_events))
        .route("/internal/v1/events/keep", post(keep_events))
        .route("/internal/v1/events/{event}/outcome", put(settle_event))
        .merge(output)
}

/// The host that an agent works for. On this machine's socket it may be any.
async fn agent(control: &Control, peer: &Peer, host: Option<HostId>) -> Result<HostId, Error> {
    match peer {
        Peer::Local => Ok(host.unwrap_or(HostId::new(uuid::Uuid::nil()))),
        Peer::Certificate(subject) if subject.process == Process::Agent => {
            enrolments::host_of(control, subject).await
        }
        _ => Err(Error::Unauthenticated),
    }
}

/// Lets through an agent of this host.
async fn only_agent(control: &Control, peer: &Peer, host: HostId) -> Result<(), Error> {
    let agent = agent(control, peer, Some(host)).await?;
    control.authorize_agent(agent, host)
}

/// Lets through the agent of the host that an instance runs on.
async fn only_agent_of(control: &Control, peer: &Peer, id: InstanceId) -> Result<(), Error> {
    let row = instances::fetch(control, id).await?;
    only_agent(control, peer, row.host_id).await
}

async fn only_gateway(control: &Control, peer: &Peer) -> Result<(), Error> {
    match peer {
        Peer::Local => {}
        Peer::Certificate(subject) if subject.process == Process::Gateway => {
            enrolments::known(control, subject).await?;
        }
        _ => return Err(Error::Unauthenticated),
    }
    control.authorize_gateway()
}

/// Lets through an agent or gateway that showed a certificate, and says who it is.
async fn only_enrolled<'p>(control: &Control, peer: &'p Peer) -> Result<&'p Subject, Error> {
    let Peer::Certificate(subject) = peer else { return Err(Error::Unauthenticated) };
    match subject.process {
        Process::Agent => {
            let host = enrolments::host_of(control, subject).await?;
            control.authorize_agent(host, host)?;
        }
        Process::Gateway => only_gateway(control, peer).await?,
        Process::Control => return Err(Error::Unauthenticated),
    }
    Ok(subject)
}

async fn enrol(
    State(control): State<Control>,
    Json(request): Json<Enrol>,
) -> Result<Json<Enrolled>, ApiError> {
    Ok(Json(enrolments::enrol(&control, request).await?))
}

async fn renew(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<Renew>,
) -> Result<Json<Renewed>, ApiError> {
    let subject = only_enrolled(&control, &peer).await?;
    Ok(Json(enrolments::renew(&control, subject, request).await?))
}

async fn report_host(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(host): Path<HostId>,
    Json(report): Json<HostReport>,
) -> Result<StatusCode, ApiError> {
    only_agent(&control, &peer, host).await?;
    hosts::report(&control, host, peer == Peer::Local, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn assignments(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(host): Path<HostId>,
    Query(watch): Query<Watch>,
) -> Result<Json<Assignments>, ApiError> {
    only_agent(&control, &peer, host).await?;
    Ok(Json(instances::assignments(&control, host, watch).await?))
}

async fn report(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<InstanceId>,
    Json(report): Json<InstanceReport>,
) -> Result<StatusCode, ApiError> {
    only_agent_of(&control, &peer, id).await?;
    instances::report(&control, id, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logs(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<InstanceId>,
    Json(lines): Json<InstanceLogs>,
) -> Result<StatusCode, ApiError> {
    only_agent_of(&control, &peer, id).await?;
    instances::logs(&control, id, lines).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take_output(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<InstanceId>,
    body: Body,
) -> Result<Json<Output>, ApiError> {
    only_agent_of(&control, &peer, id).await?;
    let body = body.into_data_stream().map_err(std::io::Error::other);
    Ok(Json(instances::output(&control, id, body).await?))
}

/// Blobs are sealed; an agent gets the keys of what it is to run with its assignments, and of
/// nothing else.
async fn blob(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path((account, kind, id)): Path<(AccountId, String, String)>,
) -> Result<Bytes, ApiError> {
    let host = agent(&control, &peer, None).await?;
    control.authorize_agent(host, host)?;
    Ok(instances::blob(&control, account, &kind, &id).await?)
}

async fn revision(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<RevisionId>,
) -> Result<Json<Revision>, ApiError> {
    let host = agent(&control, &peer, None).await?;
    control.authorize_agent(host, host)?;
    Ok(Json(functions::revision(&control, id).await?))
}

async fn function_logs(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path((revision, instance)): Path<(RevisionId, InstanceId)>,
    Json(lines): Json<InstanceLogs>,
) -> Result<StatusCode, ApiError> {
    let host = agent(&control, &peer, None).await?;
    control.authorize_agent(host, host)?;
    functions::take_logs(&control, (revision, instance), lines).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn revision_size(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<RevisionId>,
    Json(report): Json<SizeReport>,
) -> Result<Json<SizeAnswer>, ApiError> {
    only_agent(&control, &peer, report.host).await?;
    Ok(Json(functions::sizes::report(&control, id, report).await?))
}

async fn report_provisioned(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(host): Path<HostId>,
    Json(report): Json<ProvisionedReport>,
) -> Result<StatusCode, ApiError> {
    only_agent(&control, &peer, host).await?;
    functions::provisioned::report(&control, host, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn functions_usage(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(host): Path<HostId>,
    Json(usage): Json<FunctionsUsage>,
) -> Result<StatusCode, ApiError> {
    only_agent(&control, &peer, host).await?;
    functions::sizes::take_usage(&control, host, usage).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn watch_routes(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Query(watch): Query<Watch>,
) -> Result<Json<Routes>, ApiError> {
    only_gateway(&control, &peer).await?;
    Ok(Json(routing::watch(&control, watch).await?))
}

async fn claim_stream(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(stream): Path<StreamId>,
    Query(said): Query<ClaimStream>,
) -> Result<Json<StreamClaimed>, ApiError> {
    only_gateway(&control, &peer).await?;
    Ok(Json(streams::claim(&control, stream, (gateway_name(&peer), said)).await?))
}

async fn give_up(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(source): Path<SourceId>,
    Json(given_up): Json<GivenUp>,
) -> Result<StatusCode, ApiError> {
    only_gateway(&control, &peer).await?;
    functions::sources::give_up(&control, source, given_up).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn report_run(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(run): Path<RunId>,
    Json(report): Json<RunReport>,
) -> Result<Json<RunTaken>, ApiError> {
    only_gateway(&control, &peer).await?;
    Ok(Json(runs::report(&control, run, gateway_name(&peer), report).await?))
}

/// What a gateway is called: by its certificate, or what every one beside control is.
fn gateway_name(peer: &Peer) -> &str {
    match peer {
        Peer::Certificate(subject) => subject.name.as_str(),
        _ => "local",
    }
}

async fn report_usage(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Json(report): Json<UsageReport>,
) -> Result<Json<UsageTaken>, ApiError> {
    only_gateway(&control, &peer).await?;
    Ok(Json(usage::record(&control, report).await?))
}

async fn accept_event(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Json(event): Json<NewEvent>,
) -> Result<StatusCode, ApiError> {
    only_gateway(&control, &peer).await?;
    functions::events::accept(&control, event).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take_events(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Json(wanted): Json<TakeEvents>,
) -> Result<Json<TakenEvents>, ApiError> {
    only_gateway(&control, &peer).await?;
    Ok(Json(functions::events::take(&control, wanted).await?))
}

async fn keep_events(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Json(wanted): Json<KeepEvents>,
) -> Result<StatusCode, ApiError> {
    only_gateway(&control, &peer).await?;
    functions::events::keep(&control, wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn settle_event(
    State(control): State<Control>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<EventId>,
    Json(outcome): Json<EventOutcome>,
) -> Result<StatusCode, ApiError> {
    only_gateway(&control, &peer).await?;
    functions::events::outcome(&control, id, outcome).await?;
    Ok(StatusCode::NO_CONTENT)
}
