use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::super::log::MemoryLog;
use super::super::record::begin;
use super::super::{Failure, Outcome, Saga};
use super::*;
use crate::ManualHandle;

const START_MS: u64 = 1_000_000;

/// What the saga below does, and what it saw, in the hands of a test.
#[derive(Default)]
struct World {
    /// Steps wait at this door until it is opened.
    shut: AtomicBool,
    door: Notify,
    inside: AtomicU32,
    inside_max: AtomicU32,
    ready: AtomicBool,
    undo_broken: AtomicBool,
    acts: Mutex<Vec<String>>,
}

struct Errand {
    world: Arc<World>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Basket {
    way: String,
}

struct Inside<'a>(&'a World);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl World {
    fn note(&self, act: &str) {
        self.acts.lock().push(act.to_owned());
    }

    fn acts(&self) -> String {
        self.acts.lock().join(" ")
    }

    async fn pass_door(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        let _inside = Inside(self);
        self.inside_max.fetch_max(inside, Ordering::SeqCst);
        while self.shut.load(Ordering::SeqCst) {
            self.door.notified().await;
        }
    }

    fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        self.door.notify_waiters();
    }
}

impl Saga for Errand {
    const KIND: &'static str = "errand";
    type State = Basket;

    fn steps() -> &'static [&'static str] {
        &["go", "buy", "return"]
    }

    fn limits() -> Limits {
        Limits { step_ms_max: 100_000, undo_attempts_max: 2, ..Limits::default() }
    }

    async fn run(&self, step: usize, state: &mut Basket) -> Result<Outcome, Failure> {
        let name = Self::steps()[step];
        if name == "go" {
            self.world.pass_door().await;
        }
        if name == "buy" && state.way == "wait" && !self.world.ready.load(Ordering::SeqCst) {
            self.world.note("waits");
            return Ok(Outcome::Wait { retry_after_ms: 30_000 });
        }
        self.world.note(name);
        match (name, state.way.as_str()) {
            ("buy", "broke") => Err(Failure::permanent("no_money", "the purse is empty")),
            ("buy", "closed") => Err(Failure::transient("the shop is closed")),
            ("buy", "panic") => panic!("lost the purse"),
            ("buy", "forever") => std::future::pending().await,
            _ => Ok(Outcome::Done),
        }
    }

    async fn undo(&self, step: usize, _state: &mut Basket) -> Result<(), Failure> {
        self.world.note(&format!("un{}", Self::steps()[step]));
        if self.world.undo_broken.load(Ordering::SeqCst) {
            return Err(Failure::transient("the road is closed"));
        }
        Ok(())
    }
}

/// A log that can be switched off.
#[derive(Default)]
struct Flaky {
    inner: MemoryLog,
    off: AtomicBool,
}

impl Flaky {
    fn guard<T: Send + 'static>(
        &self,
        work: BoxFuture<'_, Result<T, Error>>,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let answer = if self.off.load(Ordering::SeqCst) {
            Err(Error::log("reach", "the database is gone"))
        } else {
            work.now_or_never().expect("a log in memory never waits")
        };
        async { answer }.boxed()
    }
}

impl Log for Flaky {
    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, Error>> {
        self.guard(self.inner.due(now_ms, limit))
    }

    fn owned<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        self.guard(self.inner.owned(owner))
    }

    fn fetch(&self, id: SagaId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        self.guard(self.inner.fetch(id))
    }

    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<bool, Error>> {
        if self.off.load(Ordering::SeqCst) {
            return async { Err(Error::log("reach", "the database is gone")) }.boxed();
        }
        self.inner.save(record)
    }
}

struct Fixture {
    clock: Clock,
    handle: ManualHandle,
    world: Arc<World>,
    log: Arc<Flaky>,
}

impl Fixture {
    fn new() -> Self {
        let (clock, handle) = Clock::manual(START_MS);
        Self { clock, handle, world: Arc::default(), log: Arc::default() }
    }

    fn driver(&self, owner: &str) -> Driver {
        let registry = Registry::new().with(Errand { world: Arc::clone(&self.world) });
        let settings = Settings { owner: owner.to_owned(), ..Settings::default() };
        Driver::new(self.clock.clone(), Arc::clone(&self.log) as _, registry, settings)
    }

