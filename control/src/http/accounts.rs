//! `/v1/accounts` and `/v1/whoami`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::accounts::{Account, CreateAccount, CreatedAccount, RotatedKey, Whoami};
use api::pages::{Page, PageQuery};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::{accounts as operations, keys};

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(fetch))
        .routes(routes!(whoami))
        .routes(routes!(rotate_key))
}

/// Lists the accounts that the caller may see: its own, or all for an operator.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", params(PageQuery),
    responses((status = 200, body = Page<Account>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Account>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Makes an account and the first token of its owner. Operators only.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = CreateAccount,
    responses((status = 201, body = CreatedAccount)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateAccount>,
) -> Result<(StatusCode, Json<CreatedAccount>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Fetches one account: the caller's own, or any for an operator.
#[utoipa::path(get, path = "/v1/accounts/{account}", tag = "accounts",
    params(("account" = Name, Path)), responses((status = 200, body = Account)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(name): Path<Name>,
) -> Result<Json<Account>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &name).await?))
}

/// Says whose token this is and what it may do.
#[utoipa::path(get, path = "/v1/whoami", tag = "accounts",
    responses((status = 200, body = Whoami)))]
async fn whoami(State(control): State<Control>, caller: Caller) -> Result<Json<Whoami>, ApiError> {
    Ok(Json(operations::whoami(&control, &caller).await?))
}

/// Makes a fresh version of the account's key. New objects are sealed under it, and the keys of the
/// others are resealed; no data is rewritten. Owners only.
#[utoipa::path(post, path = "/v1/keys/rotate", tag = "accounts",
    responses((status = 200, body = RotatedKey)))]
async fn rotate_key(
    State(control): State<Control>,
    caller: Caller,
) -> Result<Json<RotatedKey>, ApiError> {
    Ok(Json(keys::rotate(&control, &caller).await?))
}
