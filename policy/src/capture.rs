//! Capture: which live requests of an endpoint are kept as events.
//!
//! By the place of a request's key in a hash, as shares of variants are, but of another salt: a
//! capture of a twentieth is a twentieth of what every variant answers.
//!
//! Always true: all requests of a key are kept or none; whoever is in a share is in every larger one.
//! Absent on purpose: chance, and what is kept of a request.

use crate::replay::share;

/// Whether a request with this key is kept, of the endpoint with this id, where a share is, in
/// ten-thousandths.
pub fn keeps(key: &[u8], endpoint: &str, share_bp: u32) -> bool {
    share::has(key, format!("capture of {endpoint}").as_bytes(), share_bp)
}

#[cfg(test)]
mod tests;
