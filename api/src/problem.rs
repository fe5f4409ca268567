//! The error body of every answer under `/v1`: problem details (RFC 9457) with a stable code.
//!
//! Always true: `code` is one of the words in `docs/errors/` and never changes once released.

use serde::{Deserialize, Serialize};

/// Media type of the error body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// A page about this code: `/v1/errors/{code}`.
    #[serde(rename = "type")]
    pub page: String,
    /// The HTTP status.
    pub status: u16,
    /// The word programs match on.
    pub code: String,
    /// What happened, in one line.
    pub title: String,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The request, as the log names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.title, self.code)
    }
}
