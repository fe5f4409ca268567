//! A gateway in this process: towards control, and its public listeners.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use api::client::{self, Client};
use api::identity::Shown;
use api::listen::{Address, Clients, Limits, Listener, Tls};
use gateway::control::{Remote, Upstream};
use gateway::{Gateway, Proof};
use policy::polling;
use workflow::{Clock, Tasks};

use super::enrolment::Enrolled;
use super::files::{Files, socket};
use super::spawn;
use crate::exit::Failure;
use crate::settings::Settings;

/// Where a gateway answers.
pub(super) struct Public {
    pub(super) http: String,
    pub(super) grpc: String,
    pub(super) metrics: String,
}

/// A gateway beside control, over its socket.
pub(super) async fn local(
    settings: &Settings,
    socket: &Path,
    (clock, tasks): (&Clock, &Tasks),
) -> Result<Gateway, Failure> {
    let client = Client::new(client::Settings::new(client::Address::Unix(socket.to_owned())))
        .map_err(|error| Failure::internal("could not make a client", &error))?;
    let remote = Remote::new(client, Upstream::Local(socket.to_owned()))
        .map_err(|error| Failure::internal("could not reach control", &error))?;
    make(settings, Arc::new(remote), (None, settings.door(None)), (clock, tasks)).await
}

/// A gateway of its own, over mutual TLS.
pub(super) async fn remote(
    settings: &Settings,
    enrolled: &Enrolled,
    control: &str,
    (clock, tasks): (&Clock, &Tasks),
) -> Result<Gateway, Failure> {
    let proof = Proof {
        authority_pem: enrolled.authority_pem().to_owned(),
        identity: enrolled.shown.clone(),
    };
    let client = enrolled.client(control)?;
    let address = control.trim_start_matches("https://").trim_end_matches('/').to_owned();
    let name = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    let name = name.trim_matches(|bracket| bracket == '[' || bracket == ']').to_owned();
    let remote = Remote::new(client, Upstream::Tls { address, name, proof: proof.clone() })
        .map_err(|error| Failure::usage(workflow::chain(&error)))?;
    let door = settings.door(Some(control));
    make(settings, Arc::new(remote), (Some(proof), door), (clock, tasks)).await
}

/// Connections of replays that this gateway sends at a time: one run takes none of the others'.
const REPLAY_CONNECTIONS_MAX: usize = 1 << 16;

async fn make(
    settings: &Settings,
    control: Arc<Remote>,
    (proof, door): (Option<Proof>, egress::Door),
    (clock, tasks): (&Clock, &Tasks),
) -> Result<Gateway, Failure> {
    let copies = match &settings.segments {
        Some(url) => {
            let opened = objects::Files::open(url, super::control::objects_options()).await;
            Some(opened.map_err(|error| {
                Failure::refused(format!("--segments: {}", workflow::chain(&error)))
            })?)
        }
        None => None,
    };
    let events_keys = settings.events_key.as_deref().map(events_keys).transpose()?;
    let wanted = gateway::Settings {
        copies,
        events_keys,
        folder: Some(settings.data.join("gateway")),
        replay_socket: Some(socket(&settings.data, "replay.sock")?),
        base_domain: Some(settings.domain.clone()),
        tls: speaks_tls(settings, settings.listen),
        body_bytes_max: usize::try_from(settings.body_bytes_max).unwrap_or(usize::MAX),
        rate_per_min: settings.rate_limit.saturating_mul(60),
        look_us_max: polling::limit_us(crate::answering_cpu_milli()),
        proof,
        traces: settings.otlp.is_some(),
        door,
        smtp: settings.smtp.clone(),
        ..gateway::Settings::default()
    };
    let gateway = Gateway::new(wanted, clock.clone(), tasks.clone(), control)
        .map_err(|error| Failure::internal("could not make the gateway", &error))?;
    gateway.run();
    Ok(gateway)
}

/// What seals the keys of streams.
fn events_keys(file: &Path) -> Result<objects::Vault, Failure> {
    objects::Vault::of_file(file).map_err(|error| {
        let told = format!("--events-key {}: {}", file.display(), workflow::chain(&error));
        Failure::usage(told).hint("`freehold events-key new FILE` makes one")
    })
}

/// Binds and serves the public listeners.
pub(super) async fn serve(
    settings: &Settings,
    files: &Files,
    gateway: &Gateway,
    (clock, tasks): (&Clock, &Tasks),
) -> Result<Public, Failure> {
    let limits = Limits { grace_ms: settings.stop_grace_ms, ..Limits::default() };
    let bind = async |address: SocketAddr| {
        let listener = Listener::bind(&Address::Tcp(address)).await;
        let listener = listener.map_err(|error| Failure::usage(workflow::chain(&error)))?;
        let tls = tls(settings, files, address, clock)?;
        let port = listener.port().unwrap_or(address.port());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", SocketAddr::new(address.ip(), port));
        Ok::<_, Failure>((listener.with_limits(limits), tls, url))
    };
    let (listener, tls, http) = bind(settings.listen).await?;
    spawn(tasks, "public listener", listener, (gateway.http_service(), tls));
    if let Some(socket) = gateway.replay_socket() {
        let listener = Listener::bind(&Address::Unix(socket)).await;
        let listener = listener.map_err(|error| Failure::usage(workflow::chain(&error)))?;
        let listener =
            listener.with_limits(Limits { connections_max: REPLAY_CONNECTIONS_MAX, ..limits });
        gateway.listen_to_replays(listener);
    }
    let (listener, tls, grpc) = bind(settings.listen_grpc).await?;
    spawn(tasks, "grpc listener", listener, (gateway.grpc_router(), tls));
    let (listener, tls, metrics) = bind(settings.listen_metrics).await?;
    spawn(tasks, "metrics listener", listener, (gateway.metrics_router(), tls));
    Ok(Public { http, grpc, metrics })
}

/// Whether an address is spoken to by TLS: only on loopback, and where nobody has given a
/// certificate, it is not.
const fn speaks_tls(settings: &Settings, address: SocketAddr) -> bool {
    settings.tls.is_some() || !address.ip().is_loopback()
}

/// TLS for an address that others can reach, with the given certificate or one of our own; for
/// loopback only with a given one.
fn tls(
    settings: &Settings,
    files: &Files,
    address: SocketAddr,
    clock: &Clock,
) -> Result<Option<Tls>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::usage(workflow::chain(error));
    let identity = match &settings.tls {
        Some((certificate, key)) => Tls::read(certificate, key),
        None if !speaks_tls(settings, address) => return Ok(None),
        None => {
            let names =
                vec!["localhost".to_owned(), settings.domain.clone(), address.ip().to_string()];
            Tls::own(&files.path("tls"), &names, clock.now_ms())
        }
    };
    let identity = identity.map_err(|error| failed(&error))?;
    let shown = Shown::new(&identity).map_err(|error| failed(&error))?;
    Tls::new(&shown, Clients::Anybody).map(Some).map_err(|error| failed(&error))
}
