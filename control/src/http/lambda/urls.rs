//! URLs of functions, in Lambda's shapes.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use api::functions::urls::{Cors, FunctionUrl, UrlAuth, UrlSettings};

use super::{Asked, Json, Pages, Refusal, qualified, some};
use crate::Control;
use crate::moment::iso8601;
use crate::operations::functions::urls::{self as operations, At, auth_word};

/// Says by which scheme the gateway was asked.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(
            "/2021-10-31/functions/{function}/url",
            get(fetch).post(create).put(update).delete(remove),
        )
        .route("/2021-10-31/functions/{function}/urls", get(list))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    auth_type: AuthType,
    #[serde(default)]
    invoke_mode: InvokeMode,
    cors: Option<CorsShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    auth_type: Option<AuthType>,
    invoke_mode: Option<InvokeMode>,
    cors: Option<CorsShape>,
}

#[derive(Clone, Copy, Deserialize)]
enum AuthType {
    #[serde(rename = "NONE")]
    None,
    #[serde(rename = "AWS_IAM")]
    Iam,
}

impl From<AuthType> for UrlAuth {
    fn from(said: AuthType) -> Self {
        match said {
            AuthType::None => Self::None,
            AuthType::Iam => Self::Iam,
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum InvokeMode {
    #[default]
    Buffered,
    ResponseStream,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CorsShape {
    allow_credentials: Option<bool>,
    allow_headers: Option<Vec<String>>,
    allow_methods: Option<Vec<String>>,
    allow_origins: Option<Vec<String>>,
    expose_headers: Option<Vec<String>>,
    max_age: Option<u32>,
}

impl CorsShape {
    /// None where nothing is said: then it is the function's to say.
    fn settings(self) -> Option<Cors> {
        let cors = Cors {
            origins: self.allow_origins.unwrap_or_default(),
            methods: self.allow_methods.unwrap_or_default(),
            headers: self.allow_headers.unwrap_or_default(),
            exposed: self.expose_headers.unwrap_or_default(),
            credentials: self.allow_credentials.unwrap_or_default(),
            max_age_s: self.max_age,
        };
        (cors != Cors::default()).then_some(cors)
    }
}

/// The gateway's address as the client knows it.
struct Address(String);

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let said = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if said(FORWARDED_PROTO) == Some("https") { "https" } else { "http" };
        let host = said(header::HOST.as_str()).unwrap_or("localhost");
        Ok(Self(format!("{scheme}://{host}")))
    }
}

fn at(asked: &Asked) -> At<'_> {
    At { function: &asked.function, qualifier: &asked.qualifier }
}

async fn create(
    State(control): State<Control>,
    address: Address,
    asked: Asked,
    Json(request): Json<Create>,
) -> Result<Response, Refusal> {
    let wanted = UrlSettings {
        auth: request.auth_type.into(),
        stream: request.invoke_mode == InvokeMode::ResponseStream,
        cors: request.cors.and_then(CorsShape::settings),
    };
    let made = operations::add(&control, &asked.caller, at(&asked), wanted).await?;
    Ok((StatusCode::CREATED, axum::Json(shape(&asked, &address, &made))).into_response())
}

async fn fetch(
    State(control): State<Control>,
    address: Address,
    asked: Asked,
) -> Result<axum::Json<Value>, Refusal> {
    let found = operations::fetch(&control, &asked.caller, at(&asked)).await?;
    Ok(axum::Json(shape(&asked, &address, &found)))
}

async fn update(
    State(control): State<Control>,
    address: Address,
    asked: Asked,
    Json(request): Json<Update>,
) -> Result<axum::Json<Value>, Refusal> {
    let Update { auth_type, invoke_mode, cors } = request;
    let changed = operations::change(&control, &asked.caller, at(&asked), |before| {
        Ok(UrlSettings {
            auth: auth_type.map_or(before.auth, Into::into),
            stream: invoke_mode.map_or(before.stream, |mode| mode == InvokeMode::ResponseStream),
            cors: cors.clone().map_or(before.cors, CorsShape::settings),
        })
    });
    Ok(axum::Json(shape(&asked, &address, &changed.await?)))
}

async fn remove(State(control): State<Control>, asked: Asked) -> Result<StatusCode, Refusal> {
    operations::take(&control, &asked.caller, at(&asked)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(
    State(control): State<Control>,
    address: Address,
    asked: Asked,
    pages: Pages,
) -> Result<axum::Json<Value>, Refusal> {
    let all = operations::list(&control, &asked.caller, &asked.function).await?;
    let (page, marker) = pages.of(all, |url| qualified(&url.qualifier));
    let shapes: Vec<Value> = page.iter().map(|it| shape(&asked, &address, it)).collect();
    Ok(axum::Json(some(vec![("FunctionUrlConfigs", shapes.into()), ("NextMarker", marker)])))
}

/// A `FunctionUrlConfig`.
fn shape(asked: &Asked, address: &Address, url: &FunctionUrl) -> Value {
    let UrlSettings { auth, stream, cors } = &url.settings;
    let cors = cors.as_ref().map_or(Value::Null, |cors| {
        let list = |all: &[String]| if all.is_empty() { Value::Null } else { json!(all) };
        some(vec![
            ("AllowCredentials", cors.credentials.into()),
            ("AllowHeaders", list(&cors.headers)),
            ("AllowMethods", list(&cors.methods)),
            ("AllowOrigins", list(&cors.origins)),
            ("ExposeHeaders", list(&cors.exposed)),
            ("MaxAge", cors.max_age_s.map_or(Value::Null, Value::from)),
        ])
    });
    some(vec![
        ("FunctionUrl", format!("{}{}", address.0, url.path).into()),
        ("FunctionArn", asked.arn(&url.qualifier).into()),
        ("AuthType", auth_word(*auth).into()),
        ("Cors", cors),
        ("CreationTime", iso8601(url.created_at_ms).into()),
        ("LastModifiedTime", iso8601(url.changed_at_ms).into()),
        ("InvokeMode", if *stream { "RESPONSE_STREAM" } else { "BUFFERED" }.into()),
    ])
}
