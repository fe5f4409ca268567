//! The database is gone, or full, or cannot be written: refused with a code, and resumed by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::Postgres;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::House;
use crate::sql_faults::connect;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_holds_is_unavailable_until_it_lets_go() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let mut other = connect(&house.database()).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let body = json!({ "label": "one", "role": "reader" });
    let refused = house.post(&alice, "/v1/tokens", body.clone()).await;
    assert_eq!((refused.status, refused.code()), (503, "database_unavailable"));
    // What only reads goes on.
    assert_eq!(house.get(&alice, "/v1/whoami").await.status, 200);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(house.post(&alice, "/v1/tokens", body).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_full_is_told_and_resumes_by_itself() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    house.blobs.fail(0, i64::MAX);
    let body = json!({ "chunks": [], "media_type": "application/x-test" });
    let refused = house.post(&alice, "/v1/objects", body.clone()).await;
    assert_eq!((refused.status, refused.code()), (503, "storage_full"));
    house.blobs.mend();
    assert_eq!(house.post(&alice, "/v1/objects", body).await.status, 201);
}

/// A way to a server that can be cut.
struct Wire {
    port: u16,
    whole: Arc<AtomicBool>,
    _work: JoinSet<()>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let whole = Arc::new(AtomicBool::new(true));
        let watched = Arc::clone(&whole);
        let mut work = JoinSet::new();
        work.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = tokio::time::sleep(Duration::from_millis(20)) => {
                        if !watched.load(Ordering::SeqCst) {
                            connections.abort_all();
                        }
                        continue;
                    }
                };
                let Ok((mut near, _)) = accepted else { continue };
                if watched.load(Ordering::SeqCst) {
                    connections.spawn(async move {
                        let far = TcpStream::connect(("127.0.0.1", port)).await;
                        if let Ok(mut far) = far {
                            copy_bidirectional(&mut near, &mut far).await.ok();
                        }
                    });
                }
            }
        });
        Self { port: own, whole, _work: work }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_server_that_is_gone_is_told_and_resumes_by_itself() {
    let Some(server) = Postgres::find() else { return };
    let url = server.make_database();
    let (front, name) = url.rsplit_once('/').unwrap();
    let (front, port) = front.rsplit_once(':').unwrap();
    let wire = Wire::to(port.parse().unwrap()).await;
    let url = format!("{front}:{}/{name}", wire.port);
    let house = House::open_in(tempfile::tempdir().unwrap(), &url).await;
    let alice = house.account("alice").await;
    assert_eq!(house.get(&alice, "/v1/whoami").await.status, 200);
    wire.whole.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(100)).await;
    for path in ["/v1/whoami", "/v1/health"] {
        let refused = house.get(&alice, path).await;
        assert_eq!((refused.status, refused.code()), (503, "database_unavailable"), "{path}");
    }
    house.control.settle().await.unwrap_err();
    wire.whole.store(true, Ordering::SeqCst);
    assert_eq!(house.get(&alice, "/v1/whoami").await.status, 200);
    house.control.settle().await.unwrap();
    house.control.close().await;
}
