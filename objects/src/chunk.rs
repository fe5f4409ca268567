//! Chunks: how a piece of plain content is named, keyed and sealed.
//!
//! The plain hash is the BLAKE3 of the content. The chunk id (the name of its blob) and the chunk
//! key come from that hash under the account's dedup secret: equal content of one account gives
//! the same blob, and of two accounts gives blobs that have nothing in common.
//!
//! Always true: a chunk key seals one content only, which is why the zero nonce is safe.

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use types::Digest;
use types::digest::DigestError;

use crate::aead;

macro_rules! digests {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                text.parse().map(Self)
            }
        }
    )*};
}

digests! {
    /// The BLAKE3 of a chunk's plain content. A secret of the account that holds the chunk.
    PlainHash;
    /// The name of a sealed chunk. Tells nothing to who lacks the account's dedup secret.
    ChunkId;
}

impl PlainHash {
    /// The hash of this content.
    pub fn of(plain: &[u8]) -> Self {
        Self(Digest(*blake3::hash(plain).as_bytes()))
    }
}

/// A chunk as its uploader names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkRef {
    /// BLAKE3 of the plain content.
    pub hash: PlainHash,
    /// Length of the plain content.
    pub bytes: u32,
}

/// What turns plain hashes into chunk ids and chunk keys, for one account.
#[derive(Clone)]
pub(crate) struct ChunkKeys {
    naming: [u8; 32],
    sealing: [u8; 32],
}

impl ChunkKeys {
    pub(crate) fn new(dedup_secret: &[u8; 32]) -> Self {
        Self {
            naming: blake3::derive_key("freehold objects v1 chunk id", dedup_secret),
            sealing: blake3::derive_key("freehold objects v1 chunk key", dedup_secret),
        }
    }

    /// The entry of a manifest for the chunk with this hash and length.
    pub(crate) fn entry(&self, chunk: ChunkRef) -> Entry {
        let hash = &chunk.hash.0.0;
        Entry {
            id: ChunkId(Digest(*blake3::keyed_hash(&self.naming, hash).as_bytes())),
            key: *blake3::keyed_hash(&self.sealing, hash).as_bytes(),
            bytes: chunk.bytes,
        }
    }
}

/// One chunk as a manifest holds it: its name, its key and its plain length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: ChunkId,
    pub(crate) key: [u8; 32],
    pub(crate) bytes: u32,
}

impl Entry {
    /// Length of the sealed chunk.
    pub(crate) fn sealed_bytes(&self) -> u64 {
        u64::from(self.bytes) + aead::TAG_BYTES as u64
    }
}

/// Seals a chunk in place; the parts together are the blob.
pub(crate) fn seal(key: &[u8; 32], mut plain: BytesMut) -> Vec<Bytes> {
    let tag = aead::seal_once(key, &mut plain);
    vec![plain.freeze(), Bytes::copy_from_slice(&tag)]
}

/// Opens a sealed chunk, or none when it is not the chunk that `entry` names.
pub(crate) fn open(entry: &Entry, sealed: Bytes) -> Option<Bytes> {
    if sealed.len() as u64 != entry.sealed_bytes() {
        return None;
    }
    let mut bytes = sealed.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    let length = aead::open_once(&entry.key, &mut bytes)?;
    bytes.truncate(length);
    Some(bytes.freeze())
}
