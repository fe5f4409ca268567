//! Accounts and their tokens.
//!
//! Paths: `GET|POST /v1/accounts`, `GET /v1/accounts/{account}`, `GET /v1/whoami`,
//! `GET|POST /v1/tokens`, `DELETE /v1/tokens/{token}`, `POST /v1/keys/rotate`.
//! Always true: the secret of a token is shown once, in the answer that creates it.

use serde::{Deserialize, Serialize};

use types::{AccountId, Name, TokenId};

/// What a token may do in its account.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read and invoke.
    Reader,
    /// And publish, train, deploy, share.
    Developer,
    /// And make and revoke tokens.
    Owner,
    /// And everything about the cloud: accounts, hosts, status. Never the content of another account.
    Operator,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Account {
    pub id: AccountId,
    pub name: Name,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
}

/// Asks for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    pub name: Name,
}

/// A new account, and the first token of its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreatedAccount {
    pub account: Account,
    pub token: CreatedToken,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    pub id: TokenId,
    /// What it is for, in its maker's words.
    pub label: String,
    pub role: Role,
    pub created_at_ms: u64,
    /// When it ends by itself; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// Its access key's name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
}

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for, at most 100 characters.
    #[schema(max_length = 100)]
    pub label: String,
    pub role: Role,
    /// How long it lives, in milliseconds; for ever where absent.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ms: Option<u64>,
    /// Whether it gets an access key, by which AWS's clients sign.
    #[serde(default)]
    pub access_key: bool,
}

/// A new token and its secret, which is not shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreatedToken {
    pub token: Token,
    /// What goes behind `Authorization: Bearer`.
    pub secret: String,
    /// What AWS's clients sign with, where an access key was asked for: `AWS_SECRET_ACCESS_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Whoami {
    pub account: Account,
    pub token: Token,
}

/// A fresh version of the account's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotatedKey {
    /// The version that seals from now on.
    pub version: u32,
}
