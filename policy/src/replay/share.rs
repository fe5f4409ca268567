//! Share: which keys belong to a sample, and which callers to a share.
//!
//! A key has a place between nothing and the whole, by a hash of it and a salt, and belongs to every
//! share that reaches beyond its place. So shares of one salt are nested: who is in the hundredth is
//! in the twentieth and in the quarter. Other salts draw anew.
//!
//! Always true: the same key and salt have the same place on every machine; a share of nothing has
//! nobody, a whole one everybody. Absent on purpose: chance, and what keys are.

use crate::alias::WHOLE_BP;

/// What a place is the hash of: another rule has another name.
const PLACE_OF: &[u8] = b"freehold share 1\n";

/// The place of a key among all 2^64.
pub fn place(key: &[u8], salt: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(PLACE_OF);
    // The length keeps the end of a salt and the beginning of a key apart.
    hasher.update(&u64::try_from(salt.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(salt).update(key);
    let mut word = [0; 8];
    hasher.finalize_xof().fill(&mut word);
    u64::from_le_bytes(word)
}

/// Whether a key belongs to a share, in ten-thousandths.
pub fn has(key: &[u8], salt: &[u8], share_bp: u32) -> bool {
    place_bp(key, salt) < share_bp
}

/// The place of a key among all, in ten-thousandths: below [`WHOLE_BP`].
pub fn place_bp(key: &[u8], salt: &[u8]) -> u32 {
    let part = (u128::from(place(key, salt)) * u128::from(WHOLE_BP)) >> 64;
    u32::try_from(part).unwrap_or(WHOLE_BP - 1)
}

#[cfg(test)]
mod tests;
