//! `/v1/endpoints/{name}/capture`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::endpoints::captures::{Capture, CaptureSpec};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path};
use crate::http::problem::ApiError;
use crate::operations::endpoints::captures as operations;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(capture, put_capture, remove_capture))
}

/// Says which live requests are kept as events, and what became of them.
#[utoipa::path(get, path = "/v1/endpoints/{name}/capture", tag = "endpoints",
    params(("name" = Name, Path)), responses((status = 200, body = Capture)))]
async fn capture(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Capture>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Has live requests kept as events of a stream.
#[utoipa::path(put, path = "/v1/endpoints/{name}/capture", tag = "endpoints",
    params(("name" = Name, Path)), request_body = CaptureSpec,
    responses((status = 200, body = Capture)))]
async fn put_capture(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<CaptureSpec>,
) -> Result<Json<Capture>, ApiError> {
    Ok(Json(operations::put(&control, &caller, &name, request).await?))
}

/// Has no more requests kept. What was kept stays in the stream.
#[utoipa::path(delete, path = "/v1/endpoints/{name}/capture", tag = "endpoints",
    params(("name" = Name, Path)), responses((status = 204)))]
async fn remove_capture(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
