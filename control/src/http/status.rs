//! Health, status, instance types, tasks, enrolments, error pages and the OpenAPI document.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::status::{CreateEnrolment, Enrolment, Health, InstanceTypeInfo, Status, TaskStatus};

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path};
use crate::http::problem::ApiError;
use crate::operations::{enrolments, status as operations};

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(status))
        .routes(routes!(instance_types))
        .routes(routes!(tasks))
        .routes(routes!(enrol))
        .routes(routes!(error_page))
        .routes(routes!(openapi))
}

/// Says whether control answers and its database does.
#[utoipa::path(get, path = "/v1/health", tag = "status", security(()),
    responses((status = 200, body = Health)))]
async fn health(State(control): State<Control>) -> Result<Json<Health>, ApiError> {
    Ok(Json(operations::health(&control).await?))
}

/// Says what runs, and what each host gives and lacks.
#[utoipa::path(get, path = "/v1/status", tag = "status", responses((status = 200, body = Status)))]
async fn status(State(control): State<Control>, caller: Caller) -> Result<Json<Status>, ApiError> {
    Ok(Json(operations::status(&control, &caller).await?))
}

/// Lists the instance types.
#[utoipa::path(get, path = "/v1/instance-types", tag = "status",
    responses((status = 200, body = Vec<InstanceTypeInfo>)))]
async fn instance_types(_: Caller) -> Json<Vec<InstanceTypeInfo>> {
    Json(operations::instance_types())
}

/// Shows every reconciler and every saga that has not ended. Operators only.
#[utoipa::path(get, path = "/v1/tasks", tag = "status",
    responses((status = 200, body = Vec<TaskStatus>)))]
async fn tasks(
    State(control): State<Control>,
    caller: Caller,
) -> Result<Json<Vec<TaskStatus>>, ApiError> {
    Ok(Json(operations::tasks(&control, &caller).await?))
}

/// Makes a token with which one agent or gateway may enrol, once. Operators only.
#[utoipa::path(post, path = "/v1/enrolments", tag = "status", request_body = CreateEnrolment,
    responses((status = 201, body = Enrolment)))]
async fn enrol(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateEnrolment>,
) -> Result<(StatusCode, Json<Enrolment>), ApiError> {
    Ok((StatusCode::CREATED, Json(enrolments::create(&control, &caller, request).await?)))
}

/// Explains an error code, in Markdown.
#[utoipa::path(get, path = "/v1/errors/{code}", tag = "status", security(()),
    params(("code" = String, Path)),
    responses((status = 200, body = String, content_type = "text/markdown")))]
async fn error_page(Path(code): Path<String>) -> Result<Response, ApiError> {
    let page = api::errors::page(&code).ok_or_else(|| crate::Error::NotFound {
        what: format!("the error code {:?}", code.chars().take(40).collect::<String>()),
    })?;
    Ok(([(header::CONTENT_TYPE, "text/markdown")], page).into_response())
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "status", security(()),
    responses((status = 200, body = Object)))]
async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(super::openapi())
}
