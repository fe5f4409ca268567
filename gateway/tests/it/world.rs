//! A gateway with everything around it, on ports and in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::accounts::Role;
use api::internal::functions::sizes::SettledSize;
use api::internal::functions::sources::GivenUp;
use api::internal::functions::{
    EventOutcome, FunctionRoute, KeepEvents, NewEvent, TakeEvents, TakenEvents, UsageTaken,
    VersionRoute,
};
use api::internal::{
    Backend, ClaimStream, Description, Principal, Route, Routes, RunReport, RunTaken, Stage,
    StreamClaimed, UsageReport,
};
use api::listen::{self, Address, Listener};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use gateway::control::Unreachable;
use gateway::{Control, Gateway, Settings};
use http::{Request, Response};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use types::frame::{self, Answer, Frame};
use types::{
    AccountId, Datatype, EndpointId, ErrorKind, EventId, FunctionId, HostId, InstanceId,
    RevisionId, RunId, SourceId, StreamId, TensorSpec, TokenId,
};
use uuid::Uuid;
use workflow::{BoxFuture, Clock, Tasks};

/// Secrets of the two accounts; `acme` owns every endpoint.
pub(crate) const ACME: &str = "acme-secret";
pub(crate) const OTHER: &str = "other-secret";

/// A function `f` of whoever this endpoint is of, as routes tell it.
pub(crate) fn function_of(owner: &Route) -> FunctionRoute {
    let version = VersionRoute {
        revision: RevisionId::new(Uuid::from_u128(5)),
        timeout_ms: 1_000,
        memory_bytes: 128 << 20,
        size: SettledSize::default(),
        provisioned: std::collections::BTreeMap::new(),
    };
    FunctionRoute {
        function: FunctionId::new(Uuid::from_u128(4)),
        account: owner.account,
        account_name: owner.account_name.clone(),
        name: "f".parse().unwrap(),
        versions: [("$LATEST".to_owned(), version)].into(),
        aliases: [].into(),
        concurrency_max: None,
        permissions: vec![],
        sizing: None,
        urls: vec![],
        link: None,
    }
}

/// What a fake worker does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers with the inputs, `INPUT` in their names made `OUTPUT`.
    Echo,
    /// Answers never.
    Slow,
    /// Says that it failed.
    Fail,
    /// Closes the connection.
    Die,
}

/// What a fake worker saw, in order: `infer` and `cancel`.
pub(crate) type Seen = mpsc::UnboundedReceiver<&'static str>;

/// A control that tells one set of routes and keeps what it is told.
#[derive(Default)]
pub(crate) struct FakeControl {
    routes: watch::Sender<Routes>,
    pub(crate) reports: Mutex<Vec<UsageReport>>,
    pub(crate) refuse_reports: Mutex<bool>,
    /// A source of which it takes no report at all.
    pub(crate) refuse_source: Mutex<Option<SourceId>>,
    /// What was given up of sources.
    pub(crate) given_up: Mutex<Vec<GivenUp>>,
    /// What is said of a stream; control is away without it.
    pub(crate) claimed: Mutex<Option<StreamClaimed>>,
}

impl Control for FakeControl {
    fn watch_routes(&self, after: u64, _: u64) -> BoxFuture<'_, Result<Routes, Unreachable>> {
        let mut routes = self.routes.subscribe();
        Box::pin(async move {
            let newer = routes.wait_for(|routes| routes.generation > after).await;
            newer.map(|routes| routes.clone()).map_err(Unreachable::new)
        })
    }

    fn report_usage(&self, report: UsageReport) -> BoxFuture<'_, Result<UsageTaken, Unreachable>> {
        let bad = *self.refuse_source.lock();
        if report.sources.iter().any(|it| Some(it.source) == bad) {
            return Box::pin(async { Err(Unreachable::refusing("the body is too large")) });
        }
        self.reports.lock().push(report);
        let refuse = std::mem::take(&mut *self.refuse_reports.lock());
        let answer = if refuse { Err(Unreachable::new("away")) } else { Ok(UsageTaken::default()) };
        Box::pin(async move { answer })
    }

    fn accept_event(&self, _: NewEvent) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async { Err(Unreachable::new("away")) })
    }

    fn take_events(&self, _: TakeEvents) -> BoxFuture<'_, Result<TakenEvents, Unreachable>> {
        Box::pin(std::future::pending())
    }

    fn keep_events(&self, _: KeepEvents) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async { Ok(()) })
    }

    fn settle_event(&self, _: EventId, _: EventOutcome) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async { Ok(()) })
    }

    fn claim_stream(
        &self,
        _: StreamId,
        _: ClaimStream,
    ) -> BoxFuture<'_, Result<StreamClaimed, Unreachable>> {
        let claimed = self.claimed.lock().clone();
        Box::pin(async move { claimed.ok_or_else(|| Unreachable::new("away")) })
    }

    fn give_up(&self, _: SourceId, given_up: GivenUp) -> BoxFuture<'_, Result<(), Unreachable>> {
        self.given_up.lock().push(given_up);
        Box::pin(async { Ok(()) })
    }

    fn report_run(&self, _: RunId, _: RunReport) -> BoxFuture<'_, Result<RunTaken, Unreachable>> {
        Box::pin(async { Err(Unreachable::new("away")) })
    }

    fn forward(
        &self,
        request: Request<Body>,
    ) -> BoxFuture<'_, Result<Response<Body>, Unreachable>> {
        Box::pin(async move {
            if request.uri().path() == "/v1/away" {
                return Err(Unreachable::new("away"));
            }
            let names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
            let told = format!("{} {} [{}] ", request.method(), request.uri(), names.join(" "));
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            Ok(Response::new(Body::from([told.as_bytes(), &body].concat())))
        })
    }
}

