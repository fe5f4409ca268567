//! A bare hyper server that answers every request with the request's own body: what the protocol
//! benchmark is measured beside.
//!
//! Usage: `bench-echo ADDRESS`. It says its address on one line, then serves until it is killed.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for benchmarks")]

use std::convert::Infallible;
use std::error::Error;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new().serve_connection(
            TokioIo::new(stream),
            service_fn(|request: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            }),
        );
        // A client that goes away in the middle is no concern of this program.
        tokio::spawn(async move { drop(connection.await) });
    }
}
