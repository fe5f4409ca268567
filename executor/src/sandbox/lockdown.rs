//! Gives up rights, in the order in which they can be given up: limits, user, capabilities,
//! landlock, system calls.

use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope, path_beneath_rules,
};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use super::{Fault, seccomp};
use crate::plan::{Access, Identity, Limits};

/// The newest landlock that the rules know; older kernels hold what they can.
const LANDLOCK: ABI = ABI::V6;
/// Largest main stack, in bytes: the usual default, which also sizes thread stacks.
const STACK_BYTES: u64 = 8 << 20;
/// Memory that cannot be swapped, in bytes: enough for a key, not for harm.
const LOCKED_BYTES: u64 = 64 << 10;

/// Limits the data of this process, which allocates nothing from here on: the limit is the
/// program's, and the sandbox's own processes may hold more than a small one.
pub(super) fn limit_data(bytes: u64) -> std::io::Result<()> {
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_DATA)?;
    let bytes = bytes.min(hard);
    Ok(setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?)
}

/// Sets the resource limits, but for [`limit_data`]. Children inherit them, and without rights
/// cannot raise them.
pub(super) fn limit(wanted: &Limits) -> Result<(), Fault> {
    for (resource, value) in resource_limits(wanted) {
        // Where the executor itself has less, that is the limit.
        let (_, hard) =
            nix::sys::resource::getrlimit(resource).map_err(Fault::at("ask a limit"))?;
        let value = value.min(hard);
        setrlimit(resource, value, value).map_err(Fault::at(format!("set {resource:?}")))?;
    }
    Ok(())
}

/// The same limits by their numbers, for another process, with that of data where it is given.
pub(super) fn limits(wanted: &Limits, data_bytes: Option<u64>) -> Vec<(u32, u64)> {
    let data = data_bytes.map(|bytes| (Resource::RLIMIT_DATA, bytes));
    let all = resource_limits(wanted).into_iter().chain(data);
    all.map(|(resource, value)| (resource as u32, value)).collect()
}

/// The resource limits of a program, but for its data.
pub(crate) fn resource_limits(limits: &Limits) -> Vec<(Resource, u64)> {
    let mut wanted = vec![
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, limits.file_bytes),
        (Resource::RLIMIT_NOFILE, limits.open_files),
        (Resource::RLIMIT_STACK, STACK_BYTES),
        (Resource::RLIMIT_MEMLOCK, LOCKED_BYTES),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_NICE, 0),
        (Resource::RLIMIT_RTPRIO, 0),
    ];
    wanted.extend(limits.processes.map(|count| (Resource::RLIMIT_NPROC, count)));
    wanted
}

/// Becomes the planned user, without any capability.
pub(super) fn become_someone(identity: Identity) -> Result<(), Fault> {
    for bit in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        // Fails for numbers that the kernel does not know, and where we have no say; below, the
        // capabilities themselves go in any case.
        let _ = remove_capability_from_bounding_set(one);
    }
    if let Identity::Become { id } = identity {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        setgroups(&[]).map_err(Fault::at("leave all groups"))?;
        setresgid(gid, gid, gid).map_err(Fault::at("change the group"))?;
        setresuid(uid, uid, uid).map_err(Fault::at("change the user"))?;
    }
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map_err(Fault::at("give up capabilities"))
}

/// Opens the planned paths and closes all others, and every network address, unless there is a
/// loopback of its own and nothing else. What comes back are the rules, for another process; none
/// where this kernel has none.
pub(super) fn landlock(access: &Access, loopback: bool) -> Result<Option<OwnedFd>, Fault> {
    let make = || -> Result<_, landlock::RulesetError> {
        let read = AccessFs::from_read(LANDLOCK);
        let write = AccessFs::from_all(LANDLOCK);
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(LANDLOCK))?;
        if !loopback {
            rules = rules.handle_access(AccessNet::from_all(LANDLOCK))?;
        }
        rules
            .scope(Scope::from_all(LANDLOCK))?
            .create()?
            .add_rules(path_beneath_rules(&access.read, read))?
            .add_rules(path_beneath_rules(&access.write, write))
    };
    let rules = make().map_err(Fault::at("close the file system"))?;
    let copy = rules.try_clone().map_err(Fault::at("copy landlock's rules"))?;
    rules.restrict_self().map_err(Fault::at("close the file system"))?;
    Ok(copy.into())
}

/// Allows the planned system calls and no others.
pub(super) fn filter(loopback: bool) -> Result<(), Fault> {
    for program in seccomp::programs(loopback).map_err(Fault::at("compile the filter"))? {
        seccompiler::apply_filter(&program).map_err(Fault::at("filter system calls"))?;
    }
    Ok(())
}
