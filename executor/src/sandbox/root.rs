//! Builds the root folder that the plan names, and makes it the only one there is.
//!
//! Always true: afterwards nothing of the host's tree can be reached but what was bound; all of it
//! is read-only except the scratch folders and the binds to write.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};

use super::Fault;
use crate::plan::{Bind, BindKind, Root};

/// Size of the root's own file system: folders, links and a few small files.
const ROOT_BYTES: u64 = 4 << 20;
/// Smallest share of the scratch that one file takes; gives the largest number of files.
const FILE_BYTES_MIN: u64 = 2_048;
/// What every mount here has: no setuid programs, no device files.
const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Builds the root and moves into it. What comes back is the mount namespace, for who mounts later.
pub(super) fn build(root: &Root) -> Result<File, Fault> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(Fault::at("make a mount namespace"))?;
    // While the host's /proc is there: inside there may be none.
    let namespace =
        File::open("/proc/self/ns/mnt").map_err(Fault::at("open the mount namespace"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(Fault::at("part from the host's mounts"))?;
    let options = format!("size={ROOT_BYTES},mode=755");
    mount(Some("freehold"), &root.at, Some("tmpfs"), PLAIN, Some(options.as_str()))
        .map_err(Fault::at("mount the root"))?;
    scratch(root)?;
    for bind in &root.binds {
        show(root, bind)?;
    }
    for path in &root.folders {
        let path = inside(root, path)?;
        fs::create_dir_all(&path).map_err(Fault::at(format!("make {}", path.display())))?;
    }
    for (path, target) in &root.links {
        let path = inside(root, path)?;
        symlink(target, &path).map_err(Fault::at(format!("link {}", path.display())))?;
    }
    for (path, text) in &root.files {
        let path = inside(root, path)?;
        fs::write(&path, text).map_err(Fault::at(format!("write {}", path.display())))?;
    }
    proc(root)?;
    remount(&root.at, MsFlags::MS_RDONLY | PLAIN)?;
    chdir(&root.at).map_err(Fault::at("enter the root"))?;
    pivot_root(".", ".").map_err(Fault::at("change the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(Fault::at("leave the host's root"))?;
    chdir("/").map_err(Fault::at("enter the new root"))?;
    Ok(namespace)
}

/// The place of an inside path while the root is being built, with its parents made.
fn inside(root: &Root, path: &Path) -> Result<PathBuf, Fault> {
    let place = root.at.join(path.strip_prefix("/").unwrap_or(path));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(Fault::at(format!("make {}", parent.display())))?;
    }
    Ok(place)
}

/// Mounts one small file system for `/tmp` and `/dev/shm`, so that they share the quota.
fn scratch(root: &Root) -> Result<(), Fault> {
    let whole = inside(root, Path::new("/scratch"))?;
    fs::create_dir(&whole).map_err(Fault::at("make the scratch folder"))?;
    mount_scratch(&whole, root.scratch_bytes)?;
    for (name, path) in [("tmp", "/tmp"), ("shm", "/dev/shm")] {
        let part = whole.join(name);
        let place = inside(root, Path::new(path))?;
        fs::create_dir(&place).map_err(Fault::at(format!("make {path}")))?;
        mount(Some(&part), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(Fault::at(format!("bind {path}")))?;
        remount(&place, PLAIN)?;
    }
    umount2(&whole, MntFlags::empty()).map_err(Fault::at("part the scratch folders"))?;
    fs::remove_dir(&whole).map_err(Fault::at("remove the scratch folder"))
}

/// Mounts a small file system with the folders `tmp` and `shm`, which everybody may write to.
pub(crate) fn mount_scratch(whole: &Path, bytes: u64) -> Result<(), Fault> {
    let files = (bytes / FILE_BYTES_MIN).max(64);
    // A size of 0 would mean no limit.
    let options = format!("size={},nr_inodes={files},mode=755", bytes.max(4_096));
    mount(Some("scratch"), whole, Some("tmpfs"), PLAIN, Some(options.as_str()))
        .map_err(Fault::at("mount the scratch"))?;
    for name in ["tmp", "shm"] {
        let part = whole.join(name);
        fs::create_dir(&part).map_err(Fault::at("make a scratch folder"))?;
        fs::set_permissions(&part, fs::Permissions::from_mode(0o1777))
            .map_err(Fault::at("open the scratch folder"))?;
    }
    Ok(())
}

/// Binds a file or folder of the host.
fn show(root: &Root, bind: &Bind) -> Result<(), Fault> {
    let told = || format!("bind {} to {}", bind.source.display(), bind.target.display());
    let place = inside(root, &bind.target)?;
    let source = fs::metadata(&bind.source).map_err(Fault::at(told()))?;
    if source.is_dir() {
        fs::create_dir_all(&place).map_err(Fault::at(told()))?;
    } else if !place.exists() {
        fs::write(&place, b"").map_err(Fault::at(told()))?;
    }
    let kind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(&bind.source), &place, None::<&str>, kind, None::<&str>)
        .map_err(Fault::at(told()))?;
    let flags = match bind.kind {
        BindKind::Read => PLAIN | MsFlags::MS_RDONLY,
        BindKind::Write => PLAIN,
        BindKind::Device => MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
    };
    for (mounted, held) in mounts_at(&place)? {
        let told = format!("seal {}", mounted.display());
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags | held;
        mount(None::<&str>, &mounted, None::<&str>, flags, None::<&str>)
            .map_err(Fault::at(told))?;
    }
    Ok(())
}

fn remount(place: &Path, flags: MsFlags) -> Result<(), Fault> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
    mount(None::<&str>, place, None::<&str>, flags, None::<&str>)
        .map_err(Fault::at(format!("seal {}", place.display())))
}

/// The mounts at this place and below it, each with the flags it has already: in a user namespace
/// the kernel refuses a change that would drop one.
fn mounts_at(place: &Path) -> Result<Vec<(PathBuf, MsFlags)>, Fault> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(Fault::at("read the mounts"))?;
    let place = place.canonicalize().map_err(Fault::at("resolve a mount"))?;
    Ok(table.lines().filter_map(mount_line).filter(|(at, _)| at.starts_with(&place)).collect())
}

