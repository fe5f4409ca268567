//! `/v1/functions`.

mod provisioned;
mod sources;
mod urls;

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::functions::events::{EventSettings, EventSettingsQuery, ShownEventSettings};
use api::functions::sizes::{Advice, AdviceQuery, SizeStep, Sizing};
use api::functions::{
    Alias, CreateAlias, CreateFunction, CreateSchedule, DeadEvent, Function, PublishVersion,
    Schedule, UpdateAlias, UpdateFunction,
};
use api::pages::{Log, LogQuery, Page, PageQuery};
use types::{AliasName, EventId, FunctionName};

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::functions as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch, update, remove))
        .routes(routes!(versions, publish))
        .routes(routes!(aliases, create_alias))
        .routes(routes!(update_alias, remove_alias))
        .routes(routes!(dead_events))
        .routes(routes!(redrive, forget))
        .routes(routes!(event_settings, put_event_settings))
        .routes(routes!(log))
        .routes(routes!(schedules, create_schedule))
        .routes(routes!(remove_schedule))
        .routes(routes!(sizing, put_sizing))
        .routes(routes!(sizes))
        .routes(routes!(advice))
        .merge(provisioned::routes())
        .merge(urls::routes())
        .merge(sources::routes())
}

/// Lists the account's functions.
#[utoipa::path(get, path = "/v1/functions", tag = "functions", params(PageQuery),
    responses((status = 200, body = Page<Function>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Function>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Makes a function of an uploaded package.
#[utoipa::path(post, path = "/v1/functions", tag = "functions", request_body = CreateFunction,
    responses((status = 201, body = Function)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateFunction>,
) -> Result<(StatusCode, Json<Function>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says what a function is.
#[utoipa::path(get, path = "/v1/functions/{name}", tag = "functions",
    params(("name" = FunctionName, Path)), responses((status = 200, body = Function)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<Json<Function>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Changes a function's code or configuration; numbered versions stay as they are.
#[utoipa::path(put, path = "/v1/functions/{name}", tag = "functions",
    params(("name" = FunctionName, Path)), request_body = UpdateFunction,
    responses((status = 200, body = Function)))]
async fn update(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(request): Json<UpdateFunction>,
) -> Result<Json<Function>, ApiError> {
    Ok(Json(operations::update(&control, &caller, &name, request).await?))
}

/// Removes a function and its versions.
#[utoipa::path(delete, path = "/v1/functions/{name}", tag = "functions",
    params(("name" = FunctionName, Path)), responses((status = 204)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a function's numbered versions.
#[utoipa::path(get, path = "/v1/functions/{name}/versions", tag = "functions",
    params(("name" = FunctionName, Path), PageQuery),
    responses((status = 200, body = Page<Function>)))]
async fn versions(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Function>>, ApiError> {
    Ok(Json(operations::versions::list(&control, &caller, &name, &page).await?))
}

/// Makes a numbered version of what is the latest.
#[utoipa::path(post, path = "/v1/functions/{name}/versions", tag = "functions",
    params(("name" = FunctionName, Path)), request_body = PublishVersion,
    responses((status = 201, body = Function)))]
async fn publish(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(request): Json<PublishVersion>,
) -> Result<(StatusCode, Json<Function>), ApiError> {
    Ok((
        StatusCode::CREATED,
        Json(operations::versions::publish(&control, &caller, &name, request).await?),
    ))
}

/// Lists a function's aliases.
#[utoipa::path(get, path = "/v1/functions/{name}/aliases", tag = "functions",
    params(("name" = FunctionName, Path), PageQuery),
    responses((status = 200, body = Page<Alias>)))]
async fn aliases(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Alias>>, ApiError> {
    Ok(Json(operations::aliases::list(&control, &caller, &name, &page).await?))
}

/// Makes an alias: a name of one or two versions, which may move.
#[utoipa::path(post, path = "/v1/functions/{name}/aliases", tag = "functions",
    params(("name" = FunctionName, Path)), request_body = CreateAlias,
    responses((status = 201, body = Alias)))]
async fn create_alias(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(request): Json<CreateAlias>,
) -> Result<(StatusCode, Json<Alias>), ApiError> {
    let made = operations::aliases::create(&control, &caller, &name, request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes an alias; calls by it follow at once.
#[utoipa::path(put, path = "/v1/functions/{name}/aliases/{alias}", tag = "functions",
    params(("name" = FunctionName, Path), ("alias" = AliasName, Path)),
    request_body = UpdateAlias, responses((status = 200, body = Alias)))]
async fn update_alias(
    State(control): State<Control>,
    caller: Caller,
    Path((name, alias)): Path<(FunctionName, AliasName)>,
    Json(request): Json<UpdateAlias>,
) -> Result<Json<Alias>, ApiError> {
    Ok(Json(operations::aliases::update(&control, &caller, (&name, &alias), request).await?))
}

/// Removes an alias.
#[utoipa::path(delete, path = "/v1/functions/{name}/aliases/{alias}", tag = "functions",
    params(("name" = FunctionName, Path), ("alias" = AliasName, Path)),
    responses((status = 204)))]
async fn remove_alias(
    State(control): State<Control>,
    caller: Caller,
    Path((name, alias)): Path<(FunctionName, AliasName)>,
) -> Result<StatusCode, ApiError> {
    operations::aliases::remove(&control, &caller, (&name, &alias)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads what a function's instances wrote, with lines before and after each call, after a line;
/// waits for more where there is none.
#[utoipa::path(get, path = "/v1/functions/{name}/log", tag = "functions",
    params(("name" = FunctionName, Path), LogQuery), responses((status = 200, body = Log)))]
