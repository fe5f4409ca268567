//! Traces of calls, as a collector gets them, and what a function is told of its own.

use std::sync::{Arc, Mutex};

use api::functions::CreateFunction;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use testkit::wait::until;
use testkit::{Cloud, Package};
use types::FunctionRuntime;
use workflow::Tasks;

use crate::world::{PROGRAM, http, strangers};

/// Longest time until spans are sent: they go in batches, every few seconds.
const SENT_S: u64 = 30;

const CODE: &str = r#"
import os

def handler(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID", "")
"#;

type Sent = Arc<Mutex<Vec<u8>>>;

/// A collector that keeps what it is sent.
async fn collector(tasks: &Tasks) -> (String, Sent) {
    let sent = Sent::default();
    let keep =
        |State(sent): State<Sent>, body: Bytes| async move { sent.lock().unwrap().extend(&body) };
    let router = axum::Router::new().route("/v1/traces", post(keep)).with_state(Arc::clone(&sent));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("collector", async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}/v1/traces"), sent)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_span_of_its_callers_trace_and_the_parent_of_the_functions_own() {
    let tasks = Tasks::new();
    let (address, sent) = collector(&tasks).await;
    let cloud = Cloud::one_with(PROGRAM, &["--otlp", &address]).await;
    let (owner, _) = strangers(&cloud).await;
    let object = owner.send(&Package::empty().file("app.py", CODE)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(128),
        ..CreateFunction::new("traced".parse().unwrap(), FunctionRuntime::Python3, object)
    };
    owner.client.function_create(&wanted).await.unwrap();
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let url = format!("{}/v1/functions/traced/invocations", cloud.http());
    let told = until(SENT_S, "the gateway to know the function", || async {
        let call = http().post(&url).bearer_auth(&owner.token).body("{}");
        let answer = call.header("traceparent", format!("00-{trace}-{span}-01")).send().await;
        let answer = answer.unwrap();
        if answer.status() == 404 {
            return None;
        }
        Some(answer.json::<String>().await.unwrap())
    })
    .await;
    // The function's own spans hang under the call, which hangs under its caller's.
    let root = format!("Root=1-{}-{};Parent=", &trace[..8], &trace[8..]);
    assert!(told.starts_with(&root) && told.ends_with(";Sampled=1"), "{told}");
    assert!(!told.contains(span), "{told}");
    let own = hex::decode(&told[root.len()..root.len() + 16]).unwrap();
    until(SENT_S, "the collector to have the call and its parts", || async {
        let sent = sent.lock().unwrap();
        let ids = [hex::decode(trace).unwrap(), hex::decode(span).unwrap(), own.clone()];
        let words = ["traced", "faas.invocation_id", "faas.coldstart", "initialisation", "handler"];
        let all = ids.iter().all(|id| holds(&sent, id))
            && words.iter().all(|word| holds(&sent, word.as_bytes()));
        all.then_some(())
    })
    .await;
    cloud.close().await;
}
