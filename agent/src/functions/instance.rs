//! One instance of a function: how it starts, runs calls, and ends.
//!
//! Always true: what a program does wrong is the function's error, told in Lambda's words; what
//! this host cannot do is said as it is; after a deadline nothing of the instance is left.
//! Source of the words: Lambda's Runtime Interface Emulator.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use api::internal::functions::{Call, Called, Revision, StartTimes};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use executor::runtime_api::{self, Begun, Failure, Invocation, Runtime};
use executor::{Ending, Exit, Function, LogReader, Parking, Running, Start, Stream, Work};
use serde_json::json;
use types::{FunctionRuntime, InstanceId, Limits};

use super::journal::{self, Writer};
use super::pool::Counted;
use super::sizes::Token;
use super::{Memory, Outcome};
use crate::Agent;
use crate::life::Trouble;
use crate::packages::Unpacked;

/// Longest time until a program asks for work. Source: Lambda's limit.
const INIT_MS_MAX: u64 = 10_000;
/// The end of the log that a caller may get, in bytes. Source: Lambda's `X-Amz-Log-Result`.
const TAIL_BYTES_MAX: usize = 4_096;
/// Lines kept for that.
const TAIL_LINES_MAX: usize = 256;

/// An instance that has begun.
#[derive(Debug)]
pub(crate) struct Warm {
    running: Running,
    runtime: Runtime,
    lines: LogReader,
    writer: Writer,
    /// None once its first call was told.
    start: Option<StartTimes>,
    /// Its code's folder, which stays as long as it lives.
    _package: Arc<Unpacked>,
    memory: Option<Memory>,
    /// What it has, in KiB.
    pub(super) kib: u64,
    /// What it was given because it was full, in KiB; 0 where it was not.
    pub(super) grown_kib: u64,
    /// What it is known by, as long as it lives.
    pub(super) token: Token,
    /// Whether it was made for a burst, and ends with it.
    pub(super) burst: bool,
    /// Whether its processes are stopped.
    frozen: bool,
    /// Set once it is one of its pool's.
    pub(super) counted: Option<Counted>,
}

/// Why there is no instance for a call: the function's own fault, told to its caller.
#[derive(Debug)]
pub(crate) struct Broken {
    kind: String,
    payload: Bytes,
    start: StartTimes,
}

/// A call that was run.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// Whether the instance can run another.
    pub(crate) reusable: bool,
    /// Whether it was killed for memory.
    pub(crate) killed: bool,
    /// Processor time that the call used, in microseconds, where it was measured.
    pub(crate) cpu_us: Option<u64>,
}

impl Broken {
    fn new(kind: &str, message: &str, start: StartTimes) -> Self {
        let payload = json!({ "errorType": kind, "errorMessage": message }).to_string();
        Self { kind: kind.to_owned(), payload: payload.into(), start }
    }

    /// What the call that it was made for is told.
    pub(crate) fn outcome(self, log_tail: bool, waited_us: u64) -> Outcome {
        let called = Called {
            error: Some(self.kind),
            waited_us,
            start: Some(self.start),
            log_tail: log_tail.then(String::new),
            ..Called::default()
        };
        Outcome { called, payload: self.payload }
    }
}

impl Warm {
    /// Starts an instance, and waits until its program asks for work.
    pub(crate) async fn start(
        agent: &Agent,
        spec: &Revision,
        id: InstanceId,
        memory: Memory,
    ) -> Result<Self, Broken> {
        let clock = &agent.shared.clock;
        let mut times = StartTimes::default();
        let since = |began_us: u64| clock.now_us().saturating_sub(began_us);
        let began_us = clock.now_us();
        let unpacked = agent.shared.packages.unpack(&spec.package).await;
        times.code_us = since(began_us);
        let host = |error: &dyn std::error::Error| {
            Broken::new("Sandbox.Failure", &Trouble::of(error).0, times)
        };
        let package = unpacked.map_err(|error| host(&error))?;
        let began_us = clock.now_us();
        let start = Start {
            id,
            generation: 1,
            package: package.folder().to_path_buf(),
            work: Work::Function(function(spec)),
            limits: spec.limits,
            task: serde_json::Value::Null,
        };
        let running = run(agent, spec, start).await.map_err(|error| host(&error))?;
        times.sandbox_us = since(began_us);
        let Some(runtime) = running.runtime().cloned() else {
            running.kill();
            return Err(Broken::new("Sandbox.Failure", "it has no Runtime API", times));
        };
        let began_us = clock.now_us();
        let begun = begun(agent, &running, &runtime).await;
        times.init_us = since(began_us);
        let lines = running.logs();
        let start = Some(times);
        let (memory, counted) = (Some(memory), None);
        let writer = Writer::new(spec.id, id);
        let mut warm = Self {
            running,
            runtime,
            lines,
            writer,
            start,
            _package: package,
            memory,
            kib: spec.limits.memory_bytes >> 10,
            grown_kib: 0,
            token: Token::default(),
            burst: false,
            frozen: false,
            counted,
        };
        match begun {
            Ok(()) => Ok(warm),
            Err(Failure { kind, payload }) => {
                warm.log(agent, spec, None);
                warm.end().await;
                Err(Broken { kind, payload, start: times })
            }
        }
    }

