//! Lambda's management API: paths, shapes and errors as AWS's clients expect them, over the same
//! operations as the native one. Invocations are answered by gateways.
//!
//! Always true: a request is signed by an access key, or carries a token; every error has one of
//! Lambda's names.
//! Absent on purpose: what means nothing here. Fields that say such things are told back as they
//! came; requests for such things are refused in words.
//!
//! Source: the service model of Lambda 2015-03-31 as botocore 1.44 has it.

mod aliases;
mod functions;
mod provisioned;
mod settings;
mod sources;
mod urls;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use access::Credentials;
use access::signature::{self, Signed};
use types::{ErrorKind, FunctionName, FunctionReference};

use crate::caller::Caller;
use crate::http::extract::has_zero;
use crate::{Control, Error};

/// Largest body: 50 MiB of zipped code in base64, and a little. Source: Lambda's limit.
pub const BODY_BYTES_MAX: usize = 70 << 20;
/// Names an error's kind.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The routes under Lambda's dates; [`authenticate`] has to stand before them.
pub fn routes() -> Router<Control> {
    Router::new()
        .merge(functions::routes())
        .merge(aliases::routes())
        .merge(provisioned::routes())
        .merge(settings::routes())
        .merge(sources::routes())
        .merge(urls::routes())
}

/// Where a request was signed for, by which its answers name functions.
#[derive(Clone, Debug)]
pub(super) struct Region(pub(super) String);

/// The refusal of an operation of Lambda's that this cloud does not have.
pub(super) fn not_here(method: &Method, path: &str) -> Response {
    let (status, kind) = (StatusCode::NOT_FOUND, "UnknownOperationException");
    let message = format!(
        "{method} {path} is no operation of this cloud: \
        docs/lambda.md says which of Lambda's there are"
    );
    Refusal { status, kind, message }.into_response()
}

/// Finds out who calls, or refuses. The body is read whole, since it is signed.
pub async fn authenticate(
    State(control): State<Control>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let said = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (signed, token) = match said {
        Some(said) => (Signed::read(said), Credentials::read(said)),
        None => (None, None),
    };
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let limit = format!("{BODY_BYTES_MAX} bytes");
        return Refusal::from(Error::TooLarge { what: "the request", limit }).into_response();
    };
    let region = signed.as_ref().map_or("local", |signed| signed.region.as_str()).to_owned();
    let caller = match (signed, token) {
        (Some(signed), _) => check(&control, &signed, (&parts, &body)).await,
        (None, Some(token)) => control.authenticate(&token).await,
        (None, None) => Err(Error::Unauthenticated),
    };
    match caller {
        Ok(caller) => {
            parts.extensions.insert(caller);
            parts.extensions.insert(Region(region));
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
        Err(error) => Refusal::from(error).into_response(),
    }
}

async fn check(
    control: &Control,
    signed: &Signed,
    (parts, body): (&Parts, &Bytes),
) -> Result<Caller, Error> {
    let request = signature::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        body,
    };
    let sent: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
    let header = |name: &str| values(&parts.headers, name);
    control.authenticate_signed(signed, &request, (header, &sent)).await
}

/// The values of a header, joined by commas.
fn values(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut all = headers.get_all(name).iter().map(|value| value.to_str().ok());
    let first = all.next()??.to_owned();
    all.try_fold(first, |joined, value| Some(joined + "," + value?))
}

/// An error in Lambda's words.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refusal {
    /// A parameter that means nothing here.
    fn invalid(message: impl Into<String>) -> Self {
        let (status, kind) = (StatusCode::BAD_REQUEST, "InvalidParameterValueException");
        Self { status, kind, message: message.into() }
    }

    /// A change for a revision that is no more.
    fn outdated() -> Self {
        let (status, kind) = (StatusCode::PRECONDITION_FAILED, "PreconditionFailedException");
        let message = "The RevisionId provided does not match the latest one: read it again";
        Self { status, kind, message: message.to_owned() }
    }

    /// Nothing of this name.
    fn missing(what: impl std::fmt::Display) -> Self {
        let (status, kind) = (StatusCode::NOT_FOUND, "ResourceNotFoundException");
        Self { status, kind, message: format!("{what} not found") }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, kind) = match (&error, error.kind()) {
            (Error::BadSignature(_), _) => (403, "InvalidSignatureException"),
            (_, ErrorKind::Unauthenticated) => (403, "UnrecognizedClientException"),
            (_, ErrorKind::Forbidden) => (403, "AccessDeniedException"),
            (_, ErrorKind::NotFound) => (404, "ResourceNotFoundException"),
            (_, ErrorKind::Conflict) => (409, "ResourceConflictException"),
            (_, ErrorKind::BadRequest) => (400, "InvalidParameterValueException"),
            (_, ErrorKind::TooLarge) => (413, "RequestTooLargeException"),
            (_, ErrorKind::Busy) => (429, "TooManyRequestsException"),
            (_, ErrorKind::Unavailable) => (503, "ServiceException"),
            _ => (500, "ServiceException"),
        };
        let message = if status == 500 {
            tracing::error!(cause = workflow::chain(&error), "request failed");
            "something went wrong on our side: the log of control tells more".to_owned()
        } else {
            error.to_string()
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, kind, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let whose = if self.status.is_server_error() { "Service" } else { "User" };
        let body = json!({ "Type": whose, "Message": self.message, "message": self.message });
        let mut response = (self.status, axum::Json(body)).into_response();
        response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(self.kind));
        response
    }
}

