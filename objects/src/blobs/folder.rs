//! Blobs in a folder of this machine.
//!
//! Durability without a flush per chunk: a staged blob lies under a temporary name. Publishing
//! flushes all of them at once, renames them into place, and flushes the folders that changed.
//! Deleting moves the blob aside first and looks at its time only then, so an upload that relied on
//! it a moment ago either finds it gone and writes it again, or makes it stay.
//!
//! Always true: a name appears only when its content is on the disk, and is there itself when
//! publishing returns; power lost at any point leaves an object whole or absent, and at worst
//! unused chunks. Temporary files of a killed process are swept by the next opener.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use rustix::fs::{Advice, AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

use types::AccountId;

use super::{Backend, Key, Listed, Scope, Staged, Stamp, blocking};
use crate::error::Error;
use crate::temp::{TempFile, TempFolder, absent_is_fine};

/// Up to this many blobs are flushed one by one; above, the whole file system at once is quicker.
const FLUSHES_MAX: usize = 8;

/// Where blobs wait while it is decided whether they go.
const CONDEMNED: &str = "condemned";

#[derive(Debug)]
pub(super) struct Folder {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    temp: TempFolder,
    stamp: Option<Stamp>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Folder {
    /// Opens the folder, makes it when it is not there, and clears what crashes left.
    pub(super) async fn open(root: PathBuf, stamp: Option<Stamp>) -> Result<Self, Error> {
        let shown = root.display().to_string();
        let inner = blocking(move || Inner::open(root, stamp)).await;
        let inner = inner.map_err(|error| Error::io("open the object folder", &shown, error))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs `work` where it may block, and names what failed.
    fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        what: &impl ToString,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let (inner, what) = (Arc::clone(&self.inner), what.to_string());
        Box::pin(async move {
            let result = blocking(move || work(&inner)).await;
            result.map_err(|error| Error::io(action, &what, error))
        })
    }
}

impl Backend for Folder {
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        self.run("read", &key, move |inner| inner.read(key))
    }

