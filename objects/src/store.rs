//! The store: putting objects in, opening them, and removing what nobody refers to.
//!
//! Three ways in. [`Store::put_stream`] takes a whole body. A resumable upload asks
//! [`Store::missing`] which chunks to send, sends those with [`Store::put_chunk`], and ends with
//! [`Store::commit`]. All three can be repeated: the same content under the same object id gives
//! the same manifest and the same object key.
//!
//! Always true: an object is visible only when all its chunks are, durably. Before its manifest
//! is written, nothing but unreferenced chunks can be left behind by a failure.

mod commit;
mod put;

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use types::{AccountId, Digest, ObjectId};

use crate::blobs::{Blobs, Key, Listed, Scope, blocking};
use crate::cache::Cache;
use crate::chunk::{self, ChunkId, ChunkRef, Entry, PlainHash};
use crate::chunking;
use crate::error::Error;
use crate::keys::{AccountKeys, ObjectKey};
use crate::manifest::{self, Manifest};
use crate::reader::Reader;
use crate::source::ChunkSource;

/// How many blobs are looked for or deleted at once; enough to hide a store's answering time.
const REQUESTS_MAX: usize = 16;

/// How long an upload may rely on chunks it found; far less than the age at which the collector
/// takes them.
const RELIANCE_S: u64 = 600;

/// A stored object, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which object.
    pub object: ObjectId,
    /// Length of the content.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// The chunks it refers to, each once.
    pub chunks: Vec<ChunkId>,
    /// The object key under the account's key.
    pub sealed_key: Vec<u8>,
    /// The version of the account's key that seals it.
    pub key_version: u32,
}

/// A chunk that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Which chunk.
    pub id: ChunkId,
    /// Its sealed length.
    pub bytes: u64,
    /// When it was written, or last relied on by an upload. Milliseconds since 1970.
    pub written_at_ms: u64,
}

/// A manifest that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Of which object.
    pub object: ObjectId,
    /// Its sealed length.
    pub bytes: u64,
    /// When it was written. Milliseconds since 1970.
    pub written_at_ms: u64,
}

/// The objects of one Freehold.
#[derive(Clone, Debug)]
pub struct Store {
    blobs: Blobs,
    source: Arc<dyn ChunkSource>,
}

impl Store {
    /// A store of these blobs.
    pub fn new(blobs: Blobs) -> Self {
        let source = Arc::new(blobs.clone());
        Self { blobs, source }
    }

    /// A store of these blobs that reads through `cache`, whose source they should be.
    pub fn with_cache(blobs: Blobs, cache: Cache) -> Self {
        Self { blobs, source: Arc::new(cache) }
    }

    /// Where this store's readers get sealed blobs; also what an agent's fetches are answered
    /// from.
    pub fn source(&self) -> &Arc<dyn ChunkSource> {
        &self.source
    }

