//! Keys of folders: what a stream's events, or a run's records, are encrypted by.
//!
//! A folder that is encrypted has a random key of its own, which lies in it in `_key.json`, sealed by
//! the key in use of the file that this gateway was given. With such a file every folder that begins is
//! encrypted; one that began without stays as it is.
//!
//! Always true: a key is on the disk before anything is encrypted by it, and is never replaced by
//! another, only sealed anew; a folder whose key cannot be opened is left as it is.
//! Absent on purpose: where that file is, and how events are encrypted (`events`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use events::{Folder, Key};
use objects::Vault;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use types::ErrorKind;

use crate::error::Error;

/// The file's name: those who read all of a folder as a table pass over what begins so.
pub(crate) const NAME: &str = "_key.json";
/// What its name begins with, also while it is written.
pub(crate) const PREFIX: &str = "_key.";
/// How it is written now.
const FORM: u32 = 1;

/// The keys of the folders of one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    vault: Option<Arc<Vault>>,
    /// Held from before a key that is to be written is looked for until it is on the disk.
    writing: Arc<Mutex<()>>,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    form: u32,
    /// Whose key it is: it opens for nobody else.
    of: String,
    /// In hexadecimal digits.
    sealed: String,
}

impl Keys {
    /// Sealed by these; without them, what is encrypted cannot be read and nothing becomes so.
    pub(crate) fn new(vault: Option<Vault>) -> Self {
        Self { vault: vault.map(Arc::new), writing: Arc::default() }
    }

    /// A folder with its key, where it has one. `of` says whose it is.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] where there is a key and it cannot be opened.
    pub(crate) fn known(&self, path: &Path, of: &str) -> Result<Folder, Error> {
        let key = match kept(path)? {
            None => None,
            Some(kept) if kept.of == of => Some(self.opened(path, kept)?),
            Some(kept) => {
                return Err(refused(
                    path,
                    &format!("it is the key of {}, and not of {of}", kept.of),
                ));
            }
        };
        Ok(Folder { path: path.to_owned(), key })
    }

    /// As [`Self::known`]; one that has none gets one, where this gateway has what seals it. Only for
    /// folders in which nothing is yet.
    ///
    /// # Errors
    ///
    /// As [`Self::known`], and where the disk fails.
    pub(crate) fn begun(&self, path: &Path, of: &str) -> Result<Folder, Error> {
        let known = self.known(path, of)?;
        let Some(vault) = self.vault.as_deref().filter(|_| known.key.is_none()) else {
            return Ok(known);
        };
        let writing = self.writing.lock();
        // Whoever was faster has begun it.
        if kept(path)?.is_some() {
            drop(writing);
            return self.known(path, of);
        }
        let key = Key::fresh();
        let sealed = hex::encode(vault.seal(&context(of), key.bytes()));
        fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
        write(path, &Kept { form: FORM, of: of.to_owned(), sealed })?;
        Ok(Folder { key: Some(key), ..known })
    }

    /// Seals the keys of all folders in this one anew that an older key seals; gives how many were, and
    /// what could not be.
    pub(crate) fn reseal(&self, folders: &Path) -> (u64, Vec<Error>) {
        let (mut resealed, mut failures) = (0, Vec::new());
        let Some(vault) = &self.vault else { return (resealed, failures) };
        let entries = fs::read_dir(folders).into_iter().flatten().filter_map(Result::ok);
        for path in entries.map(|entry| entry.path()) {
            match self.renew(vault, &path) {
                Ok(renewed) => resealed += u64::from(renewed),
                Err(error) => failures.push(error),
            }
        }
        (resealed, failures)
    }

    fn opened(&self, path: &Path, kept: Kept) -> Result<Key, Error> {
        let vault = self.vault.as_deref().ok_or_else(|| {
            refused(path, "it is encrypted, and this gateway was given no key for it")
        })?;
        let key = open(vault, path, &kept)?;
        // Where it cannot be written, as on a full disk, the key is good all the same.
        if matches!(resealed(vault, path, kept), Ok(Some(_)))
            && let Err(error) = self.renew(vault, path)
        {
            tracing::warn!(%error, "the key of a folder was not sealed anew");
        }
        Ok(key)
    }

