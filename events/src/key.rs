//! Keys: what a folder of events is encrypted with, and what is encrypted by it.
//!
//! A folder has one key of its own. From it a key is derived (HKDF with SHA-256) for each file that is
//! written by and by, by a salt in the file's [`head`](file); for each small file, by a salt of its own;
//! and one for all Parquet files ([`tables`]), so that others need no more than that one to read them.
//!
//! Always true: no key meets a nonce twice, whatever was cut off, begun anew or brought back from a
//! backup: what could repeat is random. Bytes that were changed or moved never come out.
//! Absent on purpose: where keys are kept (`gateway`), and hiding names, lengths and times of files.

pub(crate) mod file;
pub mod scratch;
pub(crate) mod tables;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Length of a key.
pub const KEY_BYTES: usize = 32;
/// Length of the tag that proves a seal.
pub(crate) const TAG_BYTES: usize = 16;
/// Length of what makes each sealing another.
pub(crate) const NONCE_BYTES: usize = 12;
/// Length of what makes each file's key another.
pub(crate) const SALT_BYTES: usize = 16;
/// What small files begin with.
const MAGIC: [u8; 8] = *b"FHEVB\0\0\x01";

/// The key of a folder. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<[u8; KEY_BYTES]>);

/// A folder with events or records, and its key where it is encrypted.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Its key; none where what is in it is not encrypted.
    pub key: Option<Key>,
}

impl Folder {
    /// A folder within this one, of the same key.
    #[must_use]
    pub fn within(&self, name: &str) -> Self {
        Self { path: self.path.join(name), key: self.key.clone() }
    }
}

impl<P: AsRef<Path>> From<P> for Folder {
    /// One that is not encrypted.
    fn from(path: P) -> Self {
        Self { path: path.as_ref().to_path_buf(), key: None }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Arc::new(bytes))
    }

    /// A key that nothing has yet.
    pub fn fresh() -> Self {
        Self::new(random())
    }

    /// Its bytes, to be sealed and kept.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key of the folder's Parquet files, as other programs are given it.
    pub fn of_tables(&self) -> [u8; KEY_BYTES] {
        self.derived(&[], "freehold events v1 parquet")
    }

    /// What this key alone says of itself, and which tells nothing of it: by this another one is known
    /// before anything is read.
    pub(crate) fn check(&self) -> u64 {
        u64::from_le_bytes(self.derived(&[], "freehold events v1 check"))
    }

    /// A key, or another secret, for one purpose.
    pub(crate) fn derived<const N: usize>(&self, salt: &[u8], purpose: &str) -> [u8; N] {
        let mut derived = [0; N];
        Salt::new(HKDF_SHA256, salt)
            .extract(self.bytes())
            .expand(&[purpose.as_bytes()], Length(N))
            .and_then(|made| made.fill(&mut derived))
            .expect("a purpose has far fewer bytes than 255 blocks");
        derived
    }

    /// A small file's bytes, sealed under its name.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let salt = random::<SALT_BYTES>();
        let mut sealed = [MAGIC.as_slice(), &salt, plain].concat();
        let head = MAGIC.len() + SALT_BYTES;
        // The salt makes a key that seals nothing else.
        let tag = self.of_small(&salt, name).seal_in_place_separate_tag(
            Nonce::assume_unique_for_key([0; NONCE_BYTES]),
            Aad::empty(),
            &mut sealed[head..],
        );
        sealed.extend_from_slice(tag.expect("it is far below the cipher's limit").as_ref());
        sealed
    }

    /// What was sealed under a name; none where it is something else, or of another key.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (salt, body) = sealed.strip_prefix(&MAGIC)?.split_first_chunk::<SALT_BYTES>()?;
        let mut plain = body.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; NONCE_BYTES]);
        let key = self.of_small(salt, name);
        let length = key.open_in_place(nonce, Aad::empty(), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    fn of_small(&self, salt: &[u8], name: &str) -> LessSafeKey {
        cipher(&self.derived(salt, &format!("freehold events v1 file {name}")))
    }
}

/// Secret bytes of the kernel.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the kernel always gives randomness");
    bytes
}

pub(crate) fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, key);
    LessSafeKey::new(key.expect("a key of AES-256 has 32 bytes"))
}

#[cfg(test)]
mod tests;
