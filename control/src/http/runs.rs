//! `/v1/runs`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::pages::{Page, PageQuery};
use api::runs::{Run, RunSpec};
use types::RunId;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::runs as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(fetch)).routes(routes!(stop))
}

/// Lists the account's runs, the newest first.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(PageQuery),
    responses((status = 200, body = Page<Run>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Run>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Replays recorded events to an endpoint's variants.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = RunSpec,
    responses((status = 202, body = Run)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<RunSpec>,
) -> Result<(StatusCode, Json<Run>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says how far a run is, or what it came to.
#[utoipa::path(get, path = "/v1/runs/{run}", tag = "runs",
    params(("run" = RunId, Path)), responses((status = 200, body = Run)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(run): Path<RunId>,
) -> Result<Json<Run>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, run).await?))
}

/// Has a run stop before its end.
#[utoipa::path(post, path = "/v1/runs/{run}/stop", tag = "runs",
    params(("run" = RunId, Path)), responses((status = 202, body = Run)))]
async fn stop(
    State(control): State<Control>,
    caller: Caller,
    Path(run): Path<RunId>,
) -> Result<(StatusCode, Json<Run>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::stop(&control, &caller, run).await?)))
}
