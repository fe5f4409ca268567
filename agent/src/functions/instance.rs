//! One instance of a function: how it starts, is kept, and ends.
//!
//! Always true: what a program does wrong is the function's error, told in Lambda's words; what
//! this host cannot do is said as it is; it is ended once, whoever of its calls finds it of no use.
//! Source of the words: Lambda's Runtime Interface Emulator.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use api::internal::functions::{Revision, StartTimes};
use executor::runtime_api::{Begun, Failure, Runtime, Shutdown};
use executor::{Ending, Exit, Function, Image, Parking, Running, Start, Work};
use parking_lot::Mutex;
use serde_json::json;
use types::functions::account_number;
use types::{AccountId, FunctionRuntime, InstanceId, Limits};

use super::broken::{Broken, entrypoint};
use super::journal::Writer;
use super::lines::Lines;
use super::pool::Counted;
use super::sizes::Token;
use super::{Memory, Origin, egress};
use crate::Agent;
use crate::life::Trouble;
use crate::packages::{Form, Unpacked};

/// Longest time until a program asks for work. Source: Lambda's limit.
const INIT_MS_MAX: u64 = 10_000;
/// The same of a server, which has models to read before it is well. Source: SageMaker gives 8 min,
/// while nobody waits; here somebody does.
const INIT_SERVER_MS_MAX: u64 = 120_000;
/// For how long extensions, and programs that have one, may see to their end. Source: Lambda's time
/// for extensions that a function's own program starts.
const SHUTDOWN_MS: u64 = 500;

/// How a program finds the proxy that leads out, where it has one: at the address of its Runtime API,
/// which it is to ask directly.
const PROXY: [(&str, &str); 7] = [
    ("HTTP_PROXY", PROXY_URL),
    ("HTTPS_PROXY", PROXY_URL),
    ("http_proxy", PROXY_URL),
    ("https_proxy", PROXY_URL),
    ("NO_PROXY", "127.0.0.1,localhost"),
    ("no_proxy", "127.0.0.1,localhost"),
    ("NODE_USE_ENV_PROXY", "1"),
];
const PROXY_URL: &str = "http://127.0.0.1:9001";

/// An instance that has begun, in the hands of its pool and of its calls.
#[derive(Debug)]
pub(crate) struct Warm {
    pub(super) running: Running,
    pub(super) runtime: Runtime,
    pub(super) lines: Mutex<Lines>,
    /// Its code's folder, which stays as long as it lives.
    _package: Arc<Unpacked>,
    /// What it is known by, as long as it lives.
    pub(super) token: Token,
    /// What it was made for.
    pub(super) origin: Origin,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None once its first call has begun.
    start: Option<StartTimes>,
    memory: Option<Memory>,
    /// What it has, in KiB.
    kib: u64,
    /// What it was given because it was full, in KiB; 0 where it was not.
    grown_kib: u64,
    /// Whether its processes are stopped.
    frozen: bool,
    /// Why it would be ended now.
    ending: Shutdown,
    /// Whether somebody sees to its end.
    retired: bool,
    /// Set once it is one of its pool's.
    counted: Option<Counted>,
}

