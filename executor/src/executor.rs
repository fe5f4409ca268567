//! The executor: starts instances and knows which run.
//!
//! Always true: at most one instance of an id runs; an older generation never replaces a newer
//! one; a start that fails leaves nothing behind.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::MsgFlags;
use parking_lot::Mutex;
use types::InstanceId;
use workflow::{Clock, Tasks};

use crate::cgroup::{Cgroups, Group};
use crate::descriptors;
use crate::egress::Outlet;
use crate::error::Error;
use crate::exit::Ending;
use crate::features::Feature;
use crate::folders::{self, Folders};
use crate::instance::{Instance, Running};
use crate::launch::{Level, Order, Sandbox, Socket};
use crate::machine::{Machine, USERS_MAX, Users};
use crate::oci::{self, Choice};
use crate::plan::{self, Given};
use crate::runtime_api::Runtime;
use crate::start::{Start, Work};
use crate::supervise::{self, Opened, Supervisor};
use crate::zygote::Zygotes;

/// Longest time from the launch to the program's start, in milliseconds. It takes about ten; a
/// machine that swaps takes longer.
pub(crate) const START_MS_MAX: u64 = 30_000;

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
    /// Whether interpreters of parked sandboxes are forked from one that waits outside, where
    /// instances have users of their own. Each is started by itself else.
    pub zygote: bool,
    /// Which sandboxes seal instances.
    pub sandbox: Choice,
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
            zygote: true,
            sandbox: Choice::Process,
            without: Vec::new(),
        }
    }
}

/// Starts instances. Cheap to clone; clones are the same executor.
#[derive(Clone)]
pub struct Executor {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    settings: Settings,
    runtimes: PathBuf,
    /// None where interpreters are not forked.
    pub(crate) zygotes: Option<Zygotes>,
    pub(crate) sandbox: Box<dyn Sandbox>,
    pub(crate) machine: Machine,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
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
        let sandbox = oci::make(&settings.sandbox, &settings.program)?;
        let machine = settings.without.iter().fold(Machine::get().clone(), Machine::without);
        let first_slot = clock.random::<4>();
        let runtimes = settings.folder.join(RUNTIMES);
        // What a fork may enter and become, an unprivileged one could not; nor does an OCI runtime
        // make a container around a process that runs already.
        let forks = settings.zygote
            && sandbox.level() == Level::Process
            && matches!(machine.users, Users::PerInstance { .. });
        let shared = Shared {
            zygotes: forks.then(|| Zygotes::new(runtimes.clone())),
            runtimes,
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
            self.shared.free_slot(slot);
        }
        Ok(self.shared.supervise(start.id, result?))
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

/// An instance whose program runs, and what watches it.
pub(crate) type Begun = (Running, Supervisor, supervise::Started);

impl Shared {
    /// Takes a user number, or only a number where instances are not users of their own.
    pub(crate) fn take_slot(&self) -> Result<u32, Error> {
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
        self.sandbox.check(&start.work)?;
        let group = self.group(start.id, &start.limits)?;
        let job = if let Work::Job(job) = &start.work { Some(job) } else { None };
        let folders = Folders::make(self.folder_of(start.id), job, self.owner(slot))?;
        let cleared = folders.cleared_unless_kept();
        folders.open_package(&start.package)?;
        let plan = plan::make(start, &self.given(&folders, slot, &group), &self.machine)?;
        let path = (start.work == Work::Serve)
            .then(|| self.settings.folder.join("s").join(start.id.uuid().simple().to_string()));
        let socket = path.as_deref().map(folders::listen).transpose()?;
        let own = (folders.clone(), Arc::new(group));
        let instance = Arc::new(Instance::new(start, self.sandbox.level(), path, own, slot));
        let supervisor = self.supervisor(&instance, start);
        if !matches!(start.work, Work::Function(_)) {
            instance.limit_cpu();
        }
        let socket = match (&start.work, socket) {
            (Work::Function(_), _) => Socket::HandOut,
            (_, Some(socket)) => Socket::Listening(socket),
            (_, None) => Socket::None,
        };
        let launched = self.sandbox.launch(Order { plan }, socket).await?;
        let begun = self.launched(supervise::open(launched)?, supervisor).await?;
        cleared.keep();
        Ok(begun)
    }

    /// Waits until the program runs, and answers it.
    pub(crate) async fn launched(
        &self,
        opened: Opened,
        supervisor: Supervisor,
    ) -> Result<Begun, Error> {
        let limit = std::time::Duration::from_millis(START_MS_MAX);
        let started = tokio::time::timeout(limit, opened.started(&supervisor)).await;
        let started = started.map_err(|_| Error::Slow { limit_ms: START_MS_MAX })??;
        let instance = Arc::clone(&supervisor.instance);
        let handed = started.handed.as_ref();
        let runtime = handed.map(|handed| self.answer(handed, &instance)).transpose()?;
        Ok((Running { shared: instance, runtime }, supervisor, started))
    }

