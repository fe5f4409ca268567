//! A server that does nothing but give each request to an instance: what calls through a gateway are
//! measured beside. Instances are those of this program's other measurements, in the same sandboxes.
//!
//! Always true: an instance has one call at a time. It says its address on one line, then serves
//! until it is killed.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use executor::Running;
use executor::runtime_api::Outcome;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Host, Trouble, invocation};

/// The instances that wait for work.
struct Pool {
    idle: Mutex<Vec<Running>>,
    places: Semaphore,
    calls: AtomicU64,
}

/// Serves this kind of function with so many instances.
#[tokio::main]
pub(super) async fn run(kind: &str, instances: &str) -> Result<(), Trouble> {
    let host = Host::new(None)?;
    let kinds = host.kinds();
    let kind = kinds.iter().find(|known| known.name == kind).ok_or("no such kind of function")?;
    let mut idle = Vec::new();
    for _ in 0..instances.parse()? {
        // Its first call is over then, as is that of an instance behind a gateway.
        idle.push(host.first_call(kind, None).await?.1);
    }
    let places = Semaphore::new(idle.len());
    let pool = Arc::new(Pool { idle: Mutex::new(idle), places, calls: AtomicU64::new(0) });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = Arc::clone(&pool);
        let service = service_fn(move |request| {
            let pool = Arc::clone(&pool);
            async move { Ok::<_, Infallible>(answer(&pool, request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that goes away in the middle is no concern of this program.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn answer(pool: &Pool, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match call(pool, request).await {
        Ok(payload) => Response::new(Full::new(payload)),
        Err(trouble) => {
            let mut response = Response::new(Full::new(Bytes::from(trouble.to_string())));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

async fn call(pool: &Pool, request: Request<Incoming>) -> Result<Bytes, Trouble> {
    let payload = request.into_body().collect().await?.to_bytes();
    let _place = pool.places.acquire().await?;
    let running = pool.idle.lock().pop().ok_or("a place without an instance")?;
    let id = format!("call-{}", pool.calls.fetch_add(1, Ordering::Relaxed));
    let runtime = running.runtime().ok_or("a function without a Runtime API")?;
    let outcome = runtime.invoke(invocation(id, payload)).await;
    pool.idle.lock().push(running);
    match outcome {
        Outcome::Answered { payload, .. } => Ok(payload),
        Outcome::Failed(failure) => Err(format!("the function failed: {failure:?}").into()),
        Outcome::Streamed(_) => Err("the function answered in pieces".into()),
    }
}
