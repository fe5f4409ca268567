//! AES-256-GCM, the one cipher of this room, and the randomness for its keys and nonces.
//!
//! Two ways to use it. A key made for one content only seals that content with the zero nonce. A
//! key that seals many things uses a random nonce, which stands before the sealed bytes.
//!
//! Always true: bytes that do not carry the right tag never come out.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Length of the tag that proves a seal.
pub(crate) const TAG_BYTES: usize = 16;

/// Length of the nonce before bytes sealed by [`seal_random`].
const NONCE_BYTES: usize = 12;

/// Fresh secret bytes from the kernel.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the kernel always gives randomness");
    bytes
}

/// Seals `bytes` in place with a key that seals nothing else, and returns the tag.
pub(crate) fn seal_once(key: &[u8; 32], bytes: &mut [u8]) -> [u8; TAG_BYTES] {
    seal(key, [0; NONCE_BYTES], &[], bytes)
}

/// Opens `bytes` (sealed content, then tag) in place and returns the length of the content, or
/// none when the tag is wrong.
pub(crate) fn open_once(key: &[u8; 32], bytes: &mut [u8]) -> Option<usize> {
    open(key, [0; NONCE_BYTES], &[], bytes)
}

/// Seals `plain` with a key that seals many things. `context` must be given again to open it.
pub(crate) fn seal_random(key: &[u8; 32], context: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = random::<NONCE_BYTES>();
    let mut sealed = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = seal(key, nonce, context, &mut sealed[NONCE_BYTES..]);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens what [`seal_random`] sealed, or none when key, context or bytes differ.
pub(crate) fn open_random(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut plain = rest.to_vec();
    let length = open(key, *nonce, context, &mut plain)?;
    plain.truncate(length);
    Some(plain)
}

fn seal(
    key: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
    context: &[u8],
    bytes: &mut [u8],
) -> [u8; TAG_BYTES] {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key)
        .seal_in_place_separate_tag(nonce, Aad::from(context), bytes)
        .expect("blobs are far below the cipher's limit of 64 GiB");
    tag.as_ref().try_into().expect("the tag of AES-GCM has 16 bytes")
}

fn open(
    key: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
    context: &[u8],
    bytes: &mut [u8],
) -> Option<usize> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = cipher(key).open_in_place(nonce, Aad::from(context), bytes).ok()?;
    Some(plain.len())
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, key).expect("a key of AES-256 has 32 bytes");
    LessSafeKey::new(key)
}
