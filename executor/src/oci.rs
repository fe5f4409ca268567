//! The levels that OCI runtimes make: `crun`, `runc` and their like on the host's kernel, and gVisor's
//! `runsc`, which has a kernel of its own in front of it.
//!
//! As with the level `process`, the keeper is `freehold sandbox`, and the same plan says what the
//! sandbox shall be: [`config`] turns it into `config.json`, [`bundle`] lays out its folder, and
//! [`first`] runs the runtime once, to start, and waits for the program.
//! Always true: after the start no runtime's command is run: ending, freezing and limits are signals
//! and files of control groups.
//! Absent on purpose: images, hooks, and runtimes without root; for that there is `process`.

mod bundle;
mod config;
pub(crate) mod first;
pub(crate) mod groups;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use workflow::BoxFuture;

use crate::error::Error;
use crate::features::{Feature, features};
use crate::launch::{Launched, Level, Order, Overhead, ProcessSandbox, Sandbox, Socket};
use crate::machine::{Machine, Users};
use crate::plan::{Bind, BindKind, Command as Planned, Namespaces, Plan, WAIT, Waits};
use crate::sandbox::Fault;
use crate::start::{TASK_ROOT, Work};

/// Where runtimes are looked for by their names.
const FOLDERS: [&str; 6] =
    ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin"];
/// What a gVisor sandbox needs for its own kernel and its file server. Measured at rest 11 to 16 MiB
/// in the group, and about 50 threads; the kernel's own tables grow with what a program opens. Each
/// process inside is several of this host's: 16 of them, starting on a busy machine, were seen to
/// take 144, and gVisor's kernel gives up as a whole where it gets no more.
const RUNSC: Overhead = Overhead { memory_bytes: 64 << 20, processes: 512 };
/// The threads of a runtime written in Go while it starts a container.
const GO: Overhead = Overhead { memory_bytes: 0, processes: 32 };

/// Which sandboxes an executor makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Processes with namespaces, landlock and a system call filter; needs no root.
    #[default]
    Process,
    /// `crun`, else `runc`, where they are found and this process is root with control groups, else
    /// processes.
    Auto,
    /// An OCI runtime: `crun`, `runc` or `runsc`, looked for in the usual folders, or a path.
    Runtime(PathBuf),
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "process" => Ok(Self::Process),
            "auto" => Ok(Self::Auto),
            "crun" | "runc" | "runsc" => Ok(Self::Runtime(text.into())),
            path if path.starts_with('/') => Ok(Self::Runtime(path.into())),
            _ => Err(format!(
                "{text:?} is no sandbox: write process, crun, runc, runsc, auto, or the absolute \
                 path of an OCI runtime"
            )),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process => f.write_str("process"),
            Self::Auto => f.write_str("auto"),
            Self::Runtime(path) => path.display().fmt(f),
        }
    }
}

/// Makes the chosen sandbox; the program is `freehold`.
///
/// # Errors
///
/// [`Error::Runtime`] where the runtime is not found or this machine lacks what it needs.
pub(crate) fn make(choice: &Choice, program: &Path) -> Result<Box<dyn Sandbox>, Error> {
    let process = || ProcessSandbox::new(program.to_path_buf());
    let path = match choice {
        Choice::Process => return Ok(Box::new(process()?)),
        Choice::Runtime(path) => path.clone(),
        Choice::Auto => {
            let known = ["crun", "runc"].iter().map(Path::new);
            let found = known.into_iter().find_map(|name| Runtime::find(name).ok());
            match found.filter(|_| lacks().is_none()) {
                Some(runtime) => runtime.path,
                None => return Ok(Box::new(process()?)),
            }
        }
    };
    let runtime = Runtime::find(&path)?;
    if let Some(why) = lacks() {
        return Err(Error::Runtime { runtime: path, why: why.to_owned() });
    }
    Ok(Box::new(OciSandbox { process: process()?, runtime, program: program.to_path_buf() }))
}

/// What this machine lacks for OCI runtimes.
fn lacks() -> Option<&'static str> {
    if !matches!(Machine::get().users, Users::PerInstance { .. }) {
        return Some("OCI runtimes are run by root only here: run as root, or choose process");
    }
    let held = |name: &str| features().iter().any(|feature| feature.name == name && feature.held);
    let needed = ["mount namespace", "process namespace", "system call filter"];
    if !needed.iter().all(|name| held(name)) {
        return Some("this machine refuses namespaces or filters: choose process, or another host");
    }
    (!held("control groups")).then_some(
        "no control groups can be made, which would hold its limits: choose process, or delegate \
         memory, pids and cpu",
    )
}

/// An OCI runtime on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Runtime {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// `cgroup.procs` files of the groups that it has to be told; the sandbox joins none by itself
    /// then.
    pub(crate) groups: Vec<PathBuf>,
}

/// What has to be known of a runtime to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Crun,
    Runsc,
    /// `runc`, and what takes its words.
    Runc,
}

