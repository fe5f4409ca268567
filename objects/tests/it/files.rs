//! Files as they are: in a folder and in a bucket, whole or not at all.

use objects::blobs::Options;
use objects::{Error, Files};

use super::fixture::{S3, files, noise};

/// More than one part, and not a whole number of them.
const LARGE: usize = 20_000_001;

async fn hold_the_laws(all: Files) {
    let disk = tempfile::tempdir().unwrap();
    let large = noise(7, LARGE);
    let from = disk.path().join("large");
    std::fs::write(&from, &large).unwrap();
    for (name, bytes) in [("a/b/large", large.as_slice()), ("a/small", b"small"), ("c/empty", b"")]
    {
        std::fs::write(&from, bytes).unwrap();
        all.put(name, &from).await.unwrap();
        let to = disk.path().join("fetched");
        assert!(all.fetch(name, &to).await.unwrap());
        assert!(std::fs::read(&to).unwrap() == bytes, "{name}");
        assert!(all.bytes(name).await.unwrap().unwrap() == bytes, "{name}");
    }
    let mut listed = all.list("a").await.unwrap();
    listed.sort();
    assert_eq!(listed, [("a/b/large".to_owned(), LARGE as u64), ("a/small".to_owned(), 5)]);
    assert_eq!(all.list("").await.unwrap().len(), 3);

    // What is put again is replaced, what is not there is told and removed.
    all.put_bytes("a/small", b"other".to_vec()).await.unwrap();
    assert_eq!(all.bytes("a/small").await.unwrap().unwrap(), b"other");
    all.delete("a/b/large").await.unwrap();
    all.delete("a/b/large").await.unwrap();
    assert_eq!(all.bytes("a/b/large").await.unwrap(), None);
    assert!(!all.fetch("a/b/large", &disk.path().join("none")).await.unwrap());
    assert!(!disk.path().join("none").exists());
    all.put("a/none", &disk.path().join("none")).await.unwrap_err();
    assert_eq!(all.list("a").await.unwrap().len(), 1);
}

#[tokio::test]
async fn files_are_kept_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("kept");
    let url = format!("file://{}", root.display());
    hold_the_laws(Files::open(&url, Options::default()).await.unwrap()).await;
    assert_eq!(std::fs::read(root.join("a/small")).unwrap(), b"other");
    let wrong = Files::open("ftp://x", Options::default()).await.unwrap_err();
    assert!(matches!(wrong, Error::Settings { .. }), "{wrong:?}");
}

#[tokio::test]
async fn files_are_kept_in_a_bucket() {
    let server = S3::start().await;
    hold_the_laws(Files::open(&server.url(S3::BUCKET), S3::options()).await.unwrap()).await;
    let kept = files(server.folder());
    assert!(kept.iter().any(|path| path.ends_with("some/prefix/a/small")), "{kept:?}");
    let absent = Files::open(&server.url("absent"), S3::options()).await.unwrap_err();
    assert!(matches!(absent, Error::Refused { .. }), "{absent:?}");
}