/// A JSON body, whatever its type is said to be; an empty one is an empty object.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| Refusal::invalid("the body could not be read"))?;
        if has_zero(&body) {
            return Err(Refusal::invalid("a text holds a zero character: leave it out"));
        }
        let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
        let read = serde_json::from_slice(&body).map_err(|error| Refusal {
            status: StatusCode::BAD_REQUEST,
            kind: "InvalidRequestContentException",
            message: format!("could not parse the request body: {error}"),
        });
        read.map(Self)
    }
}

/// The function in a path and what follows it, the qualifier in the query, and who asks.
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) region: String,
    pub(super) function: FunctionName,
    /// A version or alias; empty for none.
    pub(super) qualifier: String,
    /// What stands in the path behind the function's part.
    pub(super) rest: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = axum::extract::RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Refusal::missing("Path"))?;
        let mut segments = path.iter().map(|(_, value)| value.to_owned());
        let text = segments.next().unwrap_or_default();
        let rest = segments.next();
        let (caller, region) = who(parts)?;
        let named: FunctionReference =
            text.parse().map_err(|error| Refusal::invalid(format!("{error}")))?;
        let own = types::functions::account_number(caller.account);
        if named.account.is_some_and(|number| number != own) {
            // Functions of others are called, not managed.
            return Err(Refusal::missing(format!("Function {text}")));
        }
        let said = query(parts, "Qualifier");
        let qualifier = match (&*named.qualifier, said) {
            (inside, Some(said)) if !inside.is_empty() && inside != said => {
                let message = "the qualifier in the name and the one in the query differ";
                return Err(Refusal::invalid(message));
            }
            (_, Some(said)) => said,
            (inside, None) => inside.to_owned(),
        };
        Ok(Self { caller, region, function: named.name, qualifier, rest })
    }
}

impl Asked {
    /// The function's ARN.
    fn arn(&self, qualifier: &str) -> String {
        arn(&self.caller, &self.region, (&self.function, qualifier))
    }
}

/// A function's ARN in the region that the caller speaks to.
fn arn(caller: &Caller, region: &str, (function, qualifier): (&FunctionName, &str)) -> String {
    types::functions::function_arn(region, caller.account, function, qualifier)
}

/// Who asks, and where.
fn who(parts: &Parts) -> Result<(Caller, String), Refusal> {
    let caller = parts.extensions.get::<Caller>().cloned();
    let region = parts.extensions.get::<Region>().map(|region| region.0.clone());
    caller.zip(region).ok_or_else(|| Error::Unauthenticated.into())
}

/// Who asks, and where, where no function is named.
pub(super) struct Who(pub(super) Caller, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        who(parts).map(|(caller, region)| Self(caller, region))
    }
}

/// A page, by `Marker` and `MaxItems`.
pub(super) struct Pages(pub(super) api::pages::PageQuery);

impl<S: Send + Sync> FromRequestParts<S> for Pages {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let limit = query(parts, "MaxItems");
        let limit = limit.map(|text| text.parse::<u32>()).transpose();
        let limit = limit.map_err(|_| Refusal::invalid("MaxItems is no number"))?;
        let most = api::pages::PAGE_LENGTH_MAX;
        let limit = limit.map(|limit| limit.clamp(1, most));
        Ok(Self(api::pages::PageQuery { cursor: query(parts, "Marker"), limit }))
    }
}

/// A qualifier that is stored, as Lambda names it.
pub(super) fn qualified(stored: &str) -> String {
    if stored.is_empty() { api::functions::LATEST } else { stored }.to_owned()
}

impl Pages {
    /// The page of a list of which all is at hand, by what each is named; and the marker behind it,
    /// null where nothing is.
    pub(super) fn of<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Value) {
        let Self(api::pages::PageQuery { cursor, limit }) = self;
        let mut rest: Vec<(String, T)> = all.into_iter().map(|it| (name(&it), it)).collect();
        rest.retain(|(name, _)| cursor.as_ref().is_none_or(|cursor| name > cursor));
        rest.sort_by(|(one, _), (other, _)| one.cmp(other));
        let limit = limit.unwrap_or(api::pages::PAGE_LENGTH) as usize;
        let has_more = rest.len() > limit;
        rest.truncate(limit);
        let last = rest.last().filter(|_| has_more).map(|(name, _)| name.clone());
        (rest.into_iter().map(|(_, it)| it).collect(), last.map_or(Value::Null, Value::from))
    }
}

/// A parameter behind the question mark.
fn query(parts: &Parts, name: &str) -> Option<String> {
    let text = parts.uri.query().unwrap_or_default();
    let pairs: Vec<(String, String)> =
        axum::extract::Query::try_from_uri(&parts.uri).map(|it| it.0).unwrap_or_default();
    debug_assert!(text.is_empty() || !pairs.is_empty(), "a query is pairs");
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A value, left out where it is null.
fn some(pairs: Vec<(&str, Value)>) -> Value {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), value)).collect())
}
