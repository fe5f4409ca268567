//! The executor: starts instances and knows which run.
//!
//! Always true: at most one instance of an id runs; an older generation never replaces a newer
//! one; a start that fails leaves nothing behind.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;
use types::InstanceId;
use workflow::{Clock, Tasks};

use crate::cgroup::Cgroups;
use crate::error::Error;
use crate::exit::Ending;
use crate::features::Feature;
use crate::folders::{self, Folders};
use crate::instance::{Instance, Running};
use crate::launch::{self, Level, Order, ProcessSandbox, Sandbox, Socket};
use crate::logs::Logs;
use crate::machine::{Machine, USERS_MAX, Users};
use crate::plan::{self, Given};
use crate::runtime_api::Runtime;
use crate::start::{Start, Work};
use crate::supervise::{self, Supervisor};
use crate::watch::Seen;

/// Longest time from the launch to the program's start, in milliseconds. It takes about ten; a
/// machine that swaps takes longer.
const START_MS_MAX: u64 = 30_000;

/// The folder of the executor's own files for runtimes.
const RUNTIMES: &str = "r";

/// Where and with what the executor works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `freehold` program, which has the hidden commands `sandbox` and `worker`. Everybody on
    /// the host must be able to read and run it.
    pub program: PathBuf,
    /// A folder of its own, with a short path: its sockets lie there.
    pub folder: PathBuf,
    /// ONNX Runtime's library, shown to workers.
    pub onnxruntime: Option<PathBuf>,
    /// Whether control groups are used where they can be made. Watching holds the limits else.
    pub cgroups: bool,
    /// Features to do without although the machine offers them, by their names in
    /// [`crate::features`]: `mount namespace`, `process namespace`. For trying out a lesser host.
    pub without: Vec<&'static str>,
}

impl Settings {
    /// Settings with every means that the machine offers.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: folder.into(),
            onnxruntime: None,
            cgroups: true,
            without: Vec::new(),
        }
    }
}

/// Starts instances. Cheap to clone; clones are the same executor.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    runtimes: PathBuf,
    sandbox: Box<dyn Sandbox>,
    machine: Machine,
    clock: Clock,
    tasks: Tasks,
    instances: Mutex<BTreeMap<InstanceId, Running>>,
    /// User numbers in use, each with its claim on this machine where instances have users of their
    /// own.
    slots: Mutex<BTreeMap<u32, Option<UnixDatagram>>>,
    /// Where the next user number is looked for. It goes round from anywhere, so that a number is
    /// not taken while processes of its last user, perhaps of a killed executor, are still dying.
    next_slot: AtomicU32,
    /// One start at a time for an id; ids are few at a time, so one lock does for all.
    starting: tokio::sync::Mutex<()>,
}

impl Executor {
    /// Makes an executor, and clears what an earlier one left in its folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the folder cannot be made or the program is not there.
    pub fn new(settings: Settings, clock: Clock, tasks: Tasks) -> Result<Self, Error> {
        let mut settings = settings;
        for name in ["i", "s", RUNTIMES] {
            let folder = settings.folder.join(name);
            fs::create_dir_all(&folder).map_err(Error::io(format!("make {}", folder.display())))?;
        }
        folders::lay_out_runtimes(&settings.folder.join(RUNTIMES))?;
        let told = |path: &Path| format!("find {}", path.display());
        settings.folder =
            settings.folder.canonicalize().map_err(Error::io(told(&settings.folder)))?;
        settings.program =
            settings.program.canonicalize().map_err(Error::io(told(&settings.program)))?;
        for name in ["i", "s"] {
            for (path, error) in folders::sweep(&settings.folder.join(name)) {
                tracing::warn!(path = %path.display(), %error, "could not clear a leftover");
            }
        }
        let sandbox = Box::new(ProcessSandbox::new(settings.program.clone())?);
        let machine = settings.without.iter().fold(Machine::get().clone(), Machine::without);
        let first_slot = clock.random::<4>();
        let shared = Shared {
            runtimes: settings.folder.join(RUNTIMES),
            settings,
            sandbox,
            machine,
            clock,
            tasks,
            instances: Mutex::default(),
            slots: Mutex::default(),
            next_slot: AtomicU32::new(u32::from_le_bytes(first_slot) % USERS_MAX),
            starting: tokio::sync::Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How strongly instances are sealed.
    pub fn level(&self) -> Level {
        self.shared.sandbox.level()
    }

    /// What seals them, on this machine.
    pub fn features(&self) -> Vec<Feature> {
        self.shared.sandbox.features()
    }

    /// The instances that run.
    pub fn running(&self) -> Vec<Running> {
        self.shared.instances.lock().values().cloned().collect()
    }

    /// Starts an instance, and returns once its program runs. A worker's model is not loaded by
    /// then: its socket takes connections and answers when it is.
    ///
    /// Dropping the future does not take the start back.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] where a newer generation runs, [`Error::Refused`] where this machine cannot
    /// seal it, [`Error::Sandbox`] where a step inside failed, and the others by their names.
    pub async fn start(&self, start: Start) -> Result<Running, Error> {
        let this = self.clone();
        let begun =
            self.shared.tasks.spawn("instance-start", async move { this.begin(start).await });
        begun.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(Error::Io { action: "finish a start".to_owned(), source })
        })
    }

