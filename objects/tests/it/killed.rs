//! A writer killed at any moment leaves whole blobs and files that are swept.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use objects::{AccountKeys, Vault};

use super::fixture::{self, account, files, folder_store, noise, put, read};

/// Tells the child, which is this test binary, where to write.
const FOLDER: &str = "OBJECTS_KILLED_FOLDER";
/// Tells it where the keys are.
const KEYS: &str = "OBJECTS_KILLED_KEYS";

fn content(number: u64) -> Vec<u8> {
    noise(number % 40, 1_500_000)
}

fn saved_keys(root: &Path) -> AccountKeys {
    let (vault, path) = (Vault::from_file(&root.join("key")).unwrap(), root.join("account.sealed"));
    if let Ok(sealed) = std::fs::read(&path) {
        return vault.open_account(account(1), &sealed).unwrap();
    }
    let keys = AccountKeys::generate(account(1));
    std::fs::write(path, vault.seal_account(&keys)).unwrap();
    keys
}

/// The child: puts objects until it is killed. Does nothing unless the parent started it.
#[tokio::test]
#[ignore = "started by the next test"]
async fn puts_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let keys = saved_keys(&std::env::var_os(KEYS).map(PathBuf::from).unwrap());
    let store = folder_store(&folder).await;
    for number in 0..10_000 {
        put(&store, &keys, u128::from(number), &content(number)).await.unwrap();
        store.delete_manifest(account(1), fixture::object(number.into())).await.unwrap();
        put(&store, &keys, u128::from(number), &content(number)).await.unwrap();
    }
}

fn kill_a_writer(keys: &Path, folder: &Path, after: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::puts_until_killed", "--ignored"])
        .env(FOLDER, folder)
        .env(KEYS, keys)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "the child ended by itself: {status}");
}

/// Every chunk that may exist, sealed, by its file name.
async fn expected(keys: &AccountKeys) -> BTreeMap<String, Vec<u8>> {
    let root = tempfile::tempdir().unwrap();
    let store = folder_store(root.path()).await;
    for number in 0..40 {
        put(&store, keys, number, &content(number as u64)).await.unwrap();
    }
    let chunks = files(&root.path().join(format!("account/{}/chunks", account(1))));
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    chunks.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn a_writer_killed_at_any_moment_leaves_only_whole_blobs() {
    let root = tempfile::tempdir().unwrap();
    let keys = saved_keys(root.path());
    let expected = expected(&keys).await;
    let mut seen = 0;
    for kill in 0..12 {
        let folder = root.path().join(kill.to_string());
        kill_a_writer(root.path(), &folder, Duration::from_millis(20 + kill * 37));
        let store = folder_store(&folder).await;
        let left = files(&folder.join("tmp"));
        assert_eq!(left.len(), 1, "swept, but for the lock of this store: {left:?}");
        let chunks = folder.join(format!("account/{}/chunks", account(1)));
        for path in if chunks.exists() { files(&chunks) } else { Vec::new() } {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(std::fs::read(&path).unwrap() == expected[name], "{name} is whole");
            seen += 1;
        }
        // Whatever the child was doing, doing it again ends well.
        for number in 0..10 {
            let sealed = put(&store, &keys, number.into(), &content(number)).await.unwrap();
            assert!(read(&store, &keys, &sealed).await.unwrap() == content(number));
        }
    }
    assert!(seen > 0, "some child lived long enough to store something");
}
