//! Putting a whole body: read, cut, hash, seal and write, all at once.
//!
//! `body -> feed -> [cutter thread: SHA-256, cuts] -> chunks -> [name, seal, write] x WRITES_MAX`
//!
//! The two costly serial works share one thread; the rest runs beside it. Every arrow is bounded,
//! so a slow disk slows the sender down.
//!
//! Memory, held by a test: `WRITES_MAX + CHUNKS_WAITING + 1` chunks of 2 MiB, in regions of 4 MiB,
//! and `BATCHES_WAITING + 2` batches of the body; below 64 MiB if the process does nothing else.

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::future::try_join;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use tokio::sync::mpsc;

use types::{AccountId, Digest, ObjectId};

use super::{Sealed, Store, name};
use crate::blobs::{Blobs, Key, Staged, blocking};
use crate::chunk::{self, ChunkId, ChunkKeys, Entry};
use crate::chunking::Chunker;
use crate::error::Error;
use crate::keys::AccountKeys;
use crate::manifest::{CHUNKS_MAX, Manifest};

/// The body is handed on in batches of about this size, so that tiny pieces cost little.
const BATCH_BYTES: usize = 1 << 20;
/// Batches between the body and the cutter.
const BATCHES_WAITING: usize = 2;
/// Chunks between the cutter and the writers.
const CHUNKS_WAITING: usize = 1;
/// Chunks being named, sealed or written.
const WRITES_MAX: usize = 5;

impl Store {
    /// Seals a body and stores it as an object. Chunks that the account has are not written again.
    ///
    /// Nothing is visible before all is durable. Dropping the future stops the work and leaves
    /// nothing but temporary files that are removed.
    ///
    /// # Errors
    ///
    /// [`Error::Body`] when the stream fails, [`Error::TooLarge`], [`Error::Exists`] when the
    /// object exists with other content, else as the back end fails.
    pub async fn put_stream(
        &self,
        keys: &AccountKeys,
        object: ObjectId,
        media_type: &str,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<Sealed, Error> {
        Manifest::check_limits(0, media_type)?;
        let started = Instant::now();
        let (feed, batches) = mpsc::channel(BATCHES_WAITING);
        let (hand_on, chunks) = mpsc::channel(CHUNKS_WAITING);
        let cutting = blocking(move || cut(batches, &hand_on));
        let writer = Writer::new(self.blobs.clone(), keys);
        // A failure of any part ends this wait, and dropping the channels ends the other parts.
        let work = try_join(read(body, feed), writer.write_all(chunks));
        let (sha256, work) = tokio::join!(cutting, work);
        let ((), (entries, staged)) = work?;
        self.blobs.backend().publish(staged).await?;
        let (account, media_type) = (keys.account(), media_type.to_owned());
        self.rely_again(account, &entries, started).await?;
        self.seal(keys, Manifest { account, object, sha256, media_type, entries }).await
    }
}

/// Hands the body on in batches. Ends early, without an error, when nobody takes them any more:
/// whoever stopped taking them has the reason.
async fn read(
    body: impl Stream<Item = io::Result<Bytes>> + Send,
    feed: mpsc::Sender<Vec<Bytes>>,
) -> Result<(), Error> {
    let (mut body, mut total, mut waiting) = (pin!(body), 0, 0);
    let mut batch = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|source| Error::Body { bytes: total, source })?;
        total += piece.len() as u64;
        waiting += piece.len();
        batch.push(piece);
        if waiting >= BATCH_BYTES {
            waiting = 0;
            if feed.send(std::mem::take(&mut batch)).await.is_err() {
                return Ok(());
            }
        }
    }
    let _ = feed.send(batch).await;
    Ok(())
}

/// Cuts the body and returns its SHA-256. Stops early when nobody takes the chunks.
fn cut(mut batches: mpsc::Receiver<Vec<Bytes>>, chunks: &mpsc::Sender<BytesMut>) -> Digest {
    let (mut chunker, mut hasher) = (Chunker::new(), Context::new(&SHA256));
    let mut taken = true;
    while let (true, Some(batch)) = (taken, batches.blocking_recv()) {
        for piece in batch.iter().flat_map(|bytes| bytes.chunks(BATCH_BYTES)) {
            hasher.update(piece);
            chunker.push(piece);
            while let (true, Some(chunk)) = (taken, chunker.next_chunk()) {
                taken = chunks.blocking_send(chunk).is_ok();
            }
        }
    }
    while let (true, Some(chunk)) = (taken, chunker.last_chunk()) {
        taken = chunks.blocking_send(chunk).is_ok();
    }
    let digest = hasher.finish();
    Digest(digest.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
}

/// Names, seals and stages the chunks of one body.
#[derive(Clone)]
struct Writer {
    blobs: Blobs,
    account: AccountId,
    keys: Arc<ChunkKeys>,
    /// The chunks of this body so far; a repeated one is written once.
    seen: Arc<Mutex<HashSet<ChunkId>>>,
}

impl Writer {
    fn new(blobs: Blobs, keys: &AccountKeys) -> Self {
        let chunk_keys = Arc::new(keys.chunk_keys().clone());
        Self { blobs, account: keys.account(), keys: chunk_keys, seen: Arc::default() }
    }

    async fn write_all(
        self,
        mut chunks: mpsc::Receiver<BytesMut>,
    ) -> Result<(Vec<Entry>, Vec<Staged>), Error> {
        let chunks = stream::poll_fn(move |context| chunks.poll_recv(context));
        let mut written = chunks
            .map(move |plain| {
                let writer = self.clone();
                async move { writer.write(plain).await }
            })
            .buffered(WRITES_MAX);
        let (mut entries, mut staged) = (Vec::new(), Vec::new());
        while let Some((entry, blob)) = written.try_next().await? {
            entries.push(entry);
            staged.extend(blob);
            Manifest::check_limits(entries.len(), "")?;
        }
        Ok((entries, staged))
    }

    /// Stages one chunk, unless it is stored already or was part of this body before.
    async fn write(&self, plain: BytesMut) -> Result<(Entry, Option<Staged>), Error> {
        let keys = Arc::clone(&self.keys);
        let (plain, entry) = blocking(move || {
            let entry = keys.entry(name(&plain));
            (plain, entry)
        })
        .await;
        if !self.seen.lock().insert(entry.id) {
            return Ok((entry, None));
        }
        let (backend, key) =
            (self.blobs.backend(), Key::Chunk { account: self.account, id: entry.id });
        if backend.refresh(key, entry.sealed_bytes()).await? {
            return Ok((entry, None));
        }
        let parts = blocking(move || chunk::seal(&entry.key, plain)).await;
        Ok((entry, Some(backend.stage(key, parts).await?)))
    }
}

const _: () = assert!(CHUNKS_MAX < u32::MAX as usize, "a manifest counts its chunks in 32 bits");
