//! Names people choose, and references to what they name.
//!
//! Always true: a name is 1 to 63 of `a-z 0-9 -`, starts and ends with a letter or digit, so it
//! fits a host name, a path segment and a file name unescaped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::AccountId;
use crate::functions::account_number;

/// Longest name, so that it fits one label of a host name (RFC 1035, section 2.3.4).
pub const NAME_BYTES_MAX: usize = 63;

/// A name of an account, item, endpoint or host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Text that cannot be a name or a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a name.
    #[error(
        "{text:?} is not a name: use 1 to 63 of a-z, 0-9 and -, starting and ending with a letter or digit"
    )]
    Name {
        /// What was given, cut to 80 characters.
        text: String,
    },
    /// Not a reference.
    #[error("{text:?} is not a reference: write name, account/name, or either with @version")]
    Reference {
        /// What was given, cut to 160 characters.
        text: String,
    },
    /// Not a stream.
    #[error("{text:?} is no stream: write stream:NAME or its whole ARN")]
    Stream {
        /// What was given, cut to 160 characters.
        text: String,
    },
    /// Not a function.
    #[error("{text:?} is no function of yours: write function:NAME or function:NAME:QUALIFIER")]
    Task {
        /// What was given, cut to 160 characters.
        text: String,
    },
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let fits = (1..=NAME_BYTES_MAX).contains(&bytes.len());
        let inner = bytes.iter().all(|&byte| plain(byte) || byte == b'-');
        if fits && inner && plain(bytes[0]) && plain(bytes[bytes.len() - 1]) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::Name { text: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl utoipa::PartialSchema for Name {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))
            .into()
    }
}

impl utoipa::ToSchema for Name {}

/// An item, perhaps of another account, perhaps at one version: `name`, `account/name`,
/// `name@3`, `account/name@3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// The owner; the caller's own account where absent.
    pub account: Option<Name>,
    /// The item.
    pub name: Name,
    /// The version; the newest one the caller may see where absent.
    pub version: Option<u32>,
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refuse = || NameError::Reference { text: text.chars().take(160).collect() };
        let (path, version) = match text.split_once('@') {
            None => (text, None),
            Some((path, version)) => {
                let number: u32 = version.parse().map_err(|_| refuse())?;
                if number == 0 || version.starts_with('+') {
                    return Err(refuse());
                }
                (path, Some(number))
            }
        };
        let (account, name) = match path.split_once('/') {
            None => (None, path),
            Some((account, name)) => (Some(account.parse().map_err(|_| refuse())?), name),
        };
        Ok(Self { account, name: name.parse().map_err(|_| refuse())?, version })
    }
}

impl TryFrom<String> for Reference {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.account {
            write!(f, "{account}/")?;
        }
        write!(f, "{}", self.name)?;
        self.version.map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl utoipa::PartialSchema for Reference {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        const NAME: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(format!("^({NAME}/)?{NAME}(@[1-9][0-9]{{0,8}})?$")))
            .into()
    }
}

impl utoipa::ToSchema for Reference {}

/// A stream, as destinations name it: `stream:NAME`, or the name that AWS's clients want, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReference {
    /// Its account's number; the caller's own where it is absent.
    pub account: Option<String>,
    pub name: Name,
}

impl FromStr for StreamReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(name) = text.strip_prefix("stream:") {
            return Ok(Self { account: None, name: name.parse()? });
        }
        let refuse = || NameError::Stream { text: text.chars().take(160).collect() };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", "aws", "kinesis", _, number, resource] = parts.as_slice() else {
            return Err(refuse());
        };
        let name = resource.strip_prefix("stream/").ok_or_else(refuse)?;
        let digits = number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit());
        let account = Some((*number).to_owned()).filter(|_| digits).ok_or_else(refuse)?;
        Ok(Self { account: Some(account), name: name.parse().map_err(|_| refuse())? })
    }
}

/// What a stream is called in AWS's words, in a region. Source: ARNs of Kinesis' streams.
pub fn stream_arn(region: &str, account: AccountId, name: &Name) -> String {
    format!("arn:aws:kinesis:{region}:{}:stream/{name}", account_number(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_found_by_any_of_its_names() {
        let account = AccountId::new(uuid::Uuid::from_u128(7));
        let name: Name = "signins".parse().unwrap();
        let arn = stream_arn("us-east-1", account, &name);
        assert_eq!(arn, "arn:aws:kinesis:us-east-1:000000000007:stream/signins");
        let number = Some("000000000007".to_owned());
        let whole: StreamReference = arn.parse().unwrap();
        assert_eq!(whole, StreamReference { account: number, name: name.clone() });
        let short: StreamReference = "stream:signins".parse().unwrap();
        assert_eq!(short, StreamReference { account: None, name });
        for bad in [
            "",
            "signins",
            "stream:",
            "stream:A",
            "arn:aws:sqs:us-east-1:000000000007:signins",
            "arn:aws:kinesis:us-east-1:7:stream/signins",
            "arn:aws:kinesis:us-east-1:000000000007:stream/signins/consumer/x",
        ] {
            assert!(bad.parse::<StreamReference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_fit_a_host_name_and_nothing_else_passes() {
        for good in ["a", "0", "signin-risk", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn references_survive_text() {
        for text in ["a", "acme/a", "a@3", "acme/a@12"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for bad in ["a@0", "a@+1", "a@", "/a", "a/b/c", "a@1@2"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
