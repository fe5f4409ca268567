//! Names of functions' URLs.
//!
//! Always true: a name has 32 letters and digits of 160 random bits, so nobody guesses it, and it
//! stands in the name of a host.
//! Absent on purpose: making chance. It comes from `workflow::Clock`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Random bytes of a name.
pub const RANDOM_BYTES: usize = 20;
/// Letters and digits of a name. Source: as many as of Lambda's.
pub const LETTERS: usize = 32;
/// What they are, each for five bits. Names of hosts know no capital letters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// By what a function's URL is found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlId(String);

/// Text that is no name of a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the id of a URL: they have {LETTERS} of a-z and 2-7")]
pub struct UrlIdError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl UrlId {
    /// The name that these random bytes make.
    pub fn of(random: [u8; RANDOM_BYTES]) -> Self {
        // Five bytes are eight times five bits.
        let letters = random.chunks(5).flat_map(|bytes| {
            let bits = bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8).rev().map(move |place| {
                let five = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
                char::from(ALPHABET[five])
            })
        });
        Self(letters.collect())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UrlId {
    type Err = UrlIdError;

    fn from_str(text: &str) -> Result<Self, UrlIdError> {
        if text.len() == LETTERS && text.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Ok(Self(text.to_owned()));
        }
        Err(UrlIdError { text: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for UrlId {
    type Error = UrlIdError;

    fn try_from(text: String) -> Result<Self, UrlIdError> {
        text.parse()
    }
}

impl From<UrlId> for String {
    fn from(id: UrlId) -> Self {
        id.0
    }
}

impl fmt::Display for UrlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for UrlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl utoipa::PartialSchema for UrlId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[a-z2-7]{32}$"))
            .into()
    }
}

impl utoipa::ToSchema for UrlId {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bit_of_chance_is_in_the_name() {
        let none = UrlId::of([0; RANDOM_BYTES]);
        let ones = (0..RANDOM_BYTES * 8).map(|bit| {
            let mut random = [0; RANDOM_BYTES];
            random[bit / 8] = 1 << (bit % 8);
            UrlId::of(random)
        });
        let names: BTreeSet<UrlId> = ones.chain([none]).collect();
        assert_eq!(names.len(), RANDOM_BYTES * 8 + 1);
        for name in names {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let name = UrlId::of([0xff; RANDOM_BYTES]).to_string();
        assert_eq!(name, "7".repeat(LETTERS));
        for text in ["", "7", &name.replace('7', "A"), &name.replace('7', "1"), &(name + "7")] {
            assert!(text.parse::<UrlId>().is_err(), "{text}");
        }
    }
}
