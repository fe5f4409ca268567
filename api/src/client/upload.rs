//! Sending a file as an object: cut, ask what is missing, send that, commit.
//!
//! Asking again resumes a broken upload: what has arrived is not sent twice. The file is read once
//! to name its chunks, and the missing ones a second time to send them.
//! Always true: memory stays under three bodies of chunks whatever the file's size; a chunk is sent
//! only as it was named, so a file that changes meanwhile is refused and never mixed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use types::Digest;

use super::{Client, Error};
use crate::chunks;
use crate::objects::{CHUNKS_BODY_BYTES_MAX, CHUNKS_MAX, Chunk, CommitObject, Object};

/// How far an upload or download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in bytes; for an upload also what was there before.
    pub done_bytes: u64,
    pub total_bytes: u64,
}

/// Chunks asked about in one call, so that no body is large.
const ASKED_AT_ONCE: usize = 4_096;
/// Bytes of one body: half of what is allowed, since two travel at once.
const BODY_BYTES: usize = CHUNKS_BODY_BYTES_MAX / 2;
const BODIES_AT_ONCE: usize = 2;
/// How often chunks may be collected between being sent and being committed.
const COMMITS_MAX: u32 = 3;

/// A chunk and where it lies in the file.
#[derive(Clone, Copy)]
struct Place {
    chunk: Chunk,
    offset: u64,
}

impl Client {
    /// Sends a file as an object of the caller's account.
    ///
    /// `progress` is called as bytes are known to be there; it should return at once.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] when the file was written to meanwhile; then nothing was made.
    pub async fn object_upload_file(
        &self,
        path: &Path,
        media_type: &str,
        progress: impl Fn(Progress),
    ) -> Result<Object, Error> {
        let (file, places) = cut(path.to_owned()).await?;
        let total_bytes = places.iter().map(|place| u64::from(place.chunk.bytes)).sum();
        progress(Progress { done_bytes: 0, total_bytes });
        let chunks: Vec<Chunk> = places.iter().map(|place| place.chunk).collect();
        let wanted = CommitObject { chunks, media_type: media_type.to_owned() };
        let source = Source { file, path: path.to_owned() };
        let mut commits = 0;
        loop {
            let missing = self.missing(&places).await?;
            self.send_missing(&source, &places, &missing, &progress).await?;
            commits += 1;
            match self.object_commit(&wanted).await {
                Err(error) if error.code() == "missing_chunks" && commits < COMMITS_MAX => {}
                outcome => return outcome,
            }
        }
    }

    async fn missing(&self, places: &[Place]) -> Result<BTreeSet<Digest>, Error> {
        let distinct: BTreeMap<Digest, Chunk> =
            places.iter().map(|place| (place.chunk.hash, place.chunk)).collect();
        let distinct: Vec<Chunk> = distinct.into_values().collect();
        let mut missing = BTreeSet::new();
        for some in distinct.chunks(ASKED_AT_ONCE) {
            missing.extend(self.chunks_missing(some.to_vec()).await?.missing);
        }
        Ok(missing)
    }

    async fn send_missing(
        &self,
        source: &Source,
        places: &[Place],
        missing: &BTreeSet<Digest>,
        progress: &impl Fn(Progress),
    ) -> Result<(), Error> {
        let total_bytes = places.iter().map(|place| u64::from(place.chunk.bytes)).sum();
        let mut seen = BTreeSet::new();
        let to_send = places.iter().copied();
        let to_send = to_send.filter(|place| missing.contains(&place.chunk.hash));
        let to_send: Vec<Place> = to_send.filter(|place| seen.insert(place.chunk.hash)).collect();
        let weight =
            |places: &[Place]| places.iter().map(|p| u64::from(p.chunk.bytes)).sum::<u64>();
        let mut done_bytes = total_bytes - weight(&to_send);
        progress(Progress { done_bytes, total_bytes });
        let mut sent = futures::stream::iter(bodies(&to_send))
            .map(|some| async move {
                let body = source.read(some.clone()).await?;
                self.chunks_send(body).await?;
                Ok::<u64, Error>(some.iter().map(|place| u64::from(place.chunk.bytes)).sum())
            })
            .buffer_unordered(BODIES_AT_ONCE);
        while let Some(bytes) = sent.try_next().await? {
            done_bytes += bytes;
            progress(Progress { done_bytes, total_bytes });
        }
        Ok(())
    }
}

/// What is uploaded.
struct Source {
    file: Arc<File>,
    path: PathBuf,
}

impl Source {
    /// The body with these chunks, each as it was named.
    async fn read(&self, places: Vec<Place>) -> Result<Bytes, Error> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        blocking(path.clone(), move || {
            let mut body = Vec::with_capacity(BODY_BYTES);
            for place in places {
                let mut data = vec![0; place.chunk.bytes as usize];
                match file.read_exact_at(&mut data, place.offset) {
                    Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                        return Err(Error::Changed { path });
                    }
                    Err(source) => return Err(Error::File { action: "read", path, source }),
                    Ok(()) if chunks::name(&data) != place.chunk => {
                        return Err(Error::Changed { path });
                    }
                    Ok(()) => chunks::append(&mut body, &data),
                }
            }
            Ok(Bytes::from(body))
        })
        .await
    }
}

/// Opens a file and names its chunks.
async fn cut(path: PathBuf) -> Result<(Arc<File>, Vec<Place>), Error> {
    blocking(path.clone(), move || {
        let failed = |source| Error::File { action: "read", path: path.clone(), source };
        let file = Arc::new(File::open(&path).map_err(failed)?);
        let mut places = Vec::new();
        for found in chunks::cut(&*file) {
            let found = found.map_err(failed)?;
            places.push(Place { chunk: found.chunk, offset: found.offset });
            if places.len() > CHUNKS_MAX {
                return Err(Error::TooLarge { path: path.clone() });
            }
        }
        Ok((file, places))
    })
    .await
}

/// Groups chunks into bodies.
fn bodies(places: &[Place]) -> Vec<Vec<Place>> {
    let mut bodies: Vec<Vec<Place>> = Vec::new();
    let mut room = 0;
    for place in places {
        let needed = place.chunk.bytes as usize + 4;
        match bodies.last_mut() {
            Some(last) if needed <= room => {
                last.push(*place);
                room -= needed;
            }
            _ => {
                bodies.push(vec![*place]);
                room = BODY_BYTES.saturating_sub(needed);
            }
        }
    }
    bodies
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|gone| {
        Err(Error::File { action: "finish reading", path, source: io::Error::other(gone) })
    })
}
