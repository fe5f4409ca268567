//! Functions: their names, and how they are run.
//!
//! Always true: a function's name is 1 to 64 of `a-z A-Z 0-9 - _`, as Lambda's clients write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// Longest name of a function. Source: Lambda's `FunctionName`.
pub const FUNCTION_NAME_BYTES_MAX: usize = 64;
/// Longest name of an alias. Source: Lambda's `Name` of an alias.
pub const ALIAS_NAME_BYTES_MAX: usize = 128;
/// Most calls that an instance may have at a time. Source: Lambda's most for each processor; and what
/// a sandbox can hand out as sockets in one message is not many more.
pub const CONCURRENCY_MAX: u32 = 64;
/// What a call without a qualifier runs.
pub const LATEST: &str = "$LATEST";

/// A name of this many of `a-z A-Z 0-9 - _`, as Lambda's clients write it.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $refused:ident, $bytes_max:ident, $what:literal, $pattern:literal, $also:path, $but:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        #[doc = concat!("Text that cannot name ", $what, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error("{text:?} is not the name of {}: use 1 to {} of a-z, A-Z, 0-9, - and _{}", $what, $bytes_max, $but)]
        pub struct $refused {
            /// What was given, cut to 80 characters.
            pub text: String,
        }

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $refused;

            fn from_str(text: &str) -> Result<Self, $refused> {
                if (1..=$bytes_max).contains(&text.len()) && text.bytes().all(plain) && $also(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err($refused { text: text.chars().take(80).collect() })
            }
        }

        impl TryFrom<String> for $name {
            type Error = $refused;

            fn try_from(text: String) -> Result<Self, $refused> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some($pattern))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

const fn any(_: &str) -> bool {
    true
}

fn no_number(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_digit())
}

name! {
    /// A name of a function.
    FunctionName, FunctionNameError, FUNCTION_NAME_BYTES_MAX, "a function",
    "^[a-zA-Z0-9-_]{1,64}$", any, ""
}

name! {
    /// A name of one or two versions of a function, which may move.
    AliasName, AliasNameError, ALIAS_NAME_BYTES_MAX, "an alias",
    "^[a-zA-Z0-9-_]*[a-zA-Z-_][a-zA-Z0-9-_]*$",
    no_number, ", not digits alone"
}

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
    /// A handler `module.function`, by the host's Node.js.
    Nodejs,
    /// The command of an image of a container, which asks for its work as `provided` does.
    Image,
    /// A server that answers `/ping` and `/invocations` on port 8080: the command of an image, or the
    /// package's own program `bootstrap`.
    Server,
}

impl fmt::Display for FunctionRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Provided => "provided",
            Self::Python3 => "python3",
            Self::Nodejs => "nodejs",
            Self::Image => "image",
            Self::Server => "server",
        })
    }
}

/// How many calls an instance may have at a time: from 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Concurrency(u32);

/// A number that cannot be how many calls an instance may have at a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance cannot have {given} calls at a time: use 1 to {CONCURRENCY_MAX}")]
pub struct ConcurrencyError {
    /// What was given, cut to 80 characters.
    pub given: String,
}

impl Concurrency {
    /// The number of calls.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether it is more than one.
    pub const fn is_several(self) -> bool {
        self.0 > 1
    }

    /// Whether it is what nobody has to say.
    pub const fn is_one(&self) -> bool {
        self.0 == 1
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for Concurrency {
    type Error = ConcurrencyError;

    fn try_from(number: u32) -> Result<Self, ConcurrencyError> {
        if (1..=CONCURRENCY_MAX).contains(&number) {
            return Ok(Self(number));
        }
        Err(ConcurrencyError { given: number.to_string() })
    }
}

impl From<Concurrency> for u32 {
    fn from(concurrency: Concurrency) -> Self {
        concurrency.0
    }
}

impl FromStr for Concurrency {
    type Err = ConcurrencyError;

    fn from_str(text: &str) -> Result<Self, ConcurrencyError> {
        let refused = || ConcurrencyError { given: text.chars().take(80).collect() };
        text.parse::<u32>().map_err(|_| refused())?.try_into()
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl utoipa::PartialSchema for Concurrency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .minimum(Some(1))
            .maximum(Some(CONCURRENCY_MAX))
            .into()
    }
}

impl utoipa::ToSchema for Concurrency {}

/// How much may be called; without a limit where it is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallLimits {
    /// Calls that come back each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub rate_per_min: Option<u32>,
    /// Most calls at once within that rate; as many as in a second where absent, and at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub burst: Option<u32>,
    /// Most calls under way at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub concurrency: Option<u32>,
    /// Most calls of a day, which begins at midnight, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_day: Option<u64>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at_ms: Option<u64>,
}

/// What an account is called where twelve digits are wanted: as in Lambda's words, AWS's accounts.
pub fn account_number(account: AccountId) -> String {
    format!("{:012}", account.uuid().as_u128() % 1_000_000_000_000)
}

/// A function as Lambda's clients name it: by its name, by `account:function:name`, or whole, each
/// perhaps with a qualifier behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionReference {
    /// Its account's number; the caller's own where it is absent.
    pub account: Option<String>,
    pub name: FunctionName,
    /// A version or alias; empty for none.
    pub qualifier: String,
}

