//! Measures how functions start: from a sandbox made for the call, and from a parked one; alone, and
//! one after the other for as long as the machine can; and what parked sandboxes weigh.
//!
//! Usage: `bench-functions [STARTS [SECONDS [PARKED [LAMBDA]]]]`: how many cold starts of each kind
//! are timed, for how long they are repeated, how many sandboxes are parked at once, and a folder
//! with Lambda's own client. `FREEHOLD_SANDBOX` chooses what makes the sandboxes, as for the cloud. It
//! prints one JSON object. `serve KIND INSTANCES` is [`serve`], `containers
//! PROGRAM STARTS` [`containers`]; with a Runtime API it is the native function.
//! Always true: a start is timed from the claim, or from the start, to the answer of its first call;
//! parking, ending and clearing away are in what goes on, and in no single time.
#![expect(clippy::print_stdout, reason = "the result goes to standard output")]
#![expect(clippy::disallowed_methods, reason = "a program of its own, which measures real time")]
#![expect(clippy::cast_precision_loss, reason = "counts of starts are small")]

mod containers;
mod serve;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use executor::runtime_api::{Invocation, Outcome};
use executor::{Executor, Function, Parked, Parking, Running, Settings, Start, Work};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use types::{FunctionRuntime, InstanceId, Limits};
use workflow::{Clock, Tasks};

/// What every function here may use.
const LIMITS: Limits = Limits {
    timeout_ms: 10_000,
    memory_bytes: 128 << 20,
    cpu_milli: 1_000,
    processes: 64,
    scratch_bytes: 64 << 20,
};
/// Sandboxes that wait while starts are repeated, and calls that are made at a time.
const SET: usize = 8;
const CALLERS: usize = 4;
/// How many are parked at the same time while the set is refilled.
const PARKERS: usize = 3;

