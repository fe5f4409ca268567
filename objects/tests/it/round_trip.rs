//! What goes in comes out, whole or by range, by stream or by chunks.

use std::io::{Read as _, Seek as _, SeekFrom};

use bytes::Bytes;
use futures::TryStreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::{Handle, Runtime};

use objects::chunking::Chunker;
use objects::{AccountKeys, ChunkRef, Error, PlainHash, Store};

use super::fixture::{self, MEDIA, S3, body, keys, noise, object};

#[derive(Debug, Clone)]
struct Case {
    content: Vec<u8>,
    piece: usize,
    from: usize,
    to: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let content = prop_oneof![
        1 => Just(Vec::new()),
        2 => (any::<u64>(), 1..2_000usize).prop_map(|(seed, bytes)| noise(seed, bytes)),
        4 => (any::<u64>(), 100_000..5_000_000usize).prop_map(|(seed, bytes)| noise(seed, bytes)),
        2 => (any::<u8>(), 1..5_000_000usize).prop_map(|(byte, bytes)| vec![byte; bytes]),
    ];
    (content, 700..3_000_000usize, 0.0..=1.0f64, 0.0..=1.0f64).prop_map(|(content, piece, a, b)| {
        let at = |share: f64| (share * content.len() as f64) as usize;
        let (from, to) = (at(a).min(at(b)), at(a).max(at(b)));
        Case { content, piece, from, to }
    })
}

/// One case through a store: whole, by range, and through `std::io`.
async fn holds(store: &Store, keys: &AccountKeys, number: u128, case: Case) {
    let Case { content, piece, from, to } = case;
    let sealed =
        store.put_stream(keys, object(number), MEDIA, body(&content, piece)).await.unwrap();
    assert_eq!(sealed.bytes, content.len() as u64);
    let sha256 = ring::digest::digest(&ring::digest::SHA256, &content);
    assert_eq!(sealed.sha256.0, sha256.as_ref());

    let reader = fixture::open(store, keys, &sealed).await.unwrap();
    assert_eq!((reader.bytes(), reader.media_type()), (sealed.bytes, MEDIA));
    assert_eq!(reader.sha256(), sealed.sha256);
    assert!(reader.read_all(u64::MAX).await.unwrap() == content);

    let range = reader.range(from as u64..to as u64).unwrap();
    let pieces: Vec<Bytes> = range.try_collect().await.unwrap();
    assert!(pieces.concat() == content[from..to]);

    let mut bridge = reader.blocking(Handle::current());
    let (whole, tail) = tokio::task::spawn_blocking(move || {
        let (mut whole, mut tail) = (Vec::new(), Vec::new());
        bridge.read_to_end(&mut whole).unwrap();
        bridge.seek(SeekFrom::Start(from as u64)).unwrap();
        bridge.take((to - from) as u64).read_to_end(&mut tail).unwrap();
        (whole, tail)
    })
    .await
    .unwrap();
    assert!(whole == content && tail == content[from..to]);
}

