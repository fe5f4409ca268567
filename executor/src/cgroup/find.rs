//! Where control groups can be made: our own group, or for root the top of the hierarchy.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Cgroups, takes_groups};

/// A mounted hierarchy.
struct Hierarchy {
    /// Version 2, or version 1 with these controllers.
    controllers: Option<Vec<String>>,
    at: PathBuf,
    /// The part of the hierarchy that is mounted there.
    root: String,
}

/// Finds where each controller's groups can be made. Version 1 is preferred where both are
/// mounted, since a controller belongs to one of them, and version 2 then has none; what freezes
/// is always version 2's.
pub(super) fn find() -> Cgroups {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let hierarchies: Vec<Hierarchy> = mounts.lines().filter_map(hierarchy).collect();
    let found = version_1(&hierarchies, &own);
    if found == Cgroups::default() {
        return version_2(&hierarchies, &own);
    }
    let freezes = |place: &PathBuf| takes_groups(place, "cgroup.freeze");
    let freeze = places_2(&hierarchies, &own).into_iter().find(freezes);
    Cgroups { freeze, ..found }
}

/// The top of every hierarchy that is mounted here.
pub(super) fn tops() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(hierarchy).map(|hierarchy| hierarchy.at).collect()
}

/// Reads a line of mountinfo; see proc(5).
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, at) = (fields.next()?.to_owned(), PathBuf::from(fields.next()?));
    let mut fields = after.split(' ');
    let controllers = match fields.next()? {
        "cgroup2" => None,
        "cgroup" => Some(fields.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Hierarchy { controllers, at, root })
}

impl Hierarchy {
    /// The folder of a group that `/proc/self/cgroup` names.
    fn folder(&self, path: &str) -> PathBuf {
        let below = path.strip_prefix(self.root.trim_end_matches('/')).unwrap_or(path);
        self.at.join(below.trim_start_matches('/'))
    }
}

fn version_1(hierarchies: &[Hierarchy], own: &str) -> Cgroups {
    let place = |controller: &str, needs: &str| {
        let has = |list: &[String]| list.iter().any(|name| name == controller);
        let hierarchy =
            hierarchies.iter().find(|found| found.controllers.as_deref().is_some_and(has))?;
        let path = own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let named = fields.next()?.split(',').any(|name| name == controller);
            if named { fields.next() } else { None }
        })?;
        [hierarchy.folder(path), hierarchy.at.clone()]
            .into_iter()
            .find(|folder| takes_groups(folder, needs))
    };
    Cgroups {
        unified: false,
        memory: place("memory", "memory.limit_in_bytes"),
        pids: place("pids", "pids.max"),
        cpu: place("cpu", "cpu.cfs_quota_us"),
        account: place("cpuacct", "cpuacct.usage"),
        freeze: None,
    }
}

/// Our own group of version 2, and the top of its hierarchy.
fn places_2(hierarchies: &[Hierarchy], own: &str) -> Vec<PathBuf> {
    let Some(hierarchy) = hierarchies.iter().find(|found| found.controllers.is_none()) else {
        return Vec::new();
    };
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    vec![hierarchy.folder(path), hierarchy.at.clone()]
}

fn version_2(hierarchies: &[Hierarchy], own: &str) -> Cgroups {
    let places = places_2(hierarchies, own);
    let Some(place) = places.into_iter().find(|place| delegated(place)) else {
        return Cgroups::default();
    };
    let with = |needs: &str| takes_groups(&place, needs).then(|| place.clone());
    Cgroups {
        unified: true,
        memory: with("memory.max"),
        pids: with("pids.max"),
        cpu: with("cpu.max"),
        account: with("cpu.stat"),
        freeze: with("cgroup.freeze"),
    }
}

/// Whether groups below this one can be given limits. A group that holds processes cannot pass
/// controllers on; where all of them are ours, they move to a group below.
fn delegated(place: &Path) -> bool {
    let enable = || fs::write(place.join("cgroup.subtree_control"), "+memory +pids +cpu").is_ok();
    if enable() {
        return true;
    }
    let me = std::process::id().to_string();
    let held = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
    let alone = !held.is_empty() && held.lines().all(|pid| pid == me);
    let below = place.join("freehold-self");
    let moved = alone
        && (below.exists() || fs::create_dir(&below).is_ok())
        && fs::write(below.join("cgroup.procs"), &me).is_ok();
    moved && enable()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_read_from_mountinfo() {
        let line = "32 28 0:27 /docker/x /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup \
                    rw,memory";
        let found = hierarchy(line).unwrap();
        assert_eq!(found.controllers, Some(vec!["rw".to_owned(), "memory".to_owned()]));
        assert_eq!(found.folder("/docker/x/y"), Path::new("/sys/fs/cgroup/memory/y"));
        let line = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";
        let found = hierarchy(line).unwrap();
        assert_eq!(found.controllers, None);
        assert_eq!(found.folder("/user.slice"), Path::new("/sys/fs/cgroup/user.slice"));
        assert!(hierarchy("1 2 0:3 / / rw - ext4 /dev/vda rw").is_none());
    }
}
