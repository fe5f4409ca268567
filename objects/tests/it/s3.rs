//! What is particular to S3: who answers, who refuses, and listings.

use futures::TryStreamExt as _;

use objects::{Blobs, Error, Store};
use types::ErrorKind;

use super::fixture::{S3, account, chunk_count, files, keys, manifest_count, noise, put, read};

#[tokio::test]
async fn listings_and_deletions_work_on_s3() {
    let server = S3::start().await;
    let store = Store::new(server.blobs().await);
    let (mine, theirs) = (keys(1), keys(2));
    let sealed = put(&store, &mine, 1, &noise(1, 2_000_000)).await.unwrap();
    put(&store, &theirs, 2, b"theirs").await.unwrap();
    let mut accounts = store.accounts().await.unwrap();
    accounts.sort();
    assert_eq!(accounts, [account(1), account(2)]);
    assert_eq!(chunk_count(&store, account(1)).await, sealed.chunks.len());
    assert_eq!(manifest_count(&store, account(1)).await, 1);
    assert!(files(server.folder()).iter().any(|path| path.to_str().unwrap().contains("/prefix/")));

    let listed: Vec<_> = store.chunk_list(account(1)).try_collect().await.unwrap();
    let newest = listed.iter().map(|entry| entry.written_at_ms).max().unwrap();
    let oldest = listed.iter().map(|entry| entry.written_at_ms).min().unwrap();
    let kept = store.delete_chunks(account(1), &sealed.chunks, oldest).await.unwrap();
    assert!(kept.is_empty());
    let gone = store.delete_chunks(account(1), &sealed.chunks, newest + 2_000).await.unwrap();
    assert_eq!(gone, sealed.chunks);
    let missing = read(&store, &mine, &sealed).await.unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing:?}");
    store.delete_manifest(account(1), sealed.object).await.unwrap();
    assert_eq!(manifest_count(&store, account(1)).await, 0);
}

#[tokio::test]
async fn a_wrong_bucket_or_key_shows_when_the_store_is_opened() {
    let server = S3::start().await;
    let absent = Blobs::open(&server.url("absent"), S3::options()).await.unwrap_err();
    assert!(matches!(absent, Error::Refused { .. }), "{absent:?}");
    let mut options = S3::options();
    options.credentials.as_mut().unwrap().secret_access_key = "wrong".into();
    let refused = Blobs::open(&server.url(S3::BUCKET), options).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
    assert_eq!(refused.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_unavailable() {
    let server = S3::start().await;
    let store = Store::new(server.blobs().await);
    let keys = keys(1);
    let sealed = put(&store, &keys, 1, b"content").await.unwrap();
    drop(server);
    let error = read(&store, &keys, &sealed).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("storage_unavailable", ErrorKind::Unavailable));
    let said = error.to_string();
    assert!(said.starts_with("the object store cannot be reached to read manifest of"), "{said}");
}
