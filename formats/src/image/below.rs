//! Applying layers below one folder.
//!
//! Links of an image mean what they would mean inside of it: the kernel resolves every folder on
//! the way with this one as its root (`openat2`), and the last step follows nothing.
//! Always true: nothing outside is opened, made or removed; what a layer has made is not removed by
//! its own whiteouts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::Error;
use super::layer::{Change, Sink};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// A folder that layers are applied to.
pub(super) struct Below {
    root: OwnedFd,
    depth_max: usize,
    /// Components of the root's own path.
    root_depth: usize,
    /// The folder opened last, and its path: entries come sorted, so it is mostly the next one too.
    folder: Option<(String, OwnedFd)>,
    /// What this layer has made.
    made: BTreeSet<String>,
}

impl Below {
    pub(super) fn open(into: &Path, depth_max: usize) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
        let root = rustix::fs::open(into, flags, Mode::empty())
            .map_err(|errno| Error::io("open", &into.display().to_string(), errno))?;
        let root_depth = depth(&root).map_err(|error| Error::io("find", "the folder", error))?;
        Ok(Self { root, depth_max, root_depth, folder: None, made: BTreeSet::new() })
    }

    pub(super) fn begin_layer(&mut self) {
        self.made.clear();
    }

    /// The folder at `path`, as the image sees it, made where it is missing.
    fn enter(&mut self, path: &str) -> Result<OwnedFd, Error> {
        if let Some((open, folder)) = &self.folder
            && open == path
        {
            return folder.try_clone().map_err(|error| Error::io("open", path, error));
        }
        let folder = self.reach(path)?;
        let copy = folder.try_clone().map_err(|error| Error::io("open", path, error))?;
        self.folder = Some((path.to_owned(), copy));
        Ok(folder)
    }

    fn reach(&self, path: &str) -> Result<OwnedFd, Error> {
        let failed = |errno: Errno| Error::io("enter the folder", path, errno);
        if path.is_empty() {
            return self.root.try_clone().map_err(|error| Error::io("open", path, error));
        }
        let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
        let within = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), within) {
            Ok(folder) => {
                // Links could lead ever deeper, where removing would run out of open files.
                let deep = depth(&folder).map_err(|error| Error::io("find", path, error))?;
                if deep.saturating_sub(self.root_depth) > self.depth_max {
                    return Err(Error::too_large(path, "the folder is too deep"));
                }
                Ok(folder)
            }
            Err(Errno::NOENT) => {
                let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
                let above = self.reach(above)?;
                make_folder(&above, name).map_err(failed)
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Where a path's last component is: its folder, and its name.
    fn place<'p>(&mut self, path: &'p str) -> Result<(OwnedFd, &'p str), Error> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.enter(above)?, name))
    }

    /// Makes room for what is about to be made.
    fn clear(&mut self, folder: &OwnedFd, name: &str, path: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => {
                remove(folder, name).map_err(|errno| Error::io("remove", path, errno))?;
            }
            Err(errno) => return Err(Error::io("remove", path, errno)),
        }
        self.folder = None;
        Ok(())
    }

    /// Removes what the layers below made in a folder, whose path this is.
    fn empty(&self, folder: &OwnedFd, path: &str) -> Result<(), Error> {
        let failed = |errno| Error::io("empty the folder", path, errno);
        for (name, kind) in children(folder).map_err(failed)? {
            let inside = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if !self.has_made(&inside) {
                remove_any(folder, &name, kind).map_err(failed)?;
            } else if kind == FileType::Directory {
                let next = rustix::fs::openat(folder, name.as_str(), FOLDER, Mode::empty());
                self.empty(&next.map_err(failed)?, &inside)?;
            }
        }
        Ok(())
    }

    /// Whether this layer has made this, or something in it.
    fn has_made(&self, path: &str) -> bool {
        let within = format!("{path}/");
        let mut from = self.made.range(within.clone()..);
        self.made.contains(path) || from.next().is_some_and(|made| made.starts_with(&within))
    }

    fn file(&mut self, path: &str, executable: bool, content: &mut dyn Read) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        self.clear(&folder, name, path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let failed = |errno: Errno| Error::io("make the file", path, errno);
        let file = rustix::fs::openat(&folder, name, flags, mode).map_err(failed)?;
        rustix::fs::fchmod(&file, mode).map_err(failed)?;
        let written = std::io::copy(content, &mut File::from(file));
        written.map_err(|source| Error::io("write", path, source))?;
        Ok(())
    }

    fn hard_link(&mut self, path: &str, target: &str) -> Result<(), Error> {
        let failed = |errno: Errno| Error::io("link", path, errno);
        let (from, source) = self.place(target)?;
        let is = rustix::fs::statat(&from, source, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(is.st_mode) == FileType::Directory {
            return Err(Error::invalid(path, "a hard link to a folder"));
        }
        let (folder, name) = self.place(path)?;
        if path != target {
            self.clear(&folder, name, path)?;
            rustix::fs::linkat(&from, source, &folder, name, AtFlags::empty()).map_err(failed)?;
        }
        Ok(())
    }
}