    fn refresh(&self, key: Key, bytes: u64) -> BoxFuture<'_, Result<bool, Error>> {
        self.run("look for", &key, move |inner| inner.refresh(&inner.place(key), bytes))
    }

    fn stage(&self, key: Key, parts: Vec<Bytes>) -> BoxFuture<'_, Result<Staged, Error>> {
        self.run("write", &key, move |inner| {
            let temp = Some(inner.write_temp(&parts)?);
            Ok(Staged { key, temp })
        })
    }

    fn publish(&self, staged: Vec<Staged>) -> BoxFuture<'_, Result<(), Error>> {
        let what = match staged.as_slice() {
            [] => return Box::pin(std::future::ready(Ok(()))),
            [one] => one.key.to_string(),
            many => format!("{} chunks", many.len()),
        };
        self.run("store", &what, move |inner| inner.publish(staged))
    }

    fn delete(
        &self,
        key: Key,
        written_before_ms: Option<u64>,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        self.run("delete", &key, move |inner| match written_before_ms {
            None => absent_is_fine(fs::remove_file(inner.place(key))).map(|()| true),
            Some(before_ms) => inner.delete_if_older(key, before_ms),
        })
    }

    fn list(&self, scope: Scope) -> BoxStream<'_, Result<Listed, Error>> {
        let top = self.inner.root.join(scope.path());
        stream::once(self.run("list", &scope.path(), move |_| match scope {
            Scope::Chunks(_) => entries(&top),
            Scope::Manifests(_) => Ok(vec![top]),
        }))
        .map_ok(|folders| stream::iter(folders.into_iter().map(Ok)))
        .try_flatten()
        .and_then(move |folder| {
            let shown = folder.display().to_string();
            self.run("list", &shown, move |_| list_folder(&folder, scope))
        })
        .map_ok(|listed| stream::iter(listed.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountId>, Error>> {
        self.run("list", &"accounts", |inner| {
            let paths = entries(&inner.root.join("account"))?;
            let name = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
            Ok(paths.iter().filter_map(name).collect())
        })
    }
}

impl Inner {
    fn open(root: PathBuf, stamp: Option<Stamp>) -> io::Result<Self> {
        if !root.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&root)?;
            if let Some(above) = root.parent().and_then(|above| File::open(above).ok()) {
                above.sync_all()?;
            }
        }
        let temp = TempFolder::open(&root.join("tmp"))?;
        let inner = Self { root, temp, stamp };
        inner.restore_condemned()?;
        Ok(inner)
    }

    fn place(&self, key: Key) -> PathBuf {
        self.root.join(key.path())
    }

    /// The blob in its place, or aside while it is decided whether it goes, or back again.
    fn read(&self, key: Key) -> io::Result<Option<Bytes>> {
        for path in [self.place(key), self.aside(key), self.place(key)] {
            match fs::read(path) {
                Ok(bytes) => return Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn aside(&self, key: Key) -> PathBuf {
        self.root.join(CONDEMNED).join(condemned_name(key))
    }

    fn refresh(&self, place: &Path, bytes: u64) -> io::Result<bool> {
        let there = match fs::metadata(place) {
            Ok(found) => found.len() == bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !there {
            return Ok(false);
        }
        match rustix::fs::utimensat(CWD, place, &self.times(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn write_temp(&self, parts: &[Bytes]) -> io::Result<TempFile> {
        let temp = self.temp.next_file();
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(temp.path())?;
        for part in parts {
            file.write_all(part)?;
        }
        // Starts writing to the disk now, so that the flush at the end finds little left. Advice
        // may be ignored, and the bytes stay in memory for the next reader.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        Ok(temp)
    }

    fn publish(&self, staged: Vec<Staged>) -> io::Result<()> {
        let waiting: Vec<(Key, TempFile)> =
            staged.into_iter().filter_map(|one| Some((one.key, one.temp?))).collect();
        for (_, temp) in &waiting {
            // It counts as written now: staging the others may have taken hours.
            rustix::fs::utimensat(CWD, temp.path(), &self.times(), AtFlags::empty())?;
        }
        let many = waiting.len() > FLUSHES_MAX;
        if many {
            self.flush_all()?;
        } else {
            for (_, temp) in &waiting {
                File::open(temp.path())?.sync_data()?;
            }
        }
        let mut changed = BTreeSet::new();
        for (key, temp) in waiting {
            let place = self.place(key);
            let folder = place.parent().expect("every blob is in a folder");
            make_folder(folder, &mut changed)?;
            temp.persist(&place)?;
            changed.insert(folder.to_owned());
        }
        if many {
            return self.flush_all();
        }
        changed.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }

    fn flush_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.root)?)?)
    }

    fn delete_if_older(&self, key: Key, before_ms: u64) -> io::Result<bool> {
        let (place, aside) = (self.place(key), self.aside(key));
        match fs::metadata(&place) {
            Ok(found) if written_at_ms(&found) >= before_ms => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        }
        absent_is_fine(fs::rename(&place, &aside))?;
        // From here on nobody can refresh it; whoever did so before shows in its time.
        match fs::metadata(&aside) {
            Ok(found) if written_at_ms(&found) >= before_ms => {
                put_back(&aside, &place)?;
                Ok(false)
            }
            Ok(_) => absent_is_fine(fs::remove_file(&aside)).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(!place.exists()),
            Err(error) => Err(error),
        }
    }

    /// Puts back what a crash left between condemned and gone; it will be condemned again.
    fn restore_condemned(&self) -> io::Result<()> {
        let folder = self.root.join(CONDEMNED);
        fs::create_dir_all(&folder)?;
        for aside in entries(&folder)? {
            let name = aside.file_name().and_then(|name| name.to_str());
            if let Some(key) = name.and_then(parse_condemned_name) {
                put_back(&aside, &self.place(key))?;
            }
        }
        Ok(())
    }

    fn times(&self) -> Timestamps {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let time = self.stamp.as_ref().map_or(now, |stamp| timespec(stamp()));
        Timestamps { last_access: time, last_modification: time }
    }
}

fn timespec(ms: u64) -> Timespec {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let rest_ms = i64::try_from(ms % 1000).unwrap_or(0);
    Timespec { tv_sec: seconds, tv_nsec: rest_ms * 1_000_000 }
}

fn written_at_ms(found: &fs::Metadata) -> u64 {
    let ms = found.mtime().saturating_mul(1000).saturating_add(found.mtime_nsec() / 1_000_000);
    u64::try_from(ms).unwrap_or(0)
}

/// Makes a folder and those above it, and notes each folder that got a new entry.
fn make_folder(folder: &Path, changed: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().expect("the root exists, so the way up ends there");
    make_folder(above, changed)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => changed.insert(above.to_owned()),
    };
    Ok(())
}

/// Moves a file back unless its place was taken meanwhile, by the same content.
fn put_back(aside: &Path, place: &Path) -> io::Result<()> {
    match fs::hard_link(aside, place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => absent_is_fine(other)?,
    }
    absent_is_fine(fs::remove_file(aside))
}

fn condemned_name(key: Key) -> String {
    match key {
        Key::Chunk { account, id } => format!("{account}.chunk.{id}"),
        Key::Manifest { account, object } => format!("{account}.manifest.{object}"),
    }
}

fn parse_condemned_name(name: &str) -> Option<Key> {
    let mut parts = name.splitn(3, '.');
    let account = parts.next()?.parse().ok()?;
    let scope = match parts.next()? {
        "chunk" => Scope::Chunks(account),
        "manifest" => Scope::Manifests(account),
        _ => return None,
    };
    Key::parse(scope, parts.next()?)
}

/// The paths in a folder; none when it is not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(found) => found.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn list_folder(folder: &Path, scope: Scope) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(key) = name.and_then(|name| Key::parse(scope, name)) else { continue };
        match fs::metadata(&path) {
            Ok(found) => {
                let written_at_ms = written_at_ms(&found);
                listed.push(Listed { key, bytes: found.len(), written_at_ms });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}

#[cfg(test)]
mod tests;