    /// Whether no call has come to it yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.start.is_some()
    }

    /// Whether it still runs.
    pub(crate) fn works(&self) -> bool {
        self.running.exit().is_none()
    }

    /// Gives it other limits.
    pub(super) fn resize(&self, memory_bytes: u64, cpu_milli: u32) -> Result<(), executor::Error> {
        self.running.resize(memory_bytes, cpu_milli)
    }

    /// Counts its memory as so much.
    pub(super) fn reserve(&mut self, bytes: u64) {
        if let Some(memory) = &mut self.memory {
            memory.set(bytes);
        }
    }

    /// Lets another have its memory, when it is about to be ended.
    pub(crate) fn give_back_memory(&mut self) {
        self.memory = None;
    }

    /// Stops its processes until its next call, where that is possible.
    pub(super) fn freeze(&mut self) {
        if self.frozen {
            return;
        }
        match self.running.freeze() {
            Ok(()) => self.frozen = true,
            // It goes on, as it would where nobody freezes.
            Err(error) => {
                tracing::debug!(id = %self.running.id(), %error, "could not freeze an instance");
            }
        }
    }

    /// Lets its processes go on, where they are stopped.
    fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen)
            && let Err(error) = self.running.thaw()
        {
            // Its call runs into the deadline, and then it is ended.
            tracing::warn!(id = %self.running.id(), %error, "could not thaw an instance");
        }
    }

    /// Runs a call to its end or its deadline.
    pub(crate) async fn run(
        &mut self,
        agent: &Agent,
        (spec, measured): (&Revision, bool),
        (call, payload): (Call, Bytes),
        waited_us: u64,
    ) -> Ran {
        self.thaw();
        let cpu_before_us = measured.then(|| self.running.measure().cpu_us);
        let clock = &agent.shared.clock;
        let (began_us, id, log_tail) = (clock.now_us(), call.id.clone(), call.log_tail);
        let deadline_ms = clock.now_ms().saturating_add(spec.limits.timeout_ms);
        let invocation = Invocation {
            id: call.id,
            deadline_ms,
            payload,
            function_arn: call.function_arn,
            trace_id: call.trace_id,
            client_context: context(call.client_context.as_deref()),
        };
        let runtime = self.runtime.clone();
        let mut killed = false;
        let (error, media_type, payload, reusable) = tokio::select! {
            biased;
            outcome = runtime.invoke(invocation) => match outcome {
                runtime_api::Outcome::Answered { payload, media_type } => {
                    (None, media_type, payload, true)
                }
                runtime_api::Outcome::Failed(Failure { kind, payload }) => {
                    (Some(kind), None, payload, true)
                }
            },
            exit = self.running.wait() => {
                killed = exit.ending == Ending::OutOfMemory;
                let (kind, told) = exited(&id, &exit);
                (Some(kind), None, told, false)
            }
            () = clock.sleep_ms(spec.limits.timeout_ms) => {
                let (kind, told) = timed_out(&id, spec.limits.timeout_ms);
                (Some(kind), None, told, false)
            }
        };
        let duration_us = clock.now_us().saturating_sub(began_us);
        let cpu_us = cpu_before_us.map(|us| self.running.measure().cpu_us.saturating_sub(us));
        let mut called = Called {
            error,
            media_type,
            duration_us,
            waited_us,
            start: self.start.take(),
            memory_peak_bytes: self.running.usage().memory_peak_bytes,
            ..Called::default()
        };
        let report = journal::report(&id, &called, self.kib >> 10);
        let tail = self.log(agent, spec, Some((&id, began_us / 1_000, report)));
        called.log_tail = log_tail.then(|| BASE64_STANDARD.encode(tail));
        Ran { outcome: Outcome { called, payload }, reusable, killed, cpu_us }
    }

    /// Takes the lines that were written since into the journal, with a call's own lines around
    /// them, and gives the end of all.
    fn log(&mut self, agent: &Agent, spec: &Revision, call: Option<(&str, u64, String)>) -> String {
        let journal = &agent.shared.functions.journal;
        let mut last = VecDeque::new();
        let mut write = |writer: &mut Writer, (at_ms, source): (u64, &str), text: String| {
            if last.len() == TAIL_LINES_MAX {
                last.pop_front();
            }
            last.push_back(text.clone());
            writer.write(journal, (at_ms, source), text);
        };
        let shown = call.as_ref().map(|(id, ..)| journal::shown(id));
        if let Some((id, (_, began_ms, _))) = shown.as_ref().zip(call.as_ref()) {
            let start = format!("START RequestId: {id} Version: {}", spec.version);
            write(&mut self.writer, (*began_ms, "platform"), start);
        }
        while let Some(line) = self.lines.ready() {
            let source = match line.stream {
                Stream::Out => "stdout",
                Stream::Err => "stderr",
            };
            write(&mut self.writer, (line.at_ms, source), line.line);
        }
        if let Some((id, (.., report))) = shown.zip(call) {
            let now_ms = agent.shared.clock.now_ms();
            write(&mut self.writer, (now_ms, "platform"), format!("END RequestId: {id}"));
            write(&mut self.writer, (now_ms, "platform"), report);
        }
        let mut text: String = last.into_iter().map(|line| line + "\n").collect();
        let mut cut = text.len().saturating_sub(TAIL_BYTES_MAX);
        while !text.is_char_boundary(cut) {
            cut += 1;
        }
        text.split_off(cut)
    }

    /// Ends it, and waits until nothing of it is left.
    pub(crate) async fn end(self) {
        self.running.kill();
        self.running.wait().await;
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
async fn begun(agent: &Agent, running: &Running, runtime: &Runtime) -> Result<(), Failure> {
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
        () = agent.shared.clock.sleep_ms(INIT_MS_MAX) => {
            let s = INIT_MS_MAX / 1_000;
            unheard("Sandbox.Timedout", &format!("Error: initialisation took more than {s} s"))
        }
    }
}

