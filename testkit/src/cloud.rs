//! A whole cloud of its own: in one process, or in separate ones that are killed alone.
//!
//! Always true: a part that is started again finds the same data folder and the same ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use api::accounts::CreateAccount;
use api::client::{self, Client, Trust};
use api::status::CreateEnrolment;
use types::Name;

use crate::program::{Program, Spec, read_when_there};
use crate::wait::until;
use crate::{Account, Postgres, S3, ports, processes};

/// Longest time until a cloud can be used, in seconds.
const READY_S: u64 = 60;

/// A part of a cloud that is a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// All of it.
    Up,
    Control,
    Gateway,
    Agent,
}

impl Process {
    /// The parts of a cloud whose processes are separate.
    pub const APART: [Self; 3] = [Self::Control, Self::Gateway, Self::Agent];

    fn command(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Control => "control",
            Self::Gateway => "gateway",
            Self::Agent => "agent",
        }
    }

    /// How the line begins that says that it runs.
    fn ready(self) -> &'static str {
        match self {
            Self::Up => "API and inference",
            Self::Control => "control answers at",
            Self::Gateway => "gateway answers at",
            Self::Agent => "agent ",
        }
    }
}

/// Where a cloud listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    http: SocketAddr,
    grpc: SocketAddr,
    metrics: SocketAddr,
    internal: SocketAddr,
    data: SocketAddr,
}

/// A cloud.
#[derive(Debug)]
pub struct Cloud {
    /// First, so that every process is killed before its folder goes.
    running: BTreeMap<Process, Program>,
    program: PathBuf,
    folder: TempDir,
    addresses: Addresses,
    /// Flags of every server process.
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    apart: bool,
    expected: Vec<String>,
    operator_token: String,
    /// Kept for as long as the cloud, and dropped after its processes.
    s3: Option<S3>,
}

impl Cloud {
    /// One process over SQLite and a folder. `program` is `env!("CARGO_BIN_EXE_freehold")`.
    pub async fn one(program: &str) -> Self {
        Self::one_with(program, &[]).await
    }

    /// The same with these flags.
    pub async fn one_with(program: &str, flags: &[&str]) -> Self {
        let mut cloud = Self::new(program);
        cloud.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        cloud.start(Process::Up).await;
        cloud.operator_token =
            read_when_there(&cloud.data(Process::Up).join("operator.token")).await;
        cloud.ready().await;
        cloud
    }

    /// Separate processes over PostgreSQL and S3; none, said aloud, where PostgreSQL is missing.
    pub async fn apart(program: &str) -> Option<Self> {
        Self::apart_with(program, &[]).await
    }

    /// The same, with these flags of control.
    pub async fn apart_with(program: &str, flags: &[&str]) -> Option<Self> {
        let database = Postgres::find()?.make_database();
        let mut cloud = Self::new(program);
        cloud.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        Some(cloud.begin_apart(database).await)
    }

    /// The same, whose sandboxes are made by this.
    pub async fn apart_by(program: &str, sandbox: &str) -> Option<Self> {
        let database = Postgres::find()?.make_database();
        let mut cloud = Self::new(program);
        cloud.variables.push(("FREEHOLD_SANDBOX".to_owned(), sandbox.to_owned()));
        Some(cloud.begin_apart(database).await)
    }

    /// Separate processes over this database and S3.
    pub async fn apart_over(program: &str, database: String) -> Self {
        Self::new(program).begin_apart(database).await
    }

    async fn begin_apart(self, database: String) -> Self {
        let mut cloud = self;
        let s3 = S3::start();
        cloud.apart = true;
        cloud.flags.extend(["--database".to_owned(), database]);
        cloud.flags.extend(["--objects".to_owned(), s3.url()]);
        cloud.variables.extend(S3::environment());
        cloud.s3 = Some(s3);
        cloud.start(Process::Control).await;
        let data = cloud.data(Process::Control);
        cloud.operator_token = read_when_there(&data.join("operator.token")).await;
        for process in [Process::Gateway, Process::Agent] {
            cloud.enrol(process).await;
            cloud.start(process).await;
        }
        cloud.ready().await;
        cloud
    }

    fn new(program: &str) -> Self {
        processes::adopt();
        let addresses = Addresses {
            http: ports::take(),
            grpc: ports::take(),
            metrics: ports::take(),
            internal: ports::take(),
            data: ports::take(),
        };
        Self {
            program: PathBuf::from(program),
            folder: tempfile::tempdir().expect("the temporary folder can be written"),
            addresses,
            flags: Vec::new(),
            variables: Vec::new(),
            apart: false,
            running: BTreeMap::new(),
            expected: Vec::new(),
            operator_token: String::new(),
            s3: None,
        }
    }

