use std::future::pending;

use super::*;

#[tokio::test]
async fn a_task_that_watches_the_stop_ends_in_order() {
    let tasks = Tasks::new();
    let stopping = tasks.stopping();
    let handle = tasks.spawn("polite", async move {
        stopping.cancelled().await;
        "finished"
    });
    assert_eq!(tasks.running(), BTreeMap::from([("polite", 1)]));
    assert_eq!(tasks.stop(10_000).await, []);
    assert_eq!(handle.await.unwrap(), "finished");
}

#[tokio::test]
async fn a_task_that_does_not_end_is_aborted_and_named() {
    let tasks = Tasks::new();
    let deaf = tasks.spawn("deaf", pending::<()>());
    tasks.spawn("quick", async {});
    assert_eq!(tasks.stop(20).await, [Leftover { name: "deaf" }]);
    assert!(deaf.await.unwrap_err().is_cancelled());
    assert_eq!(tasks.running(), BTreeMap::new());
    assert_eq!(tasks.stop(20).await, []);
}

#[tokio::test]
async fn a_panic_ends_its_task_only() {
    let tasks = Tasks::new();
    let handle = tasks.spawn("clumsy", async { panic!("dropped a plate") });
    assert!(handle.await.unwrap_err().is_panic());
    assert_eq!(tasks.running(), BTreeMap::new());
    assert_eq!(tasks.spawn("next", async { 7 }).await.unwrap(), 7);
}

#[tokio::test]
async fn an_aborted_task_leaves_the_list() {
    let tasks = Tasks::new();
    let handle = tasks.spawn("short", pending::<()>());
    handle.abort();
    assert!(handle.await.unwrap_err().is_cancelled());
    assert_eq!(tasks.stop(10_000).await, []);
}