    /// Keeps an instance, and watches it until it has ended.
    pub(crate) fn supervise(self: &Arc<Self>, id: InstanceId, begun: Begun) -> Running {
        let (running, supervisor, started) = begun;
        self.instances.lock().insert(id, running.clone());
        // Weak: an executor that nobody holds ends its instances.
        let shared = Arc::downgrade(self);
        self.tasks.spawn("instance", async move {
            let instance = Arc::clone(&supervisor.instance);
            supervisor.run(started).await;
            if let Some(shared) = shared.upgrade() {
                shared.forget(&instance);
            }
        });
        running
    }

    /// Whether an instance of this id runs.
    pub(crate) fn runs(&self, id: InstanceId) -> bool {
        self.instances.lock().get(&id).is_some_and(|held| held.exit().is_none())
    }

    /// The user that an instance will be, where it is one of its own.
    pub(crate) fn owner(&self, slot: u32) -> Option<u32> {
        match self.machine.users {
            Users::PerInstance { first } => Some(first + slot),
            Users::Mapped | Users::Same => None,
        }
    }

    pub(crate) fn folder_of(&self, id: InstanceId) -> PathBuf {
        self.settings.folder.join("i").join(id.to_string())
    }

    /// Makes an instance's control groups.
    pub(crate) fn group(&self, id: InstanceId, limits: &types::Limits) -> Result<Group, Error> {
        let cgroups = if self.settings.cgroups { Cgroups::get() } else { Cgroups::none() };
        let made = cgroups.make(&id.to_string(), limits, self.sandbox.overhead());
        made.map_err(Error::io("make the instance's control groups"))
    }

    pub(crate) fn supervisor(&self, instance: &Arc<Instance>, start: &Start) -> Supervisor {
        Supervisor {
            instance: Arc::clone(instance),
            processes_held: instance.group.limits_pids() || self.machine.process_limit,
            timeout_ms: matches!(start.work, Work::Job(_)).then_some(start.limits.timeout_ms),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
        }
    }

    /// Answers the Runtime API on the listener that was handed out, or gives a server its work through
    /// the sockets that were, until the instance has ended. Beginning is not held to the function's
    /// share of the processors, its calls are.
    fn answer(&self, handed: &UnixStream, instance: &Arc<Instance>) -> Result<Runtime, Error> {
        let taken = descriptors::receive_all(handed, MsgFlags::MSG_DONTWAIT);
        let mut taken = taken.map_err(Error::io("take a function's socket"))?;
        let about = (instance.about.clone(), instance.concurrency);
        if instance.serves {
            let (runtime, serving) = Runtime::of_server(taken, about, self.clock.clone());
            self.serve(&runtime, serving, instance);
            return Ok(runtime);
        }
        let listener = TcpListener::from(taken.swap_remove(0));
        listener.set_nonblocking(true).map_err(Error::io("take a function's listener"))?;
        let (way, logs) = (instance.way_out.clone(), instance.logs.clone());
        let outlet = Outlet { way, logs, clock: self.clock.clone() };
        let served = Runtime::serve(listener, (about, self.clock.clone()), Some(outlet));
        let (runtime, serving) = served.map_err(Error::io("answer a function"))?;
        self.serve(&runtime, serving, instance);
        Ok(runtime)
    }

    fn serve(
        &self,
        runtime: &Runtime,
        serving: impl Future<Output = ()> + Send + 'static,
        instance: &Arc<Instance>,
    ) {
        let mut exit = instance.exit.subscribe();
        let (begins, instance) = (runtime.clone(), Arc::clone(instance));
        self.tasks.spawn("runtime api", async move {
            let held = async {
                begins.begun().await;
                instance.limit_cpu();
            };
            tokio::select! {
                _ = async { tokio::join!(serving, held) } => {}
                _ = exit.wait_for(Option::is_some) => {}
            }
        });
    }

    pub(crate) fn given<'a>(&'a self, folders: &'a Folders, slot: u32, group: &Group) -> Given<'a> {
        Given {
            program: &self.settings.program,
            onnxruntime: self.settings.onnxruntime.as_deref(),
            runtimes: &self.runtimes,
            folder: &folders.at,
            slot,
            join: group.join(),
            birthplace: group.birthplace(),
        }
    }

    pub(crate) fn free_slot(&self, slot: u32) {
        self.slots.lock().remove(&slot);
    }

    /// Forgets an instance that has ended, unless another has its place by now.
    fn forget(&self, instance: &Arc<Instance>) {
        let mut instances = self.instances.lock();
        if instances.get(&instance.id).is_some_and(|held| Arc::ptr_eq(&held.shared, instance)) {
            instances.remove(&instance.id);
        }
        if let Some(slot) = instance.slot.lock().take() {
            self.free_slot(slot);
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
