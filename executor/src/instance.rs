//! A running instance, as its owner holds it.
//!
//! Always true: clones are the same instance; its end is told once and kept; when the executor is
//! gone, so is the instance.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::watch;
use types::{Concurrency, InstanceId, Limits};

use crate::cgroup::Group;
use crate::egress::WayOut;
use crate::error::Error;
use crate::exit::{Ending, Exit};
use crate::folders::Folders;
use crate::launch::Level;
use crate::logs::{LogReader, Logs};
use crate::runtime_api::{About, Runtime};
use crate::start::Start;
use crate::watch::Seen;

/// An instance that was started.
#[derive(Clone, Debug)]
pub struct Running {
    pub(crate) shared: Arc<Instance>,
    pub(crate) runtime: Option<Runtime>,
}

/// What an instance uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time so far, in microseconds.
    pub cpu_us: u64,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// The largest resident memory seen, in bytes.
    pub memory_peak_bytes: u64,
    /// Processes and threads, the sandbox's own first process included.
    pub processes: u64,
}

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) generation: u64,
    pub(crate) level: Level,
    /// What extensions are told of it.
    pub(crate) about: About,
    /// Whether its program is a server.
    pub(crate) serves: bool,
    /// How many calls its program may have at a time.
    pub(crate) concurrency: Concurrency,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) folders: Folders,
    pub(crate) group: Arc<Group>,
    /// What it may use now.
    pub(crate) limits: Mutex<Limits>,
    pub(crate) logs: Logs,
    /// Where a function's program may connect to.
    pub(crate) way_out: Option<WayOut>,
    pub(crate) seen: Seen,
    /// Why we end it, once we do.
    pub(crate) forced: watch::Sender<Option<Ending>>,
    pub(crate) exit: watch::Sender<Option<Exit>>,
    /// Set while the executor keeps a user number for it.
    pub(crate) slot: Mutex<Option<u32>>,
}

impl Running {
    /// The instance.
    pub fn id(&self) -> InstanceId {
        self.shared.id
    }

    /// The generation of the wanted state that it was started from.
    pub fn generation(&self) -> u64 {
        self.shared.generation
    }

    /// How a function is given its work; none for other work.
    pub fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// Where a worker listens; none for other work.
    pub fn socket(&self) -> Option<&Path> {
        self.shared.socket.as_deref()
    }

    /// Where a job's model lies on the host. After [`Running::wait`] it holds plain files and
    /// folders only. It stays until [`Running::clear`].
    pub fn model_folder(&self) -> PathBuf {
        self.shared.folders.model()
    }

    /// Waits for the end. No process of the instance is left when this returns.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.shared.exit.subscribe();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_else(lost),
            // The sender lives as long as `self`.
            Err(_) => lost(),
        }
    }

    /// How it ended, where it has.
    pub fn exit(&self) -> Option<Exit> {
        self.shared.exit.borrow().clone()
    }

    /// Ends it at once. Ending what has ended does nothing; see [`Running::wait`].
    pub fn kill(&self) {
        self.shared.force(Ending::Killed);
    }

    /// Writes a line into its log, as what the executor tells of it.
    pub fn tell(&self, line: String, at_ms: u64) {
        self.shared.logs.push(vec![line], crate::logs::Stream::Platform, at_ms);
    }

    /// Reads its lines, from the oldest that is kept.
    pub fn logs(&self) -> LogReader {
        self.shared.logs.reader()
    }

    /// What it uses now.
    pub fn usage(&self) -> Usage {
        let seen = &self.shared.seen;
        Usage {
            cpu_us: seen.cpu_us.load(Ordering::Relaxed),
            memory_bytes: seen.memory_bytes.load(Ordering::Relaxed),
            memory_peak_bytes: seen.memory_peak_bytes.load(Ordering::Relaxed),
            processes: seen.processes.load(Ordering::Relaxed),
        }
    }

    /// Processor time that it has used, in microseconds, as [`Running::measure`] tells it, but without
    /// the rest, which costs more to ask for.
    pub fn cpu_us(&self) -> u64 {
        let (group, seen) = (&self.shared.group, &self.shared.seen);
        if let Some(cpu_us) = group.cpu_us() {
            seen.cpu_us.fetch_max(cpu_us, Ordering::Relaxed);
        }
        seen.cpu_us.load(Ordering::Relaxed)
    }

    /// What it uses, asked of the kernel now where its control groups count that; else as it was
    /// looked at last.
    pub fn measure(&self) -> Usage {
        self.cpu_us();
        let (group, seen) = (&self.shared.group, &self.shared.seen);
        if let Some(bytes) = group.memory_bytes() {
            seen.memory_bytes.store(bytes, Ordering::Relaxed);
            seen.memory_peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
        self.usage()
    }

    /// Removes its folder on the host, the model included. For when it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where something could not be removed.
    pub fn clear(&self) -> Result<(), Error> {
        self.shared.folders.clear().map_err(Error::io("remove an instance's folder"))
    }
}

impl Instance {
    /// An instance that is about to run, with its folders and groups, and its user's number.
    pub(crate) fn new(
        start: &Start,
        level: Level,
        socket: Option<PathBuf>,
        (folders, group): (Folders, Arc<Group>),
        slot: u32,
    ) -> Self {
        let function = start.work.function();
        Self {
            id: start.id,
            generation: start.generation,
            level,
            about: About::of(&start.work),
            serves: function.is_some_and(|function| function.serves),
            concurrency: function.map(|function| function.concurrency).unwrap_or_default(),
            socket,
            folders,
            group,
            limits: Mutex::new(start.limits),
            logs: Logs::new(),
            way_out: function.and_then(|function| function.way_out.clone()),
            seen: Seen::default(),
            forced: watch::Sender::new(None),
            exit: watch::Sender::new(None),
            slot: Mutex::new(Some(slot)),
        }
    }

    /// What it and its sandbox may use now.
    pub(crate) fn held_limits(&self) -> Limits {
        self.group.held(&self.limits.lock())
    }

    /// Asks for the end; the first reason stays.
    pub(crate) fn force(&self, ending: Ending) {
        self.forced.send_if_modified(|forced| {
            let first = forced.is_none();
            forced.get_or_insert(ending);
            first
        });
    }
}

fn lost() -> Exit {
    crate::exit::conclude(crate::exit::Observed::default(), None)
}
