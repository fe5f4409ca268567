//! Manifests: what an object is made of.
//!
//! A manifest lists the chunks of an object in order, with its length, SHA-256 and media type. It
//! is stored sealed with the object key, and the object's id and owner are part of what is sealed,
//! so a manifest put in another's place does not open.
//!
//! Layout, big-endian: format 1, account 16 bytes, object 16, SHA-256 32, media type length 2 and
//! text, chunk count 4, then for each chunk id 32, key 32, plain length 4.
//!
//! Always true: the lengths of the chunks add up to the length of the object.

use bytes::{Bytes, BytesMut};

use types::{AccountId, Digest, ObjectId};

use crate::aead;
use crate::chunk::{ChunkId, Entry};
use crate::error::Error;
use crate::keys::ObjectKey;

const FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 68;

/// Most chunks of one object: about 128 GiB at the average chunk size, a manifest of 18 MiB.
pub(crate) const CHUNKS_MAX: usize = 1 << 18;

/// Longest media type. Longer ones do not exist in the IANA registry.
pub(crate) const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// An opened manifest.
pub(crate) struct Manifest {
    pub(crate) account: AccountId,
    pub(crate) object: ObjectId,
    pub(crate) sha256: Digest,
    pub(crate) media_type: String,
    pub(crate) entries: Vec<Entry>,
}

impl Manifest {
    /// Length of the object.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.bytes)).sum()
    }

    /// Refuses an object with too many chunks or too long a media type.
    pub(crate) fn check_limits(chunks: usize, media_type: &str) -> Result<(), Error> {
        if chunks > CHUNKS_MAX {
            return Err(Error::TooLarge { what: "the number of chunks", limit: CHUNKS_MAX as u64 });
        }
        if media_type.len() > MEDIA_TYPE_BYTES_MAX {
            let limit = MEDIA_TYPE_BYTES_MAX as u64;
            return Err(Error::TooLarge { what: "the length of the media type", limit });
        }
        Ok(())
    }

    pub(crate) fn encode(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(512 + self.entries.len() * ENTRY_BYTES);
        out.extend_from_slice(&[FORMAT]);
        out.extend_from_slice(self.account.uuid().as_bytes());
        out.extend_from_slice(self.object.uuid().as_bytes());
        out.extend_from_slice(&self.sha256.0);
        let media_type = u16::try_from(self.media_type.len()).expect("limits were checked");
        out.extend_from_slice(&media_type.to_be_bytes());
        out.extend_from_slice(self.media_type.as_bytes());
        let count = u32::try_from(self.entries.len()).expect("limits were checked");
        out.extend_from_slice(&count.to_be_bytes());
        for entry in &self.entries {
            out.extend_from_slice(&entry.id.0.0);
            out.extend_from_slice(&entry.key);
            out.extend_from_slice(&entry.bytes.to_be_bytes());
        }
        out
    }

    /// The manifest in these bytes, or none when they are not that of this object.
    fn decode(account: AccountId, object: ObjectId, bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[FORMAT])?;
        let rest = rest.strip_prefix(account.uuid().as_bytes().as_slice())?;
        let rest = rest.strip_prefix(object.uuid().as_bytes().as_slice())?;
        let (sha256, rest) = rest.split_first_chunk::<32>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (media_type, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (rows, rest) = rest.as_chunks::<ENTRY_BYTES>();
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        if !rest.is_empty() || rows.len() != count {
            return None;
        }
        Some(Self {
            account,
            object,
            sha256: Digest(*sha256),
            media_type: str::from_utf8(media_type).ok()?.to_owned(),
            entries: rows.iter().map(entry).collect(),
        })
    }
}

/// Seals an encoded manifest; the parts together are the blob.
pub(crate) fn seal(key: &ObjectKey, mut encoded: BytesMut) -> Vec<Bytes> {
    let tag = aead::seal_once(key.as_bytes(), &mut encoded);
    vec![encoded.freeze(), Bytes::copy_from_slice(&tag)]
}

/// Opens the sealed manifest of an object, or none when it is not that.
pub(crate) fn open(
    account: AccountId,
    object: ObjectId,
    key: &ObjectKey,
    sealed: &[u8],
) -> Option<Manifest> {
    let mut bytes = sealed.to_vec();
    let length = aead::open_once(key.as_bytes(), &mut bytes)?;
    Manifest::decode(account, object, &bytes[..length])
}

fn entry(row: &[u8; ENTRY_BYTES]) -> Entry {
    let (mut id, mut key, mut bytes) = ([0; 32], [0; 32], [0; 4]);
    id.copy_from_slice(&row[..32]);
    key.copy_from_slice(&row[32..64]);
    bytes.copy_from_slice(&row[64..]);
    Entry { id: ChunkId(Digest(id)), key, bytes: u32::from_be_bytes(bytes) }
}
