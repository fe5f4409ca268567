//! URLs of functions.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::functions::urls::{FunctionUrl, UrlQuery, UrlSettings};
use types::FunctionName;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::functions::urls::{self as operations, At};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(fetch_url, create_url, update_url, remove_url))
        .routes(routes!(list_urls))
}

fn at<'a>(name: &'a FunctionName, query: &'a UrlQuery) -> At<'a> {
    At { function: name, qualifier: query.qualifier.as_deref().unwrap_or_default() }
}

/// Says which URL a function, or an alias of it, has.
#[utoipa::path(get, path = "/v1/functions/{name}/url", tag = "functions",
    params(("name" = FunctionName, Path), UrlQuery),
    responses((status = 200, body = FunctionUrl)))]
async fn fetch_url(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(query): Query<UrlQuery>,
) -> Result<Json<FunctionUrl>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, at(&name, &query)).await?))
}

/// Gives a function, or an alias of it, a URL.
#[utoipa::path(post, path = "/v1/functions/{name}/url", tag = "functions",
    params(("name" = FunctionName, Path), UrlQuery), request_body = UrlSettings,
    responses((status = 201, body = FunctionUrl)))]
async fn create_url(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(query): Query<UrlQuery>,
    Json(wanted): Json<UrlSettings>,
) -> Result<(StatusCode, Json<FunctionUrl>), ApiError> {
    let made = operations::create(&control, &caller, at(&name, &query), wanted).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes how a URL answers, as a whole; its address stays.
#[utoipa::path(put, path = "/v1/functions/{name}/url", tag = "functions",
    params(("name" = FunctionName, Path), UrlQuery), request_body = UrlSettings,
    responses((status = 200, body = FunctionUrl)))]
async fn update_url(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(query): Query<UrlQuery>,
    Json(wanted): Json<UrlSettings>,
) -> Result<Json<FunctionUrl>, ApiError> {
    Ok(Json(operations::update(&control, &caller, at(&name, &query), wanted).await?))
}

/// Removes a URL; another one has another address.
#[utoipa::path(delete, path = "/v1/functions/{name}/url", tag = "functions",
    params(("name" = FunctionName, Path), UrlQuery), responses((status = 204)))]
async fn remove_url(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(query): Query<UrlQuery>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, at(&name, &query)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the URLs of a function: its own, and those of its aliases.
#[utoipa::path(get, path = "/v1/functions/{name}/urls", tag = "functions",
    params(("name" = FunctionName, Path)), responses((status = 200, body = Vec<FunctionUrl>)))]
async fn list_urls(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<Json<Vec<FunctionUrl>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &name).await?))
}
