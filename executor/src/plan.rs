//! The plan of a sandbox: what it shall be, decided before anything is touched.
//!
//! Always true: the same start on the same machine gives the same plan; a plan names every path
//! the instance can see; what the machine refuses is left out only where the seal still holds.
//! Absent on purpose: system calls. `sandbox` applies the plan, in a process of its own.

mod parked;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::machine::{Machine, Users};
use crate::oci::Runtime;
use crate::start::{Function, Image, Job, ML, PACKAGE, RUNTIME_DIR, Start, TASK_ROOT, Work};

pub(crate) use parked::{Claim, WAIT, Waits, claim, park};

/// Where the worker's program stands.
pub(crate) const PROGRAM: &str = "/opt/freehold/bin/freehold";
/// Where ONNX Runtime's library stands, under its own file name.
const LIBRARY_FOLDER: &str = "/opt/freehold/lib";
/// The user inside, where a user namespace maps it.
pub(crate) const MAPPED_UID: u32 = 1_000;
/// Address space that a thread's stack takes, by glibc's default.
const STACK_BYTES: u64 = 8 << 20;
/// Data that a program has before it does anything, libraries included.
const DATA_SLACK_BYTES: u64 = 128 << 20;
/// Most threads whose stacks are added to the data limit.
const STACKS_MAX: u64 = 256;
/// What one file may have above the scratch, so that who fills that is told that it is full, and is
/// not ended by a signal. Holds folders that lie on the host's disk until their sizes are looked at.
const FILE_SLACK_BYTES: u64 = 1 << 20;
/// Most open files; a worker has one per connection, Python opens hundreds at once.
const OPEN_FILES_MAX: u64 = 4_096;
/// Device files that every program may expect.
const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];

/// What a sandbox shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The executor's process, by its own number; set when the sandbox is launched.
    pub(crate) parent: i32,
    /// The namespaces to make.
    pub(crate) namespaces: Namespaces,
    /// Who to be.
    pub(crate) identity: Identity,
    /// `tasks` files of control groups to write oneself into.
    pub(crate) join: Vec<PathBuf>,
    /// The control group of version 2 for the first process to be born in.
    pub(crate) birthplace: Option<PathBuf>,
    /// The root to build; none where the machine refuses mounts.
    pub(crate) root: Option<Root>,
    /// What landlock shall allow.
    pub(crate) access: Access,
    /// Resource limits.
    pub(crate) limits: Limits,
    /// What to run; none where only the claim tells.
    pub(crate) command: Option<Command>,
    /// How the program is spoken to.
    pub(crate) channel: Channel,
    /// What waits for a [`Claim`], where it is parked.
    pub(crate) waits: Option<Waits>,
    /// The OCI runtime that makes the sandbox, where one does; set when the sandbox is launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<Runtime>,
}

/// How a program is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// Not at all.
    None,
    /// File descriptor 3 is a listening Unix socket for it.
    Socket,
    /// It fetches its work from [`RUNTIME_API`] on a loopback of its own. The keeper opens the
    /// listener inside and hands it out through file descriptor 3.
    RuntimeApi,
    /// It listens on [`SERVER_PORT`] of a loopback of its own. The keeper makes a socket inside for
    /// each call that it may have at a time, and hands them out through file descriptor 3, to be
    /// connected.
    Server { sockets: u32 },
}

impl Channel {
    /// Whether there is a loopback of its own.
    pub(crate) fn has_loopback(self) -> bool {
        matches!(self, Self::RuntimeApi | Self::Server { .. })
    }
}

/// Where a server listens inside a sandbox. Source: SageMaker's contract.
pub(crate) const SERVER_PORT: u16 = 8_080;
/// Where the Runtime API answers inside a sandbox.
pub(crate) const RUNTIME_API: &str = "127.0.0.1:9001";

