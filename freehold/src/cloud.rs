//! Wiring: a whole cloud in one process, or one part of it.
//!
//! Always true: parts speak `api` to control, also within one process, where they use its Unix
//! socket. A stop lets requests in flight finish first, then ends instances, then control.

mod agent;
mod control;
mod enrolment;
mod files;
mod gateway;
mod master_key;
mod renewal;
mod signals;

use std::sync::Arc;

use api::listen::{self, Listener, Tls};
use workflow::{Clock, Tasks};

use crate::exit::Failure;
use crate::output::note;
use crate::settings::{ProcessArguments, ProcessCommand, ServerArguments, Settings};
use crate::telemetry;

pub use files::Files;
pub use master_key::master_key;

/// A cloud that runs in this process.
pub struct Running {
    /// Where the API and inference over HTTP answer.
    pub http: String,
    /// Where inference over gRPC answers.
    pub grpc: String,
    /// Where metrics are.
    pub metrics: String,
    /// The token of the first operator, while it is kept in the data folder.
    pub operator_token: String,
    parts: Parts,
}

/// The tasks of a process, in the order in which they are stopped.
#[derive(Default)]
struct Parts {
    /// Public listeners: they stop taking requests and finish those they have.
    listeners: Tasks,
    /// Gateway and agent.
    work: Tasks,
    /// Control's sagas and reconcilers.
    control: Tasks,
    /// Control's own listener, which the others need until their end.
    inner: Tasks,
    opened: Option<control::Opened>,
    grace_ms: u64,
}

impl Parts {
    fn new(settings: &Settings) -> Self {
        Self { grace_ms: settings.stop_grace_ms, ..Self::default() }
    }

    async fn stop(self) {
        self.listeners.stop(self.grace_ms).await;
        self.work.stop(self.grace_ms).await;
        self.control.stop(self.grace_ms).await;
        self.inner.stop(INNER_GRACE_MS).await;
        if let Some(opened) = self.opened {
            opened.control.close().await;
        }
    }
}

/// How long control's own listener may take to end: nobody is left to ask it.
const INNER_GRACE_MS: u64 = 2_000;

impl Running {
    /// Stops in order: requests in flight finish, instances end, the database closes.
    pub async fn stop(self) {
        self.parts.stop().await;
    }
}

/// Starts a whole cloud in this process.
pub async fn start(settings: Settings) -> Result<Running, Failure> {
    let clock = Clock::system();
    let files = Files::open(&settings.data)?;
    let mut parts = Parts::new(&settings);
    let opened = control::open(&settings, &files, &clock).await?;
    let socket = control::serve_local(&opened, &files, &parts.inner).await?;
    if let Some(address) = settings.listen_internal {
        control::serve_internal(&opened, address, &clock, &parts.inner).await?;
    }
    opened.control.run(&parts.control);
    let agents = agent::run_local(&settings, &files, &socket, (&clock, &parts.work)).await?;
    let gateway = gateway::local(&settings, &socket, (&clock, &parts.work)).await?;
    for agent in agents {
        let socket = agent.functions_socket().display().to_string();
        gateway.add_near(socket, Arc::new(agent));
    }
    let public = gateway::serve(&settings, &files, &gateway, (&clock, &parts.listeners)).await?;
    let operator_token = opened.operator_token.clone();
    parts.opened = Some(opened);
    Ok(Running {
        http: public.http,
        grpc: public.grpc,
        metrics: public.metrics,
        operator_token,
        parts,
    })
}

/// `freehold up`.
pub async fn up(arguments: ServerArguments) -> Result<(), Failure> {
    let settings = Settings::resolve(arguments)?;
    let _telemetry = telemetry::start(&settings, "up")?;
    let data = settings.data.clone();
    let running = start(settings).await?;
    note(&format!(
        "freehold {} is up\n  API and inference  {}\n  console            {}/console/\n  gRPC               {}\n  metrics            {}/metrics\n  data               {}\nnext: freehold login {} --data {}",
        env!("CARGO_PKG_VERSION"),
        running.http,
        running.http,
        running.grpc,
        running.metrics,
        data.display(),
        running.http,
        data.display(),
    ))?;
    signals::wait().await?;
    note("stopping: requests in flight finish first")?;
    running.stop().await;
    Ok(())
}

