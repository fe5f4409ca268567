//! Programs that may have several calls at a time.

use types::Concurrency;

use super::*;

/// Calls at a time.
const TOGETHER: u32 = 4;

/// Answers once as many calls are there as the event says: alone none of several ever would.
const MEETS: &str = r#"
import os, time

def handler(event, context):
    os.makedirs("/tmp/here", exist_ok=True)
    open("/tmp/here/" + context.aws_request_id, "w").close()
    while len(os.listdir("/tmp/here")) < event["together"]:
        time.sleep(0.001)
    if event.get("fail"):
        raise ValueError("told to")
    said = os.environ["AWS_LAMBDA_MAX_CONCURRENCY"]
    return {"process": os.getpid(), "id": context.aws_request_id, "said": said}
"#;

/// The same in Node.js.
const MEETS_IN_NODE: &str = r#"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
export async function handler(event, context) {
  mkdirSync("/tmp/here", { recursive: true });
  writeFileSync("/tmp/here/" + context.awsRequestId, "");
  while (readdirSync("/tmp/here").length < event.together) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (event.fail) throw new RangeError("told to");
  const said = process.env.AWS_LAMBDA_MAX_CONCURRENCY;
  return { process: process.pid, id: context.awsRequestId, said };
}
"#;

/// The same as a server.
const MEETS_AS_SERVER: &str = r#"#!/usr/bin/python3
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, told):
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        own = self.headers["lambda-runtime-aws-request-id"]
        os.makedirs("/tmp/here", exist_ok=True)
        open("/tmp/here/" + own, "w").close()
        while len(os.listdir("/tmp/here")) < event["together"]:
            time.sleep(0.001)
        if event.get("fail"):
            return self.answer(500, "told to")
        said = os.environ["AWS_LAMBDA_MAX_CONCURRENCY"]
        self.answer(200, {"process": os.getpid(), "id": own, "said": said})

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"#;

fn several(function: Function) -> Function {
    Function { concurrency: Concurrency::try_from(TOGETHER).unwrap(), ..function }
}

/// Calls so many times at once, and once more; the first of the first ones is to fail.
async fn meet(running: &Running) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    for round in 0..2 {
        let together = TOGETHER * (round + 1);
        let one = async |call: u32| {
            let id = format!("r-{round}-{call}");
            let event = json!({ "together": together, "fail": round == 0 && call == 0 });
            let outcome = invoke(running, &id, &event).await;
            (id, outcome)
        };
        let all = async { tokio::join!(one(0), one(1), one(2), one(3)) };
        let all = tokio::time::timeout(Duration::from_mins(1), all).await.expect("they meet");
        for (call, (id, outcome)) in <[_; 4]>::from(all).into_iter().enumerate() {
            match outcome {
                Outcome::Failed(failure) => {
                    assert_eq!((round, call), (0, 0), "{failure:?}");
                    assert!(String::from_utf8_lossy(&failure.payload).contains("told to"));
                }
                Outcome::Answered { payload, .. } => {
                    told.push(serde_json::from_slice(&payload).unwrap());
                }
                Outcome::Streamed(pieces) => {
                    let payload = pieces.whole().await.unwrap();
                    told.push(serde_json::from_slice(&payload).unwrap());
                }
            }
            if let Some(last) = told.last()
                && (round, call) != (0, 0)
            {
                assert_eq!((&last["id"], &last["said"]), (&json!(id), &json!("4")));
            }
        }
    }
    assert_eq!(told.len(), 2 * TOGETHER as usize - 1);
    told
}

/// How many processes answered.
fn processes(told: &[Value]) -> usize {
    let mut all: Vec<u64> = told.iter().map(|told| told["process"].as_u64().unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

#[tokio::test]
async fn handlers_of_python_run_in_a_process_for_each_call() {
    for host in Host::each_way(MEETS) {
        let running = host.start(several(python_function("app.handler"))).await;
        assert_eq!(processes(&meet(&running).await), TOGETHER as usize);
    }
}

/// The owner's variable does not count, and nothing is said where an instance has one call.
#[tokio::test]
async fn who_has_one_call_at_a_time_is_told_nothing_of_it() {
    let code = "import os\ndef handler(event, context):\n    \
                return os.environ.get('AWS_LAMBDA_MAX_CONCURRENCY')\n";
    for host in Host::each_way(code) {
        let mut function = python_function("app.handler");
        function.env.insert("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), "9".to_owned());
        let running = host.start(function).await;
        assert_eq!(read(invoke(&running, "r-1", &json!({})).await), Value::Null);
    }
}

/// One process of several that ends takes the instance with it, and its exit status is told.
#[tokio::test]
async fn a_process_that_ends_ends_the_instance() {
    let code = "import os\ndef handler(event, context):\n    os._exit(event)\n";
    for host in Host::each_way(code) {
        let running = host.start(several(python_function("app.handler"))).await;
        let event = json!(7);
        let exit = tokio::select! {
            outcome = invoke(&running, "r-1", &event) => panic!("{outcome:?}"),
            exit = running.wait() => exit,
        };
        assert_eq!((exit.code, exit.ending), (Some(7), Ending::Exited));
    }
}

#[tokio::test]
async fn lambdas_client_for_python_forks_a_process_for_each_call() {
    let Some(client) = std::env::var_os("FREEHOLD_TEST_LAMBDA") else {
        eprintln!("SKIPPED: FREEHOLD_TEST_LAMBDA names no folder with awslambdaric");
        return;
    };
    for host in Host::each_way(MEETS) {
        let package = host.folder.path().join("package");
        for entry in fs::read_dir(&client).unwrap() {
            let entry = entry.unwrap();
            clients::copy(&entry.path(), &package.join(entry.file_name()));
        }
        let mut function = several(python_function("app.handler"));
        function.args = ["-m", "awslambdaric", "app.handler"].map(str::to_owned).into();
        function.env.extend(clients::said("app.handler"));
        let running = host.start(function).await;
        assert_eq!(processes(&meet(&running).await), TOGETHER as usize);
    }
}

#[tokio::test]
async fn handlers_of_nodejs_run_in_one_process() {
    if !Path::new(executor::start::NODE).is_file() {
        eprintln!("SKIPPED: there is no {}", executor::start::NODE);
        return;
    }
    for host in Host::each_way("") {
        host.put("app.mjs", MEETS_IN_NODE);
        let function = Function {
            program: executor::start::NODE.into(),
            args: vec!["/var/runtime/bootstrap.mjs".to_owned()],
            env: clients::said("app.handler"),
            ..Function::default()
        };
        let running = host.start(several(function)).await;
        assert_eq!(processes(&meet(&running).await), 1);
    }
}

#[tokio::test]
async fn a_server_is_asked_on_a_connection_for_each_call() {
    for host in Host::each_way("") {
        host.put("bootstrap", MEETS_AS_SERVER);
        let program = "bootstrap".into();
        let function = Function { program, serves: true, ..Function::default() };
        let running = host.start(several(function)).await;
        assert_eq!(processes(&meet(&running).await), 1);
    }
}
