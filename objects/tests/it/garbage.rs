//! Collecting what nobody refers to, while uploads go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt as _;
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use objects::{AccountKeys, ChunkId, Sealed, Store};

use super::fixture::{self, account, keys, noise, object, put, read};

const GRACE_MS: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Puts one of a few contents as an object, while the collector runs.
    Put {
        object: u128,
        content: u64,
    },
    Delete {
        object: u128,
    },
    Collect,
    Wait {
        ms: u64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..6u128, 0..3u64).prop_map(|(object, content)| Act::Put { object, content }),
        3 => (0..6u128).prop_map(|object| Act::Delete { object }),
        2 => Just(Act::Collect),
        3 => (0..3_000u64).prop_map(|ms| Act::Wait { ms }),
    ];
    vec(act, 1..25)
}

/// A cloud as far as garbage is concerned: the rows, and the time.
struct World {
    store: Store,
    keys: AccountKeys,
    now_ms: Arc<AtomicU64>,
    rows: Mutex<BTreeMap<u128, (Sealed, u64)>>,
}

impl World {
    async fn act(&self, act: Act) {
        match act {
            Act::Put { object, .. } if self.rows.lock().contains_key(&object) => {}
            Act::Put { object: number, content } => {
                let bytes = contents(content);
                let putting = async {
                    let sealed = put(&self.store, &self.keys, number, &bytes).await.unwrap();
                    self.rows.lock().insert(number, (sealed, content));
                };
                tokio::join!(putting, self.collect());
            }
            Act::Delete { object: number } => {
                if self.rows.lock().remove(&number).is_some() {
                    let deleted = self.store.delete_manifest(account(1), object(number)).await;
                    deleted.unwrap();
                }
            }
            Act::Collect => self.collect().await,
            Act::Wait { ms } => {
                self.now_ms.fetch_add(ms, Ordering::Relaxed);
            }
        }
    }

    async fn collect(&self) {
        let before_ms = self.now_ms.load(Ordering::Relaxed).saturating_sub(GRACE_MS);
        let listed: Vec<_> = self.store.chunk_list(account(1)).try_collect().await.unwrap();
        let referenced = self.referenced();
        let condemned: Vec<ChunkId> =
            listed.iter().map(|entry| entry.id).filter(|id| !referenced.contains(id)).collect();
        self.store.delete_chunks(account(1), &condemned, before_ms).await.unwrap();
    }

    fn referenced(&self) -> BTreeSet<ChunkId> {
        self.rows.lock().values().flat_map(|(sealed, _)| sealed.chunks.clone()).collect()
    }
}

/// Three contents that share most of their chunks.
fn contents(number: u64) -> Vec<u8> {
    let mut bytes = noise(1, 2_500_000);
    bytes.extend(noise(10 + number, 400_000));
    bytes
}

#[test]
fn what_is_referenced_is_never_collected_and_the_rest_goes() {
    let runtime = Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(12) });
    runner
        .run(&acts(), |acts| {
            runtime.block_on(async {
                let root = tempfile::tempdir().unwrap();
                let now_ms = Arc::new(AtomicU64::new(1_000_000));
                let blobs = fixture::timed_blobs(root.path(), &now_ms).await;
                let (store, keys) = (Store::new(blobs), keys(1));
                let world = World { store, keys, now_ms, rows: Mutex::default() };
                for act in acts {
                    world.act(act).await;
                }
                let rows = world.rows.lock().clone();
                for (sealed, content) in rows.values() {
                    let bytes = read(&world.store, &world.keys, sealed).await.unwrap();
                    assert!(bytes == contents(*content));
                }
                // Later, exactly what is referenced is left.
                world.now_ms.fetch_add(GRACE_MS + 1, Ordering::Relaxed);
                world.collect().await;
                let left = fixture::chunk_count(&world.store, account(1)).await;
                assert_eq!(left, world.referenced().len());
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_chunk_an_upload_relies_on_counts_as_new() {
    let root = tempfile::tempdir().unwrap();
    let now_ms = Arc::new(AtomicU64::new(1_000_000));
    let store = Store::new(fixture::timed_blobs(root.path(), &now_ms).await);
    let keys = keys(1);
    let plain = bytes::Bytes::from(noise(1, 200_000));
    let chunk = store.put_chunk(&keys, plain).await.unwrap();
    now_ms.fetch_add(10_000, Ordering::Relaxed);
    assert!(store.has(&keys, chunk).await.unwrap());

    let listed: Vec<_> = store.chunk_list(account(1)).try_collect().await.unwrap();
    assert_eq!(listed[0].written_at_ms, 1_010_000);
    let ids = [listed[0].id];
    assert!(store.delete_chunks(account(1), &ids, 1_010_000).await.unwrap().is_empty());
    assert_eq!(store.delete_chunks(account(1), &ids, 1_010_001).await.unwrap(), ids);
    assert!(!store.has(&keys, chunk).await.unwrap());
}