impl Sink for Below {
    fn change(&mut self, change: Change, content: &mut dyn Read) -> Result<(), Error> {
        match &change {
            Change::Folder(path) => {
                let (folder, name) = self.place(path)?;
                let is = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
                let stands =
                    is.is_ok_and(|is| FileType::from_raw_mode(is.st_mode) == FileType::Directory);
                if !stands {
                    self.clear(&folder, name, path)?;
                    make_folder(&folder, name)
                        .map_err(|errno| Error::io("make the folder", path, errno))?;
                }
            }
            Change::File(path, executable) => self.file(path, *executable, content)?,
            Change::Link(path, target) => {
                let (folder, name) = self.place(path)?;
                self.clear(&folder, name, path)?;
                rustix::fs::symlinkat(target.as_str(), &folder, name)
                    .map_err(|errno| Error::io("link", path, errno))?;
            }
            Change::HardLink(path, target) => self.hard_link(path, target)?,
            Change::Remove(path) => {
                if !self.has_made(path) {
                    let (folder, name) = self.place(path)?;
                    self.clear(&folder, name, path)?;
                }
            }
            Change::Empty(path) => {
                let folder = self.enter(path)?;
                self.empty(&folder, path)?;
                self.folder = None;
            }
        }
        if let Change::Folder(path)
        | Change::File(path, _)
        | Change::Link(path, _)
        | Change::HardLink(path, _) = change
        {
            self.made.insert(path);
        }
        Ok(())
    }
}

/// Makes a folder and opens it; opens it where it stands.
fn make_folder(above: &impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(above, name, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let folder = rustix::fs::openat(above, name, FOLDER, Mode::empty())?;
    // The mode given at creation passes through the umask.
    rustix::fs::fchmod(&folder, FOLDER_MODE)?;
    Ok(folder)
}

fn remove_any(folder: &impl AsFd, name: &str, kind: FileType) -> Result<(), Errno> {
    if kind == FileType::Directory {
        return remove(folder, name);
    }
    rustix::fs::unlinkat(folder, name, AtFlags::empty())
}

/// Removes a folder with all that is in it. No deeper than folders are made here.
fn remove(above: &impl AsFd, name: &str) -> Result<(), Errno> {
    let folder = rustix::fs::openat(above, name, FOLDER, Mode::empty())?;
    for (name, kind) in children(&folder)? {
        remove_any(&folder, &name, kind)?;
    }
    rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR)
}

fn children(folder: &impl AsFd) -> Result<Vec<(String, FileType)>, Errno> {
    let mut all = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        // What layers make has names that are text.
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches!(name.as_str(), "." | "..") {
            continue;
        }
        let is = rustix::fs::statat(folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        all.push((name, FileType::from_raw_mode(is.st_mode)));
    }
    Ok(all)
}

/// How many components the path of an open folder has.
fn depth(folder: &OwnedFd) -> std::io::Result<usize> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    Ok(path.components().count())
}
