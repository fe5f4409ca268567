use std::fs;

use super::*;
use crate::args::RestoreArguments;
use crate::settings::ServerArguments;

/// A data folder with a database, two blobs and a key, as a cloud leaves it.
async fn cloud(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    fs::create_dir_all(data.join("objects/account/a/chunks/00")).unwrap();
    let url = format!("sqlite://{}", data.join(DATABASE).display());
    store::Store::open(&url).await.unwrap().close().await;
    fs::write(data.join("objects/account/a/chunks/00/00ff"), b"sealed").unwrap();
    fs::write(data.join("objects/account/a/manifest"), b"manifest").unwrap();
    fs::create_dir_all(data.join("objects/temp")).unwrap();
    fs::write(data.join("objects/temp/1"), b"half").unwrap();
    fs::write(data.join(MASTER_KEY), "00").unwrap();
    fs::write(data.join("operator.token"), "secret").unwrap();
    data
}

fn arguments(data: &Path, to: &Path) -> BackupArguments {
    let server = ServerArguments { data: Some(data.to_owned()), ..ServerArguments::default() };
    BackupArguments { server, to: to.to_owned() }
}

#[tokio::test]
async fn what_was_copied_comes_back_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = cloud(folder.path()).await;
    let (copy, back) = (folder.path().join("copy"), folder.path().join("back"));
    backup(arguments(&data, &copy)).await.unwrap();
    assert!(backup(arguments(&data, &copy)).await.is_err(), "never overwritten");
    let restored = RestoreArguments { from: copy.clone(), data: back.clone() };
    restore(restored).await.unwrap();
    for name in [MASTER_KEY, "operator.token", "objects/account/a/chunks/00/00ff"] {
        assert_eq!(fs::read(back.join(name)).unwrap(), fs::read(data.join(name)).unwrap());
    }
    assert!(back.join(DATABASE).is_file());
    assert!(!back.join("objects/temp").exists() && !back.join(seal::SUMS).exists());
    let again = RestoreArguments { from: copy, data: back };
    assert_eq!(restore(again).await.unwrap_err().exit, 2, "a data folder is never overwritten");
}

#[tokio::test]
async fn a_copy_that_was_changed_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = cloud(folder.path()).await;
    let back = folder.path().join("back");
    for (number, name) in ["objects/account/a/manifest", seal::SUMS, DATABASE].iter().enumerate() {
        let copy = folder.path().join(format!("copy-{number}"));
        backup(arguments(&data, &copy)).await.unwrap();
        let mut bytes = fs::read(copy.join(name)).unwrap();
        bytes[0] ^= 1;
        fs::write(copy.join(name), bytes).unwrap();
        let failure = restore(RestoreArguments { from: copy, data: back.clone() }).await;
        assert_eq!(failure.unwrap_err().code.as_deref(), Some("object_corrupt"), "{name}");
        assert!(!back.exists());
    }
}

#[tokio::test]
async fn clouds_of_other_databases_are_told_what_to_use() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let with = |database: Option<&str>, objects: Option<&str>| BackupArguments {
        server: ServerArguments {
            data: Some(folder.path().to_owned()),
            database: database.map(str::to_owned),
            objects: objects.map(str::to_owned),
            ..ServerArguments::default()
        },
        to: copy.clone(),
    };
    let postgres = backup(with(Some("postgres://localhost/freehold"), None)).await.unwrap_err();
    assert!(postgres.hint.unwrap().contains("pg_dump"));
    let bucket = backup(with(None, Some("s3://bucket"))).await.unwrap_err();
    assert!(bucket.hint.unwrap().contains("bucket"));
    assert_eq!(backup(with(None, None)).await.unwrap_err().exit, 2, "no database there");
    assert!(!copy.exists());
}
