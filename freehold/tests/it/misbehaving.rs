//! Programs that misbehave: each is told of by its documented error, nothing of it is left, and a
//! neighbour that is called all the while notices nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::functions::CreateFunction;
use api::pages::LogQuery;
use serde_json::Value;
use testkit::processes::running_with;
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use tokio::task::JoinSet;
use types::{FunctionName, FunctionRuntime};

use crate::world::{PROGRAM, strangers};

/// Longest time until nothing of an instance is left.
const GONE_S: u64 = 20;

/// Speaks the Runtime API by itself, well and badly.
const BOOTSTRAP: &str = r#"#!/usr/bin/python3 -I
import http.client, json, os, signal, socket, sys, time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
MODE = os.environ["MODE"]

def ask(method, path, body=None):
    connection = http.client.HTTPConnection(API)
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()

def answer(id, body):
    return ask("POST", "invocation/" + id + "/response", json.dumps(body))[0].status

def send(text):
    host, port = API.split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
        return raw.recv(100).decode("latin-1")[:12]

def child(work):
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            work()
        os._exit(0)

def sleep():
    while True:
        time.sleep(600)

def spin():
    while True:
        pass

if MODE == "crash-at-start":
    os.write(2, b"cannot begin\n")
    os._exit(3)
if MODE == "hang-at-start":
    sleep()

told = []
while True:
    head, event = ask("GET", "invocation/next")
    id = head.headers["Lambda-Runtime-Aws-Request-Id"]
    if MODE == "crash":
        os._exit(4)
    elif MODE == "hang":
        sleep()
    elif MODE == "flood":
        while True:
            os.write(1, b"x" * 4000 + b"\n")
    elif MODE == "answer-twice":
        before, told = told, [answer(id, told), answer(id, "again")]
    elif MODE == "wrong-id":
        answer(id, [answer("00000000-0000-0000-0000-000000000000", "stolen"), answer("../next", 1)])
    elif MODE == "nonsense":
        answer(id, [send(b"\x00\xff nonsense\r\n\r\n"), send(b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"),
                    send(b"GET " + b"/" * 100000 + b" HTTP/1.1\r\n\r\n"), send(b"")])
    elif MODE == "break-off":
        path = "/2018-06-01/runtime/invocation/" + id + "/response"
        send(("POST " + path + " HTTP/1.1\r\ncontent-length: 100\r\n\r\nhalf").encode())
        sleep()
    elif MODE == "outlive":
        for number in range(4):
            child(spin)
        sleep()
    elif MODE == "disk":
        try:
            for number in range(100):
                with open("/tmp/full-" + str(number), "wb", buffering=0) as file:
                    for written in range(16):
                        file.write(b"x" * (1 << 20))
        except OSError as error:
            answer(id, error.errno)
    elif MODE == "memory":
        held = []
        while True:
            held.append(bytearray(b"x" * (16 << 20)))
    elif MODE == "forks":
        while True:
            try:
                if os.fork() == 0:
                    sleep()
            except OSError:
                pass
    elif MODE == "children":
        for number in range(4):
            child(sleep)
        os._exit(6)
    elif MODE == "as-told":
        if event == b'"hang"':
            sleep()
        answer(id, MODE)
    elif MODE == "leave":
        answer(id, os.getpid())
        os._exit(0)
    else:
        answer(id, MODE)
"#;

/// A way to misbehave, and what the caller is told: the kind of error and a part of its message, or a
/// part of the answer.
struct Case {
    mode: &'static str,
    error: Option<&'static str>,
    words: &'static str,
}

const fn fails(mode: &'static str, error: &'static str, words: &'static str) -> Case {
    Case { mode, error: Some(error), words }
}

const fn answers(mode: &'static str, words: &'static str) -> Case {
    Case { mode, error: None, words }
}

const CASES: [Case; 14] = [
    fails("crash-at-start", "Runtime.ExitError", "exit status 3"),
    fails("hang-at-start", "Sandbox.Timedout", "initialisation took more than 10 s"),
    fails("crash", "Runtime.ExitError", "exit status 4"),
    fails("hang", "Sandbox.Timedout", "timed out after 2.00 seconds"),
    fails("flood", "Sandbox.Timedout", "timed out after 2.00 seconds"),
    fails("break-off", "Sandbox.Timedout", "timed out after 2.00 seconds"),
    fails("outlive", "Sandbox.Timedout", "timed out after 2.00 seconds"),
    fails("memory", "Runtime.ExitError", "signal: killed"),
    fails("forks", "Sandbox.Timedout", "timed out after 2.00 seconds"),
    fails("children", "Runtime.ExitError", "exit status 6"),
    answers("answer-twice", "[202,403]"),
    answers("wrong-id", "[400,404]"),
    answers("nonsense", "[\"HTTP/1.1 400\",\"HTTP/1.1 400\",\"HTTP/1.1 4"),
    answers("disk", "28"),
];

#[tokio::test(flavor = "multi_thread")]
async fn who_misbehaves_is_told_of_and_gone_and_neighbours_notice_nothing() {
    if !std::path::Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, neighbour) = strangers(&cloud).await;
    let well = make(&neighbour, "well").await;
    let over = Arc::new(AtomicBool::new(false));
    let mut calling = JoinSet::new();
    calling.spawn(keep_calling(neighbour.clone(), well.clone(), Arc::clone(&over)));
    let mut misbehaving = JoinSet::new();
    for case in CASES {
        let owner = owner.clone();
        misbehaving.spawn(async move { misbehaves(&owner, &case).await });
    }
    while let Some(case) = misbehaving.join_next().await {
        case.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let calls = calling.join_next().await.unwrap().unwrap();
    assert!(calls > 100, "the neighbour was called {calls} times only");
    cloud.close().await;
}

/// Calls the neighbour's function until it is over; no call may fail. Gives how often.
async fn keep_calling(owner: Account, name: FunctionName, over: Arc<AtomicBool>) -> u64 {
    let mut calls = 0;
    while !over.load(Ordering::Relaxed) {
        let (error, told) = call(&owner, &name).await;
        assert_eq!((error, told), (None, Value::from("well")), "call {calls} of the neighbour");
        calls += 1;
    }
    calls
}

/// Two calls each, so that the second meets what the first has left.
async fn misbehaves(owner: &Account, case: &Case) {
    let Case { mode, error: expected, words } = case;
    let name = make(owner, mode).await;
    let again = if *mode == "hang-at-start" { 1 } else { 3 };
    for round in 0..again {
        let (error, told) = call(owner, &name).await;
        assert_eq!(error.as_deref(), *expected, "{mode}, round {round}: {told}");
        let told = if expected.is_some() { told["errorMessage"].clone() } else { told };
        // The first answer of one that answers twice has nothing to tell yet.
        let first = *mode == "answer-twice" && round == 0;
        let told = told.as_str().map_or_else(|| told.to_string(), str::to_owned);
        assert!(first || told.contains(words), "{mode}, round {round}: {told}");
    }
    if expected.is_some() {
        let mark = mark(&name);
        until(GONE_S, &format!("the processes of {mode} to be gone"), || async {
            running_with(&mark).is_empty().then_some(())
        })
        .await;
    }
}

/// A call whose program does not begin is in the log, as any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_said_that_did_not_begin_is_in_the_log_of_its_call() {
    if !std::path::Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let name = make(&owner, "crash-at-start").await;
    assert_eq!(call(&owner, &name).await.0.as_deref(), Some("Runtime.ExitError"));
    let lines = until(GONE_S, "the call's last line", || async {
        let log = owner.client.function_log(&name, &LogQuery::default()).await.unwrap();
        let lines: Vec<String> = log.lines.into_iter().map(|line| line.text).collect();
        lines.iter().any(|line| line.starts_with("REPORT ")).then_some(lines)
    })
    .await;
    let starts =
        ["cannot begin", "START ", "Runtime.ExitError: Error: Runtime exited", "END ", "REPORT "];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line:?} does not start with {start:?}: {lines:?}");
    }
    assert!(lines[4].contains("Init Duration: ") && lines[4].ends_with("Runtime.ExitError"));
    cloud.close().await;
}

