//! Agents in this process: their executors, what they say of this machine, and the data port.
//!
//! Always true: several share the machine equally, and none sees another's folders.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use agent::{Agent, Control, Remote, Settings as AgentSettings};
use api::client::{self, Client};
use api::listen::{Address, Clients, Listener, Tls};
use executor::Executor;
use types::{Fleet, HostId, Name};
use workflow::{Clock, Tasks};

use super::enrolment::Enrolled;
use super::files::Files;
use super::spawn;
use crate::exit::Failure;
use crate::features;
use crate::settings::Settings;

/// Most bytes of fetched chunks that a machine keeps.
const CACHE_BYTES_MAX: u64 = 10 << 30;
/// Memory that is not given to instances: for the processes of the cloud itself.
const MEMORY_KEPT_BYTES: u64 = 512 << 20;

/// The part of the rest that is kept for functions, which nobody places.
const FUNCTIONS_PART: u64 = 4;

/// Runs an agent for each host beside control, over its socket, and returns them.
pub(super) async fn run_local(
    settings: &Settings,
    files: &Files,
    socket: &Path,
    wiring: (&Clock, &Tasks),
) -> Result<Vec<Agent>, Failure> {
    let mut agents = Vec::new();
    for (number, fleet) in (1..).zip(&settings.fleets) {
        let place = Place { number, of: settings.fleets.len() };
        agents.push(run_beside(settings, files, socket, (place, fleet.clone()), wiring).await?);
    }
    Ok(agents)
}

/// Which one of this machine's hosts it is.
#[derive(Clone, Copy)]
struct Place {
    /// From 1.
    number: usize,
    of: usize,
}

impl Place {
    /// What a file or name becomes that each host has: the first one's is as if it were alone.
    fn own(self, name: &str) -> String {
        if self.number == 1 { name.to_owned() } else { format!("{name}-{}", self.number) }
    }

    /// Its share of something.
    fn share(self, whole: u64) -> u64 {
        whole / u64::try_from(self.of).unwrap_or(u64::MAX).max(1)
    }
}

async fn run_beside(
    settings: &Settings,
    files: &Files,
    socket: &Path,
    (place, fleet): (Place, Fleet),
    (clock, tasks): (&Clock, &Tasks),
) -> Result<Agent, Failure> {
    let client = Client::new(client::Settings::new(client::Address::Unix(socket.to_owned())))
        .map_err(|error| Failure::internal("could not make a client", &error))?;
    let file = place.own("host");
    let kept = files.read(&file)?.and_then(|text| text.trim().parse::<HostId>().ok());
    let host = kept.unwrap_or_else(|| HostId::new(clock.uuid()));
    if kept.is_none() {
        files.write(&file, host.to_string().as_bytes(), 0o600)?;
    }
    let name: Name = place.own("local").parse().expect("a plain word and a number are a name");
    let door = settings.door(None);
    let machine = Machine { host, name, data_address: None, door, place, fleet };
    let control = Arc::new(Remote::new(client));
    let agent = make(settings, files, control, machine, (clock, tasks)).await?;
    run(&agent, tasks).await?;
    Ok(agent)
}

/// Runs an agent of its own, over mutual TLS, and serves its data port; returns its address.
pub(super) async fn run_remote(
    settings: &Settings,
    files: &Files,
    (enrolled, control): (&Enrolled, &str),
    listen: SocketAddr,
    (clock, tasks): (&Clock, &Tasks),
) -> Result<SocketAddr, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::usage(workflow::chain(error));
    let host = enrolled.host().ok_or_else(|| Failure::usage("the enrolment names no host"))?;
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| failed(&error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let clients = Clients::MustProve(enrolled.authority_pem());
    let tls = Tls::new(&enrolled.shown, clients).map_err(|error| failed(&error))?;
    let door = settings.door(Some(control));
    let control = Arc::new(Remote::new(enrolled.client(control)?));
    let [fleet] = settings.fleets.as_slice() else {
        return Err(Failure::usage("an agent runs one host: leave --hosts to `freehold up`"));
    };
    let machine = Machine {
        host,
        name: enrolled.name().clone(),
        data_address: Some(address),
        door,
        place: Place { number: 1, of: 1 },
        fleet: fleet.clone(),
    };
    let agent = make(settings, files, control, machine, (clock, tasks)).await?;
    run(&agent, tasks).await?;
    tasks.spawn("data port", agent::serve_data(agent.clone(), listener, tls));
    Ok(address)
}

/// Lets gateways of this host call functions, then starts to report and to watch.
async fn run(agent: &Agent, tasks: &Tasks) -> Result<(), Failure> {
    let address = Address::Unix(agent.functions_socket());
    let listener = Listener::bind(&address)
        .await
        .map_err(|error| Failure::refused(workflow::chain(&error)))?;
    spawn(tasks, "functions listener", listener, (agent.functions_router(), None));
    agent.run();
    Ok(())
}

/// Who this machine, or its share, is to control.
struct Machine {
    host: HostId,
    name: Name,
    data_address: Option<SocketAddr>,
    door: egress::Door,
    place: Place,
    fleet: Fleet,
}

async fn make(
    settings: &Settings,
    files: &Files,
    control: Arc<dyn Control>,
    machine: Machine,
    (clock, tasks): (&Clock, &Tasks),
) -> Result<Agent, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::refused(workflow::chain(error));
    let place = machine.place;
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal("could not find ourselves", &error))?;
    let found = executor::onnxruntime_search(settings.onnxruntime.as_deref());
    let wanted = executor::Settings {
        onnxruntime: found.path.clone(),
        sandbox: settings.sandbox.clone(),
        ..executor::Settings::new(program, files.path(&place.own("run")))
    };
    let executor =
        Executor::new(wanted, clock.clone(), tasks.clone()).map_err(|error| failed(&error))?;
    let features = features::of_host(executor.level(), executor.features(), &found);
    let instances_bytes = place.share(memory_bytes().saturating_sub(MEMORY_KEPT_BYTES));
    let functions_bytes = instances_bytes / FUNCTIONS_PART;
    let wanted = AgentSettings {
        host: machine.host,
        name: machine.name,
        folder: files.path(&place.own("agent")),
        cache_bytes_max: place.share(CACHE_BYTES_MAX),
        data_address: machine.data_address,
        cpu_milli: u32::try_from(place.share(cpu_milli().into())).unwrap_or(u32::MAX),
        memory_bytes: instances_bytes - functions_bytes,
        functions_memory_bytes: functions_bytes,
        door: machine.door,
        fleet: machine.fleet,
        generation: clock.now_ms(),
    };
    let wiring = (clock.clone(), tasks.clone());
    Agent::new(wanted, control, executor, features, wiring).await.map_err(|error| failed(&error))
}

/// The processors of this machine, in thousandths.
fn cpu_milli() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(1_000)
}

/// The memory of this machine, in bytes; a GiB where it does not say.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(1 << 30, |kib| kib << 10)
}
