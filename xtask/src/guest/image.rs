//! The guest's first root: programs at the paths they have here, the libraries they need, busybox.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::places::Places;
use crate::{Failure, process};

/// Makes the image and gives its path.
pub(super) fn make(places: &Places, init: &str, files: &[PathBuf]) -> Result<PathBuf, Failure> {
    let root = places.cache.join("guest-root");
    let told = |error: std::io::Error| Failure::at(root.display(), error);
    if root.exists() {
        fs::remove_dir_all(&root).map_err(told)?;
    }
    for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "var/log"] {
        fs::create_dir_all(root.join(folder)).map_err(told)?;
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).map_err(told)?;
    }
    let busybox = places.program("busybox").unwrap_or_default();
    fs::copy(busybox, root.join("usr/bin/busybox")).map_err(told)?;
    for name in ["sh", "mount", "mkdir", "mv"] {
        symlink("busybox", root.join("usr/bin").join(name)).map_err(told)?;
    }
    // Bait for attempts at files.
    fs::write(root.join("etc/shadow"), "root:*:1:0:99999:7:::\n").map_err(told)?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").map_err(told)?;
    fs::write(root.join("var/log/messages"), "the guest has begun\n").map_err(told)?;
    for file in files {
        copy(file, &root, true)?;
    }
    let python = python(&root)?;
    for library in libraries(files.iter().chain(&python))? {
        copy(&library, &root, false)?;
    }
    let start = root.join("init");
    fs::write(&start, init).map_err(told)?;
    fs::set_permissions(&start, fs::Permissions::from_mode(0o755)).map_err(told)?;
    pack(&root, &places.cache.join("guest-root.gz"))
}

/// Copies a file to the path that it has here; a program without what only debuggers read.
fn copy(file: &Path, root: &Path, program: bool) -> Result<(), Failure> {
    let place = root.join(file.strip_prefix("/").unwrap_or(file));
    let told = |error: std::io::Error| Failure::at(file.display(), error);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(told)?;
    }
    fs::copy(file, &place).map_err(told)?;
    if program {
        // Where it cannot be stripped it is larger, and no worse.
        process::output(Command::new("strip").arg(&place));
    }
    Ok(())
}

/// Copies Debian's Python with its own library, for functions; gives what of it needs libraries.
/// Nothing where there is none.
fn python(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let known = Path::new("/usr/bin/python3");
    let Ok(program) = known.canonicalize() else { return Ok(Vec::new()) };
    let library = Path::new("/usr/lib").join(program.file_name().unwrap_or_default());
    copy(&program, root, true)?;
    symlink(&program, root.join("usr/bin/python3"))
        .map_err(|error| Failure::at(known.display(), error))?;
    process::run(Command::new("cp").arg("-a").arg(&library).arg(root.join("usr/lib")))?;
    let parts = fs::read_dir(library.join("lib-dynload")).into_iter().flatten().flatten();
    Ok(parts.map(|entry| entry.path()).chain([program]).collect())
}

/// The shared libraries of programs, as the loader finds them here.
fn libraries<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut found = BTreeSet::new();
    for file in files {
        // A program without libraries is none to ldd.
        let text = process::output(Command::new("ldd").arg(file)).unwrap_or_default();
        let paths = text.lines().filter_map(|line| {
            let path = line.split_once("=> ").map_or(line, |(_, path)| path).trim();
            path.split(' ').next().filter(|path| path.starts_with('/'))
        });
        found.extend(paths.map(PathBuf::from));
    }
    if found.is_empty() {
        return Err(Failure::new("ldd names no library of any test program"));
    }
    Ok(found)
}

/// Packs a folder as the kernel takes it.
fn pack(root: &Path, image: &Path) -> Result<PathBuf, Failure> {
    let told = |error: std::io::Error| Failure::at(image.display(), error);
    let list = process::output(Command::new("find").arg(".").current_dir(root));
    let list = list.ok_or_else(|| Failure::at(root.display(), "its files cannot be listed"))?;
    let packed = fs::File::create(image).map_err(told)?;
    let mut cpio = Command::new("cpio");
    cpio.args(["--quiet", "-o", "-H", "newc", "-R", "0:0"]).current_dir(root);
    let mut cpio = cpio.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(told)?;
    let from = cpio.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let gzip = Command::new("gzip").arg("-1").stdin(from).stdout(packed).spawn();
    let mut gzip = gzip.map_err(told)?;
    if let Some(mut names) = cpio.stdin.take() {
        names.write_all(list.as_bytes()).map_err(told)?;
    }
    let done = [cpio.wait().map_err(told)?, gzip.wait().map_err(told)?];
    if done.iter().all(std::process::ExitStatus::success) {
        return Ok(image.to_path_buf());
    }
    Err(Failure::at(image.display(), "it could not be packed"))
}
