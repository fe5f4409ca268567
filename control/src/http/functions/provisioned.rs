//! Provisioned concurrency of functions.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings};
use types::FunctionName;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path};
use crate::http::problem::ApiError;
use crate::operations::functions::provisioned::{self as operations, At};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_provisioned)).routes(routes!(
        fetch_provisioned,
        put_provisioned,
        remove_provisioned
    ))
}

fn at((function, qualifier): &(FunctionName, String)) -> At<'_> {
    At { function, qualifier }
}

/// Lists a function's provisioned concurrency, by version and alias.
#[utoipa::path(get, path = "/v1/functions/{name}/provisioned", tag = "functions",
    params(("name" = FunctionName, Path)),
    responses((status = 200, body = Vec<ProvisionedConcurrency>)))]
async fn list_provisioned(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<FunctionName>,
) -> Result<Json<Vec<ProvisionedConcurrency>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &name).await?))
}

/// Says where the provisioned concurrency of a version or an alias stands.
#[utoipa::path(get, path = "/v1/functions/{name}/provisioned/{qualifier}", tag = "functions",
    params(("name" = FunctionName, Path), ("qualifier" = String, Path)),
    responses((status = 200, body = ProvisionedConcurrency)))]
async fn fetch_provisioned(
    State(control): State<Control>,
    caller: Caller,
    Path(named): Path<(FunctionName, String)>,
) -> Result<Json<ProvisionedConcurrency>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, at(&named)).await?))
}

/// Has so many instances of a version or an alias kept warm.
#[utoipa::path(put, path = "/v1/functions/{name}/provisioned/{qualifier}", tag = "functions",
    params(("name" = FunctionName, Path), ("qualifier" = String, Path)),
    request_body = ProvisionedSettings,
    responses((status = 200, body = ProvisionedConcurrency)))]
async fn put_provisioned(
    State(control): State<Control>,
    caller: Caller,
    Path(named): Path<(FunctionName, String)>,
    Json(wanted): Json<ProvisionedSettings>,
) -> Result<Json<ProvisionedConcurrency>, ApiError> {
    Ok(Json(operations::put(&control, &caller, at(&named), wanted).await?))
}

/// Has no instances of a version or an alias kept warm any more.
#[utoipa::path(delete, path = "/v1/functions/{name}/provisioned/{qualifier}", tag = "functions",
    params(("name" = FunctionName, Path), ("qualifier" = String, Path)),
    responses((status = 204)))]
async fn remove_provisioned(
    State(control): State<Control>,
    caller: Caller,
    Path(named): Path<(FunctionName, String)>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, at(&named)).await?;
    Ok(StatusCode::NO_CONTENT)
}
