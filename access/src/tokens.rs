//! Tokens: the secrets by which callers prove who they are.
//!
//! A secret is `fh_` and 32 random bytes in hex. It is shown once; what is stored and compared is
//! its SHA-256. A plain digest is enough, since 256 random bits cannot be guessed.
//! Always true: a secret never appears in logs; comparing takes the same time for every input.
//! Absent on purpose: storage, and which token belongs to which account.

#[cfg(test)]
mod tests;

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use types::Digest;

/// What every secret starts with, so that scanners for leaked secrets find it.
pub const PREFIX: &str = "fh_";
const RANDOM_BYTES: usize = 32;

/// A secret that was just made. [`Secret::reveal`] is the only way to its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(withheld)")
    }
}

impl Secret {
    /// Makes a secret from the kernel's random bytes.
    ///
    /// # Panics
    ///
    /// When the kernel gives no random bytes, which Linux never does once it is up.
    pub fn generate() -> Self {
        let mut bytes = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut bytes).expect("the kernel always gives random bytes");
        Self(format!("{PREFIX}{}", hex::encode(bytes)))
    }

    /// The text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        digest_of(&self.0)
    }
}

/// SHA-256 of a secret's text: what is stored, and what callers are looked up by.
pub fn digest_of(secret: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    Digest(bytes)
}

/// Whether a secret is the one with this digest, in time that does not tell how far they agree.
pub fn matches(secret: &str, stored: &Digest) -> bool {
    let given = digest_of(secret);
    let difference = given.0.iter().zip(&stored.0).fold(0, |seen, (a, b)| seen | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// Whether text looks like a secret of ours, so that others need no look-up.
pub fn is_well_formed(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX).unwrap_or_default().as_bytes();
    digits.len() == 2 * RANDOM_BYTES
        && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a token that was found may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Valid,
    /// Its lifetime is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

/// Where a token stands at `now_ms`. A revocation counts from the moment it is known.
pub fn standing(expires_at_ms: Option<u64>, revoked_at_ms: Option<u64>, now_ms: u64) -> Standing {
    if revoked_at_ms.is_some() {
        return Standing::Revoked;
    }
    match expires_at_ms {
        Some(expires_at_ms) if expires_at_ms <= now_ms => Standing::Expired,
        _ => Standing::Valid,
    }
}
