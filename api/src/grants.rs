//! Grants and links: functions across accounts.
//!
//! `GET, POST /v1/grants`, `GET, PUT, DELETE /v1/grants/{name}`, `GET /v1/received-grants`;
//! `GET, POST /v1/links`, `GET, PUT, DELETE /v1/links/{name}`.
//!
//! Always true: whoever was given a grant learns its name, its owner and its limits, and nothing of
//! the function behind it.

use serde::{Deserialize, Serialize};

use types::{CallLimits, FunctionId, FunctionName, GrantId, Name, TokenId};

use crate::items::Sharing;

/// What a caller of another account is told when the function fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErrorDetail {
    /// The error's type and message, without where in the code it happened.
    #[default]
    Message,
    /// Its type only.
    Type,
}

/// What lets other accounts link to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Grant {
    pub id: GrantId,
    pub name: Name,
    pub function: FunctionName,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    /// Who may link to it.
    pub sharing: Sharing,
    /// For all who were given it together.
    pub limits: CallLimits,
    pub errors: ErrorDetail,
    /// Shown to whoever was given it.
    pub description: String,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
}

/// Lets other accounts link to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGrant {
    pub name: Name,
    pub function: FunctionName,
    /// A version or alias; empty for the latest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub qualifier: String,
    pub sharing: Sharing,
    #[serde(default)]
    pub limits: CallLimits,
    #[serde(default)]
    pub errors: ErrorDetail,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 256)]
    pub description: String,
}

/// Changes a grant; what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateGrant {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<CallLimits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorDetail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// A grant that the account was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReceivedGrant {
    /// Whose it is.
    pub owner: Name,
    pub name: Name,
    pub limits: CallLimits,
    pub description: String,
}

/// A function of another account, under a name of this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Link {
    pub id: FunctionId,
    /// By which it is called, as a function of this account.
    pub name: FunctionName,
    /// Whose function it is.
    pub owner: Name,
    /// The owner's grant.
    pub grant: Name,
    /// Members of every call's event, in place of the caller's.
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// For this link alone; never beyond the grant's.
    pub limits: CallLimits,
    /// Who of the account may call it; whoever may call its functions where this is empty.
    pub tokens: Vec<TokenId>,
    pub description: String,
    /// Why it cannot be called; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
}

/// Makes a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLink {
    pub name: FunctionName,
    pub owner: Name,
    pub grant: Name,
    /// At most 4096 bytes.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub limits: CallLimits,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenId>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 256)]
    pub description: String,
}

/// Changes a link; what is absent stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateLink {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<CallLimits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<TokenId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}
