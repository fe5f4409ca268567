//! A function in Rust: says its event back, in one piece or in several, or fails. It has several
//! calls at a time where it is told that it may.
//!
//! `{"pieces": ["a", "b"]}` is answered by these pieces, one after the other, and
//! `{"fail": "why"}` by an error; with both, the answer fails after its pieces. With `{"meet": 3}` it
//! answers once three calls have come. On its end it says so, which only a program sees that is asked
//! to end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambda_runtime::streaming::{Body, channel};
use lambda_runtime::{Error, FunctionResponse, LambdaEvent, StreamResponse, service_fn};
use serde_json::{Value, json};

static CALLS: AtomicU32 = AtomicU32::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::spawn_graceful_shutdown_handler(|| async {
        println!("asked to end after {} calls", CALLS.load(Ordering::Relaxed));
    })
    .await;
    lambda_runtime::run_concurrent(service_fn(handler)).await
}

async fn handler(
    event: LambdaEvent<Value>,
) -> Result<FunctionResponse<Value, Body>, Error> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let (event, context) = event.into_parts();
    let meet = event["meet"].as_u64().unwrap_or(0);
    while u64::from(CALLS.load(Ordering::Relaxed)) < meet {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let Some(pieces) = event["pieces"].as_array().cloned() else {
        if let Some(why) = event["fail"].as_str() {
            return Err(why.into());
        }
        let told = json!({ "event": event, "calls": calls, "id": context.request_id });
        return Ok(FunctionResponse::BufferedResponse(told));
    };
    let (mut send, body) = channel();
    let fails = event["fail"].is_string();
    tokio::spawn(async move {
        for piece in pieces {
            let text = piece.as_str().unwrap_or_default().to_owned();
            if send.send_data(text.into()).await.is_err() {
                return;
            }
        }
        if fails {
            send.abort();
        }
    });
    Ok(FunctionResponse::StreamingResponse(StreamResponse::from(body)))
}
