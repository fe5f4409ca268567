//! `/v1/endpoints/{name}/variants` and `/v1/endpoints/{name}/modes`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::endpoints::{
    AskGate, ChangeMode, CreateVariant, Endpoint, GateJudgement, GateSpec, Modes, Promote,
    Promotion,
};
use api::pages::{Page, PageQuery};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::endpoints::{gates, variants as operations};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(create_variant))
        .routes(routes!(remove_variant))
        .routes(routes!(change_mode))
        .routes(routes!(history))
        .routes(routes!(restore))
        .routes(routes!(promote))
        .routes(routes!(gate, put_gate, remove_gate))
        .routes(routes!(ask_gate))
}

/// Adds a variant to an endpoint; it sees no live event until its mode is changed.
#[utoipa::path(post, path = "/v1/endpoints/{name}/variants", tag = "endpoints",
    params(("name" = Name, Path)), request_body = CreateVariant,
    responses((status = 202, body = Endpoint)))]
async fn create_variant(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<CreateVariant>,
) -> Result<(StatusCode, Json<Endpoint>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(operations::create(&control, &caller, &name, request).await?)))
}

/// Removes a variant that is in test.
#[utoipa::path(delete, path = "/v1/endpoints/{name}/variants/{variant}", tag = "endpoints",
    params(("name" = Name, Path), ("variant" = Name, Path)), responses((status = 204)))]
async fn remove_variant(
    State(control): State<Control>,
    caller: Caller,
    Path((name, variant)): Path<(Name, Name)>,
) -> Result<StatusCode, ApiError> {
    operations::remove(&control, &caller, &name, &variant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes how a variant is used, at every gateway at once.
#[utoipa::path(put, path = "/v1/endpoints/{name}/variants/{variant}/mode", tag = "endpoints",
    params(("name" = Name, Path), ("variant" = Name, Path)), request_body = ChangeMode,
    responses((status = 200, body = Endpoint)))]
async fn change_mode(
    State(control): State<Control>,
    caller: Caller,
    Path((name, variant)): Path<(Name, Name)>,
    Json(request): Json<ChangeMode>,
) -> Result<Json<Endpoint>, ApiError> {
    Ok(Json(operations::change_mode(&control, &caller, &name, &variant, request).await?))
}

/// Lists how variants were used, the newest change first.
#[utoipa::path(get, path = "/v1/endpoints/{name}/modes", tag = "endpoints",
    params(("name" = Name, Path), PageQuery), responses((status = 200, body = Page<Modes>)))]
async fn history(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Modes>>, ApiError> {
    Ok(Json(operations::history(&control, &caller, &name, &page).await?))
}

/// Has variants used again as they were by a change; 0 is how the endpoint began.
#[utoipa::path(post, path = "/v1/endpoints/{name}/modes/{number}/restore", tag = "endpoints",
    params(("name" = Name, Path), ("number" = u64, Path)),
    responses((status = 200, body = Endpoint)))]
async fn restore(
    State(control): State<Control>,
    caller: Caller,
    Path((name, number)): Path<(Name, u64)>,
) -> Result<Json<Endpoint>, ApiError> {
    Ok(Json(operations::restore(&control, &caller, &name, number).await?))
}

/// Promotes a variant where the gate says so of a run.
#[utoipa::path(post, path = "/v1/endpoints/{name}/variants/{variant}/promotion", tag = "endpoints",
    params(("name" = Name, Path), ("variant" = Name, Path)), request_body = Promote,
    responses((status = 200, body = Promotion)))]
async fn promote(
    State(control): State<Control>,
    caller: Caller,
    Path((name, variant)): Path<(Name, Name)>,
    Json(request): Json<Promote>,
) -> Result<Json<Promotion>, ApiError> {
    Ok(Json(gates::promote(&control, &caller, (&name, &variant), request).await?))
}

/// Says what has to hold of a run before its candidate is promoted.
#[utoipa::path(get, path = "/v1/endpoints/{name}/gate", tag = "endpoints",
    params(("name" = Name, Path)), responses((status = 200, body = GateSpec)))]
async fn gate(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<GateSpec>, ApiError> {
    Ok(Json(gates::fetch(&control, &caller, &name).await?))
}

/// Sets what has to hold.
#[utoipa::path(put, path = "/v1/endpoints/{name}/gate", tag = "endpoints",
    params(("name" = Name, Path)), request_body = GateSpec,
    responses((status = 200, body = GateSpec)))]
async fn put_gate(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<GateSpec>,
) -> Result<Json<GateSpec>, ApiError> {
    Ok(Json(gates::put(&control, &caller, &name, request).await?))
}

/// Takes the gate away.
#[utoipa::path(delete, path = "/v1/endpoints/{name}/gate", tag = "endpoints",
    params(("name" = Name, Path)), responses((status = 204)))]
async fn remove_gate(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<StatusCode, ApiError> {
    gates::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says what the gate says of a run, condition by condition, and changes nothing.
#[utoipa::path(post, path = "/v1/endpoints/{name}/gate/judgement", tag = "endpoints",
    params(("name" = Name, Path)), request_body = AskGate,
    responses((status = 200, body = GateJudgement)))]
async fn ask_gate(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
    Json(request): Json<AskGate>,
) -> Result<Json<GateJudgement>, ApiError> {
    Ok(Json(gates::ask(&control, &caller, &name, request).await?))
}
