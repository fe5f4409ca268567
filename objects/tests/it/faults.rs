//! Faults between a store and its blobs: nothing half visible, and a repeat succeeds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};

use objects::blobs::{Backend, Key, Listed, Scope, Staged};
use objects::{Blobs, Error, Options, Store};
use types::{AccountId, ErrorKind};

use super::fixture::{self, MEDIA, S3, account, body, keys, manifest_count, noise, object, read};

/// Fails every call from a chosen one on, as a full disk would, until it is mended.
#[derive(Debug)]
struct Faulty {
    inner: Blobs,
    calls_left: AtomicI64,
}

impl Faulty {
    fn over(inner: Blobs) -> Arc<Self> {
        Arc::new(Self { inner, calls_left: AtomicI64::new(i64::MAX) })
    }

    fn fail_after(&self, calls: i64) {
        self.calls_left.store(calls, Ordering::SeqCst);
    }

    fn check(&self, action: &'static str, what: String) -> Result<(), Error> {
        if self.calls_left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.calls_left.store(0, Ordering::SeqCst);
        Err(Error::Full { action, what, source: io::ErrorKind::StorageFull.into() })
    }
}

impl Backend for Faulty {
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            self.check("read", key.to_string())?;
            self.inner.backend().get(key).await
        })
    }

    fn refresh(&self, key: Key, bytes: u64) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            self.check("look for", key.to_string())?;
            self.inner.backend().refresh(key, bytes).await
        })
    }

    fn stage(&self, key: Key, parts: Vec<Bytes>) -> BoxFuture<'_, Result<Staged, Error>> {
        Box::pin(async move {
            self.check("write", key.to_string())?;
            self.inner.backend().stage(key, parts).await
        })
    }

    fn publish(&self, mut staged: Vec<Staged>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if let Err(error) = self.check("store", staged.len().to_string()) {
                // The worst case: half of them had become visible.
                let half = staged.drain(..staged.len() / 2).collect();
                self.inner.backend().publish(half).await?;
                return Err(error);
            }
            self.inner.backend().publish(staged).await
        })
    }

    fn delete(&self, key: Key, before: Option<u64>) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            self.check("delete", key.to_string())?;
            self.inner.backend().delete(key, before).await
        })
    }

    fn list(&self, scope: Scope) -> BoxStream<'_, Result<Listed, Error>> {
        self.inner.backend().list(scope)
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountId>, Error>> {
        self.inner.backend().accounts()
    }
}

/// How many chunks this content has.
async fn chunk_number(content: &[u8]) -> usize {
    let root = tempfile::tempdir().unwrap();
    let store = fixture::folder_store(root.path()).await;
    fixture::put(&store, &keys(1), 1, content).await.unwrap().chunks.len()
}

/// Fails a put at every one of its calls in turn.
async fn every_fault_point(blobs: Blobs, content: &[u8], is_s3: bool) {
    let chunks = chunk_number(content).await;
    let (backend, keys) = (Faulty::over(blobs), keys(1));
    let store = Store::new(Blobs::new(backend.clone()));
    let mut faults = 0;
    let sealed = loop {
        backend.fail_after(faults);
        let put = fixture::put(&store, &keys, 1, content).await;
        let whole = backend.calls_left.load(Ordering::SeqCst) > 0;
        backend.fail_after(i64::MAX);
        match put {
            Ok(sealed) if whole => break sealed,
            Ok(_) => assert!(faults > 0),
            Err(error) => {
                assert_eq!((error.code(), error.kind()), ("storage_full", ErrorKind::Unavailable));
                // On S3 the manifest is visible once it is written; then so is all else.
                let whole = fixture::chunk_count(&store, account(1)).await == chunks;
                assert!(manifest_count(&store, account(1)).await == 0 || is_s3 && whole);
            }
        }
        faults += 1;
        assert!(faults < 200);
    };
    assert!(faults > 5, "{faults} faults were tried");
    assert!(read(&store, &keys, &sealed).await.unwrap() == content);
}

#[tokio::test]
async fn a_put_into_a_folder_survives_a_fault_at_every_point() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(root.path().to_str().unwrap(), Options::default()).await.unwrap();
    every_fault_point(blobs, &noise(1, 4_000_000), false).await;
    // No temporary file is left: only the lock of the folder for them.
    let left = fixture::files(&root.path().join("tmp"));
    assert!(left.iter().all(|path| path.extension().is_some_and(|it| it == "lock")), "{left:?}");
}

#[tokio::test]
async fn a_put_into_s3_survives_a_fault_at_every_point() {
    let server = S3::start().await;
    every_fault_point(server.blobs().await, &noise(1, 2_500_000), true).await;
}

#[tokio::test]
async fn an_upload_by_chunks_survives_a_fault_at_every_point() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(root.path().to_str().unwrap(), Options::default()).await.unwrap();
    let (backend, keys) = (Faulty::over(blobs), keys(1));
    let store = Store::new(Blobs::new(backend.clone()));
    let plains: Vec<Bytes> = (0..4).map(|seed| noise(seed, 200_000).into()).collect();
    for faults in 0.. {
        backend.fail_after(faults);
        let uploaded = async {
            let mut refs = Vec::new();
            for plain in &plains {
                refs.push(store.put_chunk(&keys, plain.clone()).await?);
            }
            store.commit(&keys, object(1), &refs, MEDIA).await
        }
        .await;
        backend.fail_after(i64::MAX);
        match uploaded {
            Ok(sealed) => {
                assert!(read(&store, &keys, &sealed).await.unwrap() == plains.concat());
                break;
            }
            Err(_) => assert_eq!(manifest_count(&store, account(1)).await, 0),
        }
        assert!(faults < 100);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (fixture::folder_store(root.path()).await, keys(1));
    let broken = body(&noise(1, 5_000_000), 300_000)
        .chain(stream::iter([Err(io::ErrorKind::ConnectionReset.into())]));
    let error = store.put_stream(&keys, object(1), MEDIA, broken).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("object_incomplete", ErrorKind::BadRequest));
    assert_eq!(error.to_string(), "the body broke off after 5000000 bytes");
    assert_eq!(manifest_count(&store, account(1)).await, 0);
    assert_eq!(fixture::chunk_count(&store, account(1)).await, 0);
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (fixture::folder_store(root.path()).await, keys(1));
    let content = noise(1, 5_000_000);
    {
        let stuck = body(&content, 300_000).chain(stream::pending());
        let mut put = Box::pin(store.put_stream(&keys, object(1), MEDIA, stuck));
        // Far enough that some chunks are staged.
        while fixture::files(&root.path().join("tmp")).len() < 3 {
            assert!(futures::poll!(&mut put).is_pending());
            tokio::task::yield_now().await;
        }
    }
    while fixture::files(&root.path().join("tmp")).len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture::chunk_count(&store, account(1)).await, 0);
    assert!(fixture::put(&store, &keys, 1, &content).await.is_ok());
}
