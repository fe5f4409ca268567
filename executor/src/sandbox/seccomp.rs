//! The system calls that an instance may make.
//!
//! An allow-list: what programs, Python and ONNX Runtime need to compute, to read and write files,
//! to run threads and processes of their own, and to answer on a Unix socket. Everything else is
//! refused with an error, not with death, so that programs can do without.
//!
//! Always true: no new namespace, no mount, no tracing, no kernel keyring, no device file, no socket
//! but Unix ones can be made; where there is a loopback and nothing else, TCP and UDP ones too.

mod calls;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule,
};

use calls::{ALLOWED, ALLOWED_HERE, Call, UNKNOWN, call, calls};

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
/// The kernel reads 32 bits of most arguments, whatever stands above them.
const NARROW: u64 = 0xffff_ffff;
/// Terminal calls that put words into another's mouth: `TIOCSTI` and `TIOCLINUX`.
const INJECTS: [u32; 2] = [0x5412, 0x541c];

/// A system call that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) call: Call,
    /// With any arguments where this is empty, else where all checks of one of these hold.
    pub(crate) when: Vec<Vec<Check>>,
}

/// What an argument must be: `value`, where `mask` has bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) argument: u8,
    pub(crate) mask: u64,
    pub(crate) value: u64,
}

/// Every call that is allowed, each once; `loopback` where there is one and no other network.
pub(crate) fn allowed(loopback: bool) -> Vec<Allowed> {
    let every = ALLOWED.iter().chain(ALLOWED_HERE);
    let mut all: Vec<Allowed> = every.map(|&call| Allowed { call, when: Vec::new() }).collect();
    let mut when = |call: &[Call], when: Vec<Vec<Check>>| {
        all.extend(call.iter().map(|&call| Allowed { call, when: when.clone() }));
    };
    let masked = |argument, mask, value| Check { argument, mask, value };
    let is = |argument, value: i32| masked(argument, NARROW, u64::from(value.cast_unsigned()));
    // Threads and processes, but no namespaces.
    when(calls![SYS_clone], vec![vec![masked(0, NEW_NAMESPACES, 0)]]);
    // Unix sockets, and those of the loopback's protocols: the second argument carries flags too.
    let mut sockets = vec![vec![is(0, libc::AF_UNIX)]];
    if loopback {
        for family in [libc::AF_INET, libc::AF_INET6] {
            for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
                let kind = masked(1, SOCKET_KIND, u64::from(kind.unsigned_abs()));
                sockets.push(vec![is(0, family), kind]);
            }
        }
    }
    when(calls![SYS_socket], sockets);
    when(calls![SYS_socketpair], vec![vec![is(0, libc::AF_UNIX)]]);
    let harmless = all_but(&INJECTS).into_iter();
    let harmless = harmless.map(|(mask, value)| vec![masked(1, mask.into(), value.into())]);
    when(calls![SYS_ioctl], harmless.collect());
    // Asking, or setting what is set anyway.
    when(calls![SYS_personality], vec![vec![is(0, 0)], vec![is(0, -1)]]);
    // Pipes with a name, and plain files.
    let plain = |argument: u8| {
        let kinds = [libc::S_IFIFO, libc::S_IFREG, 0].into_iter();
        kinds.map(|kind| vec![masked(argument, KIND, kind.into())]).collect()
    };
    when(calls![SYS_mknodat], plain(2));
    #[cfg(target_arch = "x86_64")]
    when(calls![SYS_mknod], plain(1));
    all
}

/// The calls that are told to be unknown: programs try an older one then, and give up when it is
/// forbidden.
pub(crate) fn unknown() -> &'static [Call] {
    UNKNOWN
}

/// Every 32-bit number but these, as masks and what must stand under them.
fn all_but(forbidden: &[u32]) -> Vec<(u32, u32)> {
    fn split(mask: u32, value: u32, forbidden: &[u32], found: &mut Vec<(u32, u32)>) {
        if !forbidden.iter().any(|number| number & mask == value) {
            found.push((mask, value));
            return;
        }
        // The highest bit that is not yet under the mask, if one is left.
        let Some(bit) = 31_u32.checked_sub(mask.leading_ones()) else { return };
        for half in [0, 1 << bit] {
            split(mask | 1 << bit, value | half, forbidden, found);
        }
    }
    let mut found = Vec::new();
    split(0, 0, forbidden, &mut found);
    found
}

/// The filters, in the order in which they are to be set.
pub(super) fn programs(loopback: bool) -> Result<Vec<BpfProgram>, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let refuse = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let condition = |check: &Check| {
        Condition::new(check.argument, Width::Qword, Op::MaskedEq(check.mask), check.value)
    };
    let rule = |checks: &Vec<Check>| -> Result<SeccompRule, BackendError> {
        SeccompRule::new(checks.iter().map(condition).collect::<Result<_, _>>()?)
    };
    let rules = allowed(loopback).into_iter().map(|Allowed { call, when }| {
        Ok((call.number, when.iter().map(rule).collect::<Result<_, BackendError>>()?))
    });
    let mut rules = rules.collect::<Result<std::collections::BTreeMap<_, _>, BackendError>>()?;
    // The second filter answers these.
    let unknown = || UNKNOWN.iter().map(|call| (call.number, Vec::new()));
    rules.extend(unknown());
    let allowed = SeccompFilter::new(rules, refuse(libc::EPERM), SeccompAction::Allow, arch)?;
    let unknown = unknown().collect();
    let unknown = SeccompFilter::new(unknown, SeccompAction::Allow, refuse(libc::ENOSYS), arch)?;
    Ok(vec![allowed.try_into()?, unknown.try_into()?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_numbers_but_the_forbidden_ones_are_covered_once(
            forbidden in prop::collection::vec(any::<u32>(), 0..4), number: u32, near in 0..32_u32,
        ) {
            let found = all_but(&forbidden);
            let near = forbidden.first().map(|first| first ^ (1 << near));
            for number in forbidden.iter().copied().chain(near).chain([number]) {
                let covers = found.iter().filter(|(mask, value)| number & mask == *value).count();
                prop_assert_eq!(covers, usize::from(!forbidden.contains(&number)));
            }
        }
    }

    #[test]
    fn what_opens_the_kernel_is_not_allowed() {
        let allowed: Vec<i64> = allowed(true).iter().map(|allowed| allowed.call.number).collect();
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
            assert!(!allowed.contains(&call), "{call}");
        }
        assert_eq!(programs(true).unwrap().len(), 2);
        assert!(programs(false).unwrap()[0].len() < programs(true).unwrap()[0].len());
    }
}
