//! A host's cache of sealed chunks: a folder that never grows past its limit.
//!
//! The chunk used longest ago goes first; the order survives a restart through the files' times.
//! Entries are sealed and not flushed: the reader verifies each, and fetches a spoiled one again.
//!
//! Always true: at rest the folder holds at most the limit, and while chunks are being stored at
//! most those more; a chunk that many readers want at once is fetched once; failing to store an
//! entry never fails a read.
//! Absent on purpose: manifests, which are read once per object; sharing a folder of processes.

mod index;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

use types::{AccountId, ObjectId};

use self::index::{Index, Name};
use crate::blobs::blocking;
use crate::chunk::ChunkId;
use crate::error::Error;
use crate::source::ChunkSource;
use crate::temp::{TempFolder, absent_is_fine};

/// What a cache holds and how it was used since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Entries held.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes it may hold.
    pub bytes_max: u64,
    /// Chunks answered from the folder.
    pub hits: u64,
    /// Chunks fetched from the source.
    pub misses: u64,
}

/// Answers from a folder, and fills it from another source. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    temp: TempFolder,
    source: Arc<dyn ChunkSource>,
    index: Mutex<Index>,
    /// One lock per chunk that is being fetched.
    flights: Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    /// Opens a cache of at most `bytes_max` bytes in `folder`, which is made when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Full`] when the folder cannot be read or made.
    pub async fn open(
        folder: &Path,
        bytes_max: u64,
        source: Arc<dyn ChunkSource>,
    ) -> Result<Self, Error> {
        let (folder, shown) = (folder.to_owned(), folder.display().to_string());
        let opened = blocking(move || Inner::open(folder, bytes_max, source)).await;
        let inner = opened.map_err(|error| Error::io("open the cache", &shown, error))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the cache holds now.
    pub fn status(&self) -> Status {
        let index = self.inner.index.lock();
        Status {
            chunks: index.len() as u64,
            bytes: index.bytes(),
            bytes_max: index.bytes_max(),
            hits: self.inner.hits.load(Ordering::Relaxed),
            misses: self.inner.misses.load(Ordering::Relaxed),
        }
    }

    async fn chunk(&self, name: Name) -> Result<Bytes, Error> {
        if let Some(sealed) = self.look_up(name).await {
            return Ok(sealed);
        }
        let flight = Flight::join(&self.inner, name);
        let _turn = flight.lock.lock().await;
        // Whoever had the lock before may have fetched it.
        if let Some(sealed) = self.look_up(name).await {
            return Ok(sealed);
        }
        let (account, id) = name;
        let sealed = self.inner.source.chunk(account, id).await?;
        self.inner.misses.fetch_add(1, Ordering::Relaxed);
        let (inner, kept) = (Arc::clone(&self.inner), sealed.clone());
        if let Err(error) = blocking(move || inner.keep(name, &kept)).await {
            tracing::warn!(chunk = %id, %error, "could not cache a chunk");
        }
        Ok(sealed)
    }

    async fn look_up(&self, name: Name) -> Option<Bytes> {
        if !self.inner.index.lock().touch(name) {
            return None;
        }
        let inner = Arc::clone(&self.inner);
        let found = blocking(move || inner.read(name)).await;
        if found.is_some() {
            self.inner.hits.fetch_add(1, Ordering::Relaxed);
        }
        found
    }
}

impl ChunkSource for Cache {
    fn chunk(&self, account: AccountId, id: ChunkId) -> BoxFuture<'_, Result<Bytes, Error>> {
        Box::pin(Self::chunk(self, (account, id)))
    }

    fn manifest(
        &self,
        account: AccountId,
        object: ObjectId,
    ) -> BoxFuture<'_, Result<Bytes, Error>> {
        self.inner.source.manifest(account, object)
    }

    fn discard(&self, account: AccountId, id: ChunkId) -> BoxFuture<'_, bool> {
        let (inner, name) = (Arc::clone(&self.inner), (account, id));
        Box::pin(async move {
            if inner.index.lock().remove(name) {
                tracing::warn!(chunk = %id, "a cached chunk was damaged; it is fetched again");
                blocking(move || inner.unlink(&[name])).await;
                return true;
            }
            inner.source.discard(account, id).await
        })
    }
}

