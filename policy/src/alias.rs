//! Alias: which version of a function answers a call that names an alias.
//!
//! An alias names one version, and may send a share of its calls to a second one. The share is in
//! ten-thousandths, and a call falls on one side of it by its seed.
//!
//! Always true: exact integers; a share of nothing is never chosen and a whole one always; a seed
//! that has moved to the second version stays there while the share grows.
//! Absent on purpose: names of aliases, chance (the seed), and who may call.

use crate::backoff::mix;

/// A whole, in the parts in which shares are told.
pub const WHOLE_BP: u32 = 10_000;

/// A version of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// What is changed in place.
    Latest,
    /// A published one, which never changes.
    Numbered(u64),
}

/// Where the calls of an alias go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    version: Version,
    additional: Option<Additional>,
}

/// The second version of an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Additional {
    /// The version.
    pub version: Version,
    /// Its share of calls, in ten-thousandths: at most [`WHOLE_BP`].
    pub share_bp: u32,
}

/// Why an alias cannot send calls so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are more than two.
    #[error("an alias sends calls to at most two versions, not to {versions}: leave some out")]
    TooMany {
        /// How many were named.
        versions: usize,
    },
    /// One of two versions changes in place.
    #[error("calls are shared among published versions only: publish the latest one first")]
    NotPublished,
    /// There is no such version.
    #[error("version {version} does not exist: publish it, or name another")]
    Unknown {
        /// Its number.
        version: u64,
    },
    /// Both are the same.
    #[error("version {version} is named twice: name it once, without a share")]
    Twice {
        /// Its number.
        version: u64,
    },
    /// It is more than a whole.
    #[error("a share of {share_bp} ten-thousandths is more than all calls: ask for 0 to 10,000")]
    Share {
        /// What was asked for, in ten-thousandths.
        share_bp: u32,
    },
}

impl Routing {
    /// Sends calls to a version and shares of them to others, where the rules allow it.
    ///
    /// An alias of one version may name the latest.
    ///
    /// # Errors
    ///
    /// When they are more than two, do not exist, are one and the same, or one of two is not
    /// published; when a share is more than a whole.
    pub fn new(
        version: Version,
        additional: &[Additional],
        exists: impl Fn(u64) -> bool,
    ) -> Result<Self, Refusal> {
        let known = |version| match version {
            Version::Numbered(version) if !exists(version) => Err(Refusal::Unknown { version }),
            Version::Numbered(_) | Version::Latest => Ok(()),
        };
        known(version)?;
        let second = match additional {
            [] => return Ok(Self { version, additional: None }),
            [second] => *second,
            more => return Err(Refusal::TooMany { versions: more.len() + 1 }),
        };
        let (Version::Numbered(first), Version::Numbered(_)) = (version, second.version) else {
            return Err(Refusal::NotPublished);
        };
        known(second.version)?;
        if version == second.version {
            return Err(Refusal::Twice { version: first });
        }
        if second.share_bp > WHOLE_BP {
            return Err(Refusal::Share { share_bp: second.share_bp });
        }
        Ok(Self { version, additional: Some(second) })
    }

    /// The version that answers where no share of calls goes elsewhere.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The version that has a share of calls, if there is one.
    pub fn additional(&self) -> Option<Additional> {
        self.additional
    }

    /// The version that answers the call of this seed.
    ///
    /// The seed is what is to be split: one of each call for shares of calls, a hash of the caller
    /// for shares of callers, each of whom then stays with a version. It needs no spreading.
    pub fn choose(&self, seed: u64) -> Version {
        self.at(mix(seed))
    }

    /// The version at a place among all 2^64, the second one having the first of them.
    fn at(&self, place: u64) -> Version {
        let part = (u128::from(place) * u128::from(WHOLE_BP)) >> 64;
        match self.additional {
            Some(second) if part < u128::from(second.share_bp) => second.version,
            Some(_) | None => self.version,
        }
    }
}

#[cfg(test)]
mod tests;