    fn begin(&self, way: &str) -> SagaId {
        let id = SagaId::new(self.clock.uuid());
        let basket = Basket { way: way.to_owned() };
        let record = begin::<Errand>(id, "bread", &basket, self.clock.now_ms());
        self.log.inner.insert(record.unwrap());
        id
    }

    fn record(&self, id: SagaId) -> Record {
        self.log.inner.records().into_iter().find(|record| record.id == id).unwrap()
    }

    /// Lets everything that is ready run, without any time passing.
    async fn settle(&self) {
        for _ in 0..4 {
            self.handle.pass_ms(0).await;
        }
    }
}

#[tokio::test]
async fn a_saga_runs_its_steps_in_order_and_is_done() {
    let fixture = Fixture::new();
    let id = fixture.begin("");
    let done = fixture.driver("a").activate().await.unwrap();
    assert_eq!(done, Activation { advanced: 1, events: 3, next_due_ms: None });
    assert_eq!(fixture.world.acts(), "go buy return");
    let record = fixture.record(id);
    assert_eq!((record.phase, record.owner), (Phase::Done, None));
    assert_eq!(fixture.driver("a").activate().await.unwrap(), Activation::default());
}

#[tokio::test]
async fn a_permanent_failure_undoes_the_failed_step_and_those_before_it() {
    let fixture = Fixture::new();
    let id = fixture.begin("broke");
    fixture.driver("a").activate().await.unwrap();
    assert_eq!(fixture.world.acts(), "go buy unbuy ungo");
    let record = fixture.record(id);
    let problem = record.error.unwrap();
    assert_eq!((record.phase, problem.code.as_str()), (Phase::Undone, "no_money"));
    assert_eq!(problem.to_string(), "buy: the purse is empty");
}

#[tokio::test]
async fn transient_failures_are_tried_again_later_and_then_given_up() {
    for way in ["closed", "panic"] {
        let fixture = Fixture::new();
        let id = fixture.begin(way);
        let mut tries = 0;
        while !fixture.record(id).phase.ended() {
            fixture.driver("a").activate().await.unwrap();
            fixture.handle.advance_ms(60_000);
            tries += 1;
        }
        assert_eq!(tries, 8);
        assert_eq!(fixture.record(id).error.unwrap().code, machine::GAVE_UP);
        assert!(fixture.world.acts().ends_with("buy buy unbuy ungo"));
    }
}

#[tokio::test]
async fn a_step_past_its_time_is_dropped_and_tried_again() {
    let fixture = Fixture::new();
    let id = fixture.begin("forever");
    let driver = fixture.driver("a");
    let tasks = Tasks::new();
    driver.run(&tasks);
    fixture.handle.pass_ms(99_000).await;
    assert_eq!(fixture.record(id).attempts, 0);
    assert_eq!(fixture.record(id).owner.as_deref(), Some("a"));
    fixture.handle.pass_ms(1_050).await;
    fixture.settle().await;
    assert_eq!(fixture.record(id).attempts, 1);
    assert_eq!(fixture.world.acts(), "go buy");
    assert_eq!(tasks.stop(1_000).await, []);
}

#[tokio::test]
async fn a_waiting_saga_rests_until_its_time_or_a_nudge() {
    let fixture = Fixture::new();
    let id = fixture.begin("wait");
    let driver = fixture.driver("a");
    let tasks = Tasks::new();
    driver.run(&tasks);
    fixture.handle.pass_ms(20_000).await;
    assert_eq!(fixture.world.acts(), "go waits");
    fixture.handle.pass_ms(11_000).await;
    assert_eq!(fixture.world.acts(), "go waits waits");
    fixture.world.ready.store(true, Ordering::SeqCst);
    driver.nudge(id);
    fixture.settle().await;
    assert_eq!(fixture.world.acts(), "go waits waits buy return");
    assert_eq!(tasks.stop(1_000).await, []);
}

