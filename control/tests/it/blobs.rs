//! Blobs with faults: the back end of every house, which fails when a test tells it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use objects::blobs::{Backend, Key, Listed, Scope, Staged};
use objects::{Blobs, Error};
use types::AccountId;

/// Fails some calls, as a full disk would.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Blobs,
    /// Calls that still work.
    left: AtomicI64,
    /// Calls that then fail, before the others work again.
    fails: AtomicI64,
}

impl Faulty {
    pub(crate) fn over(inner: Blobs) -> Arc<Self> {
        Arc::new(Self { inner, left: AtomicI64::new(i64::MAX), fails: AtomicI64::new(0) })
    }

    /// After this many calls that work, has this many fail.
    pub(crate) fn fail(&self, after: i64, times: i64) {
        self.left.store(after, Ordering::SeqCst);
        self.fails.store(times, Ordering::SeqCst);
    }

    /// Has no call fail, nor count, for as long as the answer lives.
    pub(crate) fn paused(&self) -> Paused<'_> {
        let left = self.left.swap(i64::MAX, Ordering::SeqCst);
        let fails = self.fails.swap(0, Ordering::SeqCst);
        Paused { faulty: self, left, fails }
    }

    /// Has no call fail from now on.
    pub(crate) fn mend(&self) {
        self.fail(i64::MAX, 0);
    }

    fn check(&self, action: &'static str, what: &dyn std::fmt::Display) -> Result<(), Error> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        if self.fails.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Ok(());
        }
        let source = std::io::ErrorKind::StorageFull.into();
        Err(Error::Full { action, what: what.to_string(), source })
    }
}

/// A while without faults.
pub(crate) struct Paused<'f> {
    faulty: &'f Faulty,
    left: i64,
    fails: i64,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.faulty.fail(self.left, self.fails);
    }
}

impl Backend for Faulty {
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            self.check("read", &key)?;
            self.inner.backend().get(key).await
        })
    }

    fn refresh(&self, key: Key, bytes: u64) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            self.check("look for", &key)?;
            self.inner.backend().refresh(key, bytes).await
        })
    }

    fn stage(&self, key: Key, parts: Vec<Bytes>) -> BoxFuture<'_, Result<Staged, Error>> {
        Box::pin(async move {
            self.check("write", &key)?;
            self.inner.backend().stage(key, parts).await
        })
    }

    fn publish(&self, mut staged: Vec<Staged>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if let Err(error) = self.check("store", &staged.len()) {
                // The worst case: half of them had become visible.
                let half = staged.drain(..staged.len().div_ceil(2)).collect();
                self.inner.backend().publish(half).await?;
                return Err(error);
            }
            self.inner.backend().publish(staged).await
        })
    }

    fn delete(&self, key: Key, before_ms: Option<u64>) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            self.check("delete", &key)?;
            self.inner.backend().delete(key, before_ms).await
        })
    }

    fn list(&self, scope: Scope) -> BoxStream<'_, Result<Listed, Error>> {
        self.inner.backend().list(scope)
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountId>, Error>> {
        Box::pin(async move {
            self.check("list", &"accounts")?;
            self.inner.backend().accounts().await
        })
    }
}