    /// Seals a folder's key by the one in use, where it has one; whether it was not.
    fn renew(&self, vault: &Vault, path: &Path) -> Result<bool, Error> {
        let _writing = self.writing.lock();
        let Some(kept) = kept(path)? else { return Ok(false) };
        let Some(fresh) = resealed(vault, path, kept)? else { return Ok(false) };
        write(path, &fresh)?;
        Ok(true)
    }
}

/// The key of the Parquet files in a folder of a stream or a run, or in a copy of one, as other
/// programs take it.
///
/// # Errors
///
/// [`Error::Stream`] where the folder has no key, or these keys do not open it.
pub fn of_tables(vault: &Vault, folder: &Path) -> Result<[u8; events::key::KEY_BYTES], Error> {
    let kept =
        kept(folder)?.ok_or_else(|| refused(folder, "it has no key: it is not encrypted"))?;
    Ok(open(vault, folder, &kept)?.of_tables())
}

/// Removes a folder's key, so that what else of it is left somewhere on the disk cannot be read.
pub(crate) fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(path)?.sync_all(),
    }
}

fn context(of: &str) -> String {
    format!("the key of {of}")
}

fn kept(path: &Path) -> Result<Option<Kept>, Error> {
    let text = match fs::read(path.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| failed(path, &error))?,
    };
    let kept = serde_json::from_slice(&text).ok().filter(|kept: &Kept| kept.form == FORM);
    kept.map(Some).ok_or_else(|| refused(path, "it is no key, or one of a later program"))
}

fn open(vault: &Vault, path: &Path, kept: &Kept) -> Result<Key, Error> {
    let sealed = hex::decode(&kept.sealed).map_err(|_| refused(path, "it is no key"))?;
    let opened = vault.open(&context(&kept.of), &sealed).map_err(|error| match error {
        objects::Error::UnknownMasterKey { id } => {
            refused(path, &format!("the key {id} seals it, which this gateway was not given"))
        }
        _ => refused(path, "it was changed, or is another's"),
    })?;
    let key = opened.try_into().map_err(|_| refused(path, "it is no key"))?;
    Ok(Key::new(key))
}

/// A key sealed by the one in use; none where it is already.
fn resealed(vault: &Vault, path: &Path, kept: Kept) -> Result<Option<Kept>, Error> {
    let sealed = hex::decode(&kept.sealed).map_err(|_| refused(path, "it is no key"))?;
    // What cannot be opened says so here too.
    open(vault, path, &kept)?;
    let Ok(Some(fresh)) = vault.reseal(&context(&kept.of), &sealed) else { return Ok(None) };
    Ok(Some(Kept { sealed: hex::encode(fresh), ..kept }))
}

/// Writes the file as a whole; returns once it is on the disk.
fn write(folder: &Path, kept: &Kept) -> Result<(), Error> {
    let text = serde_json::to_vec(kept).unwrap_or_default();
    let written = || {
        // It has a name of its own, and is removed where it does not become whole. What is in it is
        // sealed: others may read it, as far as the program's mask lets them.
        let mut file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(".unfinished")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(NAME)).map_err(|unkept| unkept.error)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| failed(folder, &error))
}

fn refused(folder: &Path, problem: &str) -> Error {
    let message = format!(
        "{} cannot be opened: {problem}; nothing was changed: start the gateway with the --events-key \
         that it was made with, or restore the file from a backup",
        folder.join(NAME).display()
    );
    Error::Stream { kind: ErrorKind::Unavailable, message }
}