    /// The processes it consists of.
    pub fn processes(&self) -> &'static [Process] {
        if self.apart { &Process::APART } else { &[Process::Up] }
    }

    /// The data folder of a process.
    pub fn data(&self, process: Process) -> PathBuf {
        self.folder.path().join(process.command())
    }

    /// Where objects are kept, as files.
    pub fn blobs(&self) -> PathBuf {
        match &self.s3 {
            Some(s3) => s3.folder().to_owned(),
            None => self.data(Process::Up).join("objects"),
        }
    }

    /// The S3 server of a cloud whose processes are separate.
    pub fn s3(&mut self) -> &mut S3 {
        self.s3.as_mut().expect("this cloud keeps its objects in S3")
    }

    /// The public address: API and inference over HTTP.
    pub fn http(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// The public address of inference over gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    /// Where metrics are.
    pub fn metrics(&self) -> String {
        format!("http://{}/metrics", self.addresses.metrics)
    }

    /// The token of the first operator.
    pub fn operator_token(&self) -> &str {
        &self.operator_token
    }

    /// A client of the public address with this token.
    pub fn client(&self, token: Option<&str>) -> Client {
        Client::connect(&self.http(), token).expect("address and token are well formed")
    }

    /// A client of the first operator.
    pub fn operator(&self) -> Client {
        self.client(Some(&self.operator_token))
    }

    /// Makes an account.
    pub async fn account(&self, name: &str) -> Account {
        let name: Name = name.parse().expect("tests choose good names");
        let created = self.operator().account_create(&CreateAccount { name: name.clone() }).await;
        let token = created.expect("the operator may make accounts").token.secret;
        let client = self.client(Some(&token));
        Account { name, token, client }
    }

    /// A process.
    pub fn process(&mut self, process: Process) -> &mut Program {
        self.running.get_mut(&process).expect("this process runs")
    }

    /// Says that warnings and errors with this text are no surprise, from now on.
    pub fn expect(&mut self, text: &str) {
        self.expected.push(text.to_owned());
        for program in self.running.values_mut() {
            program.expect(text);
        }
    }

    /// Starts a process and waits until it says that it runs.
    pub async fn start(&mut self, process: Process) {
        let mut program = Program::start(&self.spec(process), process.ready()).await;
        for text in &self.expected {
            program.expect(text);
        }
        self.running.insert(process, program);
    }

    /// Kills a process at once.
    pub fn kill(&mut self, process: Process) {
        self.process(process).kill();
        self.running.remove(&process);
    }

    /// Kills a process and starts it again alone.
    pub async fn kill_and_start(&mut self, process: Process) {
        self.kill(process);
        self.start(process).await;
    }

    /// Stops a process in order.
    pub async fn stop(&mut self, process: Process) {
        self.running.remove(&process).expect("this process runs").stop().await;
    }

    /// Stops all of it in order, the public side first.
    pub async fn close(mut self) {
        for process in [Process::Up, Process::Gateway, Process::Agent, Process::Control] {
            if self.running.contains_key(&process) {
                self.stop(process).await;
            }
        }
        self.nothing_left().await;
    }

    /// Waits until no orphan of a killed process runs any more.
    pub async fn nothing_left(&self) {
        let mut seen = Vec::new();
        for _ in 0..500 {
            seen = processes::left();
            if seen.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("these processes were left behind:\n{}", seen.join("\n"));
    }

    /// Waits until the gateway knows its callers and a host is there to work.
    pub async fn ready(&self) {
        let operator = self.operator();
        let nothing: Name = "nothing".parse().expect("a good name");
        until(READY_S, "a gateway that has its routes", || async {
            let answer = operator.model_metadata(None, &nothing).await;
            (answer.err()?.status() == Some(404)).then_some(())
        })
        .await;
        until(READY_S, "a cloud with a living host", || async {
            let status = operator.status().await.ok()?;
            status.hosts.iter().any(|host| host.alive).then_some(())
        })
        .await;
    }

    fn spec(&self, process: Process) -> Spec {
        let Addresses { http, grpc, metrics, internal, data } = self.addresses;
        let mut args = vec![process.command().to_owned()];
        let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
        flag("--data", self.data(process).display().to_string());
        flag("--stop-grace", "5".to_owned());
        if matches!(process, Process::Up | Process::Gateway) {
            flag("--listen", http.to_string());
            flag("--listen-grpc", grpc.to_string());
            flag("--listen-metrics", metrics.to_string());
        }
        match process {
            Process::Control => flag("--listen-internal", internal.to_string()),
            Process::Agent => flag("--listen-data", data.to_string()),
            Process::Up | Process::Gateway => {}
        }
        if matches!(process, Process::Up | Process::Control) {
            args.extend(self.flags.iter().cloned());
        }
        Spec { program: self.program.clone(), args, variables: self.variables.clone() }
    }

    /// Has a process get its certificate, by the command that people use.
    async fn enrol(&self, process: Process) {
        let name: Name = format!("{}-1", process.command()).parse().expect("a good name");
        let wanted = CreateEnrolment { process: process.command().to_owned(), name };
        let token = self.internal().enrolment_create(&wanted).await;
        let token = token.expect("the operator may enrol").token;
        let words = [
            process.command(),
            "enrol",
            &token,
            "--control",
            &format!("https://{}", self.addresses.internal),
            "--data",
            &self.data(process).display().to_string(),
        ];
        let spec = Spec {
            program: self.program.clone(),
            args: words.map(str::to_owned).to_vec(),
            variables: Vec::new(),
        };
        Program::start(&spec, "enrolled as").await.stop_by_itself().await;
    }

    /// A client of control's own listener, for an operator without a gateway.
    pub fn internal(&self) -> Client {
        let path = self.data(Process::Control).join("authority.pem");
        let authority = std::fs::read_to_string(path).expect("control wrote it before it was up");
        let address = format!("https://{}", self.addresses.internal);
        let settings = client::Settings {
            token: Some(self.operator_token.clone()),
            trust: Trust::Authority(authority),
            ..client::Settings::new(address.parse().expect("it is an address"))
        };
        Client::new(settings).expect("the settings are good")
    }

    /// The folder of all of it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
