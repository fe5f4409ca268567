//! The OpenAPI document: what is said once about all routes.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};

/// The frame of the document; routes add themselves.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(title = "Freehold", description = "A cloud for machine-learning models that you own."),
    components(schemas(api::Problem)),
    security(("token" = [])),
    servers((url = "/"))
)]
pub struct Document;

/// Bytes as they are: how OpenAPI names a body that is no JSON.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Octets(pub String);

/// What every operation may answer besides what it says itself.
const REFUSALS: [(&str, &str); 10] = [
    ("400", "The request is wrong."),
    ("401", "No valid token came with the request."),
    ("403", "The token may not do this."),
    ("404", "It does not exist, or the caller may not see it."),
    ("405", "The path does not take this method."),
    ("409", "It is not in the state that the request supposes."),
    ("413", "The request is above a limit."),
    ("415", "The body is of another media type."),
    ("429", "Too many requests, or no room now."),
    ("503", "The database or the object store cannot be reached now."),
];

/// Adds to every operation the refusals that it shares with all others, and makes its id one of its
/// own: what it is about, and what it does.
pub fn finish(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Default::default);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            add_refusals(operation);
            name(operation);
        }
    }
    document
}

fn name(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next();
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

fn add_refusals(operation: &mut Operation) {
    for (status, meaning) in REFUSALS {
        if operation.responses.responses.contains_key(status) {
            continue;
        }
        let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
        let response = ResponseBuilder::new()
            .description(meaning)
            .content(api::problem::MEDIA_TYPE, Content::new(Some(schema)))
            .build();
        operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
    }
}
