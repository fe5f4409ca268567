//! Files that are written by and by, such as those of the log: a head, and sealed frames behind it.
//!
//! The head: eight bytes that say what it is, a random salt, and sixteen bytes that only who has the
//! key can tell. A frame: the length of what follows in four bytes, a random nonce, and the sealed body
//! with its tag (AES-256-GCM); its place among the file's frames is authenticated with it.
//!
//! Always true: a file has its whole head before it has its name; another key, or another file under
//! this one's name, is told by the head, before anything is taken for damaged or is cut off.
//! Absent on purpose: what bodies hold, and which part of a file counts.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use ring::aead::{Aad, LessSafeKey, Nonce};

use super::{Key, NONCE_BYTES, SALT_BYTES, TAG_BYTES, cipher, random};
use crate::error::Error;

/// What it begins with. As the length of a frame that is not sealed it is far too much.
const MAGIC: [u8; 8] = *b"FHEVL\0\0\x01";
/// Length of what proves the key.
const PROOF_BYTES: usize = 16;
/// Length of the head.
pub(crate) const HEAD_BYTES: usize = MAGIC.len() + SALT_BYTES + PROOF_BYTES;
/// The length of a frame's rest.
const LENGTH_BYTES: usize = 4;
/// What sealing adds to a frame's body.
pub(crate) const SEAL_BYTES: usize = LENGTH_BYTES + NONCE_BYTES + TAG_BYTES;

/// The key of one file.
#[derive(Clone)]
pub(crate) struct FileKey(Arc<LessSafeKey>);

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}

impl FileKey {
    /// The key of a file with this salt, and what proves it.
    fn new(key: &Key, what: &str, salt: &[u8]) -> (Self, [u8; PROOF_BYTES]) {
        let own = key.derived(salt, &format!("freehold events v1 {what}"));
        let proof = key.derived(salt, &format!("freehold events v1 proof of {what}"));
        (Self(Arc::new(cipher(&own))), proof)
    }

    /// Makes a file with its head, in place of one that is there. `what` says what it is, and is asked
    /// for again when it is opened.
    pub(crate) fn make(key: &Key, what: &str, path: &Path) -> Result<(File, Self), Error> {
        // One name for each kind: what a crash leaves is written over by the next.
        let kind = what.split(' ').next().unwrap_or_default();
        let unfinished = path.with_file_name(format!("_{kind}.unfinished"));
        let made = Self::begin(key, what, &unfinished)?;
        fs::rename(&unfinished, path).map_err(Error::io("rename", &unfinished))?;
        let folder = path.parent().unwrap_or(path);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(Error::io("sync", folder))?;
        Ok(made)
    }

    /// As [`Self::make`], of a file that is named later.
    pub(crate) fn begin(key: &Key, what: &str, path: &Path) -> Result<(File, Self), Error> {
        let salt = random::<SALT_BYTES>();
        let (own, proof) = Self::new(key, what, &salt);
        let mut options = OpenOptions::new();
        let made = options.read(true).write(true).create(true).truncate(true).open(path);
        let mut file = made.map_err(Error::io("make", path))?;
        let head = [MAGIC.as_slice(), &salt, &proof].concat();
        let written = file.write_all(&head).and_then(|()| file.sync_all());
        written.map_err(Error::io("write", path))?;
        Ok((file, own))
    }

    /// Reads the head of a file, at which it stands.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] where it is of another key, or another file; [`Error::Io`].
    pub(crate) fn read(
        key: &Key,
        what: &str,
        (mut file, path): (&File, &Path),
    ) -> Result<Self, Error> {
        let mut head = [0; HEAD_BYTES];
        let wrong = |problem: &'static str| Error::Key { path: path.to_path_buf(), problem };
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(wrong("it has no head of an encrypted file"));
            }
            read => read.map_err(Error::io("read", path))?,
        }
        let Some((salt, proof)) =
            head.strip_prefix(&MAGIC).and_then(|rest| rest.split_first_chunk::<SALT_BYTES>())
        else {
            return Err(wrong("it is not encrypted, in a folder in which all is"));
        };
        let (own, known) = Self::new(key, what, salt);
        // No secret is compared: whoever may write here needs no clock to find out bytes of a proof.
        if proof != known {
            return Err(wrong(
                "it was written with another key, or is another file under this name",
            ));
        }
        Ok(own)
    }

    /// Appends a frame with what `write` writes; `number` is its place among the file's frames.
    pub(crate) fn write(&self, to: &mut Vec<u8>, number: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let at = to.len();
        let nonce = random::<NONCE_BYTES>();
        to.extend_from_slice(&[0; LENGTH_BYTES]);
        to.extend_from_slice(&nonce);
        let body = to.len();
        write(to);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let place = Aad::from(number.to_le_bytes());
        let tag = self.0.seal_in_place_separate_tag(nonce, place, &mut to[body..]);
        to.extend_from_slice(tag.expect("frames are far below the cipher's limit").as_ref());
        let length = u32::try_from(to.len() - at - LENGTH_BYTES).unwrap_or(u32::MAX);
        to[at..at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    }

    /// Reads the frame at the beginning of some bytes, of which the body has `most` at most.
    pub(crate) fn open(&self, from: &[u8], number: u64, most: usize) -> Opened {
        let Some((length, rest)) = from.split_first_chunk::<LENGTH_BYTES>() else {
            return Opened::Part;
        };
        let length = u32::from_le_bytes(*length) as usize;
        if !(NONCE_BYTES + TAG_BYTES..=NONCE_BYTES + most + TAG_BYTES).contains(&length) {
            return Opened::Bad;
        }
        let Some(rest) = rest.get(..length) else { return Opened::Part };
        let Some((nonce, body)) = rest.split_first_chunk::<NONCE_BYTES>() else {
            return Opened::Bad;
        };
        let (nonce, mut body) = (Nonce::assume_unique_for_key(*nonce), body.to_vec());
        match self.0.open_in_place(nonce, Aad::from(number.to_le_bytes()), &mut body) {
            Ok(plain) => {
                let plain = plain.len();
                body.truncate(plain);
                Opened::Frame { body, bytes: LENGTH_BYTES + length }
            }
            Err(_) => Opened::Bad,
        }
    }
}

/// Whether a file is an encrypted one, by its first bytes.
pub(crate) fn is_encrypted(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

/// What stands at the beginning of some bytes.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A frame of so many bytes.
    Frame { body: Vec<u8>, bytes: usize },
    /// Perhaps the beginning of a frame: there have to be more bytes.
    Part,
    /// No frame of this key at this place.
    Bad,
}
