//! Whatever is altered on the disk is noticed before a byte of it is handed out.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use objects::Error;

use super::fixture::{account, files, folder_store, keys, noise, object, put, read};

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let (runtime, root) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let store = runtime.block_on(folder_store(root.path()));
    let (keys, content) = (keys(1), noise(1, 3_000_000));
    let sealed = runtime.block_on(put(&store, &keys, 1, &content)).unwrap();
    let blobs = files(&root.path().join("account"));

    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(60) });
    let strategy = (0..blobs.len(), any::<prop::sample::Index>(), 0..8u32);
    runner
        .run(&strategy, |(blob, at, bit)| {
            let whole = std::fs::read(&blobs[blob]).unwrap();
            let mut altered = whole.clone();
            altered[at.index(whole.len())] ^= 1 << bit;
            std::fs::write(&blobs[blob], altered).unwrap();
            let result = runtime.block_on(read(&store, &keys, &sealed));
            std::fs::write(&blobs[blob], whole).unwrap();
            prop_assert!(matches!(result, Err(Error::Corrupt { .. })), "a change was not noticed");
            Ok(())
        })
        .unwrap();
    assert!(runtime.block_on(read(&store, &keys, &sealed)).unwrap() == content);
}

#[tokio::test]
async fn a_shortened_missing_or_exchanged_blob_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (folder_store(root.path()).await, keys(1));
    let sealed = put(&store, &keys, 1, &noise(1, 3_000_000)).await.unwrap();
    let chunks = files(&root.path().join(format!("account/{}/chunks", account(1))));

    let whole = std::fs::read(&chunks[0]).unwrap();
    for length in [0, 1, 15, 16, whole.len() - 1] {
        std::fs::write(&chunks[0], &whole[..length]).unwrap();
        let noticed = read(&store, &keys, &sealed).await.unwrap_err();
        assert!(matches!(noticed, Error::Corrupt { .. }), "{noticed:?}");
    }
    std::fs::copy(&chunks[1], &chunks[0]).unwrap();
    let noticed = read(&store, &keys, &sealed).await.unwrap_err();
    assert!(matches!(noticed, Error::Corrupt { .. }), "{noticed:?}");
    std::fs::remove_file(&chunks[0]).unwrap();
    let noticed = read(&store, &keys, &sealed).await.unwrap_err();
    assert!(matches!(noticed, Error::Missing { .. }), "{noticed:?}");
    assert_eq!(noticed.kind(), types::ErrorKind::Internal);
    let name = chunks[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(noticed.to_string(), format!("chunk {name} of {} is missing", account(1)));
}

#[tokio::test]
async fn a_manifest_in_anothers_place_does_not_open() {
    let root = tempfile::tempdir().unwrap();
    let (store, keys) = (folder_store(root.path()).await, keys(1));
    let (one, two) = (
        put(&store, &keys, 1, b"one").await.unwrap(),
        put(&store, &keys, 2, b"two").await.unwrap(),
    );
    let place = |number| -> PathBuf {
        root.path().join(format!("account/{}/manifests/{}", account(1), object(number)))
    };
    std::fs::copy(place(1), place(2)).unwrap();
    let noticed = read(&store, &keys, &two).await.unwrap_err();
    assert!(matches!(noticed, Error::Corrupt { .. }), "{noticed:?}");
    // Nor under the other's key, which is why the object's id is part of what is sealed.
    let exchanged = objects::Sealed { object: object(2), ..one };
    assert!(read(&store, &keys, &exchanged).await.is_err());
}
