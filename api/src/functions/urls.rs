//! URLs of functions: addresses that any HTTP client calls, without our API.
//!
//! Paths: `GET|POST|PUT|DELETE /v1/functions/{name}/url?qualifier=`,
//! `GET /v1/functions/{name}/urls`; what the URL answers is the gateway's: `/urls/{id}/…`, and
//! `{id}.lambda-url.DOMAIN`.

use serde::{Deserialize, Serialize};
use types::UrlId;

/// What the paths of URLs begin with, before their ids.
pub const URLS_PATH: &str = "/urls/";
/// What stands between an id and the cloud's domain in the name of its host.
pub const URL_HOST_LABEL: &str = "lambda-url";

/// Which URL of a function is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UrlQuery {
    /// An alias; the function's own URL where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
}

/// How a URL is to answer, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UrlSettings {
    pub auth: UrlAuth,
    /// Whether its answers reach their callers while they are made.
    #[serde(default)]
    pub stream: bool,
    /// Which other sites' scripts may call it; where absent, that is the function's to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

/// Who may call a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UrlAuth {
    /// Everybody.
    None,
    /// Whoever may call the function, and signs with an access key or sends a token.
    Iam,
}

/// What browsers are told of other sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Such as `https://example.org`; `*` for every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub origins: Vec<String>,
    /// Such as `GET`; `*` for every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 6)]
    pub methods: Vec<String>,
    /// Headers of requests; `*` for every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub headers: Vec<String>,
    /// Headers of answers that scripts may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub exposed: Vec<String>,
    /// Whether cookies and the like may be sent.
    #[serde(default)]
    pub credentials: bool,
    /// For how long a browser may keep what it was told before a request, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 86400)]
    pub max_age_s: Option<u32>,
}

/// A URL of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FunctionUrl {
    pub id: UrlId,
    /// Where it answers, at the cloud's address: `/urls/{id}/`.
    pub path: String,
    /// An alias; empty for the function without one.
    pub qualifier: String,
    pub settings: UrlSettings,
    /// When it was made; its id stays from then on.
    pub created_at_ms: u64,
    pub changed_at_ms: u64,
}

/// The path of a URL.
pub fn path_of(id: &UrlId) -> String {
    format!("{URLS_PATH}{id}/")
}
