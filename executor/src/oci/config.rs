//! `config.json`, made from the plan: what the OCI runtime specification calls the configuration.
//!
//! Always true: the same plan gives the same text; what the plan does not name is not in it.
//! Absent on purpose: `resources`. The executor makes the control groups and writes their files.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Fault;
use crate::plan::{BindKind, Identity, Plan, Root};
use crate::sandbox::lockdown::resource_limits;
use crate::sandbox::seccomp::{self, Allowed, Check};

/// Files of `/proc` that tell of the host, closed to everybody.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/kallsyms",
];
/// Parts of `/proc` that would change the host.
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
/// The network namespace that the keeper made: that of the first process around the runtime.
const NETWORK: &str = "/proc/1/ns/net";
/// Size of `/dev`: a few device files and links.
const DEV_BYTES: u64 = 64 << 10;

/// What the plan does not know.
#[derive(Clone, Debug)]
pub(super) struct Places<'a> {
    /// The root folder, laid out.
    pub(super) root: &'a Path,
    /// The folder with the scratch folders `tmp` and `shm`.
    pub(super) scratch: &'a Path,
    /// Where the groups are, for a runtime that has to be told.
    pub(super) groups: Option<&'a Path>,
    /// Whether the runtime refuses a call with the error that it is told. gVisor does not: it says
    /// `EPERM`, after which C libraries give up where they would try another call.
    pub(super) tells_errors: bool,
}

/// Makes the configuration.
pub(super) fn config(plan: &Plan, root: &Root, places: &Places<'_>) -> Result<Value, Fault> {
    let Identity::Become { id } = plan.identity else {
        return Err(Fault::new("an OCI runtime needs a user of the instance's own"));
    };
    let loopback = plan.channel.has_loopback();
    let command = plan
        .command
        .as_ref()
        .ok_or_else(|| Fault::new("an OCI runtime starts its program at once"))?;
    let mut args = vec![text(&command.program)];
    args.extend(command.args.iter().cloned());
    let env: Vec<String> =
        command.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut linux = json!({
        "namespaces": namespaces(),
        "rootfsPropagation": "private",
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
        "seccomp": filter(loopback, places.tells_errors),
    });
    if let Some(groups) = places.groups {
        linux["cgroupsPath"] = text(groups).into();
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": "freehold",
        "root": { "path": text(places.root), "readonly": true },
        "process": {
            "terminal": false,
            "user": { "uid": id, "gid": id, "additionalGids": [] },
            "args": args,
            "env": env,
            "cwd": text(&command.folder),
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": [],
            },
            "rlimits": limits(plan),
        },
        "mounts": mounts(root, places.scratch),
        "linux": linux,
    }))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn namespaces() -> Vec<Value> {
    let own = ["pid", "mount", "ipc", "uts", "cgroup"].into_iter();
    let mut all: Vec<Value> = own.map(|kind| json!({ "type": kind })).collect();
    all.push(json!({ "type": "network", "path": NETWORK }));
    all
}

fn limits(plan: &Plan) -> Vec<Value> {
    let limits = resource_limits(&plan.limits).into_iter();
    // The names are those of setrlimit(2).
    let row = |(kind, most): (nix::sys::resource::Resource, u64)| json!({ "type": format!("{kind:?}"), "soft": most, "hard": most });
    limits.map(row).collect()
}

fn mounts(root: &Root, scratch: &Path) -> Vec<Value> {
    let mount = |target: &Path, source: &Path, kind: &str, options: &[&str]| {
        json!({
            "destination": text(target), "source": text(source), "type": kind, "options": options,
        })
    };
    let dev = format!("size={DEV_BYTES}");
    let proc = ["nosuid", "noexec", "nodev"];
    let mut all = vec![
        mount(Path::new("/proc"), Path::new("proc"), "proc", &proc),
        // The runtime itself makes the usual device files there.
        mount(
            Path::new("/dev"),
            Path::new("tmpfs"),
            "tmpfs",
            &["nosuid", "noexec", "mode=755", &dev],
        ),
    ];
    for (name, target) in [("tmp", "/tmp"), ("shm", "/dev/shm")] {
        let options = ["bind", "rw", "nosuid", "nodev"];
        all.push(mount(Path::new(target), &scratch.join(name), "bind", &options));
    }
    for bind in &root.binds {
        let right = match bind.kind {
            BindKind::Read => "ro",
            BindKind::Write => "rw",
            BindKind::Device => continue,
        };
        // Not with what is mounted below: runtimes would leave that as it is.
        let options = ["bind", right, "nosuid", "nodev"];
        all.push(mount(&bind.target, &bind.source, "bind", &options));
    }
    all
}

/// The system call filter, by names.
fn filter(loopback: bool, tells_errors: bool) -> Value {
    let (plain, checked): (Vec<Allowed>, Vec<Allowed>) =
        seccomp::allowed(loopback).into_iter().partition(|allowed| allowed.when.is_empty());
    let plain: Vec<&str> = plain.iter().map(|allowed| allowed.call.name).collect();
    let unknown: Vec<&str> = seccomp::unknown().iter().map(|call| call.name).collect();
    let mut calls = vec![json!({ "names": plain, "action": "SCMP_ACT_ALLOW" })];
    calls.push(if tells_errors {
        json!({ "names": unknown, "action": "SCMP_ACT_ERRNO", "errnoRet": nix::libc::ENOSYS })
    } else {
        // Without a tracer, and none is allowed, this is answered in the same way.
        json!({ "names": unknown, "action": "SCMP_ACT_TRACE" })
    });
    let check = |check: &Check| {
        json!({
            "index": check.argument, "op": "SCMP_CMP_MASKED_EQ",
            "value": check.mask, "valueTwo": check.value,
        })
    };
    for allowed in &checked {
        for all in &allowed.when {
            let args: Vec<Value> = all.iter().map(check).collect();
            let names = [allowed.call.name];
            calls.push(json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args }));
        }
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": nix::libc::EPERM,
        "architectures": [ARCHITECTURE],
        "syscalls": calls,
    })
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: &str = "SCMP_ARCH_X86_64";
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: &str = "SCMP_ARCH_AARCH64";

/// Where the files of a bundle are.
pub(super) fn file(bundle: &Path) -> PathBuf {
    bundle.join("config.json")
}

#[cfg(test)]
mod tests;