impl Runtime {
    /// Finds one by its name or path, and asks what it is.
    fn find(name: &Path) -> Result<Self, Error> {
        let fail = |why: String| Error::Runtime { runtime: name.to_path_buf(), why };
        let places: Vec<PathBuf> = if name.is_absolute() {
            vec![name.to_path_buf()]
        } else {
            FOLDERS.iter().map(|folder| Path::new(folder).join(name)).collect()
        };
        let path = places.into_iter().find(|path| path.is_file());
        let path = path.ok_or_else(|| {
            fail(format!("it is not there: install it, or give its path; looked in {FOLDERS:?}"))
        })?;
        let asked = Command::new(&path).arg("--version").env_clear().output();
        let asked = asked.map_err(|error| fail(format!("it cannot be run: {error}")))?;
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        let version = text.lines().next().unwrap_or_default().to_owned();
        if !asked.status.success() || version.is_empty() {
            return Err(fail("it does not tell its version".to_owned()));
        }
        Ok(Self { kind: Kind::of(&version), path, groups: Vec::new() })
    }
}

impl Kind {
    /// The kind that tells of itself so.
    fn of(version: &str) -> Self {
        match version.split_whitespace().next() {
            Some("crun") => Self::Crun,
            Some("runsc") => Self::Runsc,
            _ => Self::Runc,
        }
    }

    fn level(self) -> Level {
        if self == Self::Runsc { Level::Runsc } else { Level::Oci }
    }

    /// Whether the container stays in the groups of whoever calls the runtime. Others are told which
    /// groups to put it into.
    fn stays_in_groups(self) -> bool {
        self != Self::Runc
    }
}

/// Sandboxes that an OCI runtime makes.
#[derive(Debug)]
struct OciSandbox {
    /// Starts the keepers.
    process: ProcessSandbox,
    runtime: Runtime,
    /// What waits in a parked container, until it becomes the function's program.
    program: PathBuf,
}

impl Sandbox for OciSandbox {
    fn level(&self) -> Level {
        self.runtime.kind.level()
    }

    fn features(&self) -> Vec<Feature> {
        let mut features = features();
        // Not part of an OCI runtime's configuration.
        features.retain(|feature| feature.name != "landlock");
        features
    }

    fn overhead(&self) -> Overhead {
        match self.runtime.kind {
            Kind::Crun => Overhead::default(),
            Kind::Runc => GO,
            Kind::Runsc => RUNSC,
        }
    }

    fn check(&self, work: &Work) -> Result<(), Error> {
        if matches!(work, Work::Serve) && self.runtime.kind == Kind::Runsc {
            let why = "gVisor hands no listening socket of the host on to a worker: choose crun";
            return Err(Error::Runtime { runtime: self.runtime.path.clone(), why: why.to_owned() });
        }
        Ok(())
    }

    fn check_parking(&self) -> Result<(), Error> {
        if self.runtime.kind != Kind::Runsc {
            return Ok(());
        }
        Err(Error::Refused {
            work: "a parked sandbox",
            feature: "late mounts",
            why: "gVisor's kernel cannot be shown a package from outside, once it runs".to_owned(),
            cure: "functions start without parked sandboxes, somewhat later; choose crun or process \
                   for them",
        })
    }

    fn launch(&self, order: Order, socket: Socket) -> BoxFuture<'_, Result<Launched, Error>> {
        let mut order = order;
        let plan = &mut order.plan;
        let mut runtime = self.runtime.clone();
        if !runtime.kind.stays_in_groups() {
            runtime.groups = groups::of(std::mem::take(&mut plan.join), plan.birthplace.take());
        }
        // The keeper makes a process namespace around the runtime and all that it starts, so that
        // nothing outlives the keeper, and the network namespace, for the listener in it. The rest
        // is the runtime's.
        plan.namespaces = Namespaces { process: true, network: true, ..Namespaces::default() };
        plan.runtime = Some(runtime);
        if plan.waits == Some(Waits::Process) {
            have_wait(&self.program, plan);
        }
        self.process.launch(order, socket)
    }
}

/// Has this program wait in the container, for a program that only the claim tells.
fn have_wait(program: &Path, plan: &mut Plan) {
    let Some(root) = &mut plan.root else { return };
    // The package will cover it: no function sees it.
    let target = Path::new(TASK_ROOT).join("freehold");
    let source = program.to_path_buf();
    root.binds.push(Bind { source, target: target.clone(), kind: BindKind::Read });
    plan.command = Some(Planned {
        program: target,
        args: vec!["sandbox".to_owned(), WAIT.to_owned()],
        env: BTreeMap::new(),
        folder: "/".into(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_written_alike() {
        for text in ["process", "auto", "crun", "runc", "runsc", "/opt/youki"] {
            assert_eq!(text.parse::<Choice>().unwrap().to_string(), text);
        }
        for text in ["", "docker", "./crun", "CRUN"] {
            assert!(text.parse::<Choice>().unwrap_err().contains("auto"), "{text}");
        }
    }

    #[test]
    fn a_runtime_is_known_by_what_it_says() {
        assert_eq!(Kind::of("crun version 1.8.1"), Kind::Crun);
        assert_eq!(Kind::of("runsc version release-20240729.0"), Kind::Runsc);
        assert_eq!(Kind::of("runc version 1.1.5+ds1"), Kind::Runc);
        assert_eq!(Kind::of("youki 0.5"), Kind::Runc);
    }

    #[test]
    fn a_runtime_that_is_not_there_says_where_it_was_looked_for() {
        let error = Runtime::find(Path::new("no-such-runtime")).unwrap_err().to_string();
        assert!(error.contains("/usr/local/bin"), "{error}");
        let error = Runtime::find(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(error.contains("/dev/null"), "{error}");
    }
}
