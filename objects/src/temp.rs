//! Temporary files that a crash leaves removable.
//!
//! Each opener of a store has a folder of its own below `tmp`, named by chance, and holds a lock
//! beside it. Whoever opens the store later takes the locks it can get: their owners are dead, and
//! their folders are removed. A living neighbour's files are never touched.
//!
//! Always true: the lock is made before the folder and removed after it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use crate::aead;

/// A folder for temporary files, removed with its owner.
#[derive(Debug)]
pub(crate) struct TempFolder {
    folder: PathBuf,
    lock_path: PathBuf,
    next: AtomicU64,
    /// Held for as long as the folder is in use; the kernel lets go of it when the owner dies.
    lock: File,
}

impl TempFolder {
    /// Removes what dead owners left below `parent`, and makes a fresh folder there.
    pub(crate) fn open(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        sweep(parent)?;
        loop {
            let name = hex::encode(aead::random::<16>());
            let lock_path = parent.join(format!("{name}.lock"));
            let lock = OpenOptions::new().write(true).create_new(true).open(&lock_path)?;
            flock(&lock, FlockOperation::LockExclusive)?;
            // A sweeper may have taken the lock first and removed it; then begin again.
            if !fs::metadata(&lock_path).is_ok_and(|found| same(&found, &lock)) {
                continue;
            }
            let folder = parent.join(name);
            fs::create_dir(&folder)?;
            return Ok(Self { folder, lock_path, next: AtomicU64::new(0), lock });
        }
    }

    /// A path for the next temporary file.
    pub(crate) fn next_file(&self) -> TempFile {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        TempFile { path: Some(self.folder.join(number.to_string())) }
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next open.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.lock_path);
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// A temporary file, removed when dropped unless it was moved to its place.
#[derive(Debug)]
pub(crate) struct TempFile {
    path: Option<PathBuf>,
}

impl TempFile {
    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().expect("the path is taken only when the file moves away")
    }

    /// Moves the file to its place, over what is there.
    pub(crate) fn persist(mut self, to: &Path) -> io::Result<()> {
        fs::rename(self.path(), to)?;
        self.path = None;
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn sweep(parent: &Path) -> io::Result<()> {
    for found in fs::read_dir(parent)? {
        let path = found?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            sweep_one(&path)?;
        }
    }
    Ok(())
}

fn sweep_one(lock_path: &Path) -> io::Result<()> {
    let lock = match File::open(lock_path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    absent_is_fine(fs::remove_dir_all(lock_path.with_extension("")))?;
    absent_is_fine(fs::remove_file(lock_path))
}

fn same(found: &fs::Metadata, lock: &File) -> bool {
    lock.metadata().is_ok_and(|held| held.ino() == found.ino() && held.dev() == found.dev())
}

/// Turns the failure to remove what is not there into success.
pub(crate) fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_owners_files_are_swept_and_a_living_ones_kept() {
        let root = tempfile::tempdir().unwrap();
        let living = TempFolder::open(root.path()).unwrap();
        let kept = living.next_file();
        fs::write(kept.path(), "kept").unwrap();

        // A crash: the lock is let go of, and nothing is tidied.
        let dead = TempFolder::open(root.path()).unwrap();
        fs::write(dead.folder.join("0"), "left").unwrap();
        let left = dead.folder.clone();
        flock(&dead.lock, FlockOperation::Unlock).unwrap();

        let _next = TempFolder::open(root.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(fs::read_to_string(kept.path()).unwrap(), "kept");
        std::mem::forget(dead);
    }
}
