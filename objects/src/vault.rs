//! The vault: the master key, and what it seals.
//!
//! The master key seals each account's secrets and other small secrets that rows hold. It comes
//! from 32 bytes or from a file of hex lines: the first line is the key in use, the others are
//! earlier keys that may still be needed. To rotate: [`Vault::rotate_file`], then reseal every
//! sealed row, then [`Vault::prune_file`]. No object is touched.
//!
//! Always true: sealed bytes name the key that seals them, and open only in the context they were
//! sealed for; a key file is readable by its owner alone, stays its owner's, and is replaced whole or
//! not at all.

use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use types::AccountId;

use crate::aead;
use crate::error::Error;
use crate::keys::AccountKeys;

/// The first byte of sealed secrets.
const FORMAT: u8 = 1;

/// Length of a key's public name. Long enough that two keys of one vault never share it.
const ID_BYTES: usize = 8;

#[derive(Clone)]
struct Master {
    id: [u8; ID_BYTES],
    key: [u8; 32],
}

impl Master {
    fn new(key: [u8; 32]) -> Self {
        let digest = blake3::derive_key("freehold objects v1 master key id", &key);
        let id = *digest.first_chunk().expect("a digest is longer than an id");
        Self { id, key }
    }
}

/// Holds the master key, and earlier ones until nothing is sealed by them.
#[derive(Clone)]
pub struct Vault {
    current: Master,
    previous: Vec<Master>,
}