/// Namespaces of one's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a set of kernel features, each on or off")]
pub(crate) struct Namespaces {
    pub(crate) user: bool,
    pub(crate) mount: bool,
    pub(crate) process: bool,
    pub(crate) network: bool,
    pub(crate) ipc: bool,
    pub(crate) name: bool,
    pub(crate) cgroup: bool,
}

/// Who the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Identity {
    /// Become this user and group, which no one else on the host is.
    Become { id: u32 },
    /// Stay who one is outside, and be [`MAPPED_UID`] inside.
    Map { uid: u32, gid: u32 },
    /// Stay who one is, without any capability.
    Keep,
}

/// A root folder of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    /// An empty folder of the host to build upon.
    pub(crate) at: PathBuf,
    /// Symbolic links: the path inside, and what it says.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// Small files: the path inside, and the text.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Empty folders, for what is mounted later.
    pub(crate) folders: Vec<PathBuf>,
    /// Files and folders of the host.
    pub(crate) binds: Vec<Bind>,
    /// Size of the scratch folders `/tmp` and `/dev/shm` together, in bytes.
    pub(crate) scratch_bytes: u64,
    /// Whether a `/proc` of the process namespace can be mounted.
    pub(crate) proc: bool,
}

/// A file or folder of the host, shown inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) kind: BindKind,
}

/// How a bind may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BindKind {
    /// Read and run.
    Read,
    /// Read and write.
    Write,
    /// A device file.
    Device,
}

/// Paths that landlock allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// To read and run.
    pub(crate) read: Vec<PathBuf>,
    /// To read and write.
    pub(crate) write: Vec<PathBuf>,
}

/// Resource limits of every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Private writable memory, in bytes.
    pub(crate) data_bytes: u64,
    /// Largest file, in bytes.
    pub(crate) file_bytes: u64,
    /// Open files.
    pub(crate) open_files: u64,
    /// Processes and threads; none where the kernel would count others' too.
    pub(crate) processes: Option<u64>,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) folder: PathBuf,
}

/// What the plan is made from, besides the start and the machine.
#[derive(Clone, Debug)]
pub(crate) struct Given<'a> {
    /// The `freehold` program.
    pub(crate) program: &'a Path,
    /// ONNX Runtime's library.
    pub(crate) onnxruntime: Option<&'a Path>,
    /// The executor's own files for runtimes.
    pub(crate) runtimes: &'a Path,
    /// The instance's folder on the host.
    pub(crate) folder: &'a Path,
    /// This instance's number among those that run, for its user.
    pub(crate) slot: u32,
    /// `tasks` files of its control groups.
    pub(crate) join: Vec<PathBuf>,
    /// Its control group of version 2.
    pub(crate) birthplace: Option<PathBuf>,
}

/// Plans a sandbox.
///
/// # Errors
///
/// [`Error::Refused`] where the machine offers so little that the instance would not be sealed,
/// [`Error::Invalid`] where the start makes no sense.
pub(crate) fn make(start: &Start, given: &Given<'_>, machine: &Machine) -> Result<Plan, Error> {
    require(start, machine)?;
    let identity = match machine.users {
        Users::PerInstance { first } => Identity::Become { id: first + given.slot },
        Users::Mapped => Identity::Map { uid: machine.uid, gid: machine.gid },
        Users::Same => Identity::Keep,
    };
    let binds = binds(start, given, machine)?;
    let mounted = machine.namespaces.mount;
    Ok(Plan {
        parent: 0,
        namespaces: machine.namespaces,
        identity,
        join: given.join.clone(),
        birthplace: given.birthplace.clone(),
        access: if mounted { access_inside(start) } else { access_outside(&binds, given) },
        root: mounted.then(|| root(given, machine, identity, binds, start)),
        limits: limits(start, machine),
        command: Some(command(start, given, mounted)?),
        channel: channel(&start.work),
        waits: None,
        runtime: None,
    })
}

fn channel(work: &Work) -> Channel {
    match work {
        Work::Serve => Channel::Socket,
        Work::Job(_) => Channel::None,
        Work::Function(function) if function.serves => {
            Channel::Server { sockets: function.concurrency.get() }
        }
        Work::Function(_) => Channel::RuntimeApi,
    }
}