type Trouble = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match (std::env::var("AWS_LAMBDA_RUNTIME_API"), words.as_slice()) {
        (_, ["sandbox", ..]) => return executor::sandbox_main(),
        // What a container runs: it says that it has begun, and is over.
        (_, ["begun"]) => return ExitCode::SUCCESS,
        (Ok(address), _) => answer(&address),
        (_, ["serve", kind, instances]) => serve::run(kind, instances),
        (_, ["containers", program, starts]) => containers::run(program, starts),
        _ => measure(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            println!("{}", json!({ "trouble": trouble.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// The native function: answers each call with what it was given.
fn answer(address: &str) -> Result<(), Trouble> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut from = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    let at = "/2018-06-01/runtime/invocation";
    // Each request is written at once, as runtimes do: pieces would be segments of their own.
    let next = format!("GET {at}/next HTTP/1.1\r\nhost: {address}\r\n\r\n");
    loop {
        to.write_all(next.as_bytes())?;
        let (id, payload) = response(&mut from)?;
        let length = payload.len();
        let head = format!(
            "POST {at}/{id}/response HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n"
        );
        to.write_all(&[head.as_bytes(), &payload].concat())?;
        response(&mut from)?;
    }
}

/// The request's id, where there is one, and the body.
fn response(from: &mut BufReader<TcpStream>) -> Result<(String, Vec<u8>), Trouble> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err("the Runtime API is gone".into());
        }
        let Some((name, value)) = line.split_once(':') else {
            if line == "\r\n" {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((id, body))
}

#[tokio::main]
async fn measure() -> Result<(), Trouble> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, otherwise: usize| -> Result<usize, Trouble> {
        words.get(place).map_or(Ok(otherwise), |word| Ok(word.parse()?))
    };
    let (starts, seconds, parked) = (number(0, 100)?, number(1, 10)?, number(2, 100)?);
    let host = Host::new(words.get(3).map(Path::new))?;
    let mut cold = BTreeMap::new();
    for kind in host.kinds() {
        cold.insert(format!("{} made", kind.name), host.cold(&kind, starts, false).await?);
        cold.insert(format!("{} parked", kind.name), host.cold(&kind, starts, true).await?);
    }
    let mut sustained = BTreeMap::new();
    for kind in host.kinds() {
        sustained.insert(kind.name, host.sustained(&kind, seconds).await?);
    }
    let mut weight = BTreeMap::new();
    for kind in host.kinds().into_iter().take(2) {
        weight.insert(kind.name, host.weight(&kind, parked).await?);
    }
    let _ = fs::remove_dir_all(&host.folder);
    println!("{}", json!({ "cold_ms": cold, "sustained": sustained, "parked": weight }));
    Ok(())
}

/// A kind of function.
#[derive(Clone)]
struct Kind {
    name: &'static str,
    runtime: FunctionRuntime,
    package: PathBuf,
    function: Function,
}

struct Host {
    folder: PathBuf,
    executor: Executor,
    clock: Clock,
    lambda: bool,
}

impl Host {
    fn new(lambda: Option<&Path>) -> Result<Arc<Self>, Trouble> {
        let folder = std::env::temp_dir().join(format!("freehold-bench-{}", std::process::id()));
        let program = std::env::current_exe()?;
        for name in ["native", "python"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        fs::copy(&program, folder.join("native/bootstrap"))?;
        let code = "def handler(event, context):\n    return event\n";
        fs::write(folder.join("python/app.py"), code)?;
        if let Some(lambda) = lambda {
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(lambda).arg(folder.join("lambda"));
            if !copy.status()?.success() {
                return Err("could not copy Lambda's client".into());
            }
            fs::write(folder.join("lambda/app.py"), code)?;
            // As whoever packages it would: what is not compiled is compiled at each start.
            let mut compile = Command::new(executor::start::PYTHON);
            compile.args(["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]);
            if !compile.arg(folder.join("lambda")).status()?.success() {
                return Err("could not compile Lambda's client".into());
            }
        }
        let clock = Clock::system();
        let mut settings = Settings::new(program, folder.join("work"));
        if let Ok(sandbox) = std::env::var("FREEHOLD_SANDBOX") {
            settings.sandbox = sandbox.parse()?;
        }
        let executor = Executor::new(settings, clock.clone(), Tasks::new())?;
        Ok(Arc::new(Self { folder, executor, clock, lambda: lambda.is_some() }))
    }

    fn kinds(&self) -> Vec<Kind> {
        let env: BTreeMap<_, _> = [
            ("_HANDLER", "app.handler"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let python = |args: &[&str]| Function {
            program: executor::start::PYTHON.into(),
            args: args.iter().map(|&word| word.to_owned()).collect(),
            env: env.clone(),
            ..Function::default()
        };
        let kind = |name, runtime, package, function| {
            let package = self.folder.join(package);
            Kind { name, runtime, package, function }
        };
        let native = Function { program: "bootstrap".into(), ..Function::default() };
        let bootstrap = python(&["/var/runtime/bootstrap.py"]);
        let client = python(&["-m", "awslambdaric", "app.handler"]);
        let mut kinds = vec![
            kind("native", FunctionRuntime::Provided, "native", native),
            kind("python", FunctionRuntime::Python3, "python", bootstrap),
        ];
        if self.lambda {
            kinds.push(kind("awslambdaric", FunctionRuntime::Python3, "lambda", client));
        }
        kinds
    }

    async fn park(&self, kind: &Kind) -> Result<Parked, Trouble> {
        Ok(self.executor.park(Parking { runtime: kind.runtime, limits: LIMITS }).await?)
    }

    /// Starts, calls once, and says how long that took, and its parts.
    async fn first_call(
        &self,
        kind: &Kind,
        parked: Option<Parked>,
    ) -> Result<(Duration, Running), Trouble> {
        let start = Start {
            id: InstanceId::new(self.clock.uuid()),
            generation: 1,
            package: kind.package.clone(),
            work: Work::Function(kind.function.clone()),
            limits: LIMITS,
            task: Value::Null,
        };
        let id = start.id.to_string();
        let began = Instant::now();
        let running = match parked {
            Some(parked) => self.executor.claim(parked, start).await?,
            None => self.executor.start(start).await?,
        };
        let runtime = running.runtime().ok_or("a function without a Runtime API")?;
        let invocation = invocation(id, Bytes::from_static(b"{\"number\": 1}"));
        let limit = Duration::from_secs(20);
        let outcome = tokio::time::timeout(limit, runtime.invoke(invocation)).await?;
        let took = began.elapsed();
        match outcome {
            Outcome::Answered { .. } | Outcome::Streamed(_) => Ok((took, running)),
            Outcome::Failed(failure) => Err(format!("the function failed: {failure:?}").into()),
        }
    }

    async fn cold(&self, kind: &Kind, starts: usize, from_set: bool) -> Result<Value, Trouble> {
        let mut times = Vec::new();
        for _ in 0..starts {
            let parked = if from_set { Some(self.park(kind).await?) } else { None };
            let (took, running) = self.first_call(kind, parked).await?;
            times.push(took);
            end(running).await?;
        }
        Ok(quantiles(times))
    }

    /// Starts for some seconds from a set that is refilled all the while.
    async fn sustained(self: &Arc<Self>, kind: &Kind, seconds: usize) -> Result<Value, Trouble> {
        let (give, take) = mpsc::channel(SET);
        let take = Arc::new(tokio::sync::Mutex::new(take));
        let mut parkers = Vec::new();
        for _ in 0..PARKERS {
            let (host, kind, give) = (Arc::clone(self), kind.clone(), give.clone());
            parkers.push(tokio::spawn(async move {
                while let Ok(place) = give.reserve().await {
                    match host.park(&kind).await {
                        Ok(parked) => place.send(parked),
                        Err(_) => return,
                    }
                }
            }));
        }
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds as u64);
        let failed = Arc::new(AtomicU64::new(0));
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (host, kind, take) = (Arc::clone(self), kind.clone(), Arc::clone(&take));
            let failed = Arc::clone(&failed);
            callers.push(tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let next = take.lock().await.recv().await;
                    let Some(parked) = next else { break };
                    match host.first_call(&kind, Some(parked)).await {
                        Ok((took, running)) => {
                            times.push(took);
                            tokio::spawn(end(running));
                        }
                        Err(_) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                times
            }));
        }
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.await?);
        }
        let per_s = times.len() as f64 / began.elapsed().as_secs_f64();
        take.lock().await.close();
        for parker in parkers {
            parker.abort();
        }
        let failed = failed.load(Ordering::Relaxed);
        Ok(json!({ "per_s": round(per_s), "failed": failed, "ms": quantiles(times) }))
    }

    /// What so many parked sandboxes weigh, and how long it took to park them.
    async fn weight(&self, kind: &Kind, count: usize) -> Result<Value, Trouble> {
        let before = Memory::now()?;
        let began = Instant::now();
        let mut parked = Vec::new();
        for _ in 0..count {
            parked.push(self.park(kind).await?);
        }
        let took = began.elapsed();
        let after = Memory::now()?;
        let each = |bytes: u64| bytes / count.max(1) as u64;
        Ok(json!({
            "count": count,
            "parked_per_s": round(count as f64 / took.as_secs_f64()),
            "pss_bytes_each": each(after.pss.saturating_sub(before.pss)),
            "free_bytes_each": each(before.available.saturating_sub(after.available)),
        }))
    }
}

/// A call of this id.
fn invocation(id: String, payload: Bytes) -> Invocation {
    Invocation {
        id,
        deadline_ms: 4_000_000_000_000,
        payload,
        function_arn: "arn:aws:lambda:local:1:function:f".to_owned(),
        trace_id: None,
        client_context: None,
    }
}

/// Ends an instance, and waits until nothing of it is left.
async fn end(running: Running) -> Result<(), executor::Error> {
    running.kill();
    running.wait().await;
    running.clear()
}

/// Memory of the whole machine, in bytes.
struct Memory {
    /// Of all processes that come from this program, each shared page counted once.
    pss: u64,
    /// What the kernel says could be had, which counts its own part too.
    available: u64,
}

impl Memory {
    fn now() -> Result<Self, Trouble> {
        let info = fs::read_to_string("/proc/meminfo")?;
        let available = kib(&info, "MemAvailable:").ok_or("the kernel tells no free memory")?;
        let mut pss = 0;
        for entry in fs::read_dir("/proc")?.flatten() {
            let path = entry.path();
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            // This one, its keepers, and the interpreters below them.
            if ["bench-functions", "/var/runtime/", "zygote.py"]
                .iter()
                .any(|name| line.contains(name))
            {
                let text = fs::read_to_string(path.join("smaps_rollup")).unwrap_or_default();
                pss += kib(&text, "Pss:").unwrap_or(0);
            }
        }
        Ok(Self { pss: pss << 10, available: available << 10 })
    }
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn quantiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |share: usize| {
        let place = (times.len() * share / 100).min(times.len().saturating_sub(1));
        times.get(place).map(|time| round(time.as_secs_f64() * 1_000.0))
    };
    json!({ "n": times.len(), "p50": at(50), "p90": at(90), "p99": at(99), "max": at(100) })
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