impl Warm {
    /// Starts an instance, and waits until its program asks for work.
    pub(crate) async fn start(
        agent: &Agent,
        spec: &Revision,
        (id, payer, origin): (InstanceId, Option<AccountId>, Origin),
        memory: Memory,
    ) -> Result<Self, Broken> {
        let clock = &agent.shared.clock;
        let mut times = StartTimes::default();
        // What it writes of another account's calls is neither's to read.
        let writer = if payer.is_some() { Writer::muted() } else { Writer::new(spec.id, id) };
        let since = |began_us: u64| clock.now_us().saturating_sub(began_us);
        let began_us = clock.now_us();
        let unpacked = agent.shared.packages.unpack_as(&spec.package, form(spec.runtime)).await;
        times.code_us = since(began_us);
        let never = |failure, times| {
            let lines = Lines::new(None, writer.clone(), spec.version.clone());
            Broken::new(failure, times, lines)
        };
        let fault = |message: &str| Failure::new("Sandbox.Failure", message);
        let host = |error: &dyn std::error::Error| never(fault(&Trouble::of(error).0), times);
        let package = unpacked.map_err(|error| host(&error))?;
        if let Some(failure) = entrypoint(spec.runtime, package.folder()) {
            return Err(never(failure, times));
        }
        let began_us = clock.now_us();
        let function = function(agent, spec, (id, payer, origin), &package);
        let function = function.map_err(|error| host(&error))?;
        let start = Start {
            id,
            generation: 1,
            package: package.folder().to_path_buf(),
            work: Work::Function(function),
            limits: spec.limits,
            task: serde_json::Value::Null,
        };
        let running = run(agent, spec, start).await.map_err(|error| host(&error))?;
        times.sandbox_us = since(began_us);
        let Some(runtime) = running.runtime().cloned() else {
            running.kill();
            return Err(never(fault("it has no Runtime API"), times));
        };
        let began_us = clock.now_us();
        let begun = begun(agent, spec, &running, &runtime).await;
        times.init_us = since(began_us);
        let state = State {
            start: Some(times),
            memory: Some(memory),
            kib: spec.limits.memory_bytes >> 10,
            grown_kib: 0,
            frozen: false,
            ending: Shutdown::Spindown,
            retired: false,
            counted: None,
        };
        let warm = Self {
            lines: Mutex::new(Lines::new(Some(running.logs()), writer, spec.version.clone())),
            running,
            runtime,
            _package: package,
            token: Token::default(),
            origin,
            state: Mutex::new(state),
        };
        match begun {
            Ok(()) => Ok(warm),
            Err(failure) => {
                warm.ends_for(Shutdown::Failure);
                warm.end(agent).await;
                let memory_peak_bytes = warm.running.usage().memory_peak_bytes;
                let lines = warm.lines.lock().left();
                Err(Broken::new(failure, times, lines).having_used(memory_peak_bytes))
            }
        }
    }

    /// Makes it one of its pool's.
    pub(super) fn count(&mut self, counted: Counted) {
        self.state.get_mut().counted = Some(counted);
    }

    /// Whether it is kept warm, called or not.
    pub(super) fn is_provisioned(&self) -> bool {
        self.origin == Origin::Provisioned
    }

