//! Control groups as a runtime sees them: by their place below the hierarchies' mounts.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::unistd::Pid;

use super::{Fault, Kind};

/// The file of a group into which whole processes are put.
const PROCESSES: &str = "cgroup.procs";

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    at: PathBuf,
    /// Whether it is of version 2.
    unified: bool,
}

/// Reads `/proc/self/mounts`; see fstab(5).
fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let read = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?, fields.next()?);
        let unified = kind == "cgroup2";
        (unified || kind == "cgroup").then(|| Hierarchy { at: at.into(), unified })
    };
    mounts.lines().filter_map(read).collect()
}

fn mounted() -> Result<Vec<Hierarchy>, Fault> {
    let text = fs::read_to_string("/proc/self/mounts").map_err(Fault::at("read the mounts"))?;
    Ok(hierarchies(&text))
}

/// Whether both versions are mounted, as systemd does by default with version 1.
fn is_hybrid(found: &[Hierarchy]) -> bool {
    found.iter().any(|one| one.unified) && found.iter().any(|one| !one.unified)
}

/// Hides version 2 where version 1 is mounted too: crun takes such a machine for broken. Only this
/// process's mounts change, which are its own by now.
pub(super) fn hide_second(kind: Kind) -> Result<(), Fault> {
    let found = mounted()?;
    if kind != Kind::Crun || !is_hybrid(&found) {
        return Ok(());
    }
    for hierarchy in found.iter().filter(|hierarchy| hierarchy.unified) {
        umount2(&hierarchy.at, MntFlags::MNT_DETACH)
            .map_err(Fault::at("hide the second version of control groups"))?;
    }
    Ok(())
}

/// The `cgroup.procs` files of groups, given as a plan gives them: `tasks` files to join, and the
/// folder in which to be born. A runtime written in Go has many threads, and `tasks` takes one.
pub(super) fn of(join: Vec<PathBuf>, birthplace: Option<PathBuf>) -> Vec<PathBuf> {
    let joined = join.into_iter().map(|tasks| tasks.with_file_name(PROCESSES));
    joined.chain(birthplace.map(|folder| folder.join(PROCESSES))).collect()
}

/// The `cgroupsPath` of a runtime that makes groups of its own: the name of the instance's groups, of
/// which this gives the `cgroup.procs` files, at the top of every hierarchy.
pub(super) fn path(told: &[PathBuf]) -> Option<PathBuf> {
    Some(Path::new("/").join(told.first()?.parent()?.file_name()?))
}

/// Puts a process into groups.
pub(super) fn enter(told: &[PathBuf], process: Pid) -> Result<(), Fault> {
    for file in told {
        fs::write(file, process.to_string())
            .map_err(Fault::at(format!("put the container into {}", file.display())))?;
    }
    Ok(())
}

/// Removes the groups that a runtime made itself, once nothing is left of them but the folders.
pub(crate) fn remove_others(told: &[PathBuf]) {
    let (Ok(found), Some(path)) = (mounted(), path(told)) else { return };
    let name = path.strip_prefix("/").unwrap_or(&path);
    for folder in found.iter().map(|one| one.at.join(name)) {
        if !told.iter().any(|file| file.starts_with(&folder)) {
            // Where there is none, nothing has to go.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
        cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn a_machine_with_both_versions_is_known() {
        let found = hierarchies(HYBRID);
        assert_eq!(found.len(), 3);
        assert!(is_hybrid(&found));
        assert!(!is_hybrid(&found[..2]) && !is_hybrid(&found[2..]));
    }

    #[test]
    fn a_runtime_is_told_the_name_of_the_groups() {
        let (old, new) = ("/sys/fs/cgroup/cpu/a/freehold-1-x", "/sys/fs/cgroup/b/freehold-1-x");
        let told = of(vec![Path::new(old).join("tasks")], Some(new.into()));
        assert_eq!(told, [old, new].map(|folder| Path::new(folder).join("cgroup.procs")));
        assert_eq!(path(&told), Some("/freehold-1-x".into()));
        assert_eq!(path(&[]), None);
    }
}
