//! URLs of functions, as gateways see them.

use serde::{Deserialize, Serialize};
use types::UrlId;

use crate::functions::urls::UrlSettings;

/// A URL of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRoute {
    pub id: UrlId,
    /// An alias; empty for the function without one.
    pub qualifier: String,
    pub settings: UrlSettings,
    /// Who may call it beside whoever may call the function anyway: numbers of accounts, and `*` for
    /// everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
}