/// `freehold control`.
pub async fn control(arguments: ServerArguments) -> Result<(), Failure> {
    let settings = Settings::resolve(arguments)?;
    let _telemetry = telemetry::start(&settings, "control")?;
    let clock = Clock::system();
    let files = Files::open(&settings.data)?;
    let mut parts = Parts::new(&settings);
    let opened = control::open(&settings, &files, &clock).await?;
    control::serve_local(&opened, &files, &parts.inner).await?;
    let address =
        settings.listen_internal.unwrap_or_else(|| ([127, 0, 0, 1], INTERNAL_PORT).into());
    let address = control::serve_internal(&opened, address, &clock, &parts.inner).await?;
    opened.control.run(&parts.control);
    files.write("authority.pem", opened.control.authority().certificate_pem().as_bytes(), 0o644)?;
    parts.opened = Some(opened);
    note(&format!(
        "control answers at {address}\nnext: freehold --server {address} --authority {} status",
        files.path("authority.pem").display()
    ))?;
    signals::wait().await?;
    parts.stop().await;
    Ok(())
}

/// Where control listens for agents and gateways unless it is told.
const INTERNAL_PORT: u16 = 8443;

/// `freehold gateway`.
pub async fn gateway(arguments: ProcessArguments) -> Result<(), Failure> {
    if let Some(ProcessCommand::Enrol { token, control, data }) = arguments.command {
        return enrolment::enrol("gateway", &token, &control, &data).await;
    }
    let settings = Settings::resolve(arguments.server)?;
    let _telemetry = telemetry::start(&settings, "gateway")?;
    let clock = Clock::system();
    let files = Arc::new(Files::open(&settings.data)?);
    let enrolled = enrolment::read(&files, "gateway", clock.now_ms())?;
    let control = enrolled.control(arguments.control)?;
    let parts = Parts::new(&settings);
    enrolled.keep_valid(&control, &files, (&clock, &parts.work))?;
    let gateway = gateway::remote(&settings, &enrolled, &control, (&clock, &parts.work)).await?;
    let public = gateway::serve(&settings, &files, &gateway, (&clock, &parts.listeners)).await?;
    note(&format!("gateway answers at {} and {}", public.http, public.grpc))?;
    signals::wait().await?;
    parts.stop().await;
    Ok(())
}

/// `freehold agent`.
pub async fn agent(arguments: ProcessArguments) -> Result<(), Failure> {
    if let Some(ProcessCommand::Enrol { token, control, data }) = arguments.command {
        return enrolment::enrol("agent", &token, &control, &data).await;
    }
    let settings = Settings::resolve(arguments.server)?;
    let _telemetry = telemetry::start(&settings, "agent")?;
    let clock = Clock::system();
    let files = Arc::new(Files::open(&settings.data)?);
    let enrolled = enrolment::read(&files, "agent", clock.now_ms())?;
    let control = enrolled.control(arguments.control)?;
    let parts = Parts::new(&settings);
    enrolled.keep_valid(&control, &files, (&clock, &parts.work))?;
    let listen = arguments.listen_data.unwrap_or_else(|| ([127, 0, 0, 1], DATA_PORT).into());
    let wiring = (&clock, &parts.work);
    let address =
        agent::run_remote(&settings, &files, (&enrolled, &control), listen, wiring).await?;
    note(&format!("agent {} runs; gateways reach its instances at {address}", enrolled.name()))?;
    signals::wait().await?;
    parts.stop().await;
    Ok(())
}

/// Where an agent listens for gateways unless it is told.
const DATA_PORT: u16 = 8444;

/// Serves until the tasks stop.
fn spawn<S, B>(
    tasks: &Tasks,
    name: &'static str,
    listener: Listener,
    (service, tls): (S, Option<Tls>),
) where
    S: tower::Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<B>,
            Error = std::convert::Infallible,
        > + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    tasks.spawn(name, listen::serve(listener, service, tls, tasks.stopping()));
}
