use std::sync::atomic::{AtomicU64, Ordering};

use types::Digest;
use uuid::Uuid;

use super::*;
use crate::chunk::ChunkId;

fn key() -> Key {
    let account = AccountId::new(Uuid::from_u128(1));
    Key::Chunk { account, id: ChunkId(Digest([7; 32])) }
}

/// A folder whose time is in the test's hands.
fn open(root: &Path, now_ms: &Arc<AtomicU64>) -> Inner {
    let now_ms = Arc::clone(now_ms);
    Inner::open(root.to_owned(), Some(Arc::new(move || now_ms.load(Ordering::Relaxed)))).unwrap()
}

fn put(inner: &Inner, content: &'static [u8]) {
    let temp = inner.write_temp(&[Bytes::from_static(content)]).unwrap();
    inner.publish(vec![Staged { key: key(), temp: Some(temp) }]).unwrap();
}

#[test]
fn a_blob_is_deleted_only_when_it_is_old_enough() {
    let (root, now_ms) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(5_000)));
    let inner = open(root.path(), &now_ms);
    put(&inner, b"content");
    assert!(!inner.delete_if_older(key(), 5_000).unwrap());

    // An upload relies on it, so it counts as new.
    now_ms.store(9_000, Ordering::Relaxed);
    assert!(inner.refresh(&inner.place(key()), 7).unwrap());
    assert!(!inner.delete_if_older(key(), 9_000).unwrap());
    assert!(inner.delete_if_older(key(), 9_001).unwrap());
    assert!(!inner.place(key()).exists());
    assert!(inner.delete_if_older(key(), 9_001).unwrap(), "gone stays gone");
}

#[test]
fn a_blob_of_another_length_is_not_there() {
    let (root, now_ms) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(0)));
    let inner = open(root.path(), &now_ms);
    put(&inner, b"content");
    assert!(!inner.refresh(&inner.place(key()), 8).unwrap());
}

#[test]
fn a_crash_between_condemned_and_gone_restores_the_blob() {
    let (root, now_ms) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(5_000)));
    let inner = open(root.path(), &now_ms);
    put(&inner, b"content");
    let aside = root.path().join(CONDEMNED).join(condemned_name(key()));
    fs::rename(inner.place(key()), &aside).unwrap();

    let reopened = open(root.path(), &now_ms);
    assert_eq!(fs::read(reopened.place(key())).unwrap(), b"content");
    assert!(!aside.exists());
}

#[test]
fn what_is_staged_and_dropped_leaves_nothing() {
    let (root, now_ms) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(0)));
    let inner = open(root.path(), &now_ms);
    let temp = inner.write_temp(&[Bytes::from_static(b"content")]).unwrap();
    let path = temp.path().to_owned();
    assert!(path.exists());
    drop(Staged { key: key(), temp: Some(temp) });
    assert!(!path.exists());
    assert!(!inner.place(key()).exists());
}
