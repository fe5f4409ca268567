//! The folder of a stream's segments: sealing what the log has, and removing what may go.
//!
//! The manifest is replaced after new files are on the disk and before old ones are removed. What a
//! crash leaves beside it is removed by the next opening: files it does not list, and parts of the
//! log below what it says is sealed.
//!
//! Always true: every event is in one place, for whoever reads the manifest first and the log from
//! where it ends; a file that somebody reads is there until nobody does.
//! Absent on purpose: tasks and time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use policy::segments as plan;

use super::Segment;
use super::faults::pass;
use super::manifest::{self, Manifest};
use super::read::Opened;
use super::seal::{self, Batch};
use crate::dedupe::REMEMBERED_MAX;
use crate::error::Error;
use crate::event::{Event, identity};
use crate::key::{Folder, Key};
use crate::labels::{self, Labels};
use crate::log;

/// The columns by which an event is known again.
const IDENTITY: [&str; 5] = ["sequence", "time", "accepted", "id", "source"];

/// A segment, and its file for as long as somebody holds this.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) segment: Segment,
    pub(crate) path: PathBuf,
    key: Option<Key>,
    /// Whether the manifest lists it no more.
    is_gone: AtomicBool,
}

impl Held {
    /// Opens the file, of which nothing but the end is read.
    pub(crate) fn open(&self) -> Result<Opened, Error> {
        Opened::open(&self.path, self.key.as_ref())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_gone.load(Ordering::Relaxed)
            && pass(&self.path).is_ok()
            && let Err(error) = fs::remove_file(&self.path)
        {
            // The next opening removes it.
            tracing::warn!(path = %self.path.display(), %error, "a segment was not removed");
        }
    }
}

/// What is sealed, at one time.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) held: Vec<Arc<Held>>,
    /// What its key says of itself, where it is encrypted.
    pub(crate) key_check: Option<u64>,
    /// Every event with a lower number is in one of them, or was removed.
    pub(crate) sealed_until: u64,
    pub(crate) disordered: u64,
    pub(crate) last_time_ns: u64,
}

/// What was sealed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sealed {
    /// Events that moved from the log to segments.
    pub(crate) events: u64,
    /// Segments that were written.
    pub(crate) segments: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Events that are gone.
    pub events: u64,
    /// Segments that were removed, or written anew without them.
    pub segments: u64,
}

/// The segments of a stream.
pub(crate) struct Segments {
    stream: Folder,
    /// Held by whoever changes the manifest.
    change: Mutex<Manifest>,
    /// What there is, for readers, who never wait for a change.
    current: RwLock<Arc<Snapshot>>,
    sealed: watch::Sender<u64>,
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").field("stream", &self.stream.path).finish_non_exhaustive()
    }
}

impl Segments {
    /// Opens the segments of the stream in this folder, and finishes what was begun when they were
    /// last left.
    pub(crate) fn open(stream: &Folder) -> Result<Self, Error> {
        let folder = manifest::folder(&stream.path);
        fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
        let manifest = Manifest::open(stream)?;
        let listed: HashSet<&str> = manifest.segments.iter().map(|it| it.file.as_str()).collect();
        for entry in fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
            let path = entry.map_err(Error::io("list", &folder))?.path();
            let ends = |with: &str| path.extension().is_some_and(|it| it == with);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if ends(manifest::UNFINISHED) || (ends("parquet") && !listed.contains(name)) {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        let folder = Folder { path: folder, key: stream.key.clone() };
        let held = manifest.segments.iter().map(|segment| held(&folder, segment)).collect();
        let current = RwLock::new(Arc::new(snapshot(&manifest, held)));
        let (sealed, stream) = (watch::Sender::new(manifest.sealed_until), stream.clone());
        let segments = Self { stream, change: Mutex::new(manifest), current, sealed };
        segments.clear(&segments.change.lock())?;
        Ok(segments)
    }

    /// Hands over the digests of sources and ids of sealed events that were accepted at this time or
    /// later, in their order; as many of the last ones as are remembered.
    pub(crate) fn identities(
        &self,
        since_us: u64,
        mut each: impl FnMut(u128, u64),
    ) -> Result<(), Error> {
        let current = self.current();
        let first = current.sealed_until.saturating_sub(REMEMBERED_MAX as u64);
        let mut found = Vec::new();
        let late = |held: &&Arc<Held>| held.segment.accepted_us >= since_us;
        for held in current.held.iter().filter(late).filter(|held| held.segment.last >= first) {
            let opened = held.open()?;
            let groups = (0..opened.groups().len()).collect();
            for rows in opened.read(groups, Some(&IDENTITY))? {
                let rows = rows?;
                for row in 0..rows.count() {
                    let (sequence, at_us) = (rows.sequence(row), rows.accepted_us(row));
                    if sequence >= first && at_us >= since_us {
                        found.push((sequence, at_us, identity(rows.source(row), rows.id(row))));
                    }
                }
            }
        }
        found.sort_unstable();
        for (_, at_us, identity) in found {
            each(identity, at_us);
        }
        Ok(())
    }

    /// The number below which every event is sealed.
    pub(crate) fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.subscribe()
    }

