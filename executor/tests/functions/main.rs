//! Functions in their sandboxes, through the Runtime API.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and skip aloud")]

#[path = "../levels/mod.rs"]
mod levels;

mod clients;
mod image;
mod parked;
mod several;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use executor::runtime_api::{Begun, Failure, Invocation, Outcome};
use executor::{
    Choice, Ending, Executor, Function, Parking, Running, Settings, Start, Work, features,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use types::{FunctionRuntime, InstanceId, Limits};
use workflow::{Clock, Tasks};

const HELPER: &str = env!("CARGO_BIN_EXE_executor-test-helper");
const PYTHON: &str = "/usr/bin/python3";
/// Longest wait for what takes a second or less on a machine, and many times that where its processor
/// is emulated.
const PATIENCE: Duration = Duration::from_secs(100);

/// A host, and how functions start on it.
struct Host {
    folder: TempDir,
    executor: Executor,
    clock: Clock,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Each in a sandbox made for it.
    Made,
    /// Each in one that was parked for its runtime, where it fits.
    Parked(FunctionRuntime),
    /// The same, where each parked interpreter is started and not forked.
    Started,
}

const LIMITS: Limits = Limits {
    timeout_ms: 3_000,
    memory_bytes: 256 << 20,
    cpu_milli: 1_000,
    processes: 32,
    scratch_bytes: 16 << 20,
};

impl Host {
    fn new(way: Way, change: fn(&mut Settings)) -> Option<Self> {
        for wanted in ["mount namespace", "network namespace"] {
            if !features().iter().any(|feature| feature.name == wanted && feature.held) {
                eprintln!("SKIPPED: this machine lacks: {wanted}");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("package")).unwrap();
        let mut settings = Settings::new(HELPER, folder.path().join("work"));
        settings.zygote = way != Way::Started;
        settings.sandbox = levels::chosen();
        change(&mut settings);
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let executor = Executor::new(settings, clock.clone(), tasks).unwrap();
        Some(Self { folder, executor, clock, way })
    }

    /// A host for every way that the chosen sandbox has, where there is a Python for functions.
    fn each_way(code: &str) -> impl Iterator<Item = Self> {
        Self::each_way_with(code, |_| {})
    }

    fn each_way_with(code: &str, change: fn(&mut Settings)) -> impl Iterator<Item = Self> {
        let python = Path::new(PYTHON).is_file();
        if !python {
            eprintln!("SKIPPED: there is no {PYTHON}");
        }
        let [python3, provided] = [FunctionRuntime::Python3, FunctionRuntime::Provided];
        let ways = [Way::Made, Way::Parked(python3), Way::Parked(provided), Way::Started];
        // Interpreters are forked for processes only, and gVisor's sandboxes cannot be parked.
        let count = match levels::chosen() {
            Choice::Process => ways.len(),
            sandbox if sandbox.to_string() == "runsc" => 1,
            _ => 3,
        };
        let ways = ways.into_iter().take(count).filter(move |_| python);
        ways.filter_map(move |way| {
            let host = Self::new(way, change)?;
            host.put("app.py", code);
            Some(host)
        })
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.folder.path().join("package").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A start of this function.
    fn of(&self, function: Function) -> Start {
        Start {
            id: InstanceId::new(self.clock.uuid()),
            generation: 1,
            package: self.folder.path().join("package"),
            work: Work::Function(function),
            limits: LIMITS,
            task: Value::Null,
        }
    }

    async fn start(&self, function: Function) -> Running {
        let start = self.of(function.clone());
        let runtime = match self.way {
            Way::Made => return self.executor.start(start).await.unwrap(),
            Way::Parked(runtime) => runtime,
            Way::Started => FunctionRuntime::Python3,
        };
        let parking = Parking { runtime, limits: LIMITS };
        if !parking.fits(&function, &LIMITS) {
            return self.executor.start(start).await.unwrap();
        }
        let parked = self.executor.park(parking).await.unwrap();
        self.executor.claim(parked, start).await.unwrap()
    }

    async fn python(&self, handler: &str) -> Running {
        self.start(python_function(handler)).await
    }
}

fn python_function(handler: &str) -> Function {
    let args = vec!["/var/runtime/bootstrap.py".to_owned()];
    let said = [("_HANDLER", handler), ("AWS_LAMBDA_FUNCTION_NAME", "f"), ("COLOUR", "blue")];
    let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let env = BTreeMap::from(said);
    Function { program: PYTHON.into(), args, env, ..Function::default() }
}

async fn invoke(running: &Running, id: &str, payload: &Value) -> Outcome {
    let invocation = Invocation {
        id: id.to_owned(),
        deadline_ms: 4_000_000_000_000,
        payload: Bytes::from(payload.to_string()),
        function_arn: "arn:aws:lambda:local:1:function:f".to_owned(),
        trace_id: None,
        client_context: None,
    };
    let outcome = running.runtime().unwrap().invoke(invocation);
    tokio::time::timeout(PATIENCE, outcome).await.expect("no outcome in time")
}

fn read(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Answered { payload, .. } => serde_json::from_slice(&payload).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn begun(running: &Running) -> Begun {
    let begun = running.runtime().unwrap().begun();
    tokio::time::timeout(PATIENCE, begun).await.expect("it did not begin in time")
}

const ECHO: &str = r#"
import os, socket

calls = 0

def handler(event, context):
    global calls
    calls += 1
    print("called with", event)
    return {
        "event": event,
        "calls": calls,
        "id": context.aws_request_id,
        "function": context.function_name,
        "remaining": context.get_remaining_time_in_millis() > 0,
        "colour": os.environ["COLOUR"],
    }

def nosy(event, context):
    seen = [path for path in event["paths"] if os.path.exists(path)]
    try:
        socket.create_connection((event["address"], event["port"]), timeout=2)
        reached = "reached"
    except OSError as error:
        reached = error.strerror
    try:
        open("/var/task/mine", "w")
        written = True
    except OSError:
        written = False
    lines = open("/proc/net/dev").read().splitlines()[2:]
    names = [line.split(":")[0].strip() for line in lines]
    return {"seen": seen, "reached": reached, "written": written, "interfaces": names}

def fails(event, context):
    raise ValueError("ä: not today")

def ends(event, context):
    os._exit(3)
"#;

#[tokio::test]
async fn a_python_function_answers_call_after_call() {
    for host in Host::each_way(ECHO) {
        let running = host.python("app.handler").await;
        assert_eq!(begun(&running).await, Begun::Yes);
        for calls in 1..=3 {
            let event = json!({ "number": calls, "text": "grüße" });
            let told = read(invoke(&running, &format!("r-{calls}"), &event).await);
            let expected = json!({
                "event": event, "calls": calls, "id": format!("r-{calls}"), "function": "f",
                "remaining": true, "colour": "blue",
            });
            assert_eq!(told, expected);
        }
        running.kill();
        assert_eq!(running.wait().await.ending, Ending::Killed);
        let mut lines = running.logs();
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await {
            seen.push(line.line);
        }
        assert!(seen.iter().any(|line| line.contains("called with")), "{seen:?}");
        running.clear().unwrap();
    }
}

#[tokio::test]
async fn a_function_sees_its_code_and_a_loopback_and_nothing_else() {
    for host in Host::each_way(ECHO) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let running = host.python("app.nosy").await;
        let event = json!({
            "paths": ["/var/task/app.py", "/root", "/home", "/etc/shadow", "/work", "/opt/freehold"],
            "address": "127.0.0.1", "port": port,
        });
        let told = read(invoke(&running, "r-1", &event).await);
        assert_eq!(told["seen"], json!(["/var/task/app.py"]));
        assert_eq!(told["reached"], "Connection refused");
        assert_eq!((&told["written"], &told["interfaces"]), (&json!(false), &json!(["lo"])));
        let outside = json!({ "paths": [], "address": "192.0.2.1", "port": 80 });
        let told = read(invoke(&running, "r-2", &outside).await);
        assert_eq!(told["reached"], "Network is unreachable");
    }
}

#[tokio::test]
async fn errors_of_a_function_are_told_with_their_stack_and_it_goes_on() {
    for host in Host::each_way(ECHO) {
        let running = host.python("app.fails").await;
        for id in ["r-1", "r-2"] {
            let Outcome::Failed(Failure { kind, payload }) = invoke(&running, id, &json!(1)).await
            else {
                panic!("it did not fail");
            };
            let told: Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(kind, "Function.ValueError");
            assert_eq!(told["errorMessage"], "ä: not today");
            assert_eq!(
                (&told["errorType"], &told["requestId"]),
                (&json!("ValueError"), &json!(id))
            );
            assert!(told["stackTrace"].to_string().contains("in fails"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_loaded_says_why() {
    for host in Host::each_way(ECHO) {
        for (handler, kind, why) in [
            ("app.nothing", "Function.ValueError", "no function 'nothing'"),
            ("nowhere.handler", "Function.ModuleNotFoundError", "nowhere"),
            ("handler", "Function.ValueError", "module.function"),
        ] {
            let running = host.python(handler).await;
            let Begun::Failed(failure) = begun(&running).await else {
                panic!("{handler} has begun")
            };
            let payload = String::from_utf8_lossy(&failure.payload).into_owned();
            assert!(failure.kind == kind && payload.contains(why), "{failure:?}");
            assert_eq!(running.wait().await.code, Some(1));
        }
    }
}

#[tokio::test]
async fn a_program_that_ends_in_a_call_is_seen_to_end() {
    for host in Host::each_way(ECHO) {
        let running = host.python("app.ends").await;
        let exit = tokio::select! {
            exit = running.wait() => exit,
            outcome = invoke(&running, "r-1", &json!(null)) => panic!("{outcome:?}"),
        };
        assert_eq!((exit.code, exit.ending), (Some(3), Ending::Exited));
    }
}

/// A program of its own, in whatever language: here the shell, which has no HTTP, through Python's.
#[tokio::test]
async fn any_program_may_ask_for_work() {
    for host in Host::each_way("") {
        host.put(
            "bootstrap",
            "#!/bin/sh\nexec /usr/bin/python3 - <<'CODE'\n\
             import os, urllib.request as http\n\
             at = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'\n\
             call = http.urlopen(at + 'next')\n\
             own = call.headers['Lambda-Runtime-Aws-Request-Id']\n\
             http.urlopen(at + own + '/response', data=call.read().upper())\n\
             CODE\n",
        );
        let function = Function { program: "bootstrap".into(), ..Function::default() };
        let running = host.start(function).await;
        assert_eq!(read(invoke(&running, "r-1", &json!("hello")).await), "HELLO");
        assert_eq!(running.wait().await.code, Some(0));
    }
}

/// A function that brings Lambda's own client for Python in its package.
#[tokio::test]
async fn the_client_that_lambda_uses_runs_unchanged() {
    let Some(client) = std::env::var_os("FREEHOLD_TEST_LAMBDA") else {
        eprintln!("SKIPPED: FREEHOLD_TEST_LAMBDA names no folder with awslambdaric");
        return;
    };
    for host in Host::each_way(ECHO) {
        let package = host.folder.path().join("package");
        for entry in fs::read_dir(&client).unwrap() {
            let entry = entry.unwrap();
            let copied = std::process::Command::new("cp")
                .arg("-r")
                .args([entry.path(), package.join(entry.file_name())])
                .status()
                .unwrap();
            assert!(copied.success());
        }
        for (handler, fails) in [("app.handler", false), ("app.fails", true)] {
            let args = ["-m", "awslambdaric", handler].map(str::to_owned).into();
            let said = [
                ("_HANDLER", handler),
                ("AWS_LAMBDA_FUNCTION_NAME", "f"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("COLOUR", "blue"),
            ];
            let env = said.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let function = Function { program: PYTHON.into(), args, env, ..Function::default() };
            let running = host.start(function).await;
            for calls in 1..=3 {
                match invoke(&running, &format!("r-{calls}"), &json!({ "number": calls })).await {
                    Outcome::Failed(failure) => {
                        let told: Value = serde_json::from_slice(&failure.payload).unwrap();
                        assert!(fails && told["errorType"] == "ValueError", "{told}");
                    }
                    answered @ Outcome::Answered { .. } => {
                        let told = read(answered);
                        assert_eq!(
                            (&told["calls"], &told["id"]),
                            (&json!(calls), &json!(format!("r-{calls}")))
                        );
                        assert!(!fails);
                    }
                    Outcome::Streamed(pieces) => panic!("{pieces:?}"),
                }
            }
        }
    }
}

over!(crun:
    a_python_function_answers_call_after_call
    a_function_sees_its_code_and_a_loopback_and_nothing_else
    errors_of_a_function_are_told_with_their_stack_and_it_goes_on
    what_cannot_be_loaded_says_why a_program_that_ends_in_a_call_is_seen_to_end
    any_program_may_ask_for_work the_client_that_lambda_uses_runs_unchanged);
over!(runc:
    a_python_function_answers_call_after_call
    a_function_sees_its_code_and_a_loopback_and_nothing_else
    errors_of_a_function_are_told_with_their_stack_and_it_goes_on
    what_cannot_be_loaded_says_why a_program_that_ends_in_a_call_is_seen_to_end
    any_program_may_ask_for_work the_client_that_lambda_uses_runs_unchanged);
over!(runsc:
    a_python_function_answers_call_after_call
    a_function_sees_its_code_and_a_loopback_and_nothing_else
    errors_of_a_function_are_told_with_their_stack_and_it_goes_on
    what_cannot_be_loaded_says_why a_program_that_ends_in_a_call_is_seen_to_end
    any_program_may_ask_for_work the_client_that_lambda_uses_runs_unchanged);
