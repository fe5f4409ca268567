//! Writing an archive's files below one folder.
//!
//! Every step down opens one folder relative to the one above and follows no link, so that nothing
//! that stands below, or is put there meanwhile, leads out.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Error;
use super::read::Sink;

/// Files that go below a folder.
pub(super) struct Below {
    root: OwnedFd,
    /// The folder opened last, and its path: files come sorted, so it is mostly the next one too.
    folder: Option<(String, OwnedFd)>,
    file: Option<File>,
}

const OPEN_MODE: Mode = Mode::from_raw_mode(0o755);
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Below {
    pub(super) fn open(into: &Path) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
        let root = rustix::fs::open(into, flags, Mode::empty())
            .map_err(|errno| failed("open", &into.display().to_string(), errno))?;
        Ok(Self { root, folder: None, file: None })
    }

    /// Opens the folder at `path`, made where it is missing.
    fn enter(&mut self, path: &str) -> Result<&OwnedFd, Error> {
        let is_open = self.folder.as_ref().is_some_and(|(open, _)| open == path);
        if !is_open {
            let mut found: Option<OwnedFd> = None;
            for component in path.split('/') {
                let above = found.as_ref().unwrap_or(&self.root);
                let is_new = match rustix::fs::mkdirat(above, component, OPEN_MODE) {
                    Ok(()) => true,
                    Err(Errno::EXIST) => false,
                    Err(errno) => return Err(failed("make the folder", path, errno)),
                };
                let next = rustix::fs::openat(above, component, FOLDER, Mode::empty())
                    .map_err(|errno| failed("enter the folder", path, errno))?;
                if is_new {
                    // The mode given at creation passes through the umask.
                    rustix::fs::fchmod(&next, OPEN_MODE)
                        .map_err(|errno| failed("set the mode of", path, errno))?;
                }
                found = Some(next);
            }
            let found = found.expect("a split has at least one part");
            self.folder = Some((path.to_owned(), found));
        }
        Ok(&self.folder.as_ref().expect("set above").1)
    }
}

impl Sink for Below {
    fn folder(&mut self, path: &str) -> Result<(), Error> {
        self.enter(path).map(|_| ())
    }

    fn open(&mut self, path: &str, executable: bool) -> Result<(), Error> {
        let (above, name) = match path.rsplit_once('/') {
            Some((above, name)) => (self.enter(above)?, name),
            None => (&self.root, path),
        };
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if executable { OPEN_MODE } else { Mode::from_raw_mode(0o644) };
        let file = rustix::fs::openat(above, name, flags, mode)
            .map_err(|errno| failed("make the file", path, errno))?;
        rustix::fs::fchmod(&file, mode).map_err(|errno| failed("set the mode of", path, errno))?;
        self.file = Some(File::from(file));
        Ok(())
    }

    fn write(&mut self, path: &str, piece: &[u8]) -> Result<(), Error> {
        let file = self.file.as_mut().expect("a file is opened before it is written");
        file.write_all(piece).map_err(|source| Error::io("write", path, source))
    }
}

fn failed(action: &'static str, path: &str, errno: Errno) -> Error {
    Error::io(action, path, errno.into())
}
