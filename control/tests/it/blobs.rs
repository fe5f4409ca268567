//! Blobs with faults: the back end of every house, which fails when a test tells it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::Notify;

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
    /// Whether looking for a blob makes it new, which a bucket cannot do.
    like_a_bucket: AtomicBool,
    /// Holds the next manifest back.
    gate: Mutex<Option<Arc<Gate>>>,
}

/// Where a manifest waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    reached: Notify,
    opened: Notify,
}

impl Gate {
    /// Waits until a manifest has come.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets it pass.
    pub(crate) fn open(&self) {
        self.opened.notify_one();
    }
}

impl Faulty {
    pub(crate) fn over(inner: Blobs) -> Arc<Self> {
        let (left, fails) = (AtomicI64::new(i64::MAX), AtomicI64::new(0));
        let (like_a_bucket, gate) = (AtomicBool::new(false), Mutex::new(None));
        Arc::new(Self { inner, left, fails, like_a_bucket, gate })
    }

    /// Holds the next manifest back until the gate is opened.
    pub(crate) fn hold_manifest(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        *self.gate.lock() = Some(Arc::clone(&gate));
        gate
    }

    /// From now on it cannot make a blob new without writing it, like a bucket.
    pub(crate) fn like_a_bucket(&self) {
        self.like_a_bucket.store(true, Ordering::SeqCst);
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
            if self.like_a_bucket.load(Ordering::SeqCst) {
                let there = self.inner.backend().get(key).await?;
                return Ok(there.is_some_and(|blob| blob.len() as u64 == bytes));
            }
            self.inner.backend().refresh(key, bytes).await
        })
    }

    fn stage(&self, key: Key, parts: Vec<Bytes>) -> BoxFuture<'_, Result<Staged, Error>> {
        Box::pin(async move {
            self.check("write", &key)?;
            let gate = match key {
                Key::Manifest { .. } => self.gate.lock().take(),
                Key::Chunk { .. } => None,
            };
            if let Some(gate) = gate {
                gate.reached.notify_one();
                gate.opened.notified().await;
            }
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