/// Refuses what would not be sealed, or could not keep its contract.
fn require(start: &Start, machine: &Machine) -> Result<(), Error> {
    const CURE: &str = "run as root, or allow unprivileged user namespaces, or use another host";
    let refuse = |work, feature| {
        let why = machine.refused.get(feature).cloned().unwrap_or_else(|| "unknown".to_owned());
        Err(Error::Refused { work, feature, why, cure: CURE })
    };
    if matches!(start.work, Work::Job(_)) && !machine.namespaces.mount {
        return refuse("a job, which needs its folders under /opt/ml", "mount namespace");
    }
    if matches!(start.work, Work::Function(_)) {
        const WHAT: &str = "a function, which needs its paths and a loopback of its own";
        if !machine.namespaces.mount {
            return refuse(WHAT, "mount namespace");
        }
        if !machine.namespaces.network {
            return refuse(WHAT, "network namespace");
        }
    }
    if !machine.seccomp {
        return refuse("any instance", "system call filter");
    }
    if !machine.namespaces.mount && machine.landlock == 0 {
        return refuse("any instance, whose files would not be private", "landlock");
    }
    Ok(())
}

fn binds(start: &Start, given: &Given<'_>, machine: &Machine) -> Result<Vec<Bind>, Error> {
    let bind = |source: &Path, target: &str, kind| {
        let (source, target) = (source.to_path_buf(), PathBuf::from(target));
        Bind { source, target, kind }
    };
    let mut binds = Vec::new();
    let image = image(&start.work);
    let folders = if image.is_some() { &[][..] } else { &machine.host.folders[..] };
    for folder in folders {
        binds.push(bind(folder, &folder.to_string_lossy(), BindKind::Read));
    }
    for device in DEVICES {
        let path = format!("/dev/{device}");
        binds.push(bind(Path::new(&path), &path, BindKind::Device));
    }
    if let Some(image) = image {
        for name in &image.entries {
            let inside = format!("/{name}");
            binds.push(bind(&start.package.join(name), &inside, BindKind::Read));
        }
        return Ok(binds);
    }
    binds.push(bind(&start.package, package_inside(&start.work), BindKind::Read));
    match &start.work {
        Work::Function(_) => binds.push(bind(given.runtimes, RUNTIME_DIR, BindKind::Read)),
        Work::Serve => {
            binds.push(bind(given.program, PROGRAM, BindKind::Read));
            if let Some(library) = given.onnxruntime {
                binds.push(bind(library, &library_inside(library), BindKind::Read));
            }
        }
        Work::Job(job) => {
            let ml = given.folder.join("ml");
            binds.push(bind(&ml.join("input"), &format!("{ML}/input"), BindKind::Read));
            for (name, folder) in &job.channels {
                plain_name(name, "channel")?;
                let target = format!("{ML}/input/data/{name}");
                binds.push(bind(folder, &target, BindKind::Read));
            }
            for name in ["model", "output"] {
                binds.push(bind(&ml.join(name), &format!("{ML}/{name}"), BindKind::Write));
            }
        }
    }
    Ok(binds)
}

/// What the root is made of, where the package is a whole one.
fn image(work: &Work) -> Option<&Image> {
    if let Work::Function(function) = work { function.image.as_ref() } else { None }
}

/// Where the package stands inside.
fn package_inside(work: &Work) -> &'static str {
    if matches!(work, Work::Function(_)) { TASK_ROOT } else { PACKAGE }
}

/// Refuses names that would leave their folder.
pub(crate) fn plain_name(name: &str, what: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=64).contains(&name.len()) && !name.starts_with('.');
    if fits && name.bytes().all(plain) {
        return Ok(());
    }
    let message = format!("{name:?} is not a {what}'s name: use 1 to 64 of a-z, A-Z, 0-9, -, _, .");
    Err(Error::Invalid { message })
}

