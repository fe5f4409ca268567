//! What control, gateways and agents say to each other, under `/internal/v1`.
//!
//! Agents and gateways call; control never does. Watches are long polls by generation: the answer
//! comes when the generation has passed the one asked after, or when the wait is over. Every type
//! says which path it belongs to.
//!
//! Always true: a receiver refuses an older generation and accepts the same one twice.

pub mod functions;
pub mod instances;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{
    AccountId, EndpointId, Fleet, Format, FunctionName, HostId, InstanceId, Limits, Name, ObjectId,
    Reference, RunId, Runtime, StreamId, TensorSpec, TokenId, Used,
};

use crate::accounts::Role;
use crate::endpoints::captures::CaptureSpec;
use crate::runs::{Judged, RunSpec, RunState};
use crate::status::Feature;
use crate::streams::StreamSpec;
use functions::provisioned::Provisioned;

/// Longest wait of a watch, so that a lost connection is noticed.
pub const WATCH_WAIT_MS_MAX: u64 = 30_000;

/// Parameters of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Answer once the generation is greater.
    #[serde(default)]
    pub after: u64,
    /// Or after this long.
    #[serde(default)]
    pub wait_ms: u64,
}

/// Asks for a certificate: `POST /internal/v1/enrol`, where the token is the proof; answered by
/// [`Enrolled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    pub token: String,
    /// A certificate signing request, PEM.
    pub request_pem: String,
}

/// A certificate, and the authority that control shows itself by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// What enrolled: `agent` or `gateway`.
    pub process: String,
    pub name: Name,
    /// The id of the host, for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    pub certificate_pem: String,
    pub authority_pem: String,
}

/// Asks for the next certificate: `POST /internal/v1/renew`, where the one in use is the proof and
/// says for whom; answered by [`Renewed`]. Repeating it gives another certificate that is as good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// A certificate signing request of a new key, PEM.
    pub request_pem: String,
}

/// The next certificate, and the authority that control shows itself by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    pub certificate_pem: String,
    pub authority_pem: String,
}

/// What a host has and holds; sent at start, on change and every five seconds:
/// `PUT /internal/v1/hosts/{host}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostReport {
    pub name: Name,
    /// Grows with every start of the agent.
    pub generation: u64,
    pub cpu_milli: u32,
    pub memory_bytes: u64,
    /// Memory for functions, besides that.
    #[serde(default)]
    pub functions_memory_bytes: u64,
    /// Where gateways on other hosts reach its instances: `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_address: Option<String>,
    /// Where gateways on the same host call functions: a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions_socket: Option<String>,
    /// What it is there for, among those that run functions.
    #[serde(default)]
    pub fleet: Fleet,
    pub features: Vec<Feature>,
}

/// What a host is to run: `GET /internal/v1/hosts/{host}/assignments?after=&wait_ms=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignments {
    pub generation: u64,
    /// All of them; what is not here is to be stopped.
    pub instances: Vec<Assignment>,
    /// Instances of functions that it is to keep warm; what is not here is kept as others are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provisioned: Vec<Provisioned>,
}

/// An instance that a host is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub id: InstanceId,
    /// Grows with every change of this assignment.
    pub generation: u64,
    pub task: Task,
}

/// What an instance runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub runtime: Runtime,
    pub package: ObjectGrant,
    /// The file in the package that is run.
    pub entry: String,
    pub args: Vec<String>,
    pub limits: Limits,
    /// Most rows of a batch.
    pub batch_max: u32,
    /// What is done with it.
    pub purpose: Purpose,
}

/// What an instance is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "lowercase", deny_unknown_fields)]
pub enum Purpose {
    /// Answers requests until it is stopped.
    Serve,
    /// Runs to its end; its model folder is sent back.
    Train {
        /// The channels and their data: data sets' packages.
        channels: BTreeMap<String, ObjectGrant>,
        /// Files of `/opt/ml/input/config`, by name, as JSON.
        config: BTreeMap<String, serde_json::Value>,
    },
    /// Runs the unit tests of a package and measures it; reports and ends.
    Prove {
        /// Test cases, as in the manifest.
        tests: Vec<serde_json::Value>,
        /// For an algorithm: files of `/opt/ml/input/config` that go with each test.
        parameters: serde_json::Value,
        /// Names of the channels.
        channels: Vec<String>,
        /// Requests to measure with; 0 for none.
        measure_requests: u32,
    },
}