/// A call that waits for an instance gets another when the one it waited for is ended, also where no
/// two of them fit on this host.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_behind_a_call_that_hangs_is_answered_after_its_end() {
    if !std::path::Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    for memory_mib in [128, 3_584] {
        let name = make_of(&owner, "as-told", memory_mib).await;
        // Until a call is expected to be shorter than a start.
        for _ in 0..20 {
            assert_eq!(call(&owner, &name).await.0, None);
        }
        let hangs = call_with(&owner, &name, "\"hang\"");
        let others = (0..3).map(|_| call(&owner, &name));
        let ((error, told), others) = tokio::join!(hangs, futures::future::join_all(others));
        assert_eq!(error.as_deref(), Some("Sandbox.Timedout"), "{told}");
        assert!(others.iter().all(|(error, _)| error.is_none()), "{others:?}");
        owner.client.function_delete(&name).await.unwrap();
    }
    cloud.close().await;
}

/// A program that ends after each answer costs no caller anything.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_after_an_answer_is_replaced_and_no_call_fails() {
    if !std::path::Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let name = make(&owner, "leave").await;
    for round in 0..20 {
        let (error, told) = call(&owner, &name).await;
        assert_eq!(error, None, "round {round}: {told}");
    }
    let mark = mark(&name);
    until(GONE_S, "the last of them to be gone", || async {
        running_with(&mark).is_empty().then_some(())
    })
    .await;
    cloud.close().await;
}

/// A function that behaves like this, under a name that no other test has.
async fn make(owner: &Account, mode: &str) -> FunctionName {
    make_of(owner, mode, 128).await
}

/// The same with this memory.
async fn make_of(owner: &Account, mode: &str, memory_mib: u32) -> FunctionName {
    let name = format!("{mode}-{memory_mib}-{}", std::process::id());
    let name: FunctionName = name.parse().unwrap();
    let object = owner.send(&Package::empty().program("bootstrap", BOOTSTRAP)).await.unwrap().id;
    let wanted = CreateFunction {
        memory_mib: Some(memory_mib),
        timeout_ms: Some(if mode == "disk" { 20_000 } else { 2_000 }),
        environment: [("MODE".to_owned(), mode.to_owned())].into(),
        ..CreateFunction::new(name.clone(), FunctionRuntime::Provided, object)
    };
    owner.client.function_create(&wanted).await.unwrap();
    name
}

/// What every process of a function has in its environment.
fn mark(name: &FunctionName) -> String {
    format!("AWS_LAMBDA_FUNCTION_NAME={name}")
}

/// Calls a function; waits until the gateway knows it.
async fn call(owner: &Account, name: &FunctionName) -> (Option<String>, Value) {
    call_with(owner, name, "{}").await
}

/// The same with this event.
async fn call_with(
    owner: &Account,
    name: &FunctionName,
    event: &'static str,
) -> (Option<String>, Value) {
    let called = owner.call(name, event).await;
    (called.error, serde_json::from_slice(&called.body).unwrap())
}
