//! `/v1/endpoints/{name}/triggers` and `/v1/endpoints/{name}/firings`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::pages::{Page, PageQuery};
use api::triggers::{Firing, Trigger, TriggerSpec, Triggers};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::endpoints::triggers as operations;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(remove))
        .routes(routes!(history))
}

/// Lists the triggers of an endpoint, with what they see now.
#[utoipa::path(get, path = "/v1/endpoints/{name}/triggers", tag = "endpoints",
    operation_id = "triggers_list",
    params(("name" = Name, Path)), responses((status = 200, body = Triggers)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Triggers>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &name).await?))
}

/// Adds a trigger: when something comes to be so, something is done.
#[utoipa::path(post, path = "/v1/endpoints/{name}/triggers", tag = "endpoints",
    operation_id = "triggers_create",
    params(("name" = Name, Path)), request_body = TriggerSpec,
    responses((status = 201, body = Trigger)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<TriggerSpec>,
) -> Result<(StatusCode, Json<Trigger>), ApiError> {
    let made = operations::create(&control, &caller, &name, request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Removes a trigger; what it did can still be seen.
#[utoipa::path(delete, path = "/v1/endpoints/{name}/triggers/{trigger}", tag = "endpoints",
    operation_id = "triggers_remove",
    params(("name" = Name, Path), ("trigger" = Name, Path)), responses((status = 204)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path((name, trigger)): Path<(Name, Name)>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name, &trigger).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists what triggers did and what they saw, the newest first.
#[utoipa::path(get, path = "/v1/endpoints/{name}/firings", tag = "endpoints",
    operation_id = "triggers_history",
    params(("name" = Name, Path), PageQuery), responses((status = 200, body = Page<Firing>)))]
async fn history(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Firing>>, ApiError> {
    Ok(Json(operations::history(&control, &caller, &name, &page).await?))
}