/// An object, and the key that opens it and nothing else. Its sealed blobs are got from
/// `GET /internal/v1/accounts/{account}/blobs/{kind}/{id}`, of kind `chunks` or `manifests`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectGrant {
    /// The account under which the blobs are stored.
    pub account: AccountId,
    pub object: ObjectId,
    pub bytes: u64,
    /// The object's key, in hex. Only ever inside mutual TLS or a local socket.
    pub key: String,
}

impl std::fmt::Debug for ObjectGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectGrant({} of {}, key withheld)", self.object, self.account)
    }
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Wanted, not yet taken up by its host.
    Waiting,
    /// Its package is fetched, its sandbox made.
    Starting,
    /// A server that answers, or a job that runs.
    Ready,
    /// Ended as it should.
    Ended,
    /// Ended as it should not; the report says why.
    Failed,
}

/// What became of an instance: `PUT /internal/v1/instances/{instance}/report`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceReport {
    pub host: HostId,
    /// The assignment's.
    pub generation: u64,
    pub state: InstanceState,
    /// Where a gateway on the same host reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// What the model worker says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Why it failed, with a cure where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far a job says it is, in parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_ppm: Option<u32>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<Measures>,
    /// The results of a [`Purpose::Prove`], in the order of its tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestResult>,
}

/// What a model worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// `onnxruntime` or `tract`.
    pub engine: String,
    pub engine_version: String,
    /// Such as `onnx`.
    pub platform: String,
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
    /// Most rows of a batch; 0 where the model takes none.
    pub batch_max: u32,
}

/// What was measured of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures {
    pub start_us: u64,
    pub latency_p50_us: Option<u64>,
    pub latency_p99_us: Option<u64>,
    pub memory_peak_bytes: Option<u64>,
    pub cpu_us: Option<u64>,
}

/// How a unit test of a package went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    pub name: String,
    /// Why it failed; absent when it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Lines an instance wrote: `POST /internal/v1/instances/{instance}/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceLogs {
    /// Lines; `seq` counts from 1 over the instance's life, so a repeated call adds nothing.
    pub lines: Vec<crate::pages::LogLine>,
}

/// What became of a job's output, sent as a tar: `PUT /internal/v1/instances/{instance}/output`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub object: ObjectId,
}

/// Everything a gateway needs to answer without asking:
/// `GET /internal/v1/routes?after=&wait_ms=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    pub generation: u64,
    pub principals: Vec<Principal>,
    pub endpoints: Vec<Route>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<functions::FunctionRoute>,
    /// The hosts that run functions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<functions::FunctionHost>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<functions::ServiceRoute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamRoute>,
    /// Those that were removed lately: what is not told of at all may be in a table newer than this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_streams: Vec<StreamId>,
    /// Those that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunRoute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<functions::sources::SourceRoute>,
}

/// A stream as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRoute {
    pub stream: StreamId,
    pub account: AccountId,
    pub account_name: Name,
    pub name: Name,
    pub spec: StreamSpec,
}

/// A replay as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRoute {
    pub run: RunId,
    pub account: AccountId,
    pub account_name: Name,
    pub stream: StreamId,
    pub spec: RunSpec,
    pub stop_wanted: bool,
    /// The gateway that sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// What a gateway says of a stream that it asks to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimStream {
    /// Whether its events are encrypted there, once it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

/// Whether a gateway writes a stream: `POST /internal/v1/streams/{stream}/claim`. The first that asks
/// does, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamClaimed {
    pub yours: bool,
    /// The gateway that does.
    pub gateway: String,
}

/// What a gateway tells of a run that it sends: `POST /internal/v1/runs/{run}/report`; answered by
/// [`RunTaken`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunReport {
    pub state: RunState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a report was taken: not where the run has ended, or another gateway sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTaken {
    pub taken: bool,
}

/// A token that may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub token: TokenId,
    /// SHA-256 of the secret, in hex.
    pub secret_sha256: String,
    pub account: AccountId,
    pub account_name: Name,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKey>,
}

/// An access key as a gateway sees it: enough to check the signatures of a few days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its name, sent openly.
    pub name: String,
    /// In hex, by the day, such as `20261121`.
    pub day_keys: BTreeMap<String, String>,
}

