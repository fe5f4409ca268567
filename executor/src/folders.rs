//! An instance's folder on the host: where its root is built, where its job's files lie.
//!
//! Always true: after the end, the model folder holds plain files and folders only, which the
//! executor's user can read; whatever else a job left there is gone.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::error::Error;
use crate::exit::FAILURE_BYTES_MAX;
use crate::plan::plain_name;
use crate::start::Job;

/// Longest path of a Unix socket, without its final zero; see unix(7).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Deepest folder that is looked into; a job cannot make us recurse without end.
const DEPTH_MAX: usize = 64;

/// An instance's folder.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) at: PathBuf,
    /// The user that the instance will be, where it is another one.
    owner: Option<u32>,
}

impl Folders {
    /// Makes the folder anew, with what a job needs where it is for one.
    pub(crate) fn make(at: PathBuf, job: Option<&Job>, owner: Option<u32>) -> Result<Self, Error> {
        let folders = Self { at, owner };
        folders.clear().map_err(Error::io(format!("clear {}", folders.at.display())))?;
        // The path to it stays closed to others; what is bound inside is reached by the mount.
        for name in ["root", "scratch"] {
            folders.folder(name)?;
        }
        folders.own(&folders.at.join("scratch"))?;
        if let Some(job) = job {
            folders.job(job)?;
        }
        Ok(folders)
    }

    /// Lets the instance read its package, where it is another user.
    pub(crate) fn open_package(&self, package: &Path) -> Result<(), Error> {
        if self.owner.is_some() { open_for_reading(package) } else { Ok(()) }
    }

    /// Removes the folder when what comes back is dropped, unless it is told to keep it.
    pub(crate) fn cleared_unless_kept(&self) -> Cleared<'_> {
        Cleared(Some(self))
    }

    fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.at.join(name);
        fs::create_dir_all(&path).map_err(Error::io(format!("make {}", path.display())))?;
        Ok(path)
    }

    /// Lays out `/opt/ml`.
    fn job(&self, job: &Job) -> Result<(), Error> {
        let config = self.folder("ml/input/config")?;
        for (name, text) in &job.config {
            plain_name(name, "configuration file")?;
            let path = config.join(name);
            fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        }
        let data = self.folder("ml/input/data")?;
        for (name, folder) in &job.channels {
            plain_name(name, "channel")?;
            let path = data.join(name);
            fs::create_dir_all(&path).map_err(Error::io(format!("make {}", path.display())))?;
            if self.owner.is_some() {
                open_for_reading(folder)?;
            }
        }
        for name in ["ml/model", "ml/output"] {
            let path = self.folder(name)?;
            self.own(&path)?;
        }
        Ok(())
    }

    fn own(&self, path: &Path) -> Result<(), Error> {
        let Some(owner) = self.owner else { return Ok(()) };
        chown(path, Some(owner), Some(owner)).map_err(Error::io(format!("own {}", path.display())))
    }

    /// Where a job's model lies.
    pub(crate) fn model(&self) -> PathBuf {
        self.at.join("ml/model")
    }

    /// Bytes in the folders that the instance may write on the host's disk.
    pub(crate) fn written_bytes(&self) -> u64 {
        ["ml/model", "ml/output", "scratch"].iter().map(|name| bytes(&self.at.join(name), 0)).sum()
    }

    /// After the end: the text of `/opt/ml/output/failure`, and a model folder that is safe to
    /// read.
    pub(crate) fn settle(&self) -> Option<String> {
        if let Err(error) = plain_only(&self.model(), 0) {
            let folder = self.model();
            tracing::warn!(folder = %folder.display(), %error, "could not tidy a model folder");
        }
        read_failure(&self.at.join("ml/output/failure"))
    }

    /// Removes the folder.
    pub(crate) fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes an instance's folder unless it is told to keep it.
pub(crate) struct Cleared<'a>(Option<&'a Folders>);

impl Cleared<'_> {
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        if let Some(folders) = self.0
            && let Err(error) = folders.clear()
        {
            tracing::warn!(%error, "could not clear the folder of a failed start");
        }
    }
}