    /// Opens an object for reading. Its chunks are fetched when they are read.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub async fn open(
        &self,
        account: AccountId,
        object: ObjectId,
        key: &ObjectKey,
    ) -> Result<Reader, Error> {
        Reader::open(Arc::clone(&self.source), account, object, key).await
    }

    /// Stores one chunk of an upload, durable when this returns. Stores it again when it is
    /// there, so that sending a damaged chunk once more repairs it.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyChunk`], [`Error::TooLarge`], else as the back end fails.
    pub async fn put_chunk(&self, keys: &AccountKeys, plain: Bytes) -> Result<ChunkRef, Error> {
        if plain.is_empty() {
            return Err(Error::EmptyChunk);
        }
        if plain.len() > chunking::BYTES_MAX {
            let limit = chunking::BYTES_MAX as u64;
            return Err(Error::TooLarge { what: "the length of a chunk", limit });
        }
        let chunk_keys = keys.chunk_keys().clone();
        let (chunk, entry, parts) = blocking(move || {
            let chunk = name(&plain);
            let entry = chunk_keys.entry(chunk);
            (chunk, entry, chunk::seal(&entry.key, owned(plain)))
        })
        .await;
        self.blobs.put(Key::Chunk { account: keys.account(), id: entry.id }, parts).await?;
        Ok(chunk)
    }

    /// True when the account has a chunk of this hash and length.
    pub async fn has(&self, keys: &AccountKeys, chunk: ChunkRef) -> Result<bool, Error> {
        Ok(self.missing(keys, &[chunk]).await?.is_empty())
    }

    /// Which of these chunks the account does not have, each once, in the order given. Those it
    /// has count as written now (where the back end can), so that they last until the commit.
    pub async fn missing(
        &self,
        keys: &AccountKeys,
        chunks: &[ChunkRef],
    ) -> Result<Vec<PlainHash>, Error> {
        let found = stream::iter(each_once(chunks))
            .map(|chunk| {
                let (blobs, entry) = (self.blobs.clone(), keys.chunk_keys().entry(chunk));
                let key = Key::Chunk { account: keys.account(), id: entry.id };
                async move {
                    let there = blobs.backend().refresh(key, entry.sealed_bytes()).await?;
                    Ok::<_, Error>((!there).then_some(chunk.hash))
                }
            })
            .buffered(REQUESTS_MAX);
        found.try_filter_map(|hash| std::future::ready(Ok(hash))).try_collect().await
    }

    /// The chunks an account has, with their age.
    pub fn chunk_list(
        &self,
        account: AccountId,
    ) -> impl Stream<Item = Result<ChunkEntry, Error>> + Send + '_ {
        self.blobs.backend().list(Scope::Chunks(account)).try_filter_map(|listed| {
            let Listed { key, bytes, written_at_ms } = listed;
            let Key::Chunk { id, .. } = key else { return std::future::ready(Ok(None)) };
            std::future::ready(Ok(Some(ChunkEntry { id, bytes, written_at_ms })))
        })
    }

    /// The manifests an account has, with their age.
    pub fn manifest_list(
        &self,
        account: AccountId,
    ) -> impl Stream<Item = Result<ManifestEntry, Error>> + Send + '_ {
        self.blobs.backend().list(Scope::Manifests(account)).try_filter_map(|listed| {
            let Listed { key, bytes, written_at_ms } = listed;
            let Key::Manifest { object, .. } = key else { return std::future::ready(Ok(None)) };
            std::future::ready(Ok(Some(ManifestEntry { object, bytes, written_at_ms })))
        })
    }

    /// The accounts that have anything stored.
    pub async fn accounts(&self) -> Result<Vec<AccountId>, Error> {
        self.blobs.backend().accounts().await
    }

    /// Removes chunks that were not written, nor relied on by an upload, at or after
    /// `written_before_ms`. Returns those that are gone; the others stay.
    ///
    /// The law for callers: `written_before_ms` is at least a day ago, and whether a chunk is
    /// referenced was read from the rows after it was listed. On a folder that is enough, for an
    /// upload makes what it relies on new. S3 cannot do that: there, do not collect an account
    /// while one of its uploads is open.
    pub async fn delete_chunks(
        &self,
        account: AccountId,
        chunks: &[ChunkId],
        written_before_ms: u64,
    ) -> Result<Vec<ChunkId>, Error> {
        let deleted = stream::iter(chunks.to_vec())
            .map(|id| {
                let (blobs, key) = (self.blobs.clone(), Key::Chunk { account, id });
                async move {
                    let gone = blobs.backend().delete(key, Some(written_before_ms)).await?;
                    Ok::<_, Error>(gone.then_some(id))
                }
            })
            .buffered(REQUESTS_MAX);
        deleted.try_filter_map(|id| std::future::ready(Ok(id))).try_collect().await
    }

    /// Removes an object's manifest; its chunks stay until they are collected. Removing what is
    /// not there is fine.
    pub async fn delete_manifest(&self, account: AccountId, object: ObjectId) -> Result<(), Error> {
        self.blobs.backend().delete(Key::Manifest { account, object }, None).await.map(|_| ())
    }

    /// Relies on the chunks once more when an upload took so long that the collector may have come
    /// near them.
    async fn rely_again(
        &self,
        account: AccountId,
        entries: &[Entry],
        started: Instant,
    ) -> Result<(), Error> {
        if started.elapsed().as_secs() < RELIANCE_S {
            return Ok(());
        }
        let relied = stream::iter(entries.to_vec())
            .map(|entry| {
                let (blobs, key) = (self.blobs.clone(), Key::Chunk { account, id: entry.id });
                async move {
                    let there = blobs.backend().refresh(key, entry.sealed_bytes()).await?;
                    if there { Ok(()) } else { Err(Error::Missing { what: key }) }
                }
            })
            .buffered(REQUESTS_MAX);
        relied.try_collect::<()>().await
    }

    /// Writes the manifest of an object whose chunks are all visible, and seals its key.
    async fn seal(&self, keys: &AccountKeys, manifest: Manifest) -> Result<Sealed, Error> {
        let (account, object) = (manifest.account, manifest.object);
        let encoded = manifest.encode();
        let key = keys.object_key(object, &encoded);
        let parts = manifest::seal(&key, encoded);
        let name = Key::Manifest { account, object };
        match self.blobs.backend().get(name).await? {
            None => self.blobs.put(name, parts).await?,
            Some(present) if present == parts.concat() => {}
            Some(_) => return Err(Error::Exists { object }),
        }
        let sealed = keys.seal_key(object, &key);
        Ok(Sealed {
            object,
            bytes: manifest.bytes(),
            sha256: manifest.sha256,
            chunks: ids_once(&manifest.entries),
            sealed_key: sealed.bytes,
            key_version: sealed.version,
        })
    }
}

/// The reference of a chunk of at most [`chunking::BYTES_MAX`] bytes.
fn name(plain: &[u8]) -> ChunkRef {
    let bytes = u32::try_from(plain.len()).expect("a chunk is far below 4 GiB");
    ChunkRef { hash: PlainHash::of(plain), bytes }
}

fn owned(plain: Bytes) -> BytesMut {
    plain.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

fn each_once(chunks: &[ChunkRef]) -> Vec<ChunkRef> {
    let mut seen = std::collections::HashSet::new();
    chunks.iter().filter(|chunk| seen.insert((chunk.hash, chunk.bytes))).copied().collect()
}

fn ids_once(entries: &[Entry]) -> Vec<ChunkId> {
    let mut seen = std::collections::HashSet::new();
    entries.iter().map(|entry| entry.id).filter(|id| seen.insert(*id)).collect()
}
