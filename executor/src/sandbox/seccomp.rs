//! The system calls that an instance may make.
//!
//! An allow-list: what programs, Python and ONNX Runtime need to compute, to read and write files,
//! to run threads and processes of their own, and to answer on a Unix socket. Everything else is
//! refused with an error, not with death, so that programs can do without.
//!
//! Always true: no new namespace, no mount, no tracing, no kernel keyring, no device file, no socket
//! but Unix ones can be made; where there is a loopback and nothing else, TCP and UDP ones too.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Namespaces that `clone` could make.
const NEW_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | 0x80) as u64;
/// The part of a file mode that tells its kind.
const KIND: u64 = libc::S_IFMT as u64;

/// The part of a socket's type that tells its kind; the rest are flags.
const SOCKET_KIND: u64 = 0xf;

/// The filters, in the order in which they are to be set.
pub(super) fn programs(loopback: bool) -> Result<Vec<BpfProgram>, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let refuse = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let allowed =
        SeccompFilter::new(rules(loopback)?, refuse(libc::EPERM), SeccompAction::Allow, arch)?;
    // Callers try an older call when these are unknown, and give up when they are forbidden.
    let unknown: Rules = UNKNOWN.iter().map(|&call| (call, Vec::new())).collect();
    let unknown = SeccompFilter::new(unknown, SeccompAction::Allow, refuse(libc::ENOSYS), arch)?;
    Ok(vec![allowed.try_into()?, unknown.try_into()?])
}

fn rules(loopback: bool) -> Result<Rules, BackendError> {
    let every = ALLOWED.iter().chain(ALLOWED_HERE).chain(UNKNOWN);
    let mut rules: Rules = every.map(|&call| (call, Vec::new())).collect();
    let mut when = |call: i64, alternatives: &[&[Condition]]| -> Result<(), BackendError> {
        let list = alternatives.iter().map(|all| SeccompRule::new(all.to_vec()));
        rules.insert(call, list.collect::<Result<_, _>>()?);
        Ok(())
    };
    let is = |argument, value: i64| {
        Condition::new(argument, Width::Dword, Op::Eq, value.cast_unsigned() & 0xffff_ffff)
    };
    let is_not = |argument, value: u64| Condition::new(argument, Width::Dword, Op::Ne, value);
    let masked =
        |argument, mask, value| Condition::new(argument, Width::Qword, Op::MaskedEq(mask), value);
    // Threads and processes, but no namespaces.
    when(libc::SYS_clone, &[&[masked(0, NEW_NAMESPACES, 0)?]])?;
    // Unix sockets, and those of the loopback's protocols: the second argument carries flags too.
    let unix = i64::from(libc::AF_UNIX);
    let mut sockets = vec![vec![is(0, unix)?]];
    if loopback {
        for family in [libc::AF_INET, libc::AF_INET6] {
            for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
                let kind = masked(1, SOCKET_KIND, u64::from(kind.unsigned_abs()))?;
                sockets.push(vec![is(0, i64::from(family))?, kind]);
            }
        }
    }
    let sockets: Vec<&[Condition]> = sockets.iter().map(Vec::as_slice).collect();
    when(libc::SYS_socket, &sockets)?;
    when(libc::SYS_socketpair, &[&[is(0, unix)?]])?;
    // Not the terminal calls that put words into another's mouth.
    let injects = [is_not(1, libc::TIOCSTI)?, is_not(1, libc::TIOCLINUX)?];
    when(libc::SYS_ioctl, &[&injects])?;
    // Asking, or setting what is set anyway.
    when(libc::SYS_personality, &[&[is(0, 0)?], &[is(0, -1)?]])?;
    // Pipes with a name, and plain files.
    let plain = |argument: u8| -> Result<[Condition; 3], BackendError> {
        let kind = |kind: u32| masked(argument, KIND, u64::from(kind));
        Ok([kind(libc::S_IFIFO)?, kind(libc::S_IFREG)?, kind(0)?])
    };
    let [fifo, file, none] = plain(2)?;
    when(libc::SYS_mknodat, &[&[fifo], &[file], &[none]])?;
    #[cfg(target_arch = "x86_64")]
    {
        let [fifo, file, none] = plain(1)?;
        when(libc::SYS_mknod, &[&[fifo], &[file], &[none]])?;
    }
    // Looking at one's own limits and lowering them; not another process's.
    Ok(rules)
}

/// Told to be unknown.
const UNKNOWN: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
];

/// Allowed with any arguments.
const ALLOWED: &[i64] = &[
    // Files, by number.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_vmsplice,
    libc::SYS_pipe2,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fchdir,
    libc::SYS_memfd_create,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    // Files, by name.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_truncate,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_umask,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    libc::SYS_get_mempolicy,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    // Processes and threads.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_setpgid,
    libc::SYS_getsid,
    libc::SYS_setsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_prctl,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getcpu,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_restart_syscall,
    // Signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Waiting for several things.
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    // Unix sockets, once made.
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Shared memory and semaphores of its own namespace.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmdt,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    // About the machine, and chance.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    // Giving up more.
    libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
];

/// Older forms of the same calls, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_signalfd,
    libc::SYS_inotify_init,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_time,
    libc::SYS_getpgrp,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_arch_prctl,
];

#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_the_kernel_is_not_allowed() {
        let rules = rules(true).unwrap();
        for call in [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_reboot,
            libc::SYS_swapon,
            libc::SYS_open_by_handle_at,
            libc::SYS_move_mount,
            libc::SYS_fsopen,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_setuid,
            libc::SYS_capset,
            libc::SYS_syslog,
            libc::SYS_quotactl,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
        assert_eq!(programs(true).unwrap().len(), 2);
        assert!(programs(false).unwrap()[0].len() < programs(true).unwrap()[0].len());
    }
}