impl Inner {
    fn open(folder: PathBuf, bytes_max: u64, source: Arc<dyn ChunkSource>) -> io::Result<Self> {
        let temp = TempFolder::open(&folder.join("tmp"))?;
        let (mut index, mut evicted) = (Index::new(bytes_max), Vec::new());
        for (name, bytes) in scan(&folder.join("chunks"))? {
            evicted.extend(index.insert(name, bytes));
        }
        let inner = Self {
            folder,
            temp,
            source,
            index: Mutex::new(index),
            flights: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        };
        inner.unlink(&evicted);
        Ok(inner)
    }

    fn place(&self, (account, id): Name) -> PathBuf {
        let name = id.to_string();
        self.folder.join("chunks").join(&name[..2]).join(format!("{account}.{name}"))
    }

    fn read(&self, name: Name) -> Option<Bytes> {
        let place = self.place(name);
        let Ok(bytes) = fs::read(&place) else {
            // Evicted just now, removed from outside, or unreadable: fetched again.
            let mut index = self.index.lock();
            if !place.is_file() {
                index.remove(name);
            }
            return None;
        };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        // Only the order after a restart depends on this.
        let _ = rustix::fs::utimensat(CWD, &place, &times, AtFlags::empty());
        Some(bytes.into())
    }

    fn keep(&self, name: Name, sealed: &[u8]) -> io::Result<()> {
        let bytes = sealed.len() as u64;
        if bytes > self.index.lock().bytes_max() {
            return Ok(());
        }
        let (temp, place) = (self.temp.next_file(), self.place(name));
        fs::create_dir_all(place.parent().expect("an entry is in a folder"))?;
        fs::write(temp.path(), sealed)?;
        // The index and the folder change together, so that neither knows what the other does not.
        let mut index = self.index.lock();
        let evicted = index.insert(name, bytes);
        let placed = temp.persist(&place);
        if placed.is_err() {
            index.remove(name);
        }
        drop(index);
        self.unlink(&evicted);
        placed
    }

    /// Removes files of entries that left the index, unless they came back meanwhile.
    fn unlink(&self, names: &[Name]) {
        for name in names {
            let index = self.index.lock();
            if !index.contains(*name) {
                let _ = absent_is_fine(fs::remove_file(self.place(*name)));
            }
        }
    }
}

/// A place in the queue for one chunk; the queue goes when its last member does.
struct Flight<'a> {
    inner: &'a Inner,
    name: Name,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Flight<'a> {
    fn join(inner: &'a Inner, name: Name) -> Self {
        let lock = Arc::clone(inner.flights.lock().entry(name).or_default());
        Self { inner, name, lock }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.inner.flights.lock();
        // The map and this member hold it; nobody else can come while the map is locked.
        if Arc::strong_count(&self.lock) == 2 {
            flights.remove(&self.name);
        }
    }
}

/// The entries in the folder, the one used longest ago first.
fn scan(top: &Path) -> io::Result<Vec<(Name, u64)>> {
    fs::create_dir_all(top)?;
    let mut found = Vec::new();
    for folder in fs::read_dir(top)? {
        for entry in fs::read_dir(folder?.path())? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let name = entry.file_name().to_str().and_then(parse_name);
            let Some(name) = name else { continue };
            found.push((metadata.modified()?, name, metadata.len()));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, name, bytes)| (name, bytes)).collect())
}

fn parse_name(text: &str) -> Option<Name> {
    let (account, id) = text.split_once('.')?;
    Some((account.parse().ok()?, id.parse().ok()?))
}
