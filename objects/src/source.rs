//! Where a reader gets sealed blobs from: the store itself, a host's cache, or an agent that
//! fetches them from far away.
//!
//! Always true: a source hands out sealed bytes and needs no key; the reader verifies them.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;

use types::{AccountId, ObjectId};

use crate::chunk::ChunkId;
use crate::error::Error;

/// A place to fetch sealed chunks and manifests from.
pub trait ChunkSource: Send + Sync + fmt::Debug + 'static {
    /// The sealed bytes of a chunk.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when it is not there, [`Error::Unreachable`] when it cannot be asked.
    fn chunk(&self, account: AccountId, id: ChunkId) -> BoxFuture<'_, Result<Bytes, Error>>;

    /// The sealed bytes of an object's manifest. Errors as of [`ChunkSource::chunk`].
    fn manifest(&self, account: AccountId, object: ObjectId)
    -> BoxFuture<'_, Result<Bytes, Error>>;

    /// Forgets a near copy of a chunk that turned out to be corrupt. True when there was one, so
    /// that asking again may give another answer.
    fn discard(&self, account: AccountId, id: ChunkId) -> BoxFuture<'_, bool> {
        let _ = (account, id);
        Box::pin(std::future::ready(false))
    }
}
