use super::*;
use crate::settings::{setting_find, setting_store};

/// A full disk is told apart from other failures, and nothing of the transaction is stored; once
/// there is room again, the store works on by itself.
#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/full.db", folder.path().display());
    let store = Store::open(&url).await.unwrap();
    limit(&store, "PRAGMA max_page_count = 1").await;
    let large = "x".repeat(1 << 20);
    let large = &large;
    let full = store.transact("fill the disk", |tx| {
        Box::pin(async move {
            setting_store(tx, "small", "x").await?;
            setting_store(tx, "large", large).await
        })
    });
    let refused = full.await.unwrap_err();
    assert!(matches!(refused, Error::Full { .. }), "{refused:?}");
    let found = store.read("look", |tx| Box::pin(setting_find(tx, "small"))).await.unwrap();
    assert_eq!(found, None);
    limit(&store, "PRAGMA max_page_count = 1000000").await;
    let stored = store.transact("try again", |tx| Box::pin(setting_store(tx, "large", large)));
    stored.await.unwrap();
    store.close().await;
}

async fn limit(store: &Store, text: &'static str) {
    let done = store.transact("limit the file", |tx| {
        Box::pin(async move { tx.sql("limit the file", text).every().await.map(|_| ()) })
    });
    done.await.unwrap();
}