    /// Whether no call has come to it yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.state.lock().start.is_some()
    }

    /// How it was started, for its first call.
    pub(super) fn take_start(&self) -> Option<StartTimes> {
        self.state.lock().start.take()
    }

    /// Whether it still runs.
    pub(crate) fn works(&self) -> bool {
        self.running.exit().is_none() && !self.runtime.is_broken()
    }

    /// What it has, in KiB.
    pub(super) fn kib(&self) -> u64 {
        self.state.lock().kib
    }

    /// What it was given because it was full, in KiB; 0 where it was not.
    pub(super) fn grown_kib(&self) -> u64 {
        self.state.lock().grown_kib
    }

    /// Notes that it was given so much because it was full.
    pub(super) fn has_grown(&self, kib: u64) {
        self.state.lock().grown_kib = kib;
    }

    /// Gives it other limits.
    pub(super) fn resize(&self, kib: u64, cpu_milli: u32) -> Result<(), executor::Error> {
        self.running.resize(kib << 10, cpu_milli)?;
        self.state.lock().kib = kib;
        Ok(())
    }

    /// Counts its memory as what it has.
    pub(super) fn reserve(&self) {
        let mut state = self.state.lock();
        let bytes = state.kib << 10;
        if let Some(memory) = &mut state.memory {
            memory.set(bytes);
        }
    }

    /// Lets another have its memory, when it is about to be ended.
    pub(crate) fn give_back_memory(&self) {
        self.state.lock().memory = None;
    }

    /// Notes why it is to be ended; the first reason stays.
    pub(super) fn ends_for(&self, reason: Shutdown) {
        let mut state = self.state.lock();
        if state.ending == Shutdown::Spindown {
            state.ending = reason;
        }
    }

    /// Why it is ended, or would be now.
    pub(super) fn ending(&self) -> Shutdown {
        self.state.lock().ending
    }

    /// Takes it from its pool for good. False where that was done before, and somebody sees to its
    /// end.
    pub(super) fn retire(&self) -> bool {
        let counted = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.retired, true) {
                return false;
            }
            state.counted.take()
        };
        drop(counted);
        true
    }

    /// Whether an extension still sees to the last call.
    pub(super) fn is_finishing(&self) -> bool {
        !self.runtime.is_ready()
    }

    /// Stops its processes until its next call, where that is possible. For when it has none.
    pub(super) fn freeze(&self) {
        let mut state = self.state.lock();
        if state.frozen || self.is_finishing() {
            return;
        }
        match self.running.freeze() {
            Ok(()) => state.frozen = true,
            // It goes on, as it would where nobody freezes.
            Err(error) => {
                tracing::debug!(id = %self.running.id(), %error, "could not freeze an instance");
            }
        }
    }

    /// Lets its processes go on, where they are stopped.
    pub(super) fn thaw(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.frozen)
            && let Err(error) = self.running.thaw()
        {
            // Its call runs into the deadline, and then it is ended.
            tracing::warn!(id = %self.running.id(), %error, "could not thaw an instance");
        }
    }

    /// Ends it, and waits until nothing of it is left. Where it has extensions they are told, and
    /// every process is asked to end, a moment before.
    pub(crate) async fn end(&self, agent: &Agent) {
        let clock = &agent.shared.clock;
        let until_ms = clock.now_ms().saturating_add(SHUTDOWN_MS);
        if self.running.exit().is_none() && self.runtime.shut_down(self.ending(), until_ms) {
            self.thaw();
            // A program without a handler for the signal would end before its extension was told.
            tokio::select! {
                _ = self.running.wait() => {}
                () = self.runtime.ready() => {}
                () = clock.sleep_ms(SHUTDOWN_MS / 2) => {}
            }
            let id = self.running.id();
            if let Err(error) = self.running.terminate() {
                tracing::debug!(%id, %error, "could not ask an instance to end");
            }
            tokio::select! {
                _ = self.running.wait() => {}
                () = clock.sleep_ms(SHUTDOWN_MS / 2) => {}
            }
        }
        self.running.kill();
        self.running.wait().await;
        // What was written on the way out belongs to the log too.
        self.lines.lock().take_in(&agent.shared.functions.journal);
        if let Err(error) = self.running.clear() {
            let id = self.running.id();
            tracing::warn!(%id, %error, "could not remove an instance's folder");
        }
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        // Its call was given up. The folder is cleared at the next start of the agent.
        self.running.kill();
    }
}

/// Has a parked sandbox become the instance, or makes one where none fits.
async fn run(agent: &Agent, spec: &Revision, start: Start) -> Result<Running, executor::Error> {
    let shared = &agent.shared;
    // The time is a call's; functions that differ in nothing else share a set.
    let limits = Limits { timeout_ms: 0, ..spec.limits };
    let parking = Parking { runtime: spec.runtime, limits };
    let parked = match &start.work {
        Work::Function(function) => shared.functions.parked.take(parking, function),
        _ => None,
    };
    if let Some(parked) = parked {
        match shared.executor.claim(parked, start.clone()).await {
            Ok(running) => return Ok(running),
            Err(error) => {
                let error = Trouble::of(&error);
                tracing::info!(%error, "a parked sandbox could not be claimed; one is made");
            }
        }
    }
    shared.executor.start(start).await
}

/// Waits until the program asks for work, ends, says that it cannot, or takes too long.
async fn begun(
    agent: &Agent,
    spec: &Revision,
    running: &Running,
    runtime: &Runtime,
) -> Result<(), Failure> {
    let serves = spec.runtime == FunctionRuntime::Server;
    let init_ms_max = if serves { INIT_SERVER_MS_MAX } else { INIT_MS_MAX };
    let unheard = |kind: &str, message: &str| {
        let payload = json!({ "errorType": kind, "errorMessage": message }).to_string();
        Err(Failure { kind: kind.to_owned(), payload: payload.into() })
    };
    tokio::select! {
        biased;
        begun = runtime.begun() => match begun {
            Begun::Failed(failure) => Err(failure),
            Begun::Beginning | Begun::Yes => Ok(()),
        },
        exit = running.wait() => {
            unheard("Runtime.ExitError", &format!("Error: Runtime exited {}", how(&exit)))
        }
        () = agent.shared.clock.sleep_ms(init_ms_max) => {
            let s = init_ms_max / 1_000;
            unheard("Sandbox.Timedout", &format!("Error: initialisation took more than {s} s"))
        }
    }
}

