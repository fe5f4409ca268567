//! Equal content is stored once within an account, and shares nothing across accounts.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;

use objects::{Error, SealedKey, Store};

use super::fixture::{self, chunk_count, files, folder_store, keys, noise, object, put, read};

#[tokio::test]
async fn equal_content_is_stored_once_within_an_account() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (folder_store(root.path()).await, keys(1));
    let content = noise(1, 5_000_000);
    let first = put(&store, &keys, 1, &content).await.unwrap();
    let second = put(&store, &keys, 2, &content).await.unwrap();
    assert_eq!(first.chunks, second.chunks);
    assert_ne!(first.sealed_key, second.sealed_key);
    assert_eq!(chunk_count(&store, keys.account()).await, first.chunks.len());

    // Content that repeats itself is stored once too.
    let zeros = put(&store, &keys, 3, &vec![0; 9_000_000]).await.unwrap();
    assert_eq!(zeros.chunks.len(), 2);
    assert_eq!(read(&store, &keys, &zeros).await.unwrap().len(), 9_000_000);
}

#[tokio::test]
async fn equal_content_of_two_accounts_shares_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = folder_store(root.path()).await;
    let content = noise(1, 5_000_000);
    let (mine, theirs) = (keys(1), keys(2));
    let first = put(&store, &mine, 1, &content).await.unwrap();
    let second = put(&store, &theirs, 2, &content).await.unwrap();

    let ids: BTreeSet<_> = first.chunks.iter().chain(&second.chunks).collect();
    assert_eq!(ids.len(), first.chunks.len() + second.chunks.len());
    let blobs: Vec<Vec<u8>> = files(&root.path().join("account"))
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    // No 32 bytes of any blob occur in another, nor in the plain content.
    let windows = |bytes: &[u8]| -> BTreeSet<Vec<u8>> {
        bytes.chunks_exact(32).map(<[u8]>::to_vec).collect()
    };
    let mut seen = windows(&content);
    for blob in &blobs {
        let windows = windows(blob);
        assert!(seen.is_disjoint(&windows));
        seen.extend(windows);
    }
    let mut accounts = store.accounts().await.unwrap();
    accounts.sort();
    assert_eq!(accounts, [mine.account(), theirs.account()]);
}

#[tokio::test]
async fn one_account_opens_nothing_of_another_without_a_grant() {
    let root = tempfile::tempdir().unwrap();
    let store = folder_store(root.path()).await;
    let (owner, guest) = (keys(1), keys(2));
    let sealed = put(&store, &owner, 1, b"weights").await.unwrap();
    let wrapped = SealedKey { version: sealed.key_version, bytes: sealed.sealed_key.clone() };
    assert!(matches!(guest.open_key(object(1), &wrapped), Err(Error::Unsealable { .. })));

    // The grant: the object key is sealed again for the guest, and no byte is copied.
    let before = files(root.path()).len();
    let key = owner.open_key(object(1), &wrapped).unwrap();
    let granted = guest.seal_key(object(1), &key);
    let key = guest.open_key(object(1), &granted).unwrap();
    let reader = store.open(owner.account(), object(1), &key).await.unwrap();
    assert_eq!(reader.read_all(100).await.unwrap(), b"weights");
    assert_eq!(files(root.path()).len(), before);
}

#[tokio::test]
async fn an_object_never_changes() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (folder_store(root.path()).await, keys(1));
    let first = put(&store, &keys, 1, b"first").await.unwrap();
    let refused = put(&store, &keys, 1, b"second").await;
    assert_eq!(refused.unwrap_err().code(), "conflict");
    assert_eq!(read(&store, &keys, &first).await.unwrap(), b"first");

    // Putting the same again gives the same key, so that what was noted before still opens it.
    let again = put(&store, &keys, 1, b"first").await.unwrap();
    assert_eq!(again.chunks, first.chunks);
    assert_eq!(read(&store, &keys, &first).await.unwrap(), b"first");

    store.delete_manifest(keys.account(), object(1)).await.unwrap();
    store.delete_manifest(keys.account(), object(1)).await.unwrap();
    let gone = fixture::open(&store, &keys, &first).await.unwrap_err();
    assert!(matches!(gone, Error::Missing { .. }), "{gone:?}");
}

/// The listing names every chunk with its sealed length.
#[tokio::test]
async fn a_listing_is_what_was_stored() {
    let root = tempfile::tempdir().unwrap();
    let store: Store = folder_store(root.path()).await;
    let keys = keys(1);
    let content = noise(9, 4_000_000);
    let sealed = put(&store, &keys, 1, &content).await.unwrap();
    let listed: Vec<_> = store.chunk_list(keys.account()).try_collect().await.unwrap();
    let ids: BTreeSet<_> = listed.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, sealed.chunks.iter().copied().collect());
    let bytes: u64 = listed.iter().map(|entry| entry.bytes).sum();
    assert_eq!(bytes as usize, content.len() + listed.len() * objects::SEAL_BYTES);
    let manifests: Vec<_> = store.manifest_list(keys.account()).try_collect().await.unwrap();
    assert_eq!(manifests.len(), 1);
    assert_eq!(manifests[0].object, object(1));
}
