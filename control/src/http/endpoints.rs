//! `/v1/endpoints`.

mod captures;
mod triggers;
mod variants;

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::endpoints::{DeployRequest, Endpoint, UpdateEndpoint};
use api::items::ShareRequest;
use api::pages::{Log, LogQuery, Page, PageQuery};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::endpoints as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch, update, remove))
        .routes(routes!(share))
        .routes(routes!(log))
        .merge(variants::routes())
        .merge(captures::routes())
        .merge(triggers::routes())
}

/// Lists the account's endpoints.
#[utoipa::path(get, path = "/v1/endpoints", tag = "endpoints", params(PageQuery),
    responses((status = 200, body = Page<Endpoint>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Endpoint>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Deploys a model, a pipeline or a function as an endpoint of the account.
#[utoipa::path(post, path = "/v1/endpoints", tag = "endpoints", request_body = DeployRequest,
    responses((status = 202, body = Endpoint)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<DeployRequest>,
) -> Result<(StatusCode, Json<Endpoint>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says where an endpoint stands.
#[utoipa::path(get, path = "/v1/endpoints/{name}", tag = "endpoints",
    params(("name" = Name, Path)), responses((status = 200, body = Endpoint)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Endpoint>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Changes what an endpoint runs; it answers with the old model until the new one is ready.
#[utoipa::path(put, path = "/v1/endpoints/{name}", tag = "endpoints",
    params(("name" = Name, Path)), request_body = UpdateEndpoint,
    responses((status = 202, body = Endpoint)))]
async fn update(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<UpdateEndpoint>,
) -> Result<(StatusCode, Json<Endpoint>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::update(&control, &caller, &name, request).await?)))
}

/// Removes an endpoint.
#[utoipa::path(delete, path = "/v1/endpoints/{name}", tag = "endpoints",
    params(("name" = Name, Path)), responses((status = 202, body = Endpoint)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<(StatusCode, Json<Endpoint>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::remove(&control, &caller, &name).await?)))
}

/// Changes who may call an endpoint.
#[utoipa::path(put, path = "/v1/endpoints/{name}/sharing", tag = "endpoints",
    params(("name" = Name, Path)), request_body = ShareRequest,
    responses((status = 200, body = Endpoint)))]
async fn share(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<ShareRequest>,
) -> Result<Json<Endpoint>, ApiError> {
    Ok(Json(operations::share(&control, &caller, &name, request).await?))
}

/// Reads what the endpoint's instances wrote.
#[utoipa::path(get, path = "/v1/endpoints/{name}/log", tag = "endpoints",
    params(("name" = Name, Path), LogQuery), responses((status = 200, body = Log)))]
async fn log(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Log>, ApiError> {
    Ok(Json(operations::log(&control, &caller, &name, &query).await?))
}
