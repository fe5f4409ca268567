//! What seals an instance on this machine, for `freehold status`.
//!
//! Always true: every feature is listed, held or missing, in one fixed order.

use serde::Serialize;

use crate::cgroup::Cgroups;
use crate::machine::{Machine, Users};

/// One means of sealing an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Whether this machine offers it.
    pub held: bool,
    /// Why it matters.
    pub why: &'static str,
    /// How it is held, where there is more than one way.
    pub how: Option<&'static str>,
    /// Why it is missing, where it is.
    pub missing_because: Option<String>,
}

/// Every means of sealing an instance, and whether this machine offers it.
///
/// The first call tries them out, which takes some milliseconds; later ones remember.
pub fn features() -> Vec<Feature> {
    list(Machine::get(), Cgroups::get())
}

fn list(machine: &Machine, cgroups: &Cgroups) -> Vec<Feature> {
    let spaces = machine.namespaces;
    let refused = |name: &str| machine.refused.get(name).cloned();
    let feature = |name: &'static str, held: bool, why: &'static str| {
        let missing_because =
            (!held).then(|| refused(name).unwrap_or_else(|| "needs a feature above".to_owned()));
        Feature { name, held, why, how: None, missing_because }
    };
    let mut own_user = feature(
        "own user",
        machine.users != Users::Same,
        "an instance that breaks out is nobody on the host",
    );
    own_user.how = match machine.users {
        Users::PerInstance { .. } => Some("each instance another user id"),
        Users::Mapped => Some("the executor's user, without any capability, in a user namespace"),
        Users::Same => None,
    };
    let mut features = vec![
        feature("mount namespace", spaces.mount, "only its own files can be seen"),
        feature("process namespace", spaces.process, "other processes cannot be seen or signalled"),
        feature("own /proc", machine.fresh_proc, "programs that look at themselves work"),
        feature("network namespace", spaces.network, "there is no network, even for a new trick"),
        feature("ipc namespace", spaces.ipc, "shared memory of others cannot be reached"),
        feature("host name namespace", spaces.name, "the host's name stays unknown"),
        feature("cgroup namespace", spaces.cgroup, "the host's groups stay unknown"),
        own_user,
        feature("system call filter", machine.seccomp, "most of the kernel cannot be attacked"),
        feature("landlock", machine.landlock > 0, "files stay closed even where a mount leaks"),
        feature("no new privileges", true, "setuid programs give nothing"),
    ];
    let groups = cgroups.memory() && cgroups.pids() && cgroups.cpu();
    features.push(Feature {
        name: "control groups",
        held: groups,
        why: "the kernel itself counts all that an instance holds",
        how: None,
        missing_because: (!groups).then(|| "none can be made here".to_owned()),
    });
    features.extend(limits(machine, cgroups));
    features
}

fn limits(machine: &Machine, cgroups: &Cgroups) -> [Feature; 4] {
    let limit = |name, why, how| Feature { name, held: true, why, how, missing_because: None };
    let by = |group: bool, otherwise| Some(if group { "by cgroup" } else { otherwise });
    let mut processes = limit(
        "process limit",
        "a fork bomb stays in its instance",
        by(cgroups.pids(), "by resource limit"),
    );
    if !cgroups.pids() && !machine.process_limit {
        processes.how = Some("by watching, twenty times a second");
        processes.missing_because = machine.refused.get("process limit").cloned();
    }
    let scratch = if machine.namespaces.mount {
        "by the size of its own file system"
    } else {
        "by watching, twenty times a second"
    };
    [
        limit(
            "memory limit",
            "an instance cannot take the host's memory",
            by(cgroups.memory(), "by watching, twenty times a second, and by resource limit"),
        ),
        processes,
        limit(
            "cpu limit",
            "an instance cannot take the host's processors",
            by(cgroups.cpu(), "by stopping and continuing it"),
        ),
        limit("scratch limit", "an instance cannot fill the host's disk", Some(scratch)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_why() {
        for feature in features() {
            assert!(feature.held || feature.missing_because.is_some(), "{feature:?}");
        }
    }
}
