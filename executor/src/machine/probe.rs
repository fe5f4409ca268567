//! Trials of kernel features, each in a forked child that ends at once.
//!
//! Always true: a child makes system calls and nothing else: no allocation, no lock, no unwinding,
//! since it is forked from a process with many threads.
#![expect(unsafe_code, reason = "fork, _exit and questions to the kernel have no safe form")]

use std::ffi::CString;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, fork, setresgid, setresuid, write};

use crate::plan::{MAPPED_UID, Namespaces};

/// Texts for the files that map one user into a namespace, made before the fork.
#[derive(Clone, Debug)]
pub(super) struct Map {
    uid: CString,
    gid: CString,
}

impl Map {
    pub(super) fn new(uid: u32, gid: u32) -> Self {
        let text = |id: u32| CString::new(format!("{MAPPED_UID} {id} 1")).unwrap_or_default();
        Self { uid: text(uid), gid: text(gid) }
    }
}

/// The namespaces without a trial of their own, with the place to note the result.
pub(super) fn kinds(namespaces: &mut Namespaces) -> [(&'static str, CloneFlags, &mut bool); 5] {
    [
        ("process namespace", CloneFlags::CLONE_NEWPID, &mut namespaces.process),
        ("network namespace", CloneFlags::CLONE_NEWNET, &mut namespaces.network),
        ("ipc namespace", CloneFlags::CLONE_NEWIPC, &mut namespaces.ipc),
        ("host name namespace", CloneFlags::CLONE_NEWUTS, &mut namespaces.name),
        ("cgroup namespace", CloneFlags::CLONE_NEWCGROUP, &mut namespaces.cgroup),
    ]
}

/// Tries to make a user namespace with this map.
pub(super) fn user_namespace(map: &Map) -> Result<(), String> {
    in_child(|| enter(Some(map), CloneFlags::empty()))
}

/// Tries to make one namespace.
pub(super) fn namespace(map: Option<&Map>, kind: CloneFlags) -> Result<(), String> {
    in_child(|| enter(map, kind))
}

/// Tries to make a mount namespace and to mount in it.
pub(super) fn mounts(map: Option<&Map>) -> Result<(), String> {
    in_child(|| {
        enter(map, CloneFlags::CLONE_NEWNS)?;
        make_private()?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("none"), "/proc", Some("tmpfs"), flags, Some("size=64k,mode=755"))
    })
}

/// Tries to mount the `/proc` of a new process namespace.
pub(super) fn fresh_proc(map: Option<&Map>) -> Result<(), String> {
    in_child(|| {
        enter(map, CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
        // SAFETY: as in `in_child`; this child has one thread.
        match unsafe { fork() }? {
            ForkResult::Child => {
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
                let made = make_private()
                    .and_then(|()| mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>));
                end(made)
            }
            ForkResult::Parent { child } => match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => Ok(()),
                WaitStatus::Exited(_, number) => Err(Errno::from_raw(number)),
                _ => Err(Errno::ECHILD),
            },
        }
    })
}

/// Asks whether a tree of mounts can be made ready in one place and mounted in another.
pub(super) fn late_mounts() -> Result<(), String> {
    // SAFETY: the kernel refuses the size of 0 before it looks at any argument, or does not know
    // the call; both are younger in it than `open_tree` and `move_mount`.
    let answer = unsafe {
        libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0_usize)
    };
    match Errno::last() {
        error @ (Errno::ENOSYS | Errno::EPERM) if answer < 0 => Err(told(error)),
        _ => Ok(()),
    }
}

/// Tries to become another user.
pub(super) fn become_user(id: u32) -> Result<(), String> {
    in_child(|| {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)
    })
}

/// Asks for landlock's version.
pub(super) fn landlock() -> Result<u32, String> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes a null pointer and a size of 0, and only answers.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION)
    };
    u32::try_from(version).map_err(|_| told(Errno::last()))
}

/// Asks whether system calls can be filtered with error answers.
pub(super) fn seccomp() -> Result<(), String> {
    /// `SECCOMP_GET_ACTION_AVAIL`
    const AVAILABLE: libc::c_uint = 2;
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads four bytes behind the pointer, which lives until it returns.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, AVAILABLE, 0, std::ptr::from_ref(&action)) };
    if answer == 0 { Ok(()) } else { Err(told(Errno::last())) }
}

fn enter(map: Option<&Map>, kinds: CloneFlags) -> nix::Result<()> {
    let Some(map) = map else { return unshare(kinds) };
    unshare(kinds | CloneFlags::CLONE_NEWUSER)?;
    fill(c"/proc/self/setgroups", b"deny")?;
    fill(c"/proc/self/uid_map", map.uid.as_bytes())?;
    fill(c"/proc/self/gid_map", map.gid.as_bytes())
}

fn fill(path: &std::ffi::CStr, text: &[u8]) -> nix::Result<()> {
    let file = open(path, OFlag::O_WRONLY, Mode::empty())?;
    write(&file, text).map(drop)
}

fn make_private() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// Runs a trial in a child, and tells why it failed.
fn in_child(trial: impl FnOnce() -> nix::Result<()>) -> Result<(), String> {
    // SAFETY: the child runs only the trial, which makes system calls (see this file's header) and
    // touches no memory that another thread may have left locked; then it ends without cleaning up.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => end(trial()),
        Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(()),
            Ok(WaitStatus::Exited(_, number)) => Err(told(Errno::from_raw(number))),
            Ok(status) => Err(format!("the trial ended with {status:?}")),
            Err(error) => Err(told(error)),
        },
        Err(error) => Err(told(error)),
    }
}

fn end(result: nix::Result<()>) -> ! {
    let code = result.map_or_else(|error| error as i32, |()| 0);
    // SAFETY: ends this process at once; nothing of it is used afterwards.
    unsafe { libc::_exit(code) }
}

fn told(error: Errno) -> String {
    match error {
        Errno::EPERM | Errno::EACCES => "not permitted".to_owned(),
        Errno::ENOSYS | Errno::EINVAL => "not offered by this kernel".to_owned(),
        Errno::ENOSPC => "the limit of namespaces is 0 or reached".to_owned(),
        other => io::Error::from(other).to_string(),
    }
}
