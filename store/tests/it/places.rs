//! Where the store is: the file, its backup, and the database going away.

use std::os::unix::fs::PermissionsExt as _;

use store::settings::{setting_find, setting_store};
use store::{Error, Store};
use types::ErrorKind;

use crate::harness::{House, on_postgres, on_sqlite};

#[tokio::test]
async fn a_backup_is_whole_and_of_one_moment() {
    on_sqlite(async |house: House| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a backup.db");
        write!(house.store, setting_store("fact", "before")).unwrap();
        house.store.backup(&path).await.unwrap();
        write!(house.store, setting_store("fact", "after")).unwrap();
        let again = house.store.backup(&path).await.unwrap_err();
        assert!(matches!(again, Error::File { .. }), "{again:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let moved = folder.path().join("restored.db");
        std::fs::rename(&path, &moved).unwrap();
        let restored = Store::open(&format!("sqlite://{}", moved.display())).await.unwrap();
        let fact = read!(restored, setting_find("fact")).unwrap();
        assert_eq!(fact.as_deref(), Some("before"));
        restored.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_is_backed_up_by_its_own_tools() {
    on_postgres(async |house: House| {
        let refused = house.store.backup("/nowhere".as_ref()).await.unwrap_err();
        assert!(matches!(refused, Error::NotEmbedded), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn the_file_is_private_and_keeps_what_was_committed() {
    on_sqlite(async |house: House| {
        let path = house.url.strip_prefix("sqlite://").unwrap();
        for file in [path.to_owned(), format!("{path}-wal")] {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        write!(house.store, setting_store("fact", "kept")).unwrap();
        // Opened by a second one while the first lives, as after a crash that left its log.
        let second = Store::open(&house.url).await.unwrap();
        assert_eq!(read!(second, setting_find("fact")).unwrap().as_deref(), Some("kept"));
        second.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let refused = Store::open("sqlite:///nowhere/at/all.db").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Internal);
    assert!(refused.to_string().contains("/nowhere/at/all.db"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_back_is_used_again() {
    on_postgres(async |house: House| {
        use sqlx::Connection as _;
        write!(house.store, setting_store("fact", "1")).unwrap();
        let mut other = sqlx::AnyConnection::connect(&house.url).await.unwrap();
        let others = "SELECT COUNT(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()) AS ended";
        sqlx::query(others).execute(&mut other).await.unwrap();
        other.close().await.unwrap();
        // The first may meet a connection that is already gone; it says so, and the next works.
        let mut facts = Vec::new();
        for _ in 0..3 {
            match read!(house.store, setting_find("fact")) {
                Ok(fact) => facts.push(fact),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
            }
        }
        assert_eq!(facts.last(), Some(&Some("1".to_owned())));
    })
    .await;
}
