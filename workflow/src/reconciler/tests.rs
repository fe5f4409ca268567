use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Closes a gap of `wanted - actual`, one step at a time.
#[derive(Default)]
struct Fill {
    wanted: AtomicU64,
    actual: AtomicU64,
    panics: AtomicU64,
}

impl Reconciler for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn period_ms(&self) -> u64 {
        1_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            if self.panics.load(Ordering::Relaxed) > 0 {
                self.panics.fetch_sub(1, Ordering::Relaxed);
                panic!("spilled");
            }
            let mut status = Status::default();
            let (wanted, actual) =
                (self.wanted.load(Ordering::Relaxed), self.actual.load(Ordering::Relaxed));
            if actual < wanted {
                status.note(Ok::<_, String>(self.actual.fetch_add(1, Ordering::Relaxed)));
            }
            status
        }
        .boxed()
    }
}

fn fixture() -> (Arc<Fill>, Driver, crate::ManualHandle) {
    let (clock, handle) = Clock::manual(1_000_000);
    let fill = Arc::new(Fill::default());
    let driver = Driver::new(clock, Activator::new(), vec![Arc::clone(&fill) as _]);
    (fill, driver, handle)
}

#[tokio::test]
async fn settling_ends_when_a_whole_round_changes_nothing() {
    let (fill, driver, _handle) = fixture();
    fill.wanted.store(5, Ordering::Relaxed);
    assert!(!driver.settle(3).await);
    assert!(driver.settle(10).await);
    assert_eq!(fill.actual.load(Ordering::Relaxed), 5);
    assert_eq!(driver.activate("absent").await, None);
}

#[tokio::test]
async fn a_reconciler_runs_at_its_start_by_its_timer_and_by_wake() {
    let (fill, driver, handle) = fixture();
    fill.wanted.store(10, Ordering::Relaxed);
    let tasks = Tasks::new();
    driver.run(&tasks);
    handle.pass_ms(0).await;
    assert_eq!(fill.actual.load(Ordering::Relaxed), 1);
    handle.pass_ms(999).await;
    assert_eq!(fill.actual.load(Ordering::Relaxed), 1);
    handle.pass_ms(1).await;
    handle.pass_ms(0).await;
    assert_eq!(fill.actual.load(Ordering::Relaxed), 2);
    driver.activator().wake("fill");
    handle.pass_ms(0).await;
    assert_eq!(fill.actual.load(Ordering::Relaxed), 3);
    let report = &driver.reports()[0];
    assert_eq!((report.activations, report.activated_at_ms), (3, Some(1_001_000)));
    assert_eq!(report.status, Status { steps_done: 1, ..Status::default() });
    assert_eq!(tasks.stop(5_000).await, []);
}

#[tokio::test]
async fn a_wake_before_the_start_is_kept() {
    let (fill, driver, handle) = fixture();
    fill.wanted.store(10, Ordering::Relaxed);
    driver.activator().wake("fill");
    let tasks = Tasks::new();
    driver.run(&tasks);
    handle.pass_ms(0).await;
    assert_eq!(fill.actual.load(Ordering::Relaxed), 2);
    tasks.stop(5_000).await;
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_activation_and_the_next_one_runs() {
    let (fill, driver, _handle) = fixture();
    fill.wanted.store(1, Ordering::Relaxed);
    fill.panics.store(1, Ordering::Relaxed);
    assert_eq!(driver.activate("fill").await, Some(Status::failed("panicked: spilled")));
    assert_eq!(driver.activate("fill").await.map(|status| status.steps_done), Some(1));
}

#[test]
#[should_panic(expected = "two reconcilers named fill")]
fn two_reconcilers_of_one_name_are_refused() {
    let fill = Arc::new(Fill::default());
    let both = vec![Arc::clone(&fill) as Arc<dyn Reconciler>, fill as _];
    Driver::new(Clock::manual(0).0, Activator::new(), both);
}