/// A gateway that serves on the loopback.
pub(crate) struct World {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) gateway: Gateway,
    pub(crate) control: Arc<FakeControl>,
    pub(crate) tasks: Tasks,
    /// What the worker of `acme/slow` saw.
    pub(crate) slow: Seen,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let control = Arc::new(FakeControl::default());
        let told = Arc::clone(&control) as Arc<dyn Control>;
        let gateway = Gateway::new(settings, clock, tasks.clone(), told).unwrap();
        let _loops = gateway.run();
        let folder = tempfile::tempdir().unwrap();
        let slow = worker(&tasks, &folder.path().join("slow"), Manner::Slow);
        for (name, manner) in [("echo", Manner::Echo), ("fail", Manner::Fail), ("die", Manner::Die)]
        {
            worker(&tasks, &folder.path().join(name), manner);
        }
        let http = serve(&tasks, gateway.http_service()).await;
        let grpc = serve(&tasks, gateway.grpc_router()).await;
        let world = Self { http, grpc, gateway, control, tasks, slow, folder };
        world.tell(world.routes(1)).await;
        world
    }

    /// Has control tell these routes, and waits until the gateway uses them.
    pub(crate) async fn tell(&self, routes: Routes) {
        let generation = routes.generation;
        self.control.routes.send_replace(routes);
        while self.gateway.generation() < generation {
            tokio::task::yield_now().await;
        }
    }

    /// The routes of every test: endpoints of `acme`, by what their workers do.
    pub(crate) fn routes(&self, generation: u64) -> Routes {
        let endpoint = |number, name: &str, sockets: &[&str]| {
            route(number, name, sockets.iter().map(|it| self.folder.path().join(it)).collect())
        };
        let mut routes = Routes {
            generation,
            principals: vec![principal(1, "acme", ACME), principal(2, "other", OTHER)],
            endpoints: vec![
                endpoint(1, "echo", &["echo"]),
                endpoint(2, "open", &["echo"]),
                endpoint(3, "granted", &["echo"]),
                endpoint(4, "slow", &["slow"]),
                endpoint(5, "fail", &["fail"]),
                endpoint(6, "die", &["die"]),
                endpoint(7, "cold", &[]),
                endpoint(8, "half", &["absent", "echo"]),
                endpoint(9, "chain", &["echo"]),
            ],
            ..Routes::default()
        };
        routes.endpoints[1].everybody = true;
        routes.endpoints[2].accounts.push(AccountId::new(Uuid::from_u128(2)));
        let mut second = routes.endpoints[8].stages[0].clone();
        if let Some(told) = &mut second.description {
            "X_INPUT".clone_into(&mut told.inputs[0].name);
            "X_OUTPUT".clone_into(&mut told.outputs[0].name);
        }
        routes.endpoints[8].stages.push(second);
        routes
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.socket"))
    }

    /// Sends one HTTP request on a connection of its own.
    pub(crate) async fn ask(&self, request: Ask<'_>) -> Answered {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(&request.bytes()).await.unwrap();
        Answered::read(&mut stream).await
    }
}

/// An HTTP request.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) secret: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, secret: Some(ACME), ..Self::default() }
    }

    pub(crate) fn post(path: &'a str, body: &'a [u8]) -> Self {
        Self { method: "POST", path, secret: Some(ACME), body, ..Self::default() }
    }

    pub(crate) fn with(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    pub(crate) fn from(self, secret: Option<&'a str>) -> Self {
        Self { secret, ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            head += "host: localhost\r\n";
        }
        if let Some(secret) = self.secret {
            head += &format!("authorization: Bearer {secret}\r\n");
        }
        for (name, value) in self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.method == "POST" {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", self.body].concat()
    }
}

/// The answer to an HTTP request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Bytes,
}

