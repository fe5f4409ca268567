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
pub(super) fn make(
    places: &Places,
    init: &str,
    files: &[PathBuf],
    interface: &Path,
) -> Result<PathBuf, Failure> {
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
    let libraries = libraries(files.iter().chain(&python))?;
    for library in &libraries {
        copy(library, &root, false)?;
    }
    fs::copy(interface, root.join("usr/lib/interface.ko")).map_err(told)?;
    program(&root.join("init"), init)?;
    program(&root.join("usr/bin/ldd"), &ldd(&libraries)?)?;
    pack(&root, &places.cache.join("guest-root.gz"))
}

/// Writes a script.
fn program(place: &Path, text: &str) -> Result<(), Failure> {
    let told = |error: std::io::Error| Failure::at(place.display(), error);
    fs::write(place, text).map_err(told)?;
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).map_err(told)
}

/// What tells a program's libraries, as tests ask for it: the usual one is a script for a larger
/// shell than the guest's, around this question to the loader.
fn ldd(libraries: &BTreeSet<PathBuf>) -> Result<String, Failure> {
    let is_loader = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-"))
    };
    let loader = libraries.iter().find(is_loader);
    let loader = loader.ok_or_else(|| Failure::new("no program names its loader"))?;
    Ok(format!("#!/bin/sh\nexec {} --list \"$@\"\n", loader.display()))
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
    // What links lead to is elsewhere, and what is compiled counts by the time of its source.
    let mut copying = Command::new("cp");
    copying.args(["-rL", "--preserve=mode,timestamps"]);
    process::run(copying.arg(&library).arg(root.join("usr/lib")))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_the_loader() {
        let libraries = ["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        let script = ldd(&libraries.into()).unwrap();
        assert!(script.contains("exec /lib64/ld-linux-x86-64.so.2 --list"), "{script}");
        assert!(ldd(&BTreeSet::new()).is_err());
    }
}
