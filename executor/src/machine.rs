//! What this machine offers for sealing an instance, tried out once per process.
//!
//! Always true: a feature counts as held only where trying it worked; a refused one keeps the
//! reason. Each trial runs in a forked child, so it leaves nothing behind.

mod probe;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::{getegid, geteuid};

use crate::plan::Namespaces;

/// The first user id given to instances where the executor is root: far above people's and
/// services' ids, and above the ranges that `useradd` hands out for containers by default.
const USER_FIRST: u32 = 1_879_048_192;
/// Most instances with a user of their own at once.
pub(crate) const USERS_MAX: u32 = 60_000;
/// Since this kernel, the process limit counts within a user namespace.
const NPROC_PER_NAMESPACE: (u32, u32) = (5, 14);

/// What this machine offers.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Namespaces that can be made.
    pub(crate) namespaces: Namespaces,
    /// Features that were refused, and why, by their names in [`crate::features`].
    pub(crate) refused: BTreeMap<&'static str, String>,
    /// Who instances can be.
    pub(crate) users: Users,
    /// Whether a new `/proc` can be mounted.
    pub(crate) fresh_proc: bool,
    /// Landlock's version; 0 where it is absent.
    pub(crate) landlock: u32,
    /// Whether system calls can be filtered.
    pub(crate) seccomp: bool,
    /// Whether the kernel's process limit counts one instance alone.
    pub(crate) process_limit: bool,
    /// The host's folders that instances see.
    pub(crate) host: Host,
}

/// Who instances can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// Each another user, counted from this id.
    PerInstance { first: u32 },
    /// The executor's own user, mapped in a user namespace.
    Mapped,
    /// The executor's own user.
    Same,
}

/// The host's folders that instances see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// To bind.
    pub(crate) folders: Vec<PathBuf>,
    /// To repeat as symbolic links, with what they say.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

impl Machine {
    /// Tries everything, the first time; then remembers.
    pub(crate) fn get() -> &'static Self {
        static MACHINE: OnceLock<Machine> = OnceLock::new();
        MACHINE.get_or_init(Self::probe)
    }

    /// The same machine, as if it did not offer this feature.
    pub(crate) fn without(mut self, name: &&'static str) -> Self {
        match *name {
            "mount namespace" => {
                self.namespaces.mount = false;
                self.fresh_proc = false;
                // Where not even root may mount, it cannot hand its folders to others either.
                if let Users::PerInstance { .. } = self.users {
                    (self.users, self.process_limit) = (Users::Same, false);
                }
            }
            "process namespace" => {
                self.namespaces.process = false;
                self.fresh_proc = false;
            }
            _ => return self,
        }
        self.refused.insert(name, "left out by the settings".to_owned());
        self
    }

    fn probe() -> Self {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let mut refused = BTreeMap::new();
        let direct = uid == 0 && probe::mounts(None).is_ok();
        let map = (!direct).then(|| probe::Map::new(uid, gid));
        let mut namespaces = Namespaces { user: !direct, ..Namespaces::default() };
        if let Some(map) = &map
            && let Err(why) = probe::user_namespace(map)
        {
            refused.insert("user namespace", why);
            namespaces.user = false;
        }
        let map = map.as_ref().filter(|_| namespaces.user);
        let mut trial = |name: &'static str, result: Result<(), String>| match result {
            Ok(()) => true,
            Err(why) => {
                refused.insert(name, why);
                false
            }
        };
        namespaces.mount = trial("mount namespace", probe::mounts(map));
        for (name, kind, held) in probe::kinds(&mut namespaces) {
            *held = trial(name, probe::namespace(map, kind));
        }
        let fresh_proc =
            namespaces.mount && namespaces.process && trial("own /proc", probe::fresh_proc(map));
        trial("late mounts", probe::late_mounts());
        let landlock = probe::landlock();
        trial("landlock", landlock.clone().map(drop));
        let seccomp = trial("system call filter", probe::seccomp());
        let users = users(direct, namespaces.user);
        let process_limit = trial("process limit", process_limit(users, uid));
        let landlock = landlock.unwrap_or(0);
        let host = host();
        Self {
            uid,
            gid,
            namespaces,
            refused,
            users,
            fresh_proc,
            landlock,
            seccomp,
            process_limit,
            host,
        }
    }
}

fn users(direct: bool, mapped: bool) -> Users {
    if mapped {
        return Users::Mapped;
    }
    if direct && probe::become_user(USER_FIRST + USERS_MAX).is_ok() {
        return Users::PerInstance { first: USER_FIRST };
    }
    Users::Same
}

/// Whether the kernel's limit of processes counts those of one instance only.
fn process_limit(users: Users, uid: u32) -> Result<(), String> {
    match users {
        Users::PerInstance { .. } => Ok(()),
        Users::Mapped if uid == 0 => Err("the kernel never limits user 0".to_owned()),
        Users::Mapped if kernel_version() >= NPROC_PER_NAMESPACE => Ok(()),
        Users::Mapped => Err("before Linux 5.14 the limit counts all of the user's".to_owned()),
        Users::Same => Err("the limit would count all of the user's processes".to_owned()),
    }
}

fn kernel_version() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = text.split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Programs and libraries, and the links that Debian keeps beside them.
fn host() -> Host {
    let mut host = Host::default();
    for name in ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/alternatives"] {
        let path = Path::new(name);
        match fs::read_link(path) {
            Ok(target) => host.links.push((path.to_path_buf(), target)),
            Err(_) if path.is_dir() => host.folders.push(path.to_path_buf()),
            Err(_) => {}
        }
    }
    for name in ["/etc/ld.so.cache", "/etc/localtime"] {
        // A link such as localtime's leads into /usr, which is there.
        if let Ok(target) = fs::read_link(name) {
            host.links.push((PathBuf::from(name), target));
        } else if Path::new(name).is_file() {
            host.folders.push(PathBuf::from(name));
        }
    }
    host
}
