//! `/v1/streams`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::pages::{Page, PageQuery};
use api::streams::{CreateStream, Stream, UpdateStream};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::streams as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(fetch, update, remove))
}

/// Lists the account's streams.
#[utoipa::path(get, path = "/v1/streams", tag = "streams", params(PageQuery),
    responses((status = 200, body = Page<Stream>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Stream>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Makes a stream.
#[utoipa::path(post, path = "/v1/streams", tag = "streams", request_body = CreateStream,
    responses((status = 201, body = Stream)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateStream>,
) -> Result<(StatusCode, Json<Stream>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says how a stream is kept.
#[utoipa::path(get, path = "/v1/streams/{name}", tag = "streams",
    params(("name" = Name, Path)), responses((status = 200, body = Stream)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Stream>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Changes how a stream is kept.
#[utoipa::path(put, path = "/v1/streams/{name}", tag = "streams",
    params(("name" = Name, Path)), request_body = UpdateStream,
    responses((status = 200, body = Stream)))]
async fn update(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<UpdateStream>,
) -> Result<Json<Stream>, ApiError> {
    Ok(Json(operations::update(&control, &caller, &name, request).await?))
}

/// Removes a stream with its events.
#[utoipa::path(delete, path = "/v1/streams/{name}", tag = "streams",
    params(("name" = Name, Path)), responses((status = 204)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