/// What the executor is to run.
fn function(spec: &Revision) -> Function {
    let memory_mib = (spec.limits.memory_bytes >> 20).to_string();
    let said = [
        ("_HANDLER", spec.handler.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", spec.function.as_str()),
        ("AWS_LAMBDA_FUNCTION_VERSION", spec.version.as_str()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory_mib),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_REGION", "local"),
        ("AWS_DEFAULT_REGION", "local"),
        ("TZ", ":UTC"),
    ];
    let mut env: BTreeMap<String, String> = spec.env.clone();
    env.extend(said.map(|(name, value)| (name.to_owned(), value.to_owned())));
    match spec.runtime {
        FunctionRuntime::Provided => {
            Function { program: "bootstrap".into(), args: Vec::new(), env }
        }
        FunctionRuntime::Nodejs => {
            let args = vec![format!("{}/bootstrap.mjs", executor::start::RUNTIME_DIR)];
            Function { program: executor::start::NODE.into(), args, env }
        }
        FunctionRuntime::Python3 => {
            let args = vec![format!("{}/bootstrap.py", executor::start::RUNTIME_DIR)];
            Function { program: "/usr/bin/python3".into(), args, env }
        }
    }
}

/// The caller's context as JSON; what is none is left out.
fn context(base64: Option<&str>) -> Option<String> {
    let text = BASE64_STANDARD.decode(base64?).ok()?;
    String::from_utf8(text).ok()
}

fn exited(id: &str, exit: &Exit) -> (String, Bytes) {
    let message = format!("RequestId: {id} Error: Runtime exited {}", how(exit));
    let kind = "Runtime.ExitError";
    (kind.to_owned(), json!({ "errorType": kind, "errorMessage": message }).to_string().into())
}

fn how(exit: &Exit) -> String {
    match (exit.ending, exit.code, exit.signal) {
        (Ending::OutOfMemory, ..) => "with error: signal: killed".to_owned(),
        (Ending::Exited, Some(0), _) => "without providing a reason".to_owned(),
        (Ending::Exited, Some(code), _) => format!("with error: exit status {code}"),
        (Ending::Exited, None, Some(signal)) => format!("with error: signal: {signal}"),
        _ => format!("with error: {}", exit.reason),
    }
}

fn timed_out(id: &str, timeout_ms: u64) -> (String, Bytes) {
    let kind = "Sandbox.Timedout";
    let (s, hundredths) = (timeout_ms / 1_000, timeout_ms % 1_000 / 10);
    let message =
        format!("RequestId: {id} Error: Task timed out after {s}.{hundredths:02} seconds");
    (kind.to_owned(), json!({ "errorType": kind, "errorMessage": message }).to_string().into())
}
