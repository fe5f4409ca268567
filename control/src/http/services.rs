//! `/v1/services`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::pages::{Page, PageQuery};
use api::services::{
    CreateService, CreateServiceKey, CreatedServiceKey, Service, ServiceKey, ServiceVersion,
    UpdateService,
};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::services::{self as operations, keys};

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch, update, remove))
        .routes(routes!(versions))
        .routes(routes!(remove_version))
        .routes(routes!(list_keys, create_key))
        .routes(routes!(remove_key))
}

/// Lists the account's services.
#[utoipa::path(get, path = "/v1/services", tag = "services", params(PageQuery),
    responses((status = 200, body = Page<Service>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Service>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Makes a service of functions and links.
#[utoipa::path(post, path = "/v1/services", tag = "services", request_body = CreateService,
    responses((status = 201, body = Service)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateService>,
) -> Result<(StatusCode, Json<Service>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Says what a service is.
#[utoipa::path(get, path = "/v1/services/{name}", tag = "services",
    params(("name" = Name, Path)), responses((status = 200, body = Service)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Service>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Makes a new version of a service, which answers from now on.
#[utoipa::path(put, path = "/v1/services/{name}", tag = "services",
    params(("name" = Name, Path)), request_body = UpdateService,
    responses((status = 200, body = Service)))]
async fn update(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<UpdateService>,
) -> Result<Json<Service>, ApiError> {
    Ok(Json(operations::update(&control, &caller, &name, request).await?))
}

/// Removes a service, its versions and its keys.
#[utoipa::path(delete, path = "/v1/services/{name}", tag = "services",
    params(("name" = Name, Path)), responses((status = 204)))]
async fn remove(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a service's versions.
#[utoipa::path(get, path = "/v1/services/{name}/versions", tag = "services",
    params(("name" = Name, Path), PageQuery),
    responses((status = 200, body = Page<ServiceVersion>)))]
async fn versions(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ServiceVersion>>, ApiError> {
    Ok(Json(operations::versions(&control, &caller, &name, &page).await?))
}

/// Removes a version of a service that is not its newest.
#[utoipa::path(delete, path = "/v1/services/{name}/versions/{version}", tag = "services",
    params(("name" = Name, Path), ("version" = u32, Path)), responses((status = 204)))]
async fn remove_version(
    State(control): State<Control>,
    caller: Caller,
    Path((name, version)): Path<(Name, u32)>,
) -> Result<StatusCode, ApiError> {
    operations::remove_version(&control, &caller, &name, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a service's keys, without secrets.
#[utoipa::path(get, path = "/v1/services/{name}/keys", tag = "services",
    params(("name" = Name, Path), PageQuery),
    responses((status = 200, body = Page<ServiceKey>)))]
async fn list_keys(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ServiceKey>>, ApiError> {
    Ok(Json(keys::list(&control, &caller, &name, &page).await?))
}

/// Makes a key for a user of a service; its secret is told once.
#[utoipa::path(post, path = "/v1/services/{name}/keys", tag = "services",
    params(("name" = Name, Path)), request_body = CreateServiceKey,
    responses((status = 201, body = CreatedServiceKey)))]
async fn create_key(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<CreateServiceKey>,
) -> Result<(StatusCode, Json<CreatedServiceKey>), ApiError> {
    Ok((StatusCode::CREATED, Json(keys::create(&control, &caller, &name, request).await?)))
}

/// Ends a key.
#[utoipa::path(delete, path = "/v1/services/{name}/keys/{key}", tag = "services",
    params(("name" = Name, Path), ("key" = Name, Path)), responses((status = 204)))]
async fn remove_key(
    State(control): State<Control>,
    caller: Caller,
    Path((name, key)): Path<(Name, Name)>,
) -> Result<StatusCode, ApiError> {
    keys::remove(&control, &caller, &name, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