fn run_cases(count: u32, runtime: &Runtime, store: &Store) {
    let (keys, mut number) = (keys(1), 0);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(count) });
    let numbers = std::cell::RefCell::new(&mut number);
    runner
        .run(&cases(), |case| {
            **numbers.borrow_mut() += 1;
            let number = **numbers.borrow();
            runtime.block_on(holds(store, &keys, number, case));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_content_round_trips_through_a_folder() {
    let (runtime, root) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let store = runtime.block_on(fixture::folder_store(root.path()));
    run_cases(24, &runtime, &store);
}

#[test]
fn any_content_round_trips_through_s3() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(S3::start());
    let store = Store::new(runtime.block_on(server.blobs()));
    run_cases(10, &runtime, &store);
}

fn cut(content: &[u8]) -> Vec<Bytes> {
    let mut chunker = Chunker::new();
    chunker.push(content);
    let mut chunks = Vec::new();
    while let Some(chunk) = chunker.next_chunk().or_else(|| chunker.last_chunk()) {
        chunks.push(chunk.freeze());
    }
    chunks
}

fn refs(chunks: &[Bytes]) -> Vec<ChunkRef> {
    let one = |plain: &Bytes| ChunkRef { hash: PlainHash::of(plain), bytes: plain.len() as u32 };
    chunks.iter().map(one).collect()
}

async fn resume(store: &Store) {
    let (keys, mut content) = (keys(1), noise(1, 6_000_000));
    let first = fixture::put(store, &keys, 1, &content).await.unwrap();
    let stored = fixture::chunk_count(store, keys.account()).await;

    // The next version differs near its middle: only that part travels.
    content.splice(3_000_000..3_000_010, *b"something else");
    let chunks = cut(&content);
    let refs = refs(&chunks);
    let missing = store.missing(&keys, &refs).await.unwrap();
    assert!(!missing.is_empty() && missing.len() <= 3, "{} travel", missing.len());
    match store.commit(&keys, object(2), &refs, MEDIA).await {
        Err(Error::NotSent { missing: named }) => assert_eq!(named, missing),
        other => panic!("{other:?}"),
    }
    for chunk in &chunks {
        let named = ChunkRef { hash: PlainHash::of(chunk), bytes: chunk.len() as u32 };
        if !store.has(&keys, named).await.unwrap() {
            assert_eq!(store.put_chunk(&keys, chunk.clone()).await.unwrap(), named);
        }
    }
    let sealed = store.commit(&keys, object(2), &refs, MEDIA).await.unwrap();
    assert!(fixture::read(store, &keys, &sealed).await.unwrap() == content);
    assert!(fixture::read(store, &keys, &first).await.unwrap() != content);
    let now_stored = fixture::chunk_count(store, keys.account()).await;
    assert_eq!(now_stored, stored + missing.len());

    // Both ways in name the same object: the same chunks, the same key, nothing written.
    let again = fixture::put(store, &keys, 2, &content).await.unwrap();
    assert_eq!((&again.chunks, again.sha256), (&sealed.chunks, sealed.sha256));
    assert!(fixture::read(store, &keys, &sealed).await.unwrap() == content);
    assert_eq!(fixture::chunk_count(store, keys.account()).await, now_stored);
}

#[tokio::test]
async fn an_upload_by_chunks_sends_only_what_is_missing_to_a_folder() {
    let root = tempfile::tempdir().unwrap();
    resume(&fixture::folder_store(root.path()).await).await;
}

#[tokio::test]
async fn an_upload_by_chunks_sends_only_what_is_missing_to_s3() {
    let server = S3::start().await;
    resume(&Store::new(server.blobs().await)).await;
}

#[tokio::test]
async fn a_damaged_chunk_is_asked_for_again_and_repaired() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (fixture::folder_store(root.path()).await, keys(1));
    let chunks = cut(&noise(3, 2_000_000));
    for chunk in &chunks {
        store.put_chunk(&keys, chunk.clone()).await.unwrap();
    }
    let damaged = &fixture::files(&root.path().join("account"))[0];
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[77] ^= 1;
    std::fs::write(damaged, bytes).unwrap();

    let Err(Error::NotSent { missing }) =
        store.commit(&keys, object(1), &refs(&chunks), MEDIA).await
    else {
        panic!("damaged content was committed")
    };
    assert_eq!(missing.len(), 1);
    let again = chunks.iter().find(|chunk| PlainHash::of(chunk) == missing[0]).unwrap();
    store.put_chunk(&keys, again.clone()).await.unwrap();
    let sealed = store.commit(&keys, object(1), &refs(&chunks), MEDIA).await.unwrap();
    assert!(fixture::read(&store, &keys, &sealed).await.unwrap() == noise(3, 2_000_000));
}

#[tokio::test]
async fn limits_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (fixture::folder_store(root.path()).await, keys(1));
    let large = Bytes::from(vec![0; objects::chunking::BYTES_MAX + 1]);
    assert_eq!(store.put_chunk(&keys, large).await.unwrap_err().code(), "too_large");
    assert_eq!(store.put_chunk(&keys, Bytes::new()).await.unwrap_err().code(), "bad_request");
    let long = "x".repeat(256);
    let refused = store.put_stream(&keys, object(1), &long, body(b"x", 1)).await;
    assert_eq!(refused.unwrap_err().code(), "too_large");

    let sealed = fixture::put(&store, &keys, 1, b"ten bytes.").await.unwrap();
    let reader = fixture::open(&store, &keys, &sealed).await.unwrap();
    assert!(reader.range(10..10).unwrap().try_next().await.unwrap().is_none());
    assert_eq!(reader.range(3..11).err().unwrap().code(), "range_not_satisfiable");
    assert_eq!(reader.read_all(9).await.unwrap_err().code(), "too_large");
}
