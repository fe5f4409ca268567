//! Instances on other hosts, through their agents over mutual TLS; and control behind its socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use api::client::Client;
use api::identity::{Authority, Identity, Process, Shown, SigningRequest, Validity, chain};
use api::internal::{Routes, UsageReport};
use api::listen::{self, Address, Listener};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, get, post};
use gateway::control::{Remote, Upstream};
use gateway::{Control as _, Proof, Settings};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use workflow::{Clock, Tasks};

use crate::world::{Ask, World};

const BODY: &[u8] =
    br#"{"inputs": [{"name": "INPUT", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}"#;

/// A certificate of the cloud for a process.
pub(crate) fn identity(authority: &Authority, process: Process) -> Identity {
    let request = SigningRequest::new().unwrap();
    let validity = Validity { now_ms: Clock::system().now_ms(), lifetime_ms: 3_600_000 };
    let name = "there".parse().unwrap();
    let pem = authority.sign(&request.request_pem, process, &name, validity).unwrap();
    Identity { certificate_pem: pem, key_pem: request.key_pem }
}

/// An agent's data port: reads whom the gateway wants, and splices to that worker or to functions.
pub(crate) async fn agent(
    tasks: &Tasks,
    authority: &Authority,
    as_process: Process,
    to: PathBuf,
) -> SocketAddr {
    let shown = identity(authority, as_process);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in chain(authority.certificate_pem()).unwrap() {
        roots.add(certificate).unwrap();
    }
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_slice(shown.key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain(&shown.certificate_pem).unwrap(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopping, tasks_too) = (tasks.stopping(), tasks.clone());
    tasks.spawn("fake agent", async move {
        let splice = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let length = stream.read_u16_le().await.unwrap();
                let mut said = vec![0; length.into()];
                stream.read_exact(&mut said).await.unwrap();
                let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
                if said != serde_json::json!({ "functions": {} }) {
                    assert_eq!(said["generation"], 1);
                    assert!(said["instance"].as_str().unwrap().starts_with("inst-"));
                }
                let mut to = UnixStream::connect(&to).await.unwrap();
                let splice = async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
                };
                tasks_too.spawn("fake agent connection", splice);
            }
        };
        tokio::select! { () = splice => {}, () = stopping.cancelled() => {} }
    });
    address
}

pub(crate) fn new_authority() -> Authority {
    Authority::create(Clock::system().now_ms()).unwrap()
}

/// A world whose `echo` is on another host, behind an agent that shows itself as `process`.
async fn world_behind(process: Process) -> World {
    let authority = new_authority();
    let shown = Shown::new(&identity(&authority, Process::Gateway)).unwrap();
    world_showing(&authority, shown, process).await
}

/// The same, where the gateway shows this.
async fn world_showing(authority: &Authority, shown: Shown, process: Process) -> World {
    let authority_pem = authority.certificate_pem().to_owned();
    let proof = Proof { authority_pem, identity: shown };
    let world = World::start_with(Settings { proof: Some(proof), ..Settings::default() }).await;
    let mut routes = world.routes(2);
    let backend = &mut routes.endpoints[0].stages[0].backends[0];
    let worker = PathBuf::from(std::mem::replace(&mut backend.socket, "/not/here".to_owned()));
    let address = agent(&world.tasks, authority, process, worker).await;
    backend.data_address = Some(address.to_string());
    world.tell(routes).await;
    world
}

#[tokio::test]
async fn an_instance_on_another_host_is_reached_through_its_agent() {
    let world = world_behind(Process::Agent).await;
    for _ in 0..3 {
        assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", BODY)).await.status, 200);
    }
    let large = vec![b' '; 4 << 20];
    let padded = [BODY, &large].concat();
    assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", &padded)).await.status, 200);
}

#[tokio::test]
async fn an_agent_is_shown_the_certificate_that_is_in_use_by_then() {
    let authority = new_authority();
    let shown = Shown::new(&identity(&new_authority(), Process::Gateway)).unwrap();
    let world = world_showing(&authority, shown.clone(), Process::Agent).await;
    assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", BODY)).await.status, 503);
    shown.replace(&identity(&authority, Process::Gateway)).unwrap();
    assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", BODY)).await.status, 200);
}

#[tokio::test]
async fn nobody_but_an_agent_of_this_cloud_is_spoken_to() {
    let world = world_behind(Process::Gateway).await;
    assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", BODY)).await.status, 503);
}

#[tokio::test]
async fn control_is_watched_told_and_forwarded_to_over_its_socket() {
    let (tasks, folder) = (Tasks::new(), tempfile::tempdir().unwrap());
    let socket = folder.path().join("control");
    let told = Routes { generation: 7, ..Routes::default() };
    let echo = |request: Request| async move {
        let told = format!("{} {} ", request.method(), request.uri());
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        [told.as_bytes(), &body].concat()
    };
    let router = Router::new()
        .route("/internal/v1/routes", get(move || async move { axum::Json(told) }))
        .route("/internal/v1/usage", post(|| async {}))
        .route("/v1/{*rest}", any(echo));
    let address = Address::Unix(socket.clone());
    let listener = Listener::bind(&address).await.unwrap();
    tasks.spawn("fake control", listen::serve(listener, router, None, tasks.stopping()));

    let client = Client::connect(&address.to_string(), None).unwrap();
    let remote = Remote::new(client, Upstream::Local(socket)).unwrap();
    assert_eq!(remote.watch_routes(0, 10).await.unwrap().generation, 7);
    let report = UsageReport { reporter: "here".to_owned(), number: 1, counts: vec![] };
    remote.report_usage(report).await.unwrap();
    for _ in 0..2 {
        let request = http::Request::post("/v1/items?x=1").body(Body::from("a body")).unwrap();
        let answer = remote.forward(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert_eq!(body, "POST /v1/items?x=1 a body");
    }
    tasks.stop(1_000).await;
    let request = http::Request::get("/v1/items").body(Body::empty()).unwrap();
    assert!(remote.forward(request).await.is_err());
}
