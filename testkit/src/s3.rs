//! An S3-compatible server on the loopback, over a temporary folder.
//!
//! Always true: it runs on a thread of its own, so a test may block while its cloud asks; it ends
//! when it is dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::ports;

const ID: &str = "test-id";
const SECRET: &str = "test-secret";
const BUCKET: &str = "freehold-test";

/// A server with one bucket.
#[derive(Debug)]
pub struct S3 {
    address: SocketAddr,
    root: TempDir,
    /// Dropped to end it.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl S3 {
    /// Starts a server.
    pub fn start() -> Self {
        let root = tempfile::tempdir().expect("the temporary folder can be written");
        std::fs::create_dir(root.path().join(BUCKET)).expect("the folder is ours");
        let mut server = Self { address: ports::take(), root, running: None };
        server.go_on();
        server
    }

    /// Goes away with every connection; what it was given stays.
    pub fn stop(&mut self) {
        if let Some((running, thread)) = self.running.take() {
            drop(running);
            thread.join().expect("the server did not panic");
        }
    }

    /// Comes back at the same address.
    pub fn go_on(&mut self) {
        let files = s3s_fs::FileSystem::new(self.root.path()).expect("the folder is there");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ID, SECRET));
        let service = service.build();
        let (running, ended) = oneshot::channel();
        let address = self.address;
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be made");
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.expect("the port is ours");
                tokio::select! {
                    () = serve(listener, service) => {}
                    _ = ended => {}
                }
            });
        });
        self.running = Some((running, thread));
    }

    /// What goes behind `--objects`.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/some/prefix?endpoint=http://{}", self.address)
    }

    /// The variables that carry its credentials.
    pub fn environment() -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("AWS_ACCESS_KEY_ID", ID),
            pair("AWS_SECRET_ACCESS_KEY", SECRET),
            pair("AWS_REGION", "us-east-1"),
        ]
    }

    /// Where it keeps what it was given.
    pub fn folder(&self) -> &Path {
        self.root.path()
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            // A client that goes away in the middle is no failure of the server.
            let _ = http.serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
