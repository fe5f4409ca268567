//! `/v1/grants` and `/v1/received-grants`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::grants::{CreateGrant, Grant, ReceivedGrant, UpdateGrant};
use api::pages::{Page, PageQuery};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::grants as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch, update, remove))
        .routes(routes!(received))
}

/// Lists the grants that the account gave.
#[utoipa::path(get, path = "/v1/grants", tag = "grants", params(PageQuery),
    responses((status = 200, body = Page<Grant>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Grant>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Lets other accounts link to a function.
#[utoipa::path(post, path = "/v1/grants", tag = "grants", request_body = CreateGrant,
    responses((status = 201, body = Grant)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateGrant>,
) -> Result<(StatusCode, Json<Grant>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says what a grant is.
#[utoipa::path(get, path = "/v1/grants/{name}", tag = "grants",
    params(("name" = Name, Path)), responses((status = 200, body = Grant)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Grant>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Changes a grant; calls follow at once.
#[utoipa::path(put, path = "/v1/grants/{name}", tag = "grants",
    params(("name" = Name, Path)), request_body = UpdateGrant,
    responses((status = 200, body = Grant)))]
async fn update(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<UpdateGrant>,
) -> Result<Json<Grant>, ApiError> {
    Ok(Json(operations::update(&control, &caller, &name, request).await?))
}

/// Takes a grant back; links to it break.
#[utoipa::path(delete, path = "/v1/grants/{name}", tag = "grants",
    params(("name" = Name, Path)), responses((status = 204)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the grants that the account was given.
#[utoipa::path(get, path = "/v1/received-grants", tag = "grants", params(PageQuery),
    responses((status = 200, body = Page<ReceivedGrant>)))]
async fn received(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ReceivedGrant>>, ApiError> {
    Ok(Json(operations::received(&control, &caller, &page).await?))
}