fn library_inside(library: &Path) -> String {
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    format!("{LIBRARY_FOLDER}/{name}")
}

fn root(
    given: &Given<'_>,
    machine: &Machine,
    identity: Identity,
    binds: Vec<Bind>,
    start: &Start,
) -> Root {
    let image = image(&start.work);
    let mut links = match image {
        None => machine.host.links.clone(),
        // Only at the top, so that whoever lays out the root follows none.
        Some(image) => image
            .links
            .iter()
            .map(|(name, target)| (Path::new("/").join(name), PathBuf::from(target)))
            .collect(),
    };
    for (path, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        links.push((Path::new("/dev").join(path), Path::new("/proc/self").join(target)));
    }
    Root {
        at: given.folder.join("root"),
        links,
        files: if image.is_some() { Vec::new() } else { etc_files(machine, identity) },
        folders: Vec::new(),
        binds,
        scratch_bytes: start.limits.scratch_bytes,
        proc: machine.fresh_proc,
    }
}

/// The little of `/etc` that programs look at.
fn etc_files(machine: &Machine, identity: Identity) -> Vec<(PathBuf, String)> {
    let id = match identity {
        Identity::Become { id } => id,
        Identity::Map { .. } => MAPPED_UID,
        Identity::Keep => machine.uid,
    };
    let users = format!(
        "root:x:0:0:root:/:/bin/sh\nfreehold:x:{id}:{id}:an instance:/tmp:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/bin/sh\n"
    );
    let groups = format!("root:x:0:\nfreehold:x:{id}:\nnogroup:x:65534:\n");
    let files = [
        ("/etc/passwd", users),
        ("/etc/group", groups),
        ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
        ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
    ];
    files.into_iter().map(|(path, text)| (PathBuf::from(path), text)).collect()
}

/// With a root of one's own, everything in it may be read, and only the scratch be written.
fn access_inside(start: &Start) -> Access {
    let mut write = vec![PathBuf::from("/tmp"), PathBuf::from("/dev")];
    if matches!(start.work, Work::Job(_)) {
        write.extend([format!("{ML}/model").into(), format!("{ML}/output").into()]);
    }
    Access { read: vec![PathBuf::from("/")], write }
}

/// Without one, landlock alone says what may be seen of the host.
fn access_outside(binds: &[Bind], given: &Given<'_>) -> Access {
    let mut access = Access::default();
    for bind in binds {
        match bind.kind {
            BindKind::Read => access.read.push(bind.source.clone()),
            BindKind::Write | BindKind::Device => access.write.push(bind.source.clone()),
        }
    }
    access.write.push(given.folder.join("scratch"));
    access
}

/// Private writable memory that one process may have under these limits, in bytes.
pub(crate) fn data_bytes(limits: &types::Limits) -> u64 {
    let stacks = STACK_BYTES * u64::from(limits.processes).min(STACKS_MAX);
    limits.memory_bytes.saturating_add(DATA_SLACK_BYTES + stacks)
}

fn limits(start: &Start, machine: &Machine) -> Limits {
    let processes = u64::from(start.limits.processes);
    Limits {
        data_bytes: data_bytes(&start.limits),
        file_bytes: start.limits.scratch_bytes.saturating_add(FILE_SLACK_BYTES),
        open_files: OPEN_FILES_MAX,
        // The sandbox's own first process is one more.
        processes: machine.process_limit.then_some(processes + 1),
    }
}

