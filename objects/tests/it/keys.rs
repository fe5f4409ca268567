//! Keys: sealing in context, rotation without rewriting, and the key file.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use objects::{AccountKeys, Error, SealedKey, Vault};

use super::fixture::{account, files, folder_store, keys, noise, object, put};

fn wrapped(sealed: &objects::Sealed) -> SealedKey {
    SealedKey { version: sealed.key_version, bytes: sealed.sealed_key.clone() }
}

#[tokio::test]
async fn rotation_keeps_all_readable_and_rewrites_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let (store, mut keys) = (folder_store(root.path()).await, keys(1));
    let content = noise(1, 2_000_000);
    let sealed = put(&store, &keys, 1, &content).await.unwrap();
    let before: Vec<_> = files(&root.path().join("account"));
    let vault = Vault::from_key([1; 32]);
    let stored = vault.seal_account(&keys);

    // The account's key.
    assert_eq!((keys.version(), sealed.key_version), (1, 1));
    assert_eq!(keys.reseal_key(object(1), &wrapped(&sealed)).unwrap(), None);
    assert_eq!(keys.rotate(), 2);
    let resealed = keys.reseal_key(object(1), &wrapped(&sealed)).unwrap().unwrap();
    assert_eq!(resealed.version, 2);
    let old = keys.open_key(object(1), &wrapped(&sealed)).unwrap();
    keys.retire_old_versions();
    assert_eq!(keys.versions().collect::<Vec<_>>(), [2]);
    assert_eq!(keys.open_key(object(1), &resealed).unwrap(), old);
    assert!(matches!(
        keys.open_key(object(1), &wrapped(&sealed)),
        Err(Error::UnknownKeyVersion { version: 1, .. })
    ));

    // The master key.
    let (old_vault, vault) = (vault.clone(), vault.rotated([2; 32]));
    let moved = vault.reseal_account(account(1), &stored).unwrap().unwrap();
    assert_eq!(vault.reseal_account(account(1), &moved).unwrap(), None);
    let fresh = Vault::from_key([2; 32]).open_account(account(1), &moved).unwrap();
    assert!(matches!(
        old_vault.open_account(account(1), &moved),
        Err(Error::UnknownMasterKey { .. })
    ));

    // Content put before is read, and recognised when it is put again.
    let reader = store.open(account(1), object(1), &old).await.unwrap();
    assert!(reader.read_all(u64::MAX).await.unwrap() == content);
    assert_eq!(put(&store, &fresh, 2, &content).await.unwrap().chunks, sealed.chunks);
    let after = files(&root.path().join("account"));
    assert_eq!(after.len(), before.len() + 1, "only the new manifest was added");
}

#[test]
fn a_secret_opens_only_where_it_belongs() {
    let vault = Vault::from_key([7; 32]);
    let sealed = vault.seal("access key AK1", b"secret");
    assert_eq!(vault.open("access key AK1", &sealed).unwrap(), b"secret");
    assert!(matches!(vault.open("access key AK2", &sealed), Err(Error::Unsealable { .. })));
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(vault.open("access key AK1", &altered).is_err(), "byte {at}");
        assert!(vault.open("access key AK1", &sealed[..at]).is_err(), "{at} bytes");
    }
    assert_ne!(vault.seal("access key AK1", b"secret"), sealed, "nonces differ");

    let keys = AccountKeys::generate(account(1));
    let sealed = vault.seal_account(&keys);
    assert!(matches!(vault.open_account(account(2), &sealed), Err(Error::Unsealable { .. })));
}

#[test]
fn nothing_secret_is_printed() {
    let vault = Vault::from_key([0xAB; 32]);
    let keys = AccountKeys::generate(account(1));
    let printed = format!("{vault:?} {keys:?} {:?}", objects::ObjectKey::from_bytes([0xAB; 32]));
    assert!(!printed.to_lowercase().contains("abab") && !printed.contains("171"), "{printed}");
}

#[test]
fn a_key_file_is_made_once_kept_private_and_rotated() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("master.key");
    let vault = Vault::from_file(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Vault::from_file(&path).unwrap().key_id(), vault.key_id());
    let sealed = vault.seal("x", b"y");

    let rotated = Vault::rotate_file(&path).unwrap();
    assert_ne!(rotated.key_id(), vault.key_id());
    let reread = Vault::from_file(&path).unwrap();
    assert_eq!(reread.key_id(), rotated.key_id());
    let moved = reread.reseal("x", &sealed).unwrap().unwrap();

    let pruned = Vault::prune_file(&path).unwrap();
    assert!(matches!(pruned.open("x", &sealed), Err(Error::UnknownMasterKey { .. })));
    assert_eq!(pruned.open("x", &moved).unwrap(), b"y");
    assert_eq!(files(root.path()), std::slice::from_ref(&path), "nothing is left beside it");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Vault::from_file(&path).unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[test]
fn a_key_file_stays_where_a_link_names_it_and_whose_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (path, link) = (root.path().join("events.key"), root.path().join("link.key"));
    Vault::from_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    // Only root may give it away.
    let _ = std::os::unix::fs::chown(&path, Some(1_234), Some(1_235));
    let owner = || {
        let about = std::fs::metadata(&path).unwrap();
        (about.uid(), about.gid())
    };
    let before = owner();
    let rotated = Vault::rotate_file(&link).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Vault::of_file(&path).unwrap().key_id(), rotated.key_id());
    assert_eq!(owner(), before);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn text_that_is_no_key_is_refused_without_being_repeated() {
    for text in ["", "\n", "abc", &"g".repeat(64), &"a".repeat(63)] {
        let refused = Vault::from_hex(text).unwrap_err().to_string();
        let word = "a key is 32 random bytes, as 64 hex digits or in Base64, on a line of its own, the \
                    one in use first";
        assert_eq!(refused, word);
    }
    assert!(Vault::from_hex(&"aB".repeat(32)).is_ok());
}

/// The same bytes are the same key however they are written, and a file that has to be there is not made.
#[test]
fn a_key_may_be_in_base64_and_its_file_is_not_made() {
    let hex = Vault::from_hex(&"ab".repeat(32)).unwrap();
    // 32 bytes of 0xab.
    let base64 = Vault::from_hex(&format!("{}s=", "q6ur".repeat(10) + "q6")).unwrap();
    assert_eq!(hex.key_id(), base64.key_id());
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("events.key");
    assert!(matches!(Vault::of_file(&path), Err(Error::Io { .. })));
    assert!(!path.exists());
    let made = Vault::from_file(&path).unwrap();
    assert_eq!(Vault::of_file(&path).unwrap().key_id(), made.key_id());
}