impl Vault {
    /// A vault of one key.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self { current: Master::new(key), previous: Vec::new() }
    }

    /// A vault of the keys in `text`: 32 bytes a line, as 64 hex digits or in Base64, the one in use
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when a line is something else. The text is not repeated.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Settings {
            what: "a key is 32 random bytes, as 64 hex digits or in Base64, on a line of its own, \
                   the one in use first"
                .into(),
        };
        let mut keys = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut key = [0; 32];
            if hex::decode_to_slice(line, &mut key).is_err() {
                let decoded = BASE64_STANDARD.decode(line).map_err(|_| wrong())?;
                key = decoded.try_into().map_err(|_| wrong())?;
            }
            keys.push(Master::new(key));
        }
        if keys.is_empty() {
            return Err(wrong());
        }
        Ok(Self { current: keys.remove(0), previous: keys })
    }

    /// A vault of the keys in a file, which is made with a fresh key when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when others may read the file or it is not a key file.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        match Self::read_file(path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let fresh = Self::from_key(aead::random());
        match fresh.write_file(path, Placing::New) {
            Ok(()) => Ok(fresh),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read_file(path),
            Err(error) => Err(Error::io("create the key file", &path.display(), error)),
        }
    }

    /// A vault of the keys in a file, which has to be there.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when others may read the file or it is not a key file, [`Error::Io`] when
    /// it is not there.
    pub fn of_file(path: &Path) -> Result<Self, Error> {
        Self::read_file(path)
    }

    /// Puts a fresh key first in the file and returns the vault that holds it and the others.
    pub fn rotate_file(path: &Path) -> Result<Self, Error> {
        let rotated = Self::read_file(path)?.rotated(aead::random());
        rotated.replace_file(path)?;
        Ok(rotated)
    }

    /// Removes all keys but the first from the file. Only right after everything was resealed.
    pub fn prune_file(path: &Path) -> Result<Self, Error> {
        let pruned = Self { previous: Vec::new(), ..Self::read_file(path)? };
        pruned.replace_file(path)?;
        Ok(pruned)
    }

    /// This vault with `key` in use and the present key among the earlier ones.
    #[must_use]
    pub fn rotated(self, key: [u8; 32]) -> Self {
        let Self { current, mut previous } = self;
        previous.insert(0, current);
        Self { current: Master::new(key), previous }
    }

    /// The short public name of the key in use; tells nothing of the key.
    pub fn key_id(&self) -> String {
        hex::encode(self.current.id)
    }

    /// Seals a small secret. `context` says what and whose it is, and must be given to open it.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.current.id);
        out.extend(aead::seal_random(&self.current.key, context.as_bytes(), plain));
        out
    }

    /// Opens a small secret.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownMasterKey`], or [`Error::Unsealable`] when it was altered or the context
    /// differs.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let unsealable = || Error::Unsealable { what: context.to_owned() };
        let (id, body) = split(sealed).ok_or_else(unsealable)?;
        let master = std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|master| master.id == id)
            .ok_or_else(|| Error::UnknownMasterKey { id: hex::encode(id) })?;
        aead::open_random(&master.key, context.as_bytes(), body).ok_or_else(unsealable)
    }

    /// The secret sealed by the key in use, or none when it already is.
    pub fn reseal(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if split(sealed).is_some_and(|(id, _)| id == self.current.id) {
            return Ok(None);
        }
        Ok(Some(self.seal(context, &self.open(context, sealed)?)))
    }

    /// Seals an account's secrets for its row.
    pub fn seal_account(&self, keys: &AccountKeys) -> Vec<u8> {
        self.seal(&account_context(keys.account()), &keys.encode())
    }

    /// Opens an account's secrets.
    pub fn open_account(&self, account: AccountId, sealed: &[u8]) -> Result<AccountKeys, Error> {
        let plain = self.open(&account_context(account), sealed)?;
        AccountKeys::decode(account, &plain)
            .ok_or_else(|| Error::Unsealable { what: account_context(account) })
    }

    /// The account's secrets sealed by the key in use, or none when they already are.
    pub fn reseal_account(
        &self,
        account: AccountId,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        self.reseal(&account_context(account), sealed)
    }

    fn read_file(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::io("read the key file", &path.display(), error);
        let mode = fs::metadata(path).map_err(failed)?.mode();
        if mode & 0o077 != 0 {
            let what = format!("others may read {0}; run: chmod 600 {0}", path.display());
            return Err(Error::Settings { what });
        }
        Self::from_hex(&fs::read_to_string(path).map_err(failed)?)
    }

    fn replace_file(&self, path: &Path) -> Result<(), Error> {
        // Where it is a link, what it names is replaced.
        fs::canonicalize(path)
            .and_then(|path| self.write_file(&path, Placing::Replace))
            .map_err(|error| Error::io("replace the key file", &path.display(), error))
    }

    /// Writes the file beside its place, makes it durable, then puts it there in one step.
    fn write_file(&self, path: &Path, placing: Placing) -> io::Result<()> {
        let beside = path.with_extension(format!("new-{}", hex::encode(aead::random::<8>())));
        let owner = match placing {
            Placing::New => None,
            Placing::Replace => Some(fs::metadata(path)?),
        };
        let placed = self.write_lines(&beside, owner.as_ref()).and_then(|()| match placing {
            Placing::New => fs::hard_link(&beside, path),
            Placing::Replace => fs::rename(&beside, path),
        });
        if placed.is_err() || matches!(placing, Placing::New) {
            let _ = fs::remove_file(&beside);
        }
        placed?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn write_lines(&self, path: &Path, owner: Option<&Metadata>) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let made = file.metadata()?;
        // Whoever rotates a key may be another than whose program reads it.
        if let Some(of) = owner.filter(|of| (of.uid(), of.gid()) != (made.uid(), made.gid())) {
            fchown(&file, Some(of.uid()), Some(of.gid()))?;
        }
        for master in std::iter::once(&self.current).chain(&self.previous) {
            writeln!(file, "{}", hex::encode(master.key))?;
        }
        file.sync_all()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("key_id", &self.key_id())
            .field("previous", &self.previous.len())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Placing {
    /// Fails when the file exists.
    New,
    Replace,
}

fn split(sealed: &[u8]) -> Option<([u8; ID_BYTES], &[u8])> {
    let (id, body) = sealed.strip_prefix(&[FORMAT])?.split_first_chunk()?;
    Some((*id, body))
}

fn account_context(account: AccountId) -> String {
    format!("keys of {account}")
}