fn failed(folder: &Path, error: &io::Error) -> Error {
    let message = format!("{}: {error}", folder.join(NAME).display());
    Error::Stream { kind: ErrorKind::Unavailable, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: &str = "stream 1";

    fn vault(byte: u8) -> Vault {
        Vault::from_key([byte; 32])
    }

    fn text(path: &Path) -> Vec<u8> {
        fs::read(path.join(NAME)).unwrap()
    }

    #[test]
    fn a_folder_keeps_its_key_and_gets_none_without_one_to_seal_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let none = Keys::new(None);
        assert_eq!(none.begun(&path, OF).unwrap().key, None);
        assert!(!path.exists());
        let keys = Keys::new(Some(vault(1)));
        assert_eq!(keys.known(&path, OF).unwrap().key, None, "only what begins gets one");
        let key = keys.begun(&path, OF).unwrap().key.unwrap();
        assert_eq!(keys.begun(&path, OF).unwrap().key.as_ref(), Some(&key));
        assert_eq!(keys.known(&path, OF).unwrap().key, Some(key.clone()));
        assert_eq!(of_tables(&vault(1), &path).unwrap(), key.of_tables());
        let hex = hex::encode(key.bytes());
        assert!(!String::from_utf8(text(&path)).unwrap().contains(&hex), "it lies there sealed");
        forget(&path).unwrap();
        assert_eq!(keys.known(&path, OF).unwrap().key, None);
    }

    /// Whoever is first begins it; the others have the same key, and nothing is left beside it.
    #[test]
    fn many_that_begin_and_reseal_at_once_have_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let all = |keys: &Keys| -> Vec<Key> {
            let one = || keys.begun(&path, OF).unwrap().key.unwrap();
            std::thread::scope(|scope| {
                let each: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
                each.into_iter().map(|it| it.join().unwrap()).collect()
            })
        };
        let first = all(&Keys::new(Some(vault(1))));
        let then = all(&Keys::new(Some(vault(1).rotated([2; 32]))));
        assert!(first.iter().chain(&then).all(|key| *key == first[0]));
        assert!(Keys::new(Some(vault(2))).known(&path, OF).unwrap().key.is_some());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    /// By another key, by none, under another's name, changed: a clear word, and nothing else there.
    #[test]
    fn what_cannot_be_opened_is_told_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        Keys::new(Some(vault(1))).begun(path, OF).unwrap();
        let before = text(path);
        for (vault, of, word) in [
            (None, OF, "was given no key"),
            (Some(vault(2)), OF, "which this gateway was not given"),
            (Some(vault(1)), "stream 2", "it is the key of stream 1, and not of stream 2"),
        ] {
            let keys = Keys::new(vault);
            for refused in [keys.known(path, of), keys.begun(path, of)] {
                let told = refused.unwrap_err().to_string();
                assert!(told.contains(word) && told.contains("nothing was changed"), "{told}");
            }
            assert_eq!(text(path), before);
        }
        // Another stream's key under this one's name.
        let moved = String::from_utf8(before).unwrap().replace(OF, "stream 2");
        fs::write(path.join(NAME), moved).unwrap();
        let told = Keys::new(Some(vault(1))).known(path, "stream 2").unwrap_err().to_string();
        assert!(told.contains("it was changed, or is another's"), "{told}");
        fs::write(path.join(NAME), "{}").unwrap();
        let told = Keys::new(Some(vault(1))).known(path, OF).unwrap_err().to_string();
        assert!(told.contains("it is no key"), "{told}");
    }

    #[test]
    fn a_rotated_key_seals_all_anew_and_the_old_one_may_go() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| format!("stream {name}");
        let old = Keys::new(Some(vault(1)));
        let keys: Vec<Key> = ["a", "b"]
            .map(|name| old.begun(&folder.path().join(name), &of(name)).unwrap().key.unwrap())
            .into();
        fs::create_dir(folder.path().join("plain")).unwrap();
        let both = Keys::new(Some(vault(1).rotated([2; 32])));
        // One that is used is sealed anew at once; the others are once they are asked for.
        assert_eq!(
            both.known(&folder.path().join("a"), &of("a")).unwrap().key.as_ref(),
            keys.first()
        );
        let (resealed, failures) = both.reseal(folder.path());
        assert_eq!((resealed, failures.len()), (1, 0));
        assert_eq!(both.reseal(folder.path()).0, 0);
        let new = Keys::new(Some(vault(2)));
        for (name, key) in ["a", "b"].into_iter().zip(keys) {
            assert_eq!(new.known(&folder.path().join(name), &of(name)).unwrap().key, Some(key));
        }
        let (resealed, failures) = old.reseal(folder.path());
        assert_eq!((resealed, failures.len()), (0, 2));
    }
}
