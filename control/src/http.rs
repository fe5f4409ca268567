//! The HTTP face of control: the native API under `/v1` and the internal one.
//!
//! A handler takes the request apart, calls one operation and shapes the answer. It never sees the
//! store.
//!
//! Always true: a request without a valid token reaches only the routes in [`OPEN_PATHS`]; every
//! error is a problem with a code.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use access::Credentials;

use crate::Control;
use crate::caller::Caller;

pub mod accounts;
pub mod document;
pub mod endpoints;
pub mod extract;
pub mod functions;
pub mod gateways;
pub mod grants;
pub mod idempotency;
pub mod internal;
pub mod items;
pub mod lambda;
pub mod links;
pub mod objects;
pub mod problem;
pub mod publishes;
pub mod runs;
pub mod services;
pub mod status;
pub mod streams;
pub mod tokens;
pub mod trainings;
pub mod usage;

use problem::ApiError;

/// Largest JSON body. Manifests and lists of chunks fit; data goes through the object routes.
pub const BODY_BYTES_MAX: usize = 32 << 20;

/// What may be asked without a token.
pub const OPEN_PATHS: [&str; 2] = ["/v1/health", "/v1/openapi.json"];
/// And everything below this: pages about errors.
pub const OPEN_PREFIX: &str = "/v1/errors/";

/// The routes of the native API, and the document that describes them.
fn described() -> OpenApiRouter<Control> {
    OpenApiRouter::with_openapi(document::Document::openapi())
        .merge(accounts::routes())
        .merge(tokens::routes())
        .merge(objects::routes())
        .merge(items::routes())
        .merge(publishes::routes())
        .merge(trainings::routes())
        .merge(endpoints::routes())
        .merge(functions::routes())
        .merge(grants::routes())
        .merge(links::routes())
        .merge(services::routes())
        .merge(streams::routes())
        .merge(runs::routes())
        .merge(usage::routes())
        .merge(status::routes())
}

/// The OpenAPI document of the native API, also of what gateways answer themselves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut document) = described().split_for_parts();
    document.merge(gateways::Described::openapi());
    document::finish(document)
}

/// The part of it that control answers.
pub fn own_openapi() -> utoipa::openapi::OpenApi {
    let (_, document) = described().split_for_parts();
    document::finish(document)
}

/// The native API, and what agents and gateways call.
///
/// The listener has to put an `api::listen::Peer` into every request: it tells who calls the
/// internal routes.
pub fn router(control: &Control) -> Router {
    let (public, _) = described().split_for_parts();
    let lambda = lambda::routes()
        .layer(middleware::from_fn_with_state(control.clone(), lambda::authenticate))
        .layer(DefaultBodyLimit::max(lambda::BODY_BYTES_MAX));
    public
        .layer(middleware::from_fn_with_state(control.clone(), idempotency::once))
        .layer(middleware::from_fn_with_state(control.clone(), authenticate))
        .merge(lambda)
        .layer(middleware::from_fn_with_state(control.clone(), with_routes))
        .merge(internal::routes())
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(problem::with_request_id))
        .layer(middleware::from_fn(api::drain::to_end))
        .with_state(control.clone())
}

/// Finds out who calls, or refuses.
async fn authenticate(
    State(control): State<Control>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if OPEN_PATHS.contains(&path) || path.starts_with(OPEN_PREFIX) {
        return next.run(request).await;
    }
    // The request's body is not shareable between threads, so nothing of it is held over a wait.
    let header = request.headers().get(http::header::AUTHORIZATION);
    let Some(credentials) = header.and_then(|value| Credentials::read(value.to_str().ok()?)) else {
        return ApiError::from(crate::Error::Unauthenticated).into_response();
    };
    match control.authenticate(&credentials).await {
        Ok(caller) => {
            request.extensions_mut().insert::<Caller>(caller);
            next.run(request).await
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}

/// Tells, after a change, which routes hold it, so that a gateway can wait until it has them: who
/// has made something may call it with the next request.
async fn with_routes(State(control): State<Control>, request: Request, next: Next) -> Response {
    let changes = !request.method().is_safe();
    let mut response = next.run(request).await;
    let done = changes && response.status().is_success();
    // A change that cannot be asked about was made all the same.
    if done && let Ok(generation) = control.store().feed_read(store::Topic::Routes).await {
        response.headers_mut().insert(api::ROUTES_HEADER, generation.into());
    }
    response
}