    async fn begin(&self, start: Start) -> Result<Running, Error> {
        let _one = self.shared.starting.lock().await;
        if let Some(held) = self.replaceable(&start)? {
            if held.generation() == start.generation {
                return Ok(held);
            }
            held.kill();
            held.wait().await;
        }
        let slot = self.shared.take_slot()?;
        let result = self.shared.start(&start, slot).await;
        if result.is_err() {
            self.shared.slots.lock().remove(&slot);
        }
        let (running, supervisor, started) = result?;
        self.shared.instances.lock().insert(start.id, running.clone());
        // Weak: an executor that nobody holds ends its instances.
        let shared = Arc::downgrade(&self.shared);
        self.shared.tasks.spawn("instance", async move {
            let instance = Arc::clone(&supervisor.instance);
            supervisor.run(started).await;
            if let Some(shared) = shared.upgrade() {
                shared.forget(&instance);
            }
        });
        Ok(running)
    }

    /// The instance of this id that runs, if this start may replace it or is the same.
    fn replaceable(&self, start: &Start) -> Result<Option<Running>, Error> {
        let held = self.shared.instances.lock().get(&start.id).cloned();
        let held = held.filter(|held| held.exit().is_none());
        match &held {
            Some(running) if running.generation() > start.generation => Err(Error::Stale {
                id: start.id,
                held: running.generation(),
                asked: start.generation,
            }),
            _ => Ok(held),
        }
    }
}

type Begun = (Running, Supervisor, supervise::Started);

impl Shared {
    fn take_slot(&self) -> Result<u32, Error> {
        let mut slots = self.slots.lock();
        let Users::PerInstance { first } = self.machine.users else {
            let slot = (0..=u32::MAX).find(|slot| !slots.contains_key(slot)).unwrap_or(u32::MAX);
            slots.insert(slot, None);
            return Ok(slot);
        };
        let next = self.next_slot.load(Ordering::Relaxed);
        for step in 0..USERS_MAX {
            let slot = (next + step) % USERS_MAX;
            if slots.contains_key(&slot) {
                continue;
            }
            let claim = claim_user(first + slot).map_err(Error::io("claim a user number"))?;
            if let Some(claim) = claim {
                slots.insert(slot, Some(claim));
                self.next_slot.store((slot + 1) % USERS_MAX, Ordering::Relaxed);
                return Ok(slot);
            }
        }
        let message = format!("{USERS_MAX} instances run here, and no more users are left");
        Err(Error::Invalid { message })
    }

