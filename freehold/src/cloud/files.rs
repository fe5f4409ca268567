//! The data folder: where a process keeps what outlives it.
//!
//! Always true: the folder is its owner's only; one process at a time uses it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use api::listen::SOCKET_PATH_BYTES_MAX;

use crate::exit::Failure;

/// Where a socket of this name is that only this user can open: in the folder, where its path is not
/// too long.
pub fn socket(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(path);
    }
    // The kernel takes only short paths; this one is as private as its folder.
    let folder = std::env::temp_dir().join(format!("freehold-{}", std::process::id()));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| Failure::internal("could not make a folder for the socket", &error))?;
    Ok(folder.join(name))
}

/// The data folder of a process that runs.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// Held while the process runs.
    _lock: File,
}

impl Files {
    /// Opens the folder, made where it is missing, and keeps other processes out of it.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::usage(format!("--data {}: {error}", folder.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(path);
        let lock = lock.map_err(failed)?;
        if lock.try_lock().is_err() {
            let text = format!("{} is in use by another freehold", folder.display());
            return Err(Failure::usage(text).hint("stop it, or name another folder with --data"));
        }
        Ok(Self { folder: folder.to_path_buf(), _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads a file, where it is there.
    pub fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.path(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::refused(format!("{}: {error}", path.display()))),
        }
    }

    /// Writes a file as a whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Failure> {
        let path = self.path(name);
        let fresh = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            let mut options = OpenOptions::new();
            let mut file =
                options.create(true).truncate(true).write(true).mode(mode).open(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
    }
}
