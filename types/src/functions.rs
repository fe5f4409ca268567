//! Functions: their names, and how they are run.
//!
//! Always true: a function's name is 1 to 64 of `a-z A-Z 0-9 - _`, as Lambda's clients write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a function. Source: Lambda's `FunctionName`.
pub const FUNCTION_NAME_BYTES_MAX: usize = 64;

/// A name of a function.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(String);

/// Text that cannot name a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a function's name: use 1 to 64 of a-z, A-Z, 0-9, - and _")]
pub struct FunctionNameError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FunctionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionName {
    type Err = FunctionNameError;

    fn from_str(text: &str) -> Result<Self, FunctionNameError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=FUNCTION_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(FunctionNameError { text: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for FunctionName {
    type Error = FunctionNameError;

    fn try_from(text: String) -> Result<Self, FunctionNameError> {
        text.parse()
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl utoipa::PartialSchema for FunctionName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[a-zA-Z0-9-_]{1,64}$"))
            .into()
    }
}

impl utoipa::ToSchema for FunctionName {}

/// How a function's code is run.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FunctionRuntime {
    /// The package's own program `bootstrap`.
    Provided,
    /// A handler `module.function`, by the host's Python.
    Python3,
}

impl fmt::Display for FunctionRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Provided => "provided",
            Self::Python3 => "python3",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_lambdas_clients_take() {
        for name in ["f", "my-Function_2", &"x".repeat(FUNCTION_NAME_BYTES_MAX)] {
            assert_eq!(name.parse::<FunctionName>().unwrap().as_str(), name);
        }
        for name in ["", "a.b", "a b", "ä", "a:b", &"x".repeat(FUNCTION_NAME_BYTES_MAX + 1)] {
            assert!(name.parse::<FunctionName>().is_err(), "{name:?}");
        }
    }
}
