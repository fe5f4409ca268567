//! Captures: live requests of an endpoint, kept as events of a stream.
//!
//! `GET|PUT|DELETE /v1/endpoints/{name}/capture`.

use serde::{Deserialize, Serialize};

use types::Name;

/// All of the requests, in ten-thousandths.
pub const CAPTURE_WHOLE_BP: u32 = 10_000;
/// What captured requests are, as events.
pub const CAPTURED_TYPE: &str = "freehold.request";
/// Say where a request comes from, and to which group it is counted, where it is captured.
pub const REGION_HEADER: &str = "freehold-region";
pub const GROUP_HEADER: &str = "freehold-group";

/// Which requests of an endpoint are kept as events, and what of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureSpec {
    /// The stream of the account that takes them.
    pub stream: Name,
    #[serde(default)]
    pub what: Captured,
    /// The part of the keys whose requests are kept, in ten-thousandths; all where absent.
    #[serde(default = "whole")]
    pub share_bp: u32,
    /// The header that says of whom a request is; `freehold-key` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128)]
    pub key: Option<String>,
}

const fn whole() -> u32 {
    CAPTURE_WHOLE_BP
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Captured {
    /// The request and the answer.
    #[default]
    Both,
    Requests,
    /// The answer alone: such events cannot be replayed.
    Answers,
}

/// The capture of an endpoint, and what became of requests since it was first set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Capture {
    pub spec: CaptureSpec,
    /// Requests that are events of the stream now.
    pub kept: u64,
    /// Requests that were not kept since too many waited for the disk.
    pub no_room: u64,
    /// Requests that were not kept since another gateway holds the stream.
    pub elsewhere: u64,
    /// Requests that the stream did not take; the gateway's log tells why.
    pub failed: u64,
    pub changed_at_ms: u64,
}