impl Answered {
    /// Reads to the end of the connection; bodies here have a length.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        let end = all.windows(4).position(|it| it == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: Bytes::from(all).slice(end + 4..) }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status, type and body on one line, for golden files.
    pub(crate) fn line(&self) -> String {
        let kind = self.header("content-type").unwrap_or("-");
        let text = match self.header("x-request-id") {
            Some(id) => self.text().replace(id, "ID"),
            None => self.text() + " WITHOUT REQUEST ID",
        };
        format!("{} {kind} {}", self.status, text.replace(env!("CARGO_PKG_VERSION"), "VERSION"))
    }
}

async fn serve<S, B>(tasks: &Tasks, service: S) -> SocketAddr
where
    S: tower::Service<
            Request<hyper::body::Incoming>,
            Response = Response<B>,
            Error = std::convert::Infallible,
        > + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let &Address::Tcp(address) = listener.address() else { panic!("tcp was asked for") };
    tasks.spawn("test server", listen::serve(listener, service, None, tasks.stopping()));
    address
}

fn principal(number: u128, name: &str, secret: &str) -> Principal {
    Principal {
        token: TokenId::new(Uuid::from_u128(number)),
        secret_sha256: hex::encode(Sha256::digest(secret)),
        account: AccountId::new(Uuid::from_u128(number)),
        account_name: name.parse().unwrap(),
        role: Role::Reader,
        expires_at_ms: None,
        access_key: None,
    }
}

fn route(number: u128, name: &str, sockets: Vec<PathBuf>) -> Route {
    let spec = |name: &str| TensorSpec {
        name: name.to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![-1, 2],
    };
    let description = Description {
        engine: "fake".to_owned(),
        engine_version: "1".to_owned(),
        platform: "onnx".to_owned(),
        inputs: vec![spec("INPUT")],
        outputs: vec![spec("OUTPUT")],
        batch_max: 8,
    };
    let backend = |(index, socket): (usize, PathBuf)| Backend {
        instance: InstanceId::new(Uuid::from_u128(number * 100 + index as u128)),
        generation: 1,
        host: HostId::new(Uuid::from_u128(1)),
        socket: socket.to_str().unwrap().to_owned(),
        data_address: None,
    };
    Route {
        endpoint: EndpointId::new(Uuid::from_u128(number)),
        variant: "main".parse().unwrap(),
        function: None,
        modes: vec![],
        capture: None,
        watched: false,
        account: AccountId::new(Uuid::from_u128(1)),
        account_name: "acme".parse().unwrap(),
        name: name.parse().unwrap(),
        generation: 1,
        everybody: false,
        accounts: vec![],
        version: 3,
        stages: vec![Stage {
            source: "model@3".parse().unwrap(),
            timeout_ms: 60_000,
            description: Some(description),
            backends: sockets.into_iter().enumerate().map(backend).collect(),
        }],
        input: None,
        output: None,
    }
}

/// Starts a fake worker on a socket.
pub(crate) fn worker(tasks: &Tasks, socket: &Path, manner: Manner) -> Seen {
    let listener = UnixListener::bind(socket).unwrap();
    let (sender, seen) = mpsc::unbounded_channel();
    let (stopping, tasks_too) = (tasks.stopping(), tasks.clone());
    tasks.spawn("fake worker", async move {
        let accept = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stopping = tasks_too.stopping();
                let work = serve_frames(stream, manner, sender.clone());
                tasks_too.spawn("fake worker connection", async move {
                    tokio::select! { () = work => {}, () = stopping.cancelled() => {} }
                });
            }
        };
        tokio::select! { () = accept => {}, () = stopping.cancelled() => {} }
    });
    seen
}

async fn serve_frames(
    mut stream: UnixStream,
    manner: Manner,
    seen: mpsc::UnboundedSender<&'static str>,
) {
    let (mut read, mut write) = (BytesMut::new(), BytesMut::new());
    loop {
        while let Some((number, frame)) = frame::decode(&mut read).unwrap() {
            let answer = match (frame, manner) {
                (Frame::Cancel, _) => {
                    let _ = seen.send("cancel");
                    continue;
                }
                (Frame::Infer(infer), Manner::Echo) => Frame::Answer(echo(infer)),
                (_, Manner::Slow) => {
                    let _ = seen.send("infer");
                    continue;
                }
                (_, Manner::Die) => return,
                (_, _) => {
                    Frame::Failure { kind: ErrorKind::Internal, message: "secret cause".to_owned() }
                }
            };
            frame::encode(number, &answer, &mut write).unwrap();
        }
        if stream.write_all_buf(&mut write).await.is_err() {
            return;
        }
        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
    }
}

fn echo(infer: frame::Infer) -> Answer {
    let mut outputs = infer.inputs;
    let rows = outputs.first().and_then(|it| it.shape.first().copied()).unwrap_or(1);
    for output in &mut outputs {
        output.name = output.name.replace("INPUT", "OUTPUT");
    }
    Answer {
        queue_ns: 10,
        compute_input_ns: 20,
        compute_infer_ns: 30,
        compute_output_ns: 40,
        batch_rows: u32::try_from(rows).unwrap(),
        outputs,
    }
}
