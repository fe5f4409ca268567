//! `/v1/publishes`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::pages::{Log, LogQuery, Page, PageQuery};
use api::publishes::{Publish, PublishRequest};
use types::PublishId;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::publishes as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(fetch)).routes(routes!(log))
}

/// Lists the account's publishings, newest first.
#[utoipa::path(get, path = "/v1/publishes", tag = "publishes", params(PageQuery),
    responses((status = 200, body = Page<Publish>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Publish>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Starts publishing a package; its log tells how it goes.
#[utoipa::path(post, path = "/v1/publishes", tag = "publishes", request_body = PublishRequest,
    responses((status = 202, body = Publish)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<PublishRequest>,
) -> Result<(StatusCode, Json<Publish>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says where a publishing stands.
#[utoipa::path(get, path = "/v1/publishes/{publish}", tag = "publishes",
    params(("publish" = PublishId, Path)), responses((status = 200, body = Publish)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<PublishId>,
) -> Result<Json<Publish>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, id).await?))
}

/// Reads a publishing's log; waits for the next line where asked to.
#[utoipa::path(get, path = "/v1/publishes/{publish}/log", tag = "publishes",
    params(("publish" = PublishId, Path), LogQuery), responses((status = 200, body = Log)))]
async fn log(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<PublishId>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Log>, ApiError> {
    Ok(Json(operations::log(&control, &caller, id, &query).await?))
}
