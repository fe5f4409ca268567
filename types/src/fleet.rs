//! Fleets: what a host that runs functions is there for.
//!
//! Always true: as text it is `hot`, `cold` or `dedicated=ACCOUNT`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Name;

/// What a host is there for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Fleet {
    /// Functions that are called often.
    Hot,
    /// All others.
    #[default]
    Cold,
    /// Functions of one account, which run nowhere else.
    Dedicated(Name),
}

impl Fleet {
    /// Whether its hosts may run functions of this account.
    pub fn takes(&self, account: &Name) -> bool {
        match self {
            Self::Hot | Self::Cold => true,
            Self::Dedicated(own) => own == account,
        }
    }
}

/// Text that names no fleet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no fleet: use hot, cold or dedicated=ACCOUNT")]
pub struct FleetError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FromStr for Fleet {
    type Err = FleetError;

    fn from_str(text: &str) -> Result<Self, FleetError> {
        let account = text.strip_prefix("dedicated=").and_then(|name| name.parse().ok());
        match (text, account) {
            ("hot", _) => Ok(Self::Hot),
            ("cold", _) => Ok(Self::Cold),
            (_, Some(account)) => Ok(Self::Dedicated(account)),
            _ => Err(FleetError { text: text.chars().take(80).collect() }),
        }
    }
}

impl TryFrom<String> for Fleet {
    type Error = FleetError;

    fn try_from(text: String) -> Result<Self, FleetError> {
        text.parse()
    }
}

impl From<Fleet> for String {
    fn from(fleet: Fleet) -> Self {
        fleet.to_string()
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hot => f.pad("hot"),
            Self::Cold => f.pad("cold"),
            Self::Dedicated(account) => f.pad(&format!("dedicated={account}")),
        }
    }
}

impl utoipa::PartialSchema for Fleet {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let pattern = Some("^(hot|cold|dedicated=.+)$");
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(pattern)
            .into()
    }
}

impl utoipa::ToSchema for Fleet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let own = Fleet::Dedicated("acme".parse().unwrap());
        for fleet in [Fleet::Hot, Fleet::Cold, own] {
            assert_eq!(fleet.to_string().parse(), Ok(fleet));
        }
        for wrong in ["", "Hot", "dedicated", "dedicated=", "dedicated=A b", "cold=acme"] {
            assert!(wrong.parse::<Fleet>().is_err(), "{wrong}");
        }
    }
}
