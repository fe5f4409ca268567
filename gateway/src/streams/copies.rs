//! Copies of streams: what is sealed is put where other programs read it, and comes back from there
//! when this host's disk is lost.
//!
//! In `streams/STREAM/`: segments in folders by day, `date=2026-11-23/NAME.parquet`, as `DuckDB`,
//! pandas and Spark read them; the labels; the stream's sealed key, where it is encrypted as all of
//! these are then; and `_manifest.json`, written last.
//!
//! Always true: whoever reads the manifest finds all that it lists; what was removed here is removed
//! there too. Absent on purpose: events that are not sealed yet, which are in this host's log.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use events::copies::{Kept, LABELS, MANIFEST, Restoring};
use objects::Files;
use types::{ErrorKind, StreamId};

use super::blocking;
use crate::error::Error;
use crate::keys::NAME as KEY;

/// Where copies are, and what is there.
pub(crate) struct Copies {
    files: Option<Files>,
    /// What was copied last of each stream. Held while copying: one at a time takes all of the line.
    last: tokio::sync::Mutex<HashMap<StreamId, Last>>,
}

/// What tells that nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    manifest: Vec<u8>,
    key: Option<Vec<u8>>,
    labels_bytes: u64,
}

impl Copies {
    /// With this place for all of them; without one there are none.
    pub(crate) fn new(files: Option<Files>) -> Self {
        Self { files, last: tokio::sync::Mutex::default() }
    }

    /// Copies what is sealed and not there, and removes what is there and was removed here.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] as the place fails; to ask again goes on.
    pub(crate) async fn copy(&self, id: StreamId, kept: &Kept, stream: &Path) -> Result<(), Error> {
        let Some(files) = &self.files else { return Ok(()) };
        let mut last = self.last.lock().await;
        let labels_bytes = kept.labels.as_ref().map_or(0, |(_, bytes)| *bytes);
        let path = stream.join(KEY);
        let key = blocking(move || match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| broken(format!("a stream's key: {error}"))),
        });
        let key = key.await?;
        let now = Last { manifest: kept.manifest.clone(), key: key.clone(), labels_bytes };
        if last.get(&id) == Some(&now) {
            return Ok(());
        }
        let there: HashMap<String, u64> =
            files.list(&folder(id)).await.map_err(failed)?.into_iter().collect();
        let mut wanted = HashSet::new();
        for (segment, path) in &kept.segments {
            let name = segment_name(id, &segment.file);
            if there.get(&name) != Some(&segment.bytes) {
                files.put(&name, path).await.map_err(failed)?;
            }
            wanted.insert(name);
        }
        if let Some((path, _)) = &kept.labels {
            let name = format!("{}/{LABELS}", folder(id));
            files.put(&name, path).await.map_err(failed)?;
            wanted.insert(name);
        }
        if let Some(key) = key {
            let name = format!("{}/{KEY}", folder(id));
            files.put_bytes(&name, key).await.map_err(failed)?;
            wanted.insert(name);
        }
        let name = format!("{}/{MANIFEST}", folder(id));
        files.put_bytes(&name, kept.manifest.clone()).await.map_err(failed)?;
        wanted.insert(name);
        for gone in there.keys().filter(|name| !wanted.contains(*name)) {
            files.delete(gone).await.map_err(failed)?;
        }
        last.insert(id, now);
        Ok(())
    }

    /// Brings a stream back into a folder that has nothing of it, where there is a copy.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] as the place or the disk fails, or where the copy is damaged: a stream that
    /// begins anew instead would give numbers again.
    pub(crate) async fn restore(&self, id: StreamId, to: &Path) -> Result<(), Error> {
        let Some(files) = &self.files else { return Ok(()) };
        if !Restoring::is_wanted(to)? {
            return Ok(());
        }
        let manifest = files.bytes(&format!("{}/{MANIFEST}", folder(id))).await.map_err(failed)?;
        let Some(manifest) = manifest else { return Ok(()) };
        let restoring = Restoring::begin(to, &manifest)?;
        let mut segments = 0;
        for (segment, path) in restoring.segments() {
            let name = segment_name(id, &segment.file);
            if !files.fetch(&name, &path).await.map_err(failed)? {
                return Err(broken(format!("the copy of a stream has no {name}")));
            }
            segments += 1;
        }
        let labels = format!("{}/{LABELS}", folder(id));
        files.fetch(&labels, &restoring.labels()).await.map_err(failed)?;
        files.fetch(&format!("{}/{KEY}", folder(id)), &to.join(KEY)).await.map_err(failed)?;
        blocking(move || restoring.end().map_err(Error::from)).await?;
        tracing::info!(stream = %id, segments, "a stream was brought back from its copy");
        Ok(())
    }

    /// Removes the copy of a stream.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] as the place fails.
    pub(crate) async fn remove(&self, id: StreamId) -> Result<(), Error> {
        let Some(files) = &self.files else { return Ok(()) };
        let mut last = self.last.lock().await;
        last.remove(&id);
        // First what all else is read by.
        files.delete(&format!("{}/{KEY}", folder(id))).await.map_err(failed)?;
        for (name, _) in files.list(&folder(id)).await.map_err(failed)? {
            files.delete(&name).await.map_err(failed)?;
        }
        Ok(())
    }
}

fn folder(id: StreamId) -> String {
    format!("streams/{id}")
}

/// By the day of its hour, so that readers of a day list no others.
fn segment_name(id: StreamId, file: &str) -> String {
    let day = file.get(..10).unwrap_or("other");
    format!("{}/date={day}/{file}", folder(id))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn failed(error: objects::Error) -> Error {
    broken(format!("copies of streams: {}", workflow::chain(&error)))
}

fn broken(message: String) -> Error {
    Error::Stream { kind: ErrorKind::Unavailable, message }
}