/// An endpoint as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub endpoint: EndpointId,
    /// What it is called among the variants of the endpoint of this name.
    pub variant: Name,
    /// A function of the account, with a version or alias, that answers in place of stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<(FunctionName, String)>,
    /// How the variants are used; empty where there is only this one, in production.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<Used>,
    /// Which of its requests are kept; only of the variant that an endpoint began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureRoute>,
    /// Whether a trigger wants to know how live requests end, and how long they take.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
    pub account: AccountId,
    pub account_name: Name,
    pub name: Name,
    pub generation: u64,
    /// Whether anybody may call, also without credentials.
    pub everybody: bool,
    /// Other accounts that may call.
    pub accounts: Vec<AccountId>,
    /// The version callers see.
    pub version: u32,
    pub stages: Vec<Stage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Format>,
}

/// The capture of an endpoint as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRoute {
    pub stream: StreamId,
    pub spec: CaptureSpec,
    /// Of which windows it is told how right answers were; each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<AccuracyWatch>,
    /// Since when each variant is what it is and is used so, in Unix milliseconds, where that is asked
    /// about: what was answered before was another one's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub since_ms: BTreeMap<Name, u64>,
}

/// A window of which it is told how right answers were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccuracyWatch {
    /// How long it is, up to now.
    pub window_ms: u64,
    /// How predictions are read, and what is positive.
    pub judged: Judged,
}

/// One stage of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    pub source: Reference,
    pub timeout_ms: u64,
    /// Known once an instance was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Ready instances.
    pub backends: Vec<Backend>,
}

/// A ready instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub instance: InstanceId,
    pub generation: u64,
    pub host: HostId,
    /// Its socket, for a gateway on the same host.
    pub socket: String,
    /// The host's data address, for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_address: Option<String>,
}

/// What a gateway counted since its last report: `POST /internal/v1/usage`. Repeating a report
/// counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageReport {
    /// The gateway's name and start; reports of one start are numbered.
    pub reporter: String,
    pub number: u64,
    pub counts: Vec<UsageCount>,
    /// What calls of functions came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<functions::FunctionCount>,
    /// Lines of links' logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_logs: Vec<functions::LinkLog>,
    /// What became of requests that were to be kept as events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<CaptureCount>,
    /// How far sources of functions are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<functions::sources::SourceCount>,
    /// What variants that are watched answered, without what was asked aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<LiveCount>,
    /// How right captured answers were, within windows that are watched: each in the place of what was
    /// told of it before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accuracies: Vec<AccuracyCount>,
}

/// How right captured answers of an endpoint were within one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyCount {
    /// The endpoint, whichever variant answered.
    pub endpoint: EndpointId,
    /// The stream that has them.
    pub stream: StreamId,
    pub window_ms: u64,
    pub judged: Judged,
    /// From when on all events of the window were looked at: later than its beginning where it has more
    /// than are looked at.
    pub from_ms: u64,
    /// When that was, which is the window's end.
    pub counted_at_ms: u64,
    /// Within how many milliseconds after that it is likely to be counted anew; 0 where that is not said.
    #[serde(default)]
    pub next_within_ms: u64,
    pub variants: Vec<VariantAccuracy>,
}

/// How right one variant's captured answers were, of events whose label is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantAccuracy {
    pub variant: Name,
    /// Since when it was said to be what it is.
    pub since_ms: u64,
    /// Events with a label.
    pub labelled: u64,
    /// Those of them whose answer was right.
    pub right: u64,
    /// Those where the positive class was predicted and right.
    pub true_positives: u64,
    /// Those where it was predicted.
    pub predicted_positives: u64,
    /// Those where it was right.
    pub positives: u64,
    /// Events with a label that are not among them, since their answer was good and is not kept.
    pub left_out: u64,
}

/// What became of requests of an endpoint that were to be kept as events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureCount {
    pub endpoint: EndpointId,
    pub kept: u64,
    pub no_room: u64,
    pub elsewhere: u64,
    pub failed: u64,
}

/// What one variant answered to customers: no replays, and no calls that name their variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveCount {
    pub endpoint: EndpointId,
    pub requests: u64,
    /// Those that failed, and not by what the caller asked.
    pub failures: u64,
    /// How long they took, in microseconds: buckets of a sketch, each with how many it has.
    pub buckets: Vec<(u16, u64)>,
    /// Their sum, and the longest.
    pub sum_us: u64,
    pub max_us: u64,
}

/// What one account made of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageCount {
    pub endpoint: EndpointId,
    /// Absent for callers without an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<AccountId>,
    pub requests: u64,
    pub failures: u64,
    /// Those of them that no customer's way led to, replays and calls that name their variant: they
    /// are used, and no live events.
    #[serde(default)]
    pub aside: u64,
    #[serde(default)]
    pub aside_failures: u64,
}