async fn log(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Log>, ApiError> {
    Ok(Json(operations::log(&control, &caller, &name, &query).await?))
}

/// Lists a function's schedules.
#[utoipa::path(get, path = "/v1/functions/{name}/schedules", tag = "functions",
    params(("name" = FunctionName, Path), PageQuery),
    responses((status = 200, body = Page<Schedule>)))]
async fn schedules(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Schedule>>, ApiError> {
    Ok(Json(operations::schedules::list(&control, &caller, &name, &page).await?))
}

/// Has a function run at times: every so often, by a cron expression, or once.
#[utoipa::path(post, path = "/v1/functions/{name}/schedules", tag = "functions",
    params(("name" = FunctionName, Path)), request_body = CreateSchedule,
    responses((status = 201, body = Schedule)))]
async fn create_schedule(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(request): Json<CreateSchedule>,
) -> Result<(StatusCode, Json<Schedule>), ApiError> {
    let made = operations::schedules::create(&control, &caller, &name, request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Removes a schedule.
#[utoipa::path(delete, path = "/v1/functions/{name}/schedules/{schedule}", tag = "functions",
    params(("name" = FunctionName, Path), ("schedule" = AliasName, Path)),
    responses((status = 204)))]
async fn remove_schedule(
    State(control): State<Control>,
    caller: Caller,
    Path((name, schedule)): Path<(FunctionName, AliasName)>,
) -> Result<StatusCode, ApiError> {
    operations::schedules::remove(&control, &caller, (&name, &schedule)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a function's events that were given up, with how each of their runs failed.
#[utoipa::path(get, path = "/v1/functions/{name}/dead-events", tag = "functions",
    params(("name" = FunctionName, Path), PageQuery),
    responses((status = 200, body = Page<DeadEvent>)))]
async fn dead_events(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<DeadEvent>>, ApiError> {
    Ok(Json(operations::events::list_dead(&control, &caller, &name, &page).await?))
}

/// Has an event that was given up run again.
#[utoipa::path(post, path = "/v1/functions/{name}/dead-events/{event}", tag = "functions",
    params(("name" = FunctionName, Path), ("event" = EventId, Path)),
    responses((status = 204)))]
async fn redrive(
    State(control): State<Control>,
    caller: Caller,
    Path((name, event)): Path<(FunctionName, EventId)>,
) -> Result<StatusCode, ApiError> {
    operations::events::redrive(&control, &caller, (&name, event)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets an event that was given up.
#[utoipa::path(delete, path = "/v1/functions/{name}/dead-events/{event}", tag = "functions",
    params(("name" = FunctionName, Path), ("event" = EventId, Path)),
    responses((status = 204)))]
async fn forget(
    State(control): State<Control>,
    caller: Caller,
    Path((name, event)): Path<(FunctionName, EventId)>,
) -> Result<StatusCode, ApiError> {
    operations::events::forget(&control, &caller, (&name, event)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says what becomes of a function's events: how often one is tried again, and who is told.
#[utoipa::path(get, path = "/v1/functions/{name}/event-settings", tag = "functions",
    params(("name" = FunctionName, Path), EventSettingsQuery),
    responses((status = 200, body = ShownEventSettings)))]
async fn event_settings(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(of): Query<EventSettingsQuery>,
) -> Result<Json<ShownEventSettings>, ApiError> {
    Ok(Json(operations::destinations::fetch(&control, &caller, (&name, &of)).await?))
}

/// Changes what becomes of a function's events, as a whole.
#[utoipa::path(put, path = "/v1/functions/{name}/event-settings", tag = "functions",
    params(("name" = FunctionName, Path), EventSettingsQuery), request_body = EventSettings,
    responses((status = 200, body = ShownEventSettings)))]
async fn put_event_settings(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(of): Query<EventSettingsQuery>,
    Json(wanted): Json<EventSettings>,
) -> Result<Json<ShownEventSettings>, ApiError> {
    Ok(Json(operations::destinations::put(&control, &caller, (&name, &of), wanted).await?))
}

/// Says how the memory of a function's instances is chosen.
#[utoipa::path(get, path = "/v1/functions/{name}/sizing", tag = "functions",
    params(("name" = FunctionName, Path)), responses((status = 200, body = Sizing)))]
async fn sizing(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<Json<Sizing>, ApiError> {
    Ok(Json(operations::sizes::sizing(&control, &caller, &name).await?))
}

/// Changes how the memory of a function's instances is chosen, as a whole.
#[utoipa::path(put, path = "/v1/functions/{name}/sizing", tag = "functions",
    params(("name" = FunctionName, Path)), request_body = Sizing,
    responses((status = 200, body = Sizing)))]
async fn put_sizing(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(wanted): Json<Sizing>,
) -> Result<Json<Sizing>, ApiError> {
    Ok(Json(operations::sizes::put_sizing(&control, &caller, &name, wanted).await?))
}

/// Lists what was done about the sizes of a function's instances, the last first.
#[utoipa::path(get, path = "/v1/functions/{name}/sizes", tag = "functions",
    params(("name" = FunctionName, Path)), responses((status = 200, body = Vec<SizeStep>)))]
async fn sizes(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<Json<Vec<SizeStep>>, ApiError> {
    Ok(Json(operations::sizes::steps(&control, &caller, &name).await?))
}

/// Says what a function would cost, and how long its calls would take, at other sizes.
#[utoipa::path(get, path = "/v1/functions/{name}/advice", tag = "functions",
    params(("name" = FunctionName, Path), AdviceQuery),
    responses((status = 200, body = Advice)))]
async fn advice(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(query): Query<AdviceQuery>,
) -> Result<Json<Advice>, ApiError> {
    Ok(Json(operations::sizes::advice(&control, &caller, &name, &query).await?))
}
