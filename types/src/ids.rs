//! Ids: what every stored thing is called, for good.
//!
//! An id is a short prefix that tells its kind, a dash, and a UUID of version 7 in 32 lower-case
//! hex digits: `inst-0192f0c1…`. Ids sort by the time they were made.
//!
//! Always true: an id of one kind is never accepted as another.
//! Absent on purpose: making ids. They come from `workflow::Clock`, so that tests own chance.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id like {prefix}-0192f0c1d2e37a4bb5c6d7e8f9a0b1c2")]
pub struct IdError {
    /// What was given, cut to 80 characters.
    pub text: String,
    /// The prefix that was wanted.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// What ids of this kind start with.
            pub const PREFIX: &'static str = $prefix;

            /// The id with this UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID in this id.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}-{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "-[0-9a-f]{32}$")))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

ids! {
    /// Who owns things.
    AccountId = "acct";
    /// A bearer token of an account; not its secret.
    TokenId = "token";
    /// Something in the catalogue.
    ItemId = "item";
    /// A manifest of encrypted chunks.
    ObjectId = "obj";
    /// A name that callers invoke.
    EndpointId = "ep";
    /// One sandbox running one task on one host.
    InstanceId = "inst";
    /// Code that is called.
    FunctionId = "fn";
    /// One state of a function's code and configuration, which never changes.
    RevisionId = "rev";
    /// A call of a function that nobody waits for.
    EventId = "event";
    /// What lets other accounts link to a function.
    GrantId = "grant";
    /// An API made of functions.
    ServiceId = "service";
    /// By what a service's users call it; not its secret.
    ServiceKeyId = "key";
    /// Events of an application, in order.
    StreamId = "stream";
    /// One replay of a stream's events.
    RunId = "run";
    /// What feeds a function from a stream.
    SourceId = "source";
    /// A machine that runs instances.
    HostId = "host";
    /// One run of a saga.
    SagaId = "saga";
    /// One training run.
    TrainingId = "train";
    /// One publishing of an item version.
    PublishId = "pub";
    /// One request, as logs and answers name it.
    RequestId = "req";
}

fn parse(text: &str, prefix: &'static str) -> Result<Uuid, IdError> {
    let refuse = || IdError { text: text.chars().take(80).collect(), prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let digits = digits.ok_or_else(refuse)?;
    let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 32 || !lower {
        return Err(refuse());
    }
    Uuid::try_parse(digits).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_refuses_another_kind() {
        let id = InstanceId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<InstanceId>(), Ok(id));
        assert!(id.to_string().parse::<HostId>().is_err());
        assert!("inst-".parse::<InstanceId>().is_err());
        assert!(id.to_string().to_uppercase().parse::<InstanceId>().is_err());
    }
}
