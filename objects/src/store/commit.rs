//! The end of a resumable upload: chunks that were sent become an object.
//!
//! Every chunk is read back and opened, which proves it and gives the SHA-256 of the whole. A
//! chunk that is absent or damaged is named in the refusal; the sender sends it again and commits
//! again.

use std::time::Instant;

use futures::stream::{self, StreamExt as _};
use ring::digest::{Context, SHA256};

use types::{Digest, ObjectId};

use super::{Sealed, Store, each_once};
use crate::blobs::{Blobs, Key, blocking};
use crate::chunk::{self, ChunkRef, PlainHash};
use crate::error::Error;
use crate::keys::AccountKeys;
use crate::manifest::Manifest;

/// Chunks read ahead of the one being hashed.
const READS_MAX: usize = 4;

impl Store {
    /// Makes an object of chunks that were put before, in this order.
    ///
    /// # Errors
    ///
    /// [`Error::NotSent`] names the chunks to send (again); [`Error::TooLarge`];
    /// [`Error::Exists`] when the object exists with other content; else as the back end fails.
    pub async fn commit(
        &self,
        keys: &AccountKeys,
        object: ObjectId,
        chunks: &[ChunkRef],
        media_type: &str,
    ) -> Result<Sealed, Error> {
        Manifest::check_limits(chunks.len(), media_type)?;
        let started = Instant::now();
        let missing = self.missing(keys, chunks).await?;
        if !missing.is_empty() {
            return Err(Error::NotSent { missing });
        }
        let sha256 = self.read_back(keys, chunks).await?;
        let entries: Vec<_> = chunks.iter().map(|chunk| keys.chunk_keys().entry(*chunk)).collect();
        let (account, media_type) = (keys.account(), media_type.to_owned());
        self.rely_again(account, &entries, started).await?;
        self.seal(keys, Manifest { account, object, sha256, media_type, entries }).await
    }

    /// The SHA-256 of the chunks' content, one after the other.
    async fn read_back(&self, keys: &AccountKeys, chunks: &[ChunkRef]) -> Result<Digest, Error> {
        let mut damaged: Vec<ChunkRef> = Vec::new();
        let mut hasher = Context::new(&SHA256);
        let mut plains = stream::iter(chunks.to_vec())
            .map(|chunk| {
                let (blobs, entry) = (self.blobs.clone(), keys.chunk_keys().entry(chunk));
                let key = Key::Chunk { account: keys.account(), id: entry.id };
                async move { (chunk, read_one(&blobs, key, entry).await) }
            })
            .buffered(READS_MAX);
        while let Some((chunk, plain)) = plains.next().await {
            match plain? {
                Some(plain) if damaged.is_empty() => {
                    hasher = blocking(move || {
                        hasher.update(&plain);
                        hasher
                    })
                    .await;
                }
                Some(_) => {}
                None => damaged.push(chunk),
            }
        }
        if !damaged.is_empty() {
            tracing::warn!(account = %keys.account(), chunks = damaged.len(), "damaged chunks");
            let missing: Vec<PlainHash> =
                each_once(&damaged).iter().map(|chunk| chunk.hash).collect();
            return Err(Error::NotSent { missing });
        }
        let digest = hasher.finish();
        Ok(Digest(digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")))
    }
}

/// The content of a stored chunk, or none when it is absent or damaged.
async fn read_one(
    blobs: &Blobs,
    key: Key,
    entry: chunk::Entry,
) -> Result<Option<bytes::Bytes>, Error> {
    match blobs.backend().get(key).await? {
        Some(sealed) => Ok(blocking(move || chunk::open(&entry, sealed)).await),
        None => Ok(None),
    }
}
