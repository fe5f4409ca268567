//! The agent: makes this host match its assignment.
//!
//! It watches control for what the host is to run, fetches packages, starts sandboxes, proves
//! packages, and reports what became of each. It also runs functions, which nobody assigns: an
//! instance is made when a gateway's call needs one.
//!
//! Always true: what is neither assigned nor called does not run; a report is repeated until
//! control has it or no longer wants it; an agent that starts again finds nothing running.
//! Absent on purpose: what runs where (control decides), credentials of accounts.
#![forbid(unsafe_code)]

mod channel;
mod control;
mod data;
mod drills;
mod functions;
mod held;
mod instance;
mod life;
mod logs;
mod packages;
mod prove;
mod retry;
mod serve;
mod train;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use api::status::Feature;
use executor::Executor;
use types::{Fleet, HostId, Name};
use workflow::{Clock, Tasks};

pub use control::{Control, ControlError, Remote};
pub use data::serve_data;

/// What an agent is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This host.
    pub host: HostId,
    /// Its name.
    pub name: Name,
    /// Where packages and instances stand.
    pub folder: PathBuf,
    /// Most bytes of fetched chunks that are kept.
    pub cache_bytes_max: u64,
    /// Where gateways on other hosts reach its instances.
    pub data_address: Option<SocketAddr>,
    /// Processor time to give away, in thousandths of one processor.
    pub cpu_milli: u32,
    /// Memory to give away, in bytes.
    pub memory_bytes: u64,
    /// Memory for functions, besides that, in bytes.
    pub functions_memory_bytes: u64,
    /// Where functions may connect to, of the places that they name.
    pub door: egress::Door,
    /// What this host is there for, among those that run functions.
    pub fleet: Fleet,
    /// Grows with every start.
    pub generation: u64,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not make the folder {folder}")]
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not open the cache of chunks")]
    Cache(#[source] objects::Error),
}

/// The agent. Cheap to clone; clones are the same agent.
#[derive(Clone)]
pub struct Agent {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    control: Arc<dyn Control>,
    executor: Executor,
    packages: packages::Packages,
    held: held::Held,
    functions: functions::Functions,
    features: Vec<Feature>,
    clock: Clock,
    tasks: Tasks,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent at rest. What a former life left in its folder is removed.
    ///
    /// # Errors
    ///
    /// [`Error`] when its folders cannot be made.
    pub async fn new(
        settings: Settings,
        control: Arc<dyn Control>,
        executor: Executor,
        features: Vec<Feature>,
        (clock, tasks): (Clock, Tasks),
    ) -> Result<Self, Error> {
        let wiring = (clock.clone(), tasks.stopping());
        let packages = packages::Packages::open(&settings, Arc::clone(&control), wiring).await?;
        let shared = Shared {
            settings,
            control,
            executor,
            packages,
            held: held::Held::default(),
            functions: functions::Functions::default(),
            features,
            clock,
            tasks,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts to watch and to report, until the tasks stop; then every instance is stopped.
    pub fn run(&self) {
        let tasks = &self.shared.tasks;
        tasks.spawn("host report", watch::report(self.clone()));
        tasks.spawn("assignments", watch::assignments(self.clone()));
        tasks.spawn("functions", functions::sweep(self.clone()));
        tasks.spawn("function provision", functions::provisioned::keep(self.clone()));
        tasks.spawn("function usage", functions::tell_usage(self.clone()));
        tasks.spawn("function logs", functions::journal::forward(self.clone()));
    }

    /// What gateways on this host ask, for a listener on [`Agent::functions_socket`].
    pub fn functions_router(&self) -> axum::Router {
        functions::router(self.clone())
    }
}
