//! `/v1/links`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::grants::{CreateLink, Link, UpdateLink};
use api::pages::{Page, PageQuery};
use types::FunctionName;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::links as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(fetch, update, remove))
}

/// Lists the account's links.
#[utoipa::path(get, path = "/v1/links", tag = "links", params(PageQuery),
    responses((status = 200, body = Page<Link>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Link>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Makes a link: a function of another account, under a name of this one.
#[utoipa::path(post, path = "/v1/links", tag = "links", request_body = CreateLink,
    responses((status = 201, body = Link)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateLink>,
) -> Result<(StatusCode, Json<Link>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says what a link is.
#[utoipa::path(get, path = "/v1/links/{name}", tag = "links",
    params(("name" = FunctionName, Path)), responses((status = 200, body = Link)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<Json<Link>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Changes a link; calls follow at once.
#[utoipa::path(put, path = "/v1/links/{name}", tag = "links",
    params(("name" = FunctionName, Path)), request_body = UpdateLink,
    responses((status = 200, body = Link)))]
async fn update(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(request): Json<UpdateLink>,
) -> Result<Json<Link>, ApiError> {
    Ok(Json(operations::update(&control, &caller, &name, request).await?))
}

/// Removes a link.
#[utoipa::path(delete, path = "/v1/links/{name}", tag = "links",
    params(("name" = FunctionName, Path)), responses((status = 204)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
