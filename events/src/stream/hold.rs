//! The hold on a stream's folder: who has it is the only one that writes there.
//!
//! Always true: it ends with the process, however that ends. Absent on purpose: readers, who need none.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;

/// The file that is locked.
const FILE: &str = "lock";
/// How often and how long it is tried: whoever is closing the stream ends within.
const TRIES_MAX: u32 = 500;
const TRY_EVERY: Duration = Duration::from_millis(10);

/// A folder that is held.
#[derive(Debug)]
pub(crate) struct Hold {
    _file: File,
}

impl Hold {
    /// Takes the hold. Blocks while another is closing what it has open.
    ///
    /// # Errors
    ///
    /// [`Error::Held`] where another goes on to hold it.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
        let path: PathBuf = folder.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        for _ in 0..TRIES_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
            }
        }
        Err(Error::Held { folder: folder.to_path_buf() })
    }
}
