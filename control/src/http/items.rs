//! `/v1/items`, `/v1/search` and `/v1/suggest`.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::items::{Findings, Item, SearchQuery, ShareRequest, SuggestRequest, Usage, Version};
use api::pages::{Page, PageQuery};
use types::Name;

use crate::Control;
use crate::caller::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::ApiError;
use crate::operations::items as operations;
use crate::operations::search;

pub fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(fetch))
        .routes(routes!(version))
        .routes(routes!(share))
        .routes(routes!(usage))
        .routes(routes!(find))
        .routes(routes!(suggest))
}

/// Lists the account's own items.
#[utoipa::path(get, path = "/v1/items", tag = "items", params(PageQuery),
    responses((status = 200, body = Page<Item>)))]
async fn list(
    State(control): State<Control>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Item>>, ApiError> {
    Ok(Json(operations::list(&control, &caller, &page).await?))
}

/// Fetches an item that the caller may see.
#[utoipa::path(get, path = "/v1/items/{account}/{name}", tag = "items",
    params(("account" = Name, Path), ("name" = Name, Path)),
    responses((status = 200, body = Item)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path((account, name)): Path<(Name, Name)>,
) -> Result<Json<Item>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, &account, &name).await?))
}

/// Fetches one version of an item. Files and lineage are shown to its owner only.
#[utoipa::path(get, path = "/v1/items/{account}/{name}/versions/{number}", tag = "items",
    params(("account" = Name, Path), ("name" = Name, Path), ("number" = u32, Path)),
    responses((status = 200, body = Version)))]
async fn version(
    State(control): State<Control>,
    caller: Caller,
    Path((account, name, number)): Path<(Name, Name, u32)>,
) -> Result<Json<Version>, ApiError> {
    Ok(Json(operations::version(&control, &caller, (&account, &name), number).await?))
}

/// Changes who may see and use an item.
#[utoipa::path(put, path = "/v1/items/{account}/{name}/sharing", tag = "items",
    params(("account" = Name, Path), ("name" = Name, Path)), request_body = ShareRequest,
    responses((status = 200, body = Item)))]
async fn share(
    State(control): State<Control>,
    caller: Caller,
    Path((account, name)): Path<(Name, Name)>,
    Json(request): Json<ShareRequest>,
) -> Result<Json<Item>, ApiError> {
    Ok(Json(operations::share(&control, &caller, (&account, &name), request).await?))
}

/// Counts what others made of an item. Its owner only.
#[utoipa::path(get, path = "/v1/items/{account}/{name}/usage", tag = "items",
    params(("account" = Name, Path), ("name" = Name, Path)),
    responses((status = 200, body = Usage)))]
async fn usage(
    State(control): State<Control>,
    caller: Caller,
    Path((account, name)): Path<(Name, Name)>,
) -> Result<Json<Usage>, ApiError> {
    Ok(Json(operations::usage(&control, &caller, (&account, &name)).await?))
}

/// Finds items by text and filters, best first.
#[utoipa::path(get, path = "/v1/search", tag = "search", params(SearchQuery),
    responses((status = 200, body = Findings)))]
async fn find(
    State(control): State<Control>,
    caller: Caller,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Findings>, ApiError> {
    Ok(Json(search::search(&control, &caller, &query)?))
}

/// Suggests items for what the caller has and needs, best first, each with its reasons.
///
/// Items that nearly serve come beside them, each with what it misses.
#[utoipa::path(post, path = "/v1/suggest", tag = "search", request_body = SuggestRequest,
    responses((status = 200, body = Findings)))]
async fn suggest(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<SuggestRequest>,
) -> Result<Json<Findings>, ApiError> {
    Ok(Json(search::suggest(&control, &caller, &request).await?))
}
