//! `/v1/functions/{name}/sources`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::functions::sources::{CreateSource, Source, UpdateSource};
use api::pages::{Page, PageQuery};
use types::{FunctionName, SourceId};

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::functions::sources as operations;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(sources, create_source)).routes(routes!(
        fetch_source,
        update_source,
        remove_source
    ))
}

/// Lists the streams that a function is fed from.
#[utoipa::path(get, path = "/v1/functions/{name}/sources", tag = "functions",
    params(("name" = FunctionName, Path), PageQuery),
    responses((status = 200, body = Page<Source>)))]
async fn sources(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Source>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &name, &page).await?))
}

/// Feeds a function from a stream.
#[utoipa::path(post, path = "/v1/functions/{name}/sources", tag = "functions",
    params(("name" = FunctionName, Path)), request_body = CreateSource,
    responses((status = 201, body = Source)))]
async fn create_source(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
    Json(request): Json<CreateSource>,
) -> Result<(StatusCode, Json<Source>), ApiError> {
    let made = operations::create(&control, &caller, &name, request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Says how a function is fed from a stream, and how far that is.
#[utoipa::path(get, path = "/v1/functions/{name}/sources/{source}", tag = "functions",
    params(("name" = FunctionName, Path), ("source" = SourceId, Path)),
    responses((status = 200, body = Source)))]
async fn fetch_source(
    State(control): State<Control>,
    caller: Caller,
    Path((name, source)): Path<(FunctionName, SourceId)>,
) -> Result<Json<Source>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, (&name, source)).await?))
}

/// Changes how a function is fed from a stream, as a whole; it goes on where it is.
#[utoipa::path(put, path = "/v1/functions/{name}/sources/{source}", tag = "functions",
    params(("name" = FunctionName, Path), ("source" = SourceId, Path)),
    request_body = UpdateSource, responses((status = 200, body = Source)))]
async fn update_source(
    State(control): State<Control>,
    caller: Caller,
    Path((name, source)): Path<(FunctionName, SourceId)>,
    Json(request): Json<UpdateSource>,
) -> Result<Json<Source>, ApiError> {
    Ok(Json(operations::update(&control, &caller, (&name, source), request).await?))
}

/// Feeds a function from a stream no more.
#[utoipa::path(delete, path = "/v1/functions/{name}/sources/{source}", tag = "functions",
    params(("name" = FunctionName, Path), ("source" = SourceId, Path)),
    responses((status = 204)))]
async fn remove_source(
    State(control): State<Control>,
    caller: Caller,
    Path((name, source)): Path<(FunctionName, SourceId)>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, (&name, source)).await?;
    Ok(StatusCode::NO_CONTENT)
}