    /// Where the files are.
    fn folder(&self) -> Folder {
        Folder { path: manifest::folder(&self.stream.path), key: self.stream.key.clone() }
    }

    /// What there is now.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read())
    }

    /// Seals every file of the log that is written no more, as many events at a time as are sorted
    /// in memory.
    pub(crate) fn seal(&self) -> Result<Sealed, Error> {
        let mut manifest = self.change.lock();
        let mut sealed = Sealed::default();
        let folder = self.folder();
        loop {
            let parts = log::parts(&self.stream.path)?;
            let until = parts.last().map_or(0, |part| part.first);
            if manifest.sealed_until >= until {
                return Ok(sealed);
            }
            let first = manifest.sealed_until;
            let batch = Batch::read(&self.stream, first, until, manifest.last_time_ns)?;
            if batch.events.len() == 0 {
                return Ok(sealed);
            }
            let mut wanted = manifest.clone();
            wanted.sealed_until = batch.until;
            wanted.disordered += batch.disordered;
            wanted.last_time_ns = batch.last_time_ns;
            sealed.events += batch.events.len() as u64;
            let written = batch.write(&folder)?;
            sealed.segments += written.len() as u64;
            wanted.segments.extend(written);
            self.replace(&mut manifest, wanted)?;
            self.clear(&manifest)?;
            while self.merge(&mut manifest)? {}
        }
    }

    /// Merges the last batches where they are small; says whether they were.
    fn merge(&self, manifest: &mut Manifest) -> Result<bool, Error> {
        let mut batches: BTreeMap<u64, plan::Batch> = BTreeMap::new();
        for segment in &manifest.segments {
            let Segment { accepted_first_us: first_us, accepted_us: last_us, .. } = *segment;
            let batch = batches.entry(segment.batch);
            let batch = batch.or_insert(plan::Batch { events: 0, bytes: 0, first_us, last_us });
            batch.events += segment.rows;
            batch.bytes += segment.unpacked_bytes;
            batch.first_us = batch.first_us.min(first_us);
            batch.last_us = batch.last_us.max(last_us);
        }
        let (firsts, batches): (Vec<u64>, Vec<plan::Batch>) = batches.into_iter().unzip();
        let count = plan::merged(&batches);
        if count == 0 {
            return Ok(false);
        }
        let first = firsts[firsts.len() - count];
        let (parts, others): (Vec<&Segment>, Vec<&Segment>) =
            manifest.segments.iter().partition(|segment| segment.batch >= first);
        let mut segments: Vec<Segment> = others.into_iter().cloned().collect();
        let folder = self.folder();
        segments.extend(Batch::merged(&self.stream, &parts)?.write(&folder)?);
        let wanted = Manifest { segments, ..*manifest };
        self.replace(manifest, wanted)?;
        Ok(true)
    }

    /// Removes segments that are too old, or too many.
    pub(crate) fn retain(
        &self,
        retention: &plan::Retention,
        now_us: u64,
    ) -> Result<Forgotten, Error> {
        let mut manifest = self.change.lock();
        let facts = |it: &Segment| plan::Held {
            bytes: it.bytes,
            accepted_us: it.accepted_us,
            time_ns: it.last_ns,
        };
        let files: Vec<plan::Held> = manifest.segments.iter().map(facts).collect();
        let gone = plan::expired(&files, retention, now_us);
        let mut forgotten = Forgotten::default();
        let mut wanted = Manifest { segments: Vec::new(), ..*manifest };
        for (place, segment) in manifest.segments.iter().enumerate() {
            if gone.binary_search(&place).is_ok() {
                forgotten.events += segment.rows;
                forgotten.segments += 1;
            } else {
                wanted.segments.push(segment.clone());
            }
        }
        if forgotten.segments > 0 {
            self.replace(&mut manifest, wanted)?;
        }
        Ok(forgotten)
    }

    /// Writes every segment that has events of a subject anew without them, and removes their labels.
    pub(crate) fn forget(&self, subject: &str, labels: &Labels) -> Result<Forgotten, Error> {
        let mut manifest = self.change.lock();
        let (known, mut labelled) = (labels.known()?, HashSet::new());
        let mut each = |stored: &log::Stored| {
            let Event { source, id, .. } = &stored.event;
            if known.of(source, id).is_some() {
                labelled.extend([labels::key(source, id), labels::key("", id)]);
            }
        };
        let mut forgotten = Forgotten::default();
        let mut wanted = Manifest { segments: Vec::new(), ..*manifest };
        for segment in &manifest.segments {
            if !self.has(segment, subject)? {
                wanted.segments.push(segment.clone());
                continue;
            }
            let (left, gone) = self.without(segment, subject, &mut each)?;
            forgotten.events += gone;
            forgotten.segments += 1;
            wanted.segments.extend(left);
        }
        // First, while it is known whose they are.
        labels.forget(&labelled)?;
        if forgotten.segments > 0 {
            self.replace(&mut manifest, wanted)?;
        }
        Ok(forgotten)
    }

    fn has(&self, segment: &Segment, subject: &str) -> Result<bool, Error> {
        let folder = self.folder();
        let opened = Opened::open(&folder.path.join(&segment.file), folder.key.as_ref())?;
        let Some(column) = opened.column("subject") else { return Ok(false) };
        let mut groups = Vec::new();
        for group in 0..opened.groups().len() {
            if opened.filter(group, column)?.is_none_or(|filter| filter.check(subject)) {
                groups.push(group);
            }
        }
        if groups.is_empty() {
            return Ok(false);
        }
        for rows in opened.read(groups, Some(&["sequence", "time", "accepted", "subject"]))? {
            let rows = rows?;
            if (0..rows.count()).any(|row| rows.subject(row) == subject) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn without(
        &self,
        segment: &Segment,
        subject: &str,
        mut each: impl FnMut(&log::Stored),
    ) -> Result<(Option<Segment>, u64), Error> {
        let folder = self.folder();
        let opened = Opened::open(&folder.path.join(&segment.file), folder.key.as_ref())?;
        let groups = (0..opened.groups().len()).collect();
        let mut gone = 0;
        let rows = opened.read(groups, None)?.flat_map(|rows| match rows {
            Ok(rows) => (0..rows.count()).map(|row| Ok(rows.stored(row))).collect(),
            Err(error) => vec![Err(error)],
        });
        let left = rows.filter(|stored| match stored {
            Ok(stored) if stored.event.subject == subject => {
                each(stored);
                gone += 1;
                false
            }
            _ => true,
        });
        let batch = (segment.batch, segment.batch_last);
        let left = seal::write(&folder, again(&segment.file), batch, left)?;
        Ok((left, gone))
    }

    /// Replaces the manifest; the files of segments that it lists no more go once nobody reads them.
    fn replace(&self, manifest: &mut Manifest, wanted: Manifest) -> Result<(), Error> {
        let folder = self.folder();
        manifest::sync(&folder.path)?;
        wanted.write(&self.stream.path)?;
        let before = self.current();
        let names = before.held.iter().map(|held| (held.segment.file.as_str(), held));
        let known: HashMap<&str, &Arc<Held>> = names.collect();
        let held = wanted.segments.iter().map(|segment| match known.get(segment.file.as_str()) {
            Some(known) => Arc::clone(known),
            None => held(&folder, segment),
        });
        let now = snapshot(&wanted, held.collect());
        let listed: HashSet<&str> = wanted.segments.iter().map(|it| it.file.as_str()).collect();
        for held in &before.held {
            if !listed.contains(held.segment.file.as_str()) {
                held.is_gone.store(true, Ordering::Relaxed);
            }
        }
        *self.current.write() = Arc::new(now);
        self.sealed.send_replace(wanted.sealed_until);
        *manifest = wanted;
        Ok(())
    }

    /// Removes the files of the log whose events are all sealed, the oldest first.
    fn clear(&self, manifest: &Manifest) -> Result<(), Error> {
        let parts = log::parts(&self.stream.path)?;
        for pair in parts.windows(2) {
            if pair[1].first <= manifest.sealed_until {
                pass(&pair[0].path)?;
                fs::remove_file(&pair[0].path).map_err(Error::io("remove", &pair[0].path))?;
            }
        }
        Ok(())
    }
}

fn held(folder: &Folder, segment: &Segment) -> Arc<Held> {
    let Folder { path, key } = folder.within(&segment.file);
    Arc::new(Held { segment: segment.clone(), path, key, is_gone: AtomicBool::new(false) })
}

fn snapshot(manifest: &Manifest, held: Vec<Arc<Held>>) -> Snapshot {
    let Manifest { key_check, sealed_until, disordered, last_time_ns, .. } = *manifest;
    Snapshot { held, key_check, sealed_until, disordered, last_time_ns }
}

/// The name of a segment that is written anew.
fn again(file: &str) -> String {
    let stem = file.trim_end_matches(".parquet");
    match stem.rsplit_once("-again-") {
        Some((stem, number)) => {
            let number: u64 = number.parse().unwrap_or(0);
            format!("{stem}-again-{}.parquet", number + 1)
        }
        None => format!("{stem}-again-1.parquet"),
    }
}