/// The place and the flags in a line of mountinfo; see proc(5).
fn mount_line(line: &str) -> Option<(PathBuf, MsFlags)> {
    let mut fields = line.split(' ').skip(4);
    let place = PathBuf::from(unescape(fields.next()?));
    let mut flags = MsFlags::empty();
    for option in fields.next()?.split(',') {
        flags |= match option {
            "ro" => MsFlags::MS_RDONLY,
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    Some((place, flags))
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        (plain, rest) = match (byte, octal) {
            (b'\\', Some(value)) => ([plain, vec![value]].concat(), &after[3..]),
            _ => ([plain, vec![byte]].concat(), after),
        };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Mounts the `/proc` of our own process namespace, or leaves the folder empty.
fn proc(root: &Root) -> Result<(), Fault> {
    let place = inside(root, Path::new("/proc"))?;
    fs::create_dir_all(&place).map_err(Fault::at("make /proc"))?;
    if !root.proc {
        return Ok(());
    }
    let flags = PLAIN | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &place, Some("proc"), flags, None::<&str>)
        .map_err(Fault::at("mount /proc"))?;
    remount(&place, flags | MsFlags::MS_RDONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_keep_the_flags_they_have() {
        let line = r"36 35 98:0 / /a\040b rw,nosuid,noatime shared:1 - ext4 /dev/x rw";
        let (place, flags) = mount_line(line).unwrap();
        assert_eq!(place, Path::new("/a b"));
        assert_eq!(flags, MsFlags::MS_NOSUID | MsFlags::MS_NOATIME);
        assert_eq!(unescape(r"x\y\134"), r"x\y\");
    }
}
