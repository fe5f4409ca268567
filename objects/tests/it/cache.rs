//! The host's cache: each chunk fetched once, never past the limit, damage repaired.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};

use objects::{AccountKeys, Blobs, Cache, ChunkId, ChunkSource, Error, Options, Sealed, Store};
use types::{AccountId, ObjectId};

use super::fixture::{self, account, files, keys, noise, put, read};

/// Counts what is fetched from far away.
#[derive(Debug)]
struct Far {
    blobs: Blobs,
    fetched: AtomicU64,
}

impl ChunkSource for Far {
    fn chunk(&self, account: AccountId, id: ChunkId) -> BoxFuture<'_, Result<Bytes, Error>> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        self.blobs.chunk(account, id)
    }

    fn manifest(
        &self,
        account: AccountId,
        object: ObjectId,
    ) -> BoxFuture<'_, Result<Bytes, Error>> {
        self.blobs.manifest(account, object)
    }
}

struct Host {
    far: Arc<Far>,
    cache: Cache,
    store: Store,
}

async fn host(root: &Path, bytes_max: u64) -> Host {
    let blobs = root.join("blobs");
    let blobs = Blobs::open(blobs.to_str().unwrap(), Options::default()).await.unwrap();
    let far = Arc::new(Far { blobs: blobs.clone(), fetched: AtomicU64::new(0) });
    let cache = Cache::open(&root.join("cache"), bytes_max, far.clone()).await.unwrap();
    let store = Store::with_cache(blobs, cache.clone());
    Host { far, cache, store }
}

impl Host {
    fn fetched(&self) -> u64 {
        self.far.fetched.load(Ordering::Relaxed)
    }
}

async fn stored(host: &Host, keys: &AccountKeys) -> (Vec<u8>, Sealed) {
    let content = noise(1, 6_000_000);
    let sealed = put(&host.store, keys, 1, &content).await.unwrap();
    (content, sealed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_fetch_each_chunk_once() {
    let root = tempfile::tempdir().unwrap();
    let (host, keys) = (host(root.path(), 1 << 30).await, keys(1));
    let (content, sealed) = stored(&host, &keys).await;
    let readers = (0..12).map(|_| read(&host.store, &keys, &sealed));
    for bytes in try_join_all(readers).await.unwrap() {
        assert!(bytes == content);
    }
    let chunks = sealed.chunks.len() as u64;
    assert_eq!(host.fetched(), chunks);
    let status = host.cache.status();
    assert_eq!((status.chunks, status.misses, status.hits), (chunks, chunks, 11 * chunks));

    // It is still there after a restart.
    drop(host);
    let host = self::host(root.path(), 1 << 30).await;
    assert!(read(&host.store, &keys, &sealed).await.unwrap() == content);
    assert_eq!((host.fetched(), host.cache.status().hits), (0, chunks));
}

#[tokio::test]
async fn the_limit_holds_on_the_disk() {
    let (root, limit) = (tempfile::tempdir().unwrap(), 2_500_000);
    let (host, keys) = (host(root.path(), limit).await, keys(1));
    let (content, sealed) = stored(&host, &keys).await;
    for _ in 0..3 {
        assert!(read(&host.store, &keys, &sealed).await.unwrap() == content);
        let held = files(&root.path().join("cache/chunks"));
        let bytes: u64 = held.iter().map(|path| path.metadata().unwrap().len()).sum();
        let status = host.cache.status();
        assert_eq!((status.bytes, status.chunks), (bytes, held.len() as u64));
        assert!(bytes > 0 && bytes <= limit);
    }

    // A smaller limit at the next start is obeyed at once; none at all caches nothing.
    drop(host);
    let host = self::host(root.path(), 0).await;
    assert!(files(&root.path().join("cache/chunks")).is_empty());
    assert!(read(&host.store, &keys, &sealed).await.unwrap() == content);
    assert_eq!(host.cache.status().chunks, 0);
}

#[tokio::test]
async fn a_damaged_or_absent_entry_is_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    let (host, keys) = (host(root.path(), 1 << 30).await, keys(1));
    let (content, sealed) = stored(&host, &keys).await;
    assert!(read(&host.store, &keys, &sealed).await.unwrap() == content);
    let before = host.fetched();

    let entries = files(&root.path().join("cache/chunks"));
    let mut bytes = std::fs::read(&entries[0]).unwrap();
    bytes[5] ^= 0x10;
    std::fs::write(&entries[0], bytes).unwrap();
    std::fs::write(&entries[1], b"short").unwrap();
    std::fs::remove_file(&entries[2]).unwrap();
    assert!(read(&host.store, &keys, &sealed).await.unwrap() == content);
    assert_eq!(host.fetched(), before + 3);
    assert!(read(&host.store, &keys, &sealed).await.unwrap() == content);
    assert_eq!(host.fetched(), before + 3, "repaired");

    // Damage at the origin is no reason to ask for ever.
    let chunks = root.path().join(format!("blobs/account/{}/chunks", account(1)));
    let origin = &files(&chunks)[0];
    std::fs::write(origin, b"short").unwrap();
    let name = origin.file_name().unwrap().to_str().unwrap().to_owned();
    let near = entries.iter().find(|path| path.to_str().unwrap().contains(&name)).unwrap();
    std::fs::remove_file(near).unwrap();
    let noticed = read(&host.store, &keys, &sealed).await.unwrap_err();
    assert!(matches!(noticed, Error::Corrupt { .. }), "{noticed:?}");
    assert!(fixture::open(&host.store, &keys, &sealed).await.is_ok());
}