/// What a package of such a function may be.
fn form(runtime: FunctionRuntime) -> Form {
    match runtime {
        FunctionRuntime::Image => Form::Image,
        FunctionRuntime::Server => Form::Either,
        _ => Form::Plain,
    }
}

/// What the executor is to run.
fn function(
    agent: &Agent,
    spec: &Revision,
    (id, payer, origin): (InstanceId, Option<AccountId>, Origin),
    package: &Unpacked,
) -> io::Result<Function> {
    let said = package.image();
    let mut env = said.map(|image| image.env.clone()).unwrap_or_default();
    env.extend(variables(spec, id, origin));
    let image = said.map(|image| Image::of(package.folder(), PathBuf::from(&image.folder)));
    let image = image.transpose()?;
    let bootstrap = |file: &str| vec![format!("{}/{file}", executor::start::RUNTIME_DIR)];
    let (program, args) = match (spec.runtime, said) {
        (FunctionRuntime::Image | FunctionRuntime::Server, Some(said)) => {
            let own = vec![spec.handler.clone()];
            let arguments = if spec.handler.is_empty() { &said.arguments } else { &own };
            let mut words = said.entrypoint.iter().chain(arguments).cloned();
            (words.next().unwrap_or_default(), words.collect())
        }
        (FunctionRuntime::Provided | FunctionRuntime::Image | FunctionRuntime::Server, _) => {
            ("bootstrap".to_owned(), Vec::new())
        }
        (FunctionRuntime::Nodejs, _) => {
            (executor::start::NODE.to_owned(), bootstrap("bootstrap.mjs"))
        }
        (FunctionRuntime::Python3, _) => {
            (executor::start::PYTHON.to_owned(), bootstrap("bootstrap.py"))
        }
    };
    let serves = spec.runtime == FunctionRuntime::Server;
    // What another account calls with is to leave by the answer only.
    let way_out = if payer.is_some() { None } else { egress::way_out(agent, spec) };
    if way_out.is_some() {
        env.extend(PROXY.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let concurrency = spec.concurrency;
    Ok(Function { program: program.into(), args, env, way_out, image, serves, concurrency })
}

/// The owner's variables, and Lambda's above them.
fn variables(spec: &Revision, id: InstanceId, origin: Origin) -> BTreeMap<String, String> {
    let memory_mib = (spec.limits.memory_bytes >> 20).to_string();
    let (group, stream) = (format!("/aws/lambda/{}", spec.function), id.to_string());
    let account = account_number(spec.account);
    let initialised = match origin {
        Origin::Call | Origin::Burst => "on-demand",
        Origin::Provisioned => "provisioned-concurrency",
    };
    let said = [
        ("_HANDLER", spec.handler.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", spec.function.as_str()),
        ("AWS_LAMBDA_FUNCTION_VERSION", spec.version.as_str()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory_mib),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", initialised),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &stream),
        ("AWS_LAMBDA_LOG_FORMAT", "Text"),
        ("AWS_ACCOUNT_ID", &account),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    // Unless the owner says otherwise: somebody else's store may be in a region.
    let usual = [("AWS_REGION", "local"), ("AWS_DEFAULT_REGION", "local"), ("TZ", ":UTC")];
    let mut env: BTreeMap<String, String> = usual.map(own).into();
    env.extend(spec.env.clone());
    env.extend(said.map(own));
    env
}

pub(super) fn how(exit: &Exit) -> String {
    match (exit.ending, exit.code, exit.signal) {
        (Ending::OutOfMemory, ..) => "with error: signal: killed".to_owned(),
        (Ending::Exited, Some(0), _) => "without providing a reason".to_owned(),
        (Ending::Exited, Some(code), _) => format!("with error: exit status {code}"),
        (Ending::Exited, None, Some(signal)) => format!("with error: signal: {signal}"),
        _ => format!("with error: {}", exit.reason),
    }
}