impl FromStr for FunctionReference {
    type Err = FunctionNameError;

    fn from_str(text: &str) -> Result<Self, FunctionNameError> {
        let parts: Vec<&str> = text.split(':').collect();
        let parts = match parts.as_slice() {
            ["arn", _, "lambda", _, rest @ ..] => rest,
            parts => parts,
        };
        let (account, rest) = match parts {
            [account, "function", rest @ ..] => (Some((*account).to_owned()), rest),
            ["function", rest @ ..] => (None, rest),
            rest => (None, rest),
        };
        let (name, qualifier) = match rest {
            [name] => (*name, ""),
            [name, qualifier] => (*name, *qualifier),
            _ => (text, ""),
        };
        Ok(Self { account, name: name.parse()?, qualifier: qualifier.to_owned() })
    }
}

/// What a function is called in Lambda's words, in a region; `$LATEST` and nothing are the same.
pub fn function_arn(
    region: &str,
    account: AccountId,
    name: &FunctionName,
    qualifier: &str,
) -> String {
    let number = account_number(account);
    let plain = format!("arn:aws:lambda:{region}:{number}:function:{name}");
    match qualifier {
        "" | LATEST => plain,
        qualifier => format!("{plain}:{qualifier}"),
    }
}

/// Whether a path begins with a date, as those of Lambda's API do, such as `/2015-03-31/functions`.
pub fn is_dated(path: &str) -> bool {
    let bytes = path.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let dash = |at: usize| bytes.get(at) == Some(&b'-');
    (1..=4).all(digit)
        && dash(5)
        && (6..=7).all(digit)
        && dash(8)
        && (9..=10).all(digit)
        && bytes.get(11) == Some(&b'/')
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

    #[test]
    fn an_alias_is_no_number() {
        for name in ["live", "v1", "1-a", "_"] {
            assert_eq!(name.parse::<AliasName>().unwrap().as_str(), name);
        }
        for name in ["", "1", "0123", "$LATEST", "a.b", &"x".repeat(ALIAS_NAME_BYTES_MAX + 1)] {
            assert!(name.parse::<AliasName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_instance_has_from_one_call_to_so_many_at_a_time() {
        for number in [1, 2, CONCURRENCY_MAX] {
            assert_eq!(Concurrency::try_from(number).unwrap().get(), number);
            assert_eq!(number.to_string().parse::<Concurrency>().unwrap().get(), number);
        }
        for number in [0, CONCURRENCY_MAX + 1, u32::MAX] {
            assert!(Concurrency::try_from(number).is_err(), "{number}");
        }
        assert!("some".parse::<Concurrency>().is_err());
    }

    #[test]
    fn a_function_is_found_by_any_of_its_names() {
        let arn = "arn:aws:lambda:us-east-1:000000000007:function:f";
        let cases = [
            ("f", None, ""),
            ("f:live", None, "live"),
            ("function:f", None, ""),
            ("000000000007:function:f", Some("000000000007"), ""),
            ("000000000007:function:f:2", Some("000000000007"), "2"),
            (arn, Some("000000000007"), ""),
            (&format!("{arn}:$LATEST"), Some("000000000007"), "$LATEST"),
        ];
        for (text, account, qualifier) in cases {
            let read: FunctionReference = text.parse().unwrap();
            assert_eq!((read.account.as_deref(), read.name.as_str()), (account, "f"), "{text}");
            assert_eq!(read.qualifier, qualifier, "{text}");
        }
        for text in ["", "a:b:c", "arn:aws:s3:::bucket", "arn:aws:lambda:r:1:layer:f", "f:"] {
            let read = text.parse::<FunctionReference>();
            assert!(read.is_err() || read.unwrap().qualifier.is_empty(), "{text}");
        }
        let account = AccountId::new(uuid::Uuid::from_u128(7));
        let name = "f".parse().unwrap();
        assert_eq!(function_arn("us-east-1", account, &name, LATEST), arn);
        assert_eq!(function_arn("us-east-1", account, &name, "2"), format!("{arn}:2"));
    }
}
