//! What to start: the work, its files and its limits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use types::{Concurrency, FunctionRuntime, InstanceId, Limits};

use crate::egress::WayOut;

/// Where the package stands in every sandbox.
pub const PACKAGE: &str = "/opt/freehold/package";
/// Where a function's package stands in its sandbox: `LAMBDA_TASK_ROOT`.
pub const TASK_ROOT: &str = "/var/task";
/// Where the executor's own files for runtimes stand: `LAMBDA_RUNTIME_DIR`.
pub const RUNTIME_DIR: &str = "/var/runtime";
/// Where the training contract's folders stand in a job's sandbox.
pub const ML: &str = "/opt/ml";

/// One instance to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// The instance.
    pub id: InstanceId,
    /// The generation of the wanted state. An older one is refused; the same one, while it runs,
    /// gives the running instance; a newer one replaces it.
    pub generation: u64,
    /// The extracted package. It is bound read-only, never written.
    pub package: PathBuf,
    /// What runs.
    pub work: Work,
    /// What it may use.
    pub limits: Limits,
    /// For [`Work::Serve`]: the worker's task, handed on in `FREEHOLD_TASK`. The executor adds
    /// `onnxruntime`, `threads` and `package` where they are absent.
    pub task: serde_json::Value,
}

/// What runs in an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// `freehold worker`, which answers on an inherited listening socket: file descriptor 3, which
    /// is also its standard input.
    Serve,
    /// A program that ends: the training contract.
    Job(Job),
    /// A program that fetches invocations from the Runtime API.
    Function(Function),
}

impl Work {
    /// The function that it is, where it is one.
    pub(crate) fn function(&self) -> Option<&Function> {
        if let Self::Function(function) = self { Some(function) } else { None }
    }
}

/// A program that fetches invocations from the Runtime API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// The program: a path in the package, or an absolute path such as `/usr/bin/python3`; in an image
    /// what its command says, looked for where its `PATH` says.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment: `_HANDLER`, `AWS_LAMBDA_FUNCTION_NAME` and the like, and its owner's own.
    /// What the sandbox itself says (`AWS_LAMBDA_RUNTIME_API`, paths) stands above.
    pub env: BTreeMap<String, String>,
    /// Where it may connect to, through the proxy at its Runtime API; nowhere where there is none.
    pub way_out: Option<WayOut>,
    /// What the root is made of, where the package is a whole one.
    pub image: Option<Image>,
    /// Whether the program is a server, which is given its work where it listens: on port 8080 of its
    /// loopback, under `/invocations`, once `/ping` answers well.
    pub serves: bool,
    /// How many calls it may have at a time. More than one is told to it, in
    /// `AWS_LAMBDA_MAX_CONCURRENCY`.
    pub concurrency: Concurrency,
}

/// A package that brings everything a program needs: it is the root, and the host's programs are not
/// there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Folders and files at its top.
    pub entries: Vec<String>,
    /// Symbolic links at its top, and what they say.
    pub links: Vec<(String, String)>,
    /// Where the program starts.
    pub folder: PathBuf,
}

/// What a sandbox has of its own, whatever an image brings.
const OWN: [&str; 5] = ["dev", "proc", "scratch", "sys", "tmp"];

impl Image {
    /// Looks at the top of an unpacked image.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be read.
    pub fn of(root: &Path, folder: PathBuf) -> io::Result<Self> {
        let mut image = Self { folder, ..Self::default() };
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            // A name that is no text cannot be said in a plan.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if OWN.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_symlink() {
                let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
                image.links.push((name, target));
            } else {
                image.entries.push(name);
            }
        }
        image.entries.sort();
        image.links.sort();
        Ok(image)
    }
}

/// What a sandbox is made for before it is known which function it will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parking {
    /// What will run: with [`FunctionRuntime::Python3`] an interpreter runs already.
    pub runtime: FunctionRuntime,
    /// What it may use. The time limit is a call's, and does not matter here.
    pub limits: Limits,
}

impl Parking {
    /// Whether a function can run in such a sandbox and notice no difference.
    pub fn fits(&self, function: &Function, limits: &Limits) -> bool {
        let same = Limits { timeout_ms: self.limits.timeout_ms, ..*limits } == self.limits;
        same && function.image.is_none()
            && !function.serves
            && match self.runtime {
                // Node.js is started when it is known what for, as any program.
                FunctionRuntime::Provided | FunctionRuntime::Nodejs => true,
                FunctionRuntime::Image | FunctionRuntime::Server => false,
                FunctionRuntime::Python3 => {
                    let first = function.args.first().map(String::as_str);
                    let known = |name: &String| BEFORE_MAIN.iter().any(|at| name.starts_with(at));
                    function.program == Path::new(PYTHON)
                    // A script, or a module; any other option is one of the interpreter's start.
                    && first.is_some_and(|first| first == "-m" || !first.starts_with('-'))
                    && !function.env.keys().any(known)
                }
            }
    }
}

/// The Python of functions.
pub const PYTHON: &str = "/usr/bin/python3";
/// The Node.js of functions.
pub const NODE: &str = "/usr/bin/node";
/// How the variables begin that an interpreter, or the C library below it, reads once, before any
/// of a function's code runs.
const BEFORE_MAIN: [&str; 6] = ["PYTHON", "LD_", "GLIBC_", "MALLOC_", "LC_", "LANG"];

/// A program that ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The job's name, `TRAINING_JOB_NAME` inside.
    pub name: String,
    /// The program: a path in the package, or an absolute path such as `/usr/bin/python3`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Files of `/opt/ml/input/config`, by name, such as `hyperparameters.json`.
    pub config: BTreeMap<String, Vec<u8>>,
    /// Folders of `/opt/ml/input/data`, by channel. They are bound read-only.
    pub channels: BTreeMap<String, PathBuf>,
}