    /// Makes everything and launches; what it made goes away by itself where it fails.
    async fn start(&self, start: &Start, slot: u32) -> Result<Begun, Error> {
        let machine = &self.machine;
        let owner = match machine.users {
            Users::PerInstance { first } => Some(first + slot),
            Users::Mapped | Users::Same => None,
        };
        let at = self.settings.folder.join("i").join(start.id.to_string());
        let cgroups = if self.settings.cgroups { Cgroups::get() } else { Cgroups::none() };
        let group = cgroups
            .make(&start.id.to_string(), &start.limits)
            .map_err(Error::io("make the instance's control groups"))?;
        let folders = Folders::make(at, start, owner)?;
        let cleared = Cleared(Some(&folders));
        let plan = plan::make(start, &self.given(&folders, slot, group.join()), machine)?;
        let path = (start.work == Work::Serve)
            .then(|| self.settings.folder.join("s").join(start.id.uuid().simple().to_string()));
        let socket = path.as_deref().map(folders::listen).transpose()?;
        let instance = Arc::new(Instance {
            id: start.id,
            generation: start.generation,
            socket: path,
            folders: folders.clone(),
            logs: Logs::new(),
            seen: Seen::default(),
            forced: watch::Sender::new(None),
            exit: watch::Sender::new(None),
            slot: Mutex::new(Some(slot)),
        });
        let supervisor = Supervisor {
            instance: Arc::clone(&instance),
            processes_held: group.limits_pids() || machine.process_limit,
            limits: start.limits,
            timed: matches!(start.work, Work::Job(_)),
            group: Some(group),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
        };
        let socket = match (&start.work, socket) {
            (Work::Function(_), _) => Socket::HandOut,
            (_, Some(socket)) => Socket::Listening(socket),
            (_, None) => Socket::None,
        };
        let launched = self.sandbox.launch(Order { plan }, socket).await?;
        let started = supervise::started(launched, &supervisor);
        let limit = std::time::Duration::from_millis(START_MS_MAX);
        let started = tokio::time::timeout(limit, started).await;
        let started = started.map_err(|_| Error::Slow { limit_ms: START_MS_MAX })??;
        let handed = started.handed.as_ref();
        let runtime = handed.map(|handed| self.answer(handed, &instance)).transpose()?;
        cleared.keep();
        Ok((Running { shared: instance, runtime }, supervisor, started))
    }

    /// Answers the Runtime API on the listener that was handed out, until the instance has ended.
    fn answer(&self, handed: &UnixStream, instance: &Instance) -> Result<Runtime, Error> {
        let listener = launch::receive(handed).map_err(Error::io("take a function's listener"))?;
        let served = Runtime::serve(listener).map_err(Error::io("answer a function"))?;
        let (runtime, serving) = served;
        let mut exit = instance.exit.subscribe();
        self.tasks.spawn("runtime api", async move {
            tokio::select! {
                () = serving => {}
                _ = exit.wait_for(Option::is_some) => {}
            }
        });
        Ok(runtime)
    }

    fn given<'a>(&'a self, folders: &'a Folders, slot: u32, join: Vec<PathBuf>) -> Given<'a> {
        Given {
            program: &self.settings.program,
            onnxruntime: self.settings.onnxruntime.as_deref(),
            runtimes: &self.runtimes,
            folder: &folders.at,
            slot,
            join,
        }
    }

    /// Forgets an instance that has ended, unless another has its place by now.
    fn forget(&self, instance: &Arc<Instance>) {
        let mut instances = self.instances.lock();
        if instances.get(&instance.id).is_some_and(|held| Arc::ptr_eq(&held.shared, instance)) {
            instances.remove(&instance.id);
        }
        if let Some(slot) = instance.slot.lock().take() {
            self.slots.lock().remove(&slot);
        }
    }
}

/// Claims a user number for this executor among all on this machine, or none where another has
/// it: an abstract socket of that name, which the kernel gives up when we end.
fn claim_user(user: u32) -> std::io::Result<Option<UnixDatagram>> {
    let address = SocketAddr::from_abstract_name(format!("freehold-user-{user}"))?;
    match UnixDatagram::bind_addr(&address) {
        Ok(claim) => Ok(Some(claim)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes an instance's folder unless it is told to keep it.
struct Cleared<'a>(Option<&'a Folders>);

impl Cleared<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        if let Some(folders) = self.0
            && let Err(error) = folders.clear()
        {
            tracing::warn!(%error, "could not clear the folder of a failed start");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for running in self.instances.lock().values() {
            running.shared.force(Ending::Killed);
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running: Vec<_> = self.running().iter().map(Running::id).collect();
        f.debug_struct("Executor").field("running", &running).finish_non_exhaustive()
    }
}