#[tokio::test]
async fn a_nudge_during_a_step_is_not_lost() {
    let fixture = Fixture::new();
    fixture.world.shut.store(true, Ordering::SeqCst);
    let id = fixture.begin("wait");
    let driver = fixture.driver("a");
    let tasks = Tasks::new();
    driver.run(&tasks);
    fixture.settle().await;
    driver.nudge(id);
    fixture.settle().await;
    fixture.world.open();
    fixture.handle.pass_ms(600).await;
    assert_eq!(fixture.world.acts(), "go waits waits");
    tasks.stop(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_drivers_run_each_step_once() {
    let fixture = Fixture::new();
    let ids: Vec<_> = (0..200).map(|_| fixture.begin("")).collect();
    let tasks = Tasks::new();
    for owner in ["a", "b"] {
        fixture.driver(owner).run(&tasks);
    }
    let rounds_max = 10_000;
    for _ in 0..rounds_max {
        fixture.handle.pass_ms(1).await;
        if ids.iter().all(|id| fixture.record(*id).phase == Phase::Done) {
            break;
        }
    }
    assert!(ids.iter().all(|id| fixture.record(*id).phase == Phase::Done));
    for step in Errand::steps() {
        let ran = fixture.world.acts.lock().iter().filter(|act| act == step).count();
        assert_eq!(ran, ids.len());
    }
    assert_eq!(tasks.stop(10_000).await, []);
}

#[tokio::test]
async fn a_cancelled_record_is_undone_only_after_its_running_step_stopped() {
    let fixture = Fixture::new();
    fixture.world.shut.store(true, Ordering::SeqCst);
    let id = fixture.begin("");
    let (one, other) = (fixture.driver("a"), fixture.driver("b"));
    let tasks = Tasks::new();
    one.run(&tasks);
    fixture.settle().await;
    assert_eq!(fixture.world.inside.load(Ordering::SeqCst), 1);
    // The other driver knows of no running step, so the first learns when it renews its claim.
    let record = other.cancel(id).await.unwrap();
    assert_eq!((record.phase, record.owner.as_deref()), (Phase::Undoing, Some("a")));
    assert_eq!(other.activate().await.unwrap(), Activation::default());
    fixture.handle.pass_ms(5_000).await;
    fixture.settle().await;
    assert_eq!(fixture.world.inside.load(Ordering::SeqCst), 0);
    assert_eq!(fixture.world.acts(), "ungo");
    assert_eq!(fixture.record(id).phase, Phase::Undone);
    let late = other.cancel(id).await.unwrap_err();
    assert!(matches!(late, Error::TooLate { phase: Phase::Undone, .. }));
    assert_eq!(tasks.stop(1_000).await, []);
}

#[tokio::test]
async fn a_driver_that_cancels_its_own_step_drops_it_at_once() {
    let fixture = Fixture::new();
    fixture.world.shut.store(true, Ordering::SeqCst);
    let (id, untouched) = (fixture.begin(""), fixture.begin(""));
    let driver = fixture.driver("a");
    let tasks = Tasks::new();
    driver.run(&tasks);
    fixture.settle().await;
    driver.cancel(id).await.unwrap();
    fixture.settle().await;
    assert_eq!(fixture.record(id).phase, Phase::Undone);
    fixture.world.open();
    fixture.settle().await;
    assert_eq!(fixture.record(untouched).phase, Phase::Done);
    assert_eq!(fixture.world.acts(), "ungo go buy return");
    tasks.stop(1_000).await;
}

#[tokio::test]
async fn what_a_dead_driver_claimed_is_taken_over_or_taken_back() {
    let fixture = Fixture::new();
    fixture.world.shut.store(true, Ordering::SeqCst);
    let id = fixture.begin("");
    let tasks = Tasks::new();
    fixture.driver("a").run(&tasks);
    fixture.settle().await;
    // No grace: the step is aborted as a crash would, and its claim stays.
    assert_eq!(tasks.stop(0).await.len(), 2);
    assert_eq!(fixture.record(id).owner.as_deref(), Some("a"));
    fixture.world.open();
    assert_eq!(fixture.driver("b").activate().await.unwrap().advanced, 0);
    assert_eq!(fixture.driver("a").release().await.unwrap(), 1);
    assert_eq!(fixture.driver("b").activate().await.unwrap().advanced, 1);
    assert_eq!(fixture.record(id).phase, Phase::Done);

    fixture.world.shut.store(true, Ordering::SeqCst);
    let id = fixture.begin("");
    let tasks = Tasks::new();
    fixture.driver("a").run(&tasks);
    fixture.settle().await;
    tasks.stop(0).await;
    fixture.world.open();
    fixture.handle.advance_ms(15_000);
    assert_eq!(fixture.driver("b").activate().await.unwrap().advanced, 1);
    assert_eq!(fixture.record(id).phase, Phase::Done);
}

#[tokio::test]
async fn a_claim_is_renewed_as_long_as_its_step_runs() {
    let fixture = Fixture::new();
    fixture.world.shut.store(true, Ordering::SeqCst);
    let id = fixture.begin("");
    let tasks = Tasks::new();
    for owner in ["a", "b"] {
        fixture.driver(owner).run(&tasks);
    }
    fixture.handle.pass_ms(80_000).await;
    fixture.world.open();
    fixture.settle().await;
    assert_eq!(fixture.record(id).phase, Phase::Done);
    assert_eq!(fixture.world.inside_max.load(Ordering::SeqCst), 1);
    assert_eq!(fixture.world.acts(), "go buy return");
    tasks.stop(1_000).await;
}

#[tokio::test]
async fn a_stuck_saga_is_undone_once_its_undo_works() {
    let fixture = Fixture::new();
    fixture.world.undo_broken.store(true, Ordering::SeqCst);
    let id = fixture.begin("broke");
    for _ in 0..4 {
        fixture.driver("a").activate().await.unwrap();
        fixture.handle.advance_ms(60_000);
    }
    let record = fixture.record(id);
    let problem = record.error.unwrap();
    assert_eq!((record.phase, problem.code.as_str()), (Phase::Stuck, "no_money"));
    assert_eq!(problem.undo.as_deref(), Some("the road is closed"));
    fixture.world.undo_broken.store(false, Ordering::SeqCst);
    fixture.handle.advance_ms(10 * 60_000);
    fixture.driver("a").activate().await.unwrap();
    assert_eq!(fixture.record(id).phase, Phase::Undone);
}

#[tokio::test]
async fn sagas_rest_while_their_log_is_gone_and_go_on_by_themselves() {
    let fixture = Fixture::new();
    fixture.log.off.store(true, Ordering::SeqCst);
    let id = fixture.begin("");
    let tasks = Tasks::new();
    fixture.driver("a").run(&tasks);
    fixture.handle.pass_ms(5_000).await;
    assert_eq!(fixture.world.acts(), "");
    fixture.log.off.store(false, Ordering::SeqCst);
    fixture.handle.pass_ms(600).await;
    fixture.settle().await;
    assert_eq!(fixture.record(id).phase, Phase::Done);
    tasks.stop(1_000).await;
}

#[tokio::test]
async fn a_step_that_runs_when_the_stop_begins_is_finished_and_stored() {
    let fixture = Fixture::new();
    fixture.world.shut.store(true, Ordering::SeqCst);
    let id = fixture.begin("");
    let tasks = Tasks::new();
    fixture.driver("a").run(&tasks);
    fixture.settle().await;
    let world = Arc::clone(&fixture.world);
    let open = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.open();
    };
    let (left, ()) = tokio::join!(tasks.stop(10_000), open);
    assert_eq!(left, []);
    let record = fixture.record(id);
    assert_eq!((record.step, record.phase, record.owner), (1, Phase::Forward, None));
    assert_eq!(fixture.world.acts(), "go");
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_left_alone() {
    let fixture = Fixture::new();
    let id = fixture.begin("");
    let driver = Driver::new(
        fixture.clock.clone(),
        Arc::clone(&fixture.log) as _,
        Registry::new(),
        Settings::default(),
    );
    assert_eq!(driver.activate().await.unwrap(), Activation::default());
    let record = fixture.record(id);
    assert_eq!((record.phase, record.due_at_ms), (Phase::Forward, START_MS + 60_000));
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_a_failure_and_not_a_crash() {
    let fixture = Fixture::new();
    let id = fixture.begin("");
    let broken = Record { state: serde_json::json!([1]), ..fixture.record(id) };
    fixture.log.inner.insert(broken);
    fixture.driver("a").activate().await.unwrap();
    let record = fixture.record(id);
    assert_eq!((record.phase, fixture.world.acts()), (Phase::Stuck, String::new()));
    assert!(record.error.unwrap().message.contains("cannot be read"));
}