fn command(start: &Start, given: &Given<'_>, mounted: bool) -> Result<Command, Error> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let scratch = given.folder.join("scratch").to_string_lossy().into_owned();
    let tmp = if mounted { "/tmp".to_owned() } else { scratch };
    for (name, value) in [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", &tmp),
        ("TMPDIR", &tmp),
        ("LANG", "C.UTF-8"),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    let inside = Path::new(package_inside(&start.work));
    let package = if mounted { inside } else { start.package.as_path() };
    let threads = start.limits.cpu_milli.div_ceil(1_000).max(1);
    env.insert("OMP_NUM_THREADS".to_owned(), threads.to_string());
    match &start.work {
        Work::Serve => {
            let task = worker_task(start, given, package, mounted)?;
            env.insert("FREEHOLD_TASK".to_owned(), task);
            let program = if mounted { Path::new(PROGRAM) } else { given.program };
            let (program, args) = (program.to_path_buf(), vec!["worker".to_owned()]);
            Ok(Command { program, args, env, folder: package.to_path_buf() })
        }
        Work::Job(job) => {
            env.extend(job_env(job));
            let (program, args) = (package.join(&job.program), job.args.clone());
            Ok(Command { program, args, env, folder: package.to_path_buf() })
        }
        Work::Function(function) => {
            function_env(function, &mut env);
            let args = function.args.clone();
            let (program, folder) = match &function.image {
                Some(image) => (function.program.clone(), image.folder.clone()),
                None => (package.join(&function.program), package.to_path_buf()),
            };
            Ok(Command { program, args, env, folder })
        }
    }
}

/// The worker's task, with what only the executor knows.
fn worker_task(
    start: &Start,
    given: &Given<'_>,
    package: &Path,
    mounted: bool,
) -> Result<String, Error> {
    let serde_json::Value::Object(task) = start.task.clone() else {
        let message = "the worker's task is not a JSON object".to_owned();
        return Err(Error::Invalid { message });
    };
    // In one order, whether or not JSON keeps that in which an object was made.
    let mut task: BTreeMap<String, serde_json::Value> = task.into_iter().collect();
    let mut fill = |name: &str, value: serde_json::Value| {
        task.entry(name.to_owned()).or_insert(value);
    };
    fill("package", package.to_string_lossy().into());
    fill("threads", start.limits.cpu_milli.div_ceil(1_000).max(1).into());
    fill("timeout_ms", start.limits.timeout_ms.into());
    if let Some(library) = given.onnxruntime {
        let outside = library.to_string_lossy().into_owned();
        fill("onnxruntime", if mounted { library_inside(library) } else { outside }.into());
    }
    Ok(task.into_iter().collect::<serde_json::Value>().to_string())
}

/// Tells a program how many calls it may have at a time. Source: Lambda's clients.
const MAX_CONCURRENCY: &str = "AWS_LAMBDA_MAX_CONCURRENCY";

/// The variables of the Runtime API's contract, above what the owner says.
fn function_env(function: &Function, env: &mut BTreeMap<String, String>) {
    let own = function.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    env.extend(own);
    if function.serves {
        env.insert("PORT".to_owned(), SERVER_PORT.to_string());
        env.insert("SAGEMAKER_BIND_TO_PORT".to_owned(), SERVER_PORT.to_string());
    } else {
        env.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), RUNTIME_API.to_owned());
    }
    // What the owner or an image says of it would have a program wait for calls that never come.
    env.remove(MAX_CONCURRENCY);
    if function.concurrency.is_several() {
        env.insert(MAX_CONCURRENCY.to_owned(), function.concurrency.to_string());
    }
    let said = [
        ("LAMBDA_TASK_ROOT", TASK_ROOT),
        ("LAMBDA_RUNTIME_DIR", RUNTIME_DIR),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
    ];
    env.extend(said.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// The variables of the training contract.
fn job_env(job: &Job) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("TRAINING_JOB_NAME".to_owned(), job.name.clone()),
        ("SM_MODEL_DIR".to_owned(), format!("{ML}/model")),
        ("SM_OUTPUT_DIR".to_owned(), format!("{ML}/output")),
    ]);
    for channel in job.channels.keys() {
        let name = channel.to_ascii_uppercase().replace(['-', '.'], "_");
        env.insert(format!("SM_CHANNEL_{name}"), format!("{ML}/input/data/{channel}"));
    }
    env
}

#[cfg(test)]
pub(crate) mod tests;
