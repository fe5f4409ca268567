//! `/v1/usage` and `/v1/sold-usage`.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::usage::{FunctionUsage, SoldUsage, UsageQuery};

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Query};
use crate::http::problem::ApiError;
use crate::operations::usage as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(used)).routes(routes!(sold))
}

/// Sums up what the account's calls of functions came to.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = FunctionUsage)))]
async fn used(
    State(control): State<Control>,
    caller: Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Json<FunctionUsage>, ApiError> {
    Ok(Json(operations::used(&control, &caller, query).await?))
}

/// Sums up what others' calls of the account's functions came to.
#[utoipa::path(get, path = "/v1/sold-usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = SoldUsage)))]
async fn sold(
    State(control): State<Control>,
    caller: Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Json<SoldUsage>, ApiError> {
    Ok(Json(operations::sold(&control, &caller, query).await?))
}