/// Writes the executor's own files for runtimes, which every function may read.
pub(crate) fn lay_out_runtimes(folder: &Path) -> Result<(), Error> {
    const FILES: [(&str, &str); 4] = [
        ("bootstrap.py", include_str!("../runtimes/bootstrap.py")),
        ("bootstrap.mjs", include_str!("../runtimes/bootstrap.mjs")),
        ("parked.py", include_str!("../runtimes/parked.py")),
        ("zygote.py", include_str!("../runtimes/zygote.py")),
    ];
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
    }
    open_for_reading(folder)
}

/// Makes a listening socket at this path.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, Error> {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(Error::SocketPath { path: path.to_path_buf() });
    }
    let action = || format!("listen on {}", path.display());
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io(action())(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(Error::io(action()))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(Error::io(action()))?;
    Ok(listener)
}

/// Lets everybody read a folder of ours, where an instance is another user.
fn open_for_reading(folder: &Path) -> Result<(), Error> {
    fn walk(path: &Path, depth: usize) -> io::Result<()> {
        let found = fs::symlink_metadata(path)?;
        if found.is_symlink() || depth > DEPTH_MAX {
            return Ok(());
        }
        let mode = found.mode();
        let runs = found.is_dir() || mode & 0o100 != 0;
        let wanted = mode | if runs { 0o555 } else { 0o444 };
        if wanted != mode {
            fs::set_permissions(path, Permissions::from_mode(wanted & 0o7777))?;
        }
        if found.is_dir() {
            for entry in fs::read_dir(path)? {
                walk(&entry?.path(), depth + 1)?;
            }
        }
        Ok(())
    }
    walk(folder, 0).map_err(Error::io(format!("open {} for reading", folder.display())))
}

/// Size of the files in a folder, links not followed.
fn bytes(folder: &Path, depth: usize) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // A file that goes away while it is counted counts nothing.
        let Ok(found) = entry.metadata() else { continue };
        // What it takes on the disk: a file full of holes takes little.
        sum += found.blocks() * 512;
        if found.is_dir() && depth < DEPTH_MAX {
            sum += bytes(&entry.path(), depth + 1);
        }
    }
    sum
}

/// Removes what is neither a file nor a folder, and makes the rest readable for its owner's host.
fn plain_only(folder: &Path, depth: usize) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(folder) else { return Ok(()) };
    fs::set_permissions(folder, Permissions::from_mode(found.mode() & 0o777 | 0o700))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        if found.is_dir() && depth < DEPTH_MAX {
            plain_only(&path, depth + 1)?;
        } else if found.is_file() {
            fs::set_permissions(&path, Permissions::from_mode(found.mode() & 0o777 | 0o600))?;
        } else if found.is_dir() {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The text of a failure file, if it is a plain file.
fn read_failure(path: &Path) -> Option<String> {
    let mut options = fs::OpenOptions::new();
    // Neither a link out of the folder nor a pipe without a writer.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(FAILURE_BYTES_MAX as u64).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Removes the folders of instances that a previous executor left behind.
pub(crate) fn sweep(folder: &Path) -> BTreeMap<PathBuf, io::Error> {
    let mut failed = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        let removed = if folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed {
            failed.insert(entry.path(), error);
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_are_left_in_a_model_folder() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        fs::create_dir_all(model.join("deep")).unwrap();
        fs::write(model.join("deep/model.onnx"), b"x").unwrap();
        fs::set_permissions(model.join("deep/model.onnx"), Permissions::from_mode(0o4000)).unwrap();
        symlink("/etc/shadow", model.join("link")).unwrap();
        let _socket = UnixListener::bind(model.join("socket")).unwrap();
        plain_only(&model, 0).unwrap();
        assert_eq!(fs::read_dir(&model).unwrap().count(), 1);
        let mode = fs::metadata(model.join("deep/model.onnx")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn a_failure_that_is_a_link_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failure");
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(read_failure(&path), None);
        fs::remove_file(&path).unwrap();
        fs::write(&path, " it broke\n").unwrap();
        assert_eq!(read_failure(&path).as_deref(), Some("it broke"));
    }

    #[test]
    fn a_socket_path_that_does_not_fit_is_refused_with_a_cure() {
        let path = PathBuf::from("/tmp").join("x".repeat(120));
        assert!(listen(&path).unwrap_err().to_string().contains("shorter path"));
    }
}
