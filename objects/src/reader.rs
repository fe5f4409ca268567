//! Reading an object: all of it or a range, as a stream or through [`std::io::Read`].
//!
//! Always true: every byte handed out belongs to a chunk whose seal was verified with the key in
//! the object's sealed manifest; a near copy that fails is fetched again once.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;

use types::{AccountId, Digest, ObjectId};

use crate::blobs::{Key, blocking};
use crate::chunk::{self, ChunkId, Entry};
use crate::error::Error;
use crate::keys::ObjectKey;
use crate::manifest::{self, Manifest};
use crate::source::ChunkSource;

/// Chunks fetched and opened ahead of the one being consumed.
const READS_MAX: usize = 4;

/// How often a chunk that does not open is fetched: a near copy may be damaged, and then the one
/// it came from. When that one is, asking again does not help.
const FETCHES_MAX: usize = 2;

/// An object opened for reading. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    source: Arc<dyn ChunkSource>,
    manifest: Arc<Manifest>,
    /// Where each chunk starts, and after them the length of the object.
    starts: Arc<Vec<u64>>,
}

impl Reader {
    /// Opens an object whose blobs come from `source`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when there is no such object, [`Error::Corrupt`] when its manifest does
    /// not open with this key, else as the source fails.
    pub async fn open(
        source: Arc<dyn ChunkSource>,
        account: AccountId,
        object: ObjectId,
        key: &ObjectKey,
    ) -> Result<Self, Error> {
        let sealed = source.manifest(account, object).await?;
        let manifest = manifest::open(account, object, key, &sealed)
            .ok_or(Error::Corrupt { what: Key::Manifest { account, object } })?;
        let mut starts = vec![0];
        let mut end = 0;
        for entry in &manifest.entries {
            end += u64::from(entry.bytes);
            starts.push(end);
        }
        Ok(Self { source, manifest: Arc::new(manifest), starts: Arc::new(starts) })
    }

    /// Length of the object.
    pub fn bytes(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// SHA-256 of the object.
    pub fn sha256(&self) -> Digest {
        self.manifest.sha256
    }

    /// The media type given when it was stored.
    pub fn media_type(&self) -> &str {
        &self.manifest.media_type
    }

    /// The chunks of the object in order, a repeated one as often as it occurs.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkId> {
        self.manifest.entries.iter().map(|entry| entry.id)
    }

    /// The whole object, in pieces.
    pub fn stream(&self) -> BoxStream<'static, Result<Bytes, Error>> {
        self.pieces(0..self.bytes())
    }

    /// The bytes of a range, in pieces. An empty range is fine anywhere within the object.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] when it ends before it starts or after the object ends.
    pub fn range(
        &self,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let (Range { start, end }, bytes) = (range.clone(), self.bytes());
        if start > end || end > bytes {
            return Err(Error::Range { start, end, bytes });
        }
        Ok(self.pieces(range))
    }

    /// The whole object at once, when it has at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], else as the source fails.
    pub async fn read_all(&self, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if self.bytes() > bytes_max {
            let what = "the length of an object read at once";
            return Err(Error::TooLarge { what, limit: bytes_max });
        }
        let mut out = Vec::with_capacity(usize::try_from(self.bytes()).unwrap_or(0));
        let mut pieces = self.stream();
        while let Some(piece) = pieces.try_next().await? {
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    /// The object through [`std::io::Read`] and [`std::io::Seek`]. To be used where blocking is
    /// allowed, such as `spawn_blocking`; `handle` is of the runtime that does the fetching.
    pub fn blocking(&self, handle: Handle) -> BlockingReader {
        BlockingReader { reader: self.clone(), handle, at: 0, piece: Bytes::new(), pieces: None }
    }

    /// The pieces of a range that lies within the object.
    fn pieces(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
        let first = self.starts.partition_point(|start| *start <= range.start).saturating_sub(1);
        let last = self.starts.partition_point(|start| *start < range.end);
        let chunks = if range.is_empty() { 0..0 } else { first..last };
        let reader = self.clone();
        stream::iter(chunks)
            .map(move |index| {
                let (reader, range) = (reader.clone(), range.clone());
                async move { reader.piece(index, range).await }
            })
            .buffered(READS_MAX)
            .boxed()
    }

    /// What chunk `index` holds of a range that it overlaps.
    async fn piece(&self, index: usize, range: Range<u64>) -> Result<Bytes, Error> {
        let start = self.starts[index];
        let plain = self.plain(self.manifest.entries[index]).await?;
        let within = |at: u64| {
            let offset = at.saturating_sub(start).min(plain.len() as u64);
            usize::try_from(offset).expect("an offset in a chunk fits")
        };
        Ok(plain.slice(within(range.start)..within(range.end)))
    }

    /// The verified content of a chunk.
    async fn plain(&self, entry: Entry) -> Result<Bytes, Error> {
        let (account, id) = (self.manifest.account, entry.id);
        for _ in 0..FETCHES_MAX {
            let sealed = self.source.chunk(account, id).await?;
            if let Some(plain) = blocking(move || chunk::open(&entry, sealed)).await {
                return Ok(plain);
            }
            if !self.source.discard(account, id).await {
                break;
            }
        }
        Err(Error::Corrupt { what: Key::Chunk { account, id } })
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("object", &self.manifest.object)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Reads an object where blocking is allowed. See [`Reader::blocking`].
pub struct BlockingReader {
    reader: Reader,
    handle: Handle,
    /// Where the next byte read is, in the object.
    at: u64,
    /// What was fetched from there on.
    piece: Bytes,
    /// What follows the piece; none after a seek.
    pieces: Option<BoxStream<'static, Result<Bytes, Error>>>,
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && self.at < self.reader.bytes() && !buffer.is_empty() {
            let (reader, at) = (&self.reader, self.at);
            let pieces = self.pieces.get_or_insert_with(|| reader.pieces(at..reader.bytes()));
            match self.handle.block_on(pieces.next()) {
                Some(piece) => self.piece = piece.inspect_err(|_| self.pieces = None)?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for BlockingReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.reader.bytes().checked_add_signed(by),
        };
        let wanted = wanted.ok_or(io::ErrorKind::InvalidInput)?;
        if wanted != self.at {
            (self.at, self.pieces) = (wanted, None);
            self.piece.clear();
        }
        Ok(wanted)
    }
}

impl fmt::Debug for BlockingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingReader")
            .field("reader", &self.reader)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
