//! System calls by number, and what their answers mean.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long};
use nix::unistd::{ForkResult, Pid, fork};

use crate::Through;

/// Makes a system call.
pub(crate) fn call<const N: usize>(number: c_long, args: [c_long; N]) -> Result<c_long, Errno> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    // SAFETY: each caller passes numbers, null, or pointers to memory that outlives the call and is
    // as long as the kernel takes it to be.
    let answer = unsafe { libc::syscall(number, all[0], all[1], all[2], all[3], all[4], all[5]) };
    if answer < 0 { Err(Errno::last()) } else { Ok(answer) }
}

/// Through where the kernel did it, or listened and found fault with the arguments alone: attempts
/// pass arguments that do no harm.
pub(crate) fn listens(what: &str, answer: Result<c_long, Errno>) -> Through {
    match answer {
        Ok(_) => Some(what.to_owned()),
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => None,
        Err(error) => Some(format!("{what}: {error}")),
    }
}

/// Through only where the call worked.
pub(crate) fn works<T>(what: &str, answer: Result<T, Errno>) -> Through {
    answer.ok().map(|_| what.to_owned())
}

/// A text's address, for a call.
pub(crate) fn text(text: &'static std::ffi::CStr) -> c_long {
    text.as_ptr() as c_long
}

/// The address of a value, for a call that may write there.
pub(crate) fn at<T>(value: &mut T) -> c_long {
    std::ptr::from_mut(value) as c_long
}

/// A path as the kernel takes it.
pub(crate) fn path(path: impl AsRef<std::path::Path>) -> std::ffi::CString {
    use std::os::unix::ffi::OsStrExt as _;
    std::ffi::CString::new(path.as_ref().as_os_str().as_bytes()).unwrap()
}

/// Runs something in a child and tells how it ended: its code, or the signal's number below zero.
pub(crate) fn in_child(run: impl FnOnce() -> c_int) -> Option<c_int> {
    // SAFETY: this program has one thread here.
    match unsafe { fork() }.ok()? {
        ForkResult::Child => std::process::exit(run()),
        ForkResult::Parent { child } => ended(child),
    }
}

/// Waits for a child.
pub(crate) fn ended(child: Pid) -> Option<c_int> {
    use nix::sys::wait::{WaitStatus, waitpid};
    match waitpid(child, None).ok()? {
        WaitStatus::Exited(_, code) => Some(code),
        WaitStatus::Signaled(_, signal, _) => Some(-(signal as c_int)),
        _ => None,
    }
}

/// The name of the host, as this process is told it.
pub(crate) fn own_host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
