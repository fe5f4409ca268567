//! `/v1/tokens`.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::accounts::{CreateToken, CreatedToken, Token};
use api::pages::{Page, PageQuery};
use types::TokenId;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::tokens as operations;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// Lists the account's tokens, without their secrets. Owners only.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, body = Page<Token>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Token>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Makes a token; its secret is shown in this answer and never again. Owners only.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = CreateToken,
    responses((status = 201, body = CreatedToken)))]
async fn create(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::create(&control, &caller, request).await?)))
}

/// Revokes a token; every gateway refuses it within a second. Owners only.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "tokens",
    params(("token" = TokenId, Path)), responses((status = 200, body = Token)))]
async fn revoke(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<TokenId>,
) -> Result<Json<Token>, ApiError> {
    Ok(Json(operations::revoke(&control, &caller, id).await?))
}
