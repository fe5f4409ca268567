//! `/v1/trainings`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::pages::{Log, LogQuery, Page, PageQuery};
use api::trainings::{TrainRequest, Training};
use types::TrainingId;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::trainings as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch))
        .routes(routes!(log))
        .routes(routes!(cancel))
}

/// Lists the account's trainings, newest first.
#[utoipa::path(get, path = "/v1/trainings", tag = "trainings", params(PageQuery),
    responses((status = 200, body = Page<Training>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Training>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Starts a training.
#[utoipa::path(post, path = "/v1/trainings", tag = "trainings", request_body = TrainRequest,
    responses((status = 202, body = Training)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<TrainRequest>,
) -> Result<(StatusCode, Json<Training>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says where a training stands.
#[utoipa::path(get, path = "/v1/trainings/{training}", tag = "trainings",
    params(("training" = TrainingId, Path)), responses((status = 200, body = Training)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<TrainingId>,
) -> Result<Json<Training>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, id).await?))
}

/// Reads a training's log; waits for the next line where asked to.
#[utoipa::path(get, path = "/v1/trainings/{training}/log", tag = "trainings",
    params(("training" = TrainingId, Path), LogQuery), responses((status = 200, body = Log)))]
async fn log(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<TrainingId>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Log>, ApiError> {
    Ok(Json(operations::log(&control, &caller, id, &query).await?))
}

/// Cancels a training that has not ended.
#[utoipa::path(post, path = "/v1/trainings/{training}/cancel", tag = "trainings",
    params(("training" = TrainingId, Path)), responses((status = 202, body = Training)))]
async fn cancel(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<TrainingId>,
) -> Result<(StatusCode, Json<Training>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::cancel(&control, &caller, id).await?)))
}
