//! The keys of one account, and the keys of its objects.
//!
//! An account has a dedup secret, which never changes and from which the names and keys of its
//! chunks come, and versions of an account key, which seal object keys. Rotating adds a version;
//! [`AccountKeys::reseal_key`] then moves each object key to it, and no stored byte is rewritten.
//!
//! Always true: a sealed object key opens only for the object it was sealed for; printing a key
//! shows nothing of it.

use std::collections::BTreeMap;
use std::fmt;

use types::{AccountId, ObjectId};

use crate::aead;
use crate::chunk::ChunkKeys;
use crate::error::Error;

/// The first byte of encoded account keys.
const FORMAT: u8 = 1;

/// The key of one object's manifest. Who holds it reads the object: handing it on is a grant.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectKey([u8; 32]);

impl ObjectKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes, to seal or send them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectKey(hidden)")
    }
}

/// An object key sealed under a version of an account's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Which version of the account's key seals it.
    pub version: u32,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

/// The secrets of one account.
#[derive(Clone)]
pub struct AccountKeys {
    account: AccountId,
    dedup_secret: [u8; 32],
    /// Never empty; the last version is the one in use.
    versions: BTreeMap<u32, [u8; 32]>,
    chunk_keys: ChunkKeys,
}

impl AccountKeys {
    /// Fresh secrets for a new account, at version 1.
    pub fn generate(account: AccountId) -> Self {
        Self::new(account, aead::random(), BTreeMap::from([(1, aead::random())]))
    }

    fn new(account: AccountId, dedup_secret: [u8; 32], versions: BTreeMap<u32, [u8; 32]>) -> Self {
        let chunk_keys = ChunkKeys::new(&dedup_secret);
        Self { account, dedup_secret, versions, chunk_keys }
    }

    /// Whose keys these are.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The version that seals from now on.
    pub fn version(&self) -> u32 {
        self.newest().0
    }

    /// The versions at hand, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.versions.keys().copied()
    }

    /// Adds a fresh version and returns its number. Store the keys sealed before using it.
    pub fn rotate(&mut self) -> u32 {
        let version = self.version() + 1;
        self.versions.insert(version, aead::random());
        version
    }

    /// Forgets all versions but the newest. Only right after every object key was resealed.
    pub fn retire_old_versions(&mut self) {
        let newest = self.version();
        self.versions.retain(|version, _| *version == newest);
    }

    /// Seals an object key under the newest version. Also how a grant gives it to this account.
    pub fn seal_key(&self, object: ObjectId, key: &ObjectKey) -> SealedKey {
        let (version, account_key) = self.newest();
        let bytes = aead::seal_random(account_key, &self.context(object), &key.0);
        SealedKey { version, bytes }
    }

    /// Opens a sealed object key.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownKeyVersion`], or [`Error::Unsealable`] when it was altered or belongs to
    /// another object or account.
    pub fn open_key(&self, object: ObjectId, sealed: &SealedKey) -> Result<ObjectKey, Error> {
        let account_key = self
            .versions
            .get(&sealed.version)
            .ok_or(Error::UnknownKeyVersion { account: self.account, version: sealed.version })?;
        aead::open_random(account_key, &self.context(object), &sealed.bytes)
            .and_then(|plain| plain.try_into().ok())
            .map(ObjectKey)
            .ok_or_else(|| Error::Unsealable { what: format!("key of {object}") })
    }

    /// The object key sealed under the newest version, or none when it already is.
    pub fn reseal_key(
        &self,
        object: ObjectId,
        sealed: &SealedKey,
    ) -> Result<Option<SealedKey>, Error> {
        if sealed.version == self.version() {
            return Ok(None);
        }
        Ok(Some(self.seal_key(object, &self.open_key(object, sealed)?)))
    }

    /// The key of an object with this manifest. The same content under the same id gives the same
    /// key, so putting an object again after a crash repeats it; any other content gives another
    /// key, so no key ever seals two manifests.
    pub(crate) fn object_key(&self, object: ObjectId, manifest: &[u8]) -> ObjectKey {
        let secret = blake3::derive_key("freehold objects v1 object key", &self.dedup_secret);
        let mut hasher = blake3::Hasher::new_keyed(&secret);
        hasher.update(object.uuid().as_bytes()).update(manifest);
        ObjectKey(*hasher.finalize().as_bytes())
    }

    pub(crate) fn chunk_keys(&self) -> &ChunkKeys {
        &self.chunk_keys
    }

    /// The secrets as bytes, to be sealed by the vault and nothing else.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.dedup_secret);
        for (version, key) in &self.versions {
            out.extend_from_slice(&version.to_be_bytes());
            out.extend_from_slice(key);
        }
        out
    }

    /// The inverse of [`AccountKeys::encode`], or none when the bytes are not that.
    pub(crate) fn decode(account: AccountId, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&[FORMAT])?;
        let (dedup_secret, rest) = bytes.split_first_chunk::<32>()?;
        let (rows, rest) = rest.as_chunks::<36>();
        if rows.is_empty() || !rest.is_empty() {
            return None;
        }
        let mut versions = BTreeMap::new();
        for row in rows {
            let (version, key) = row.split_first_chunk::<4>()?;
            versions.insert(u32::from_be_bytes(*version), key.try_into().ok()?);
        }
        Some(Self::new(account, *dedup_secret, versions))
    }

    fn newest(&self) -> (u32, &[u8; 32]) {
        let (version, key) = self.versions.last_key_value().expect("there is always a version");
        (*version, key)
    }

    fn context(&self, object: ObjectId) -> Vec<u8> {
        format!("object key {} {object}", self.account).into_bytes()
    }
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKeys")
            .field("account", &self.account)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}
