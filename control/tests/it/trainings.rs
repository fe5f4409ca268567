//! Trainings: cancelled wherever they stand, tried again on another host, and never half.

use api::items::Sharing;
use api::trainings::{TrainRequest, Training, TrainingState};
use bytes::Bytes;
use control::Error;
use control::operations::{instances, items, trainings};
use serde_json::json;
use store::instances::{Owner, Wanted, instances_list_of};
use store::objects::object_holders;
use testkit::Package;
use types::{Reference, TrainingId};

use crate::agent::{Agent, Play};
use crate::harness::{House, Member, name, read};
use crate::triggers::{end_run, firings, watch};

struct World {
    house: House,
    agent: Agent,
    alice: Member,
    algorithm: Reference,
    data: Reference,
}

impl World {
    async fn open() -> Self {
        let house = House::open().await;
        let agent = Agent::on(&house.control, 1).await;
        let producer = house.account("producer").await;
        let trainer = (&Package::trainer("trainer"), Sharing::Everybody);
        let algorithm = house.publish(&agent, &producer, trainer).await;
        let events = (&Package::events("events"), Sharing::Everybody);
        let data = house.publish(&agent, &producer, events).await;
        let alice = house.account("alice").await;
        Self { house, agent, alice, algorithm, data }
    }

    async fn begin(&self) -> TrainingId {
        let request = TrainRequest {
            algorithm: self.algorithm.clone(),
            data: [("training".to_owned(), self.data.clone())].into(),
            parameters: [].into(),
            instance_type: None,
            model: name("risk"),
        };
        trainings::create(&self.house.control, &self.alice, request).await.unwrap().id
    }

    async fn fetch(&self, id: TrainingId) -> Training {
        trainings::fetch(&self.house.control, &self.alice, id).await.unwrap()
    }

    async fn reach(&self, id: TrainingId, state: TrainingState) -> Training {
        let what = format!("a training to be {state:?}");
        self.house
            .until(&self.agent, &what, || async {
                let training = self.fetch(id).await;
                (training.state == state).then_some(training)
            })
            .await
    }

    /// Cancels, and sees that nothing is left.
    async fn cancelled(&self, id: TrainingId) {
        trainings::cancel(&self.house.control, &self.alice, id).await.unwrap();
        let training = self.reach(id, TrainingState::Cancelled).await;
        assert_eq!(training.model, None);
        assert_eq!(training.error_code.as_deref(), Some("cancelled"));
        assert!(training.error.unwrap_or_default().contains("cancelled by its owner"));
        for _ in 0..10 {
            self.house.pass(&self.agent).await;
        }
        let (account, item) = (name("alice"), name("risk"));
        let risk = items::fetch(&self.house.control, &self.alice, &account, &item).await;
        assert!(matches!(risk, Err(Error::NotFound { .. })), "a model nobody wants");
        assert_eq!(self.agent.assigned(&self.house.control).await, []);
    }
}

#[tokio::test]
async fn a_training_becomes_a_private_model_with_its_lineage() {
    let world = World::open().await;
    let id = world.begin().await;
    let training = world.reach(id, TrainingState::Succeeded).await;
    assert_eq!(training.model.unwrap().to_string(), "alice/risk@1");
    assert_eq!(training.progress_ppm, Some(1_000_000));
    let item = (&name("alice"), &name("risk"));
    let control = &world.house.control;
    let version = items::version(control, &world.alice, item, 1).await.unwrap();
    let lineage = version.lineage.unwrap();
    assert_eq!(lineage.algorithm, world.algorithm);
    assert_eq!(lineage.data[0].dataset, world.data);
    let stranger = world.house.someone().await;
    let hidden = items::version(control, &stranger, item, 1).await;
    assert!(matches!(hidden, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_training_that_waits_can_be_cancelled() {
    let world = World::open().await;
    world.house.time.advance_ms(60_000);
    let id = world.begin().await;
    for _ in 0..200 {
        world.house.control.settle().await.unwrap();
        world.house.time.advance_ms(1_000);
    }
    // No host is there: it waits for one, however long that takes.
    assert_eq!(world.fetch(id).await.state, TrainingState::Waiting);
    world.cancelled(id).await;
}

#[tokio::test]
async fn a_training_that_runs_can_be_cancelled() {
    let world = World::open().await;
    world.agent.play(Play::Hangs);
    let id = world.begin().await;
    world.reach(id, TrainingState::Running).await;
    world.cancelled(id).await;
}

#[tokio::test]
async fn a_training_whose_model_is_being_published_can_be_cancelled() {
    let world = World::open().await;
    world.agent.play(Play::Hangs);
    let id = world.begin().await;
    world.reach(id, TrainingState::Running).await;
    // The job comes to its end; the proof of its model hangs.
    world.agent.unhang(&world.house.control).await;
    world.agent.play(Play::Hangs);
    world.reach(id, TrainingState::Publishing).await;
    for _ in 0..3 {
        world.house.pass(&world.agent).await;
    }
    assert_eq!(world.fetch(id).await.state, TrainingState::Publishing);
    world.cancelled(id).await;
}

#[tokio::test]
async fn a_cancel_after_the_end_changes_nothing() {
    let world = World::open().await;
    let id = world.begin().await;
    let ended = world.reach(id, TrainingState::Succeeded).await;
    trainings::cancel(&world.house.control, &world.alice, id).await.unwrap();
    for _ in 0..3 {
        world.house.pass(&world.agent).await;
    }
    assert_eq!(world.fetch(id).await, ended);
}

#[tokio::test]
async fn a_job_that_fails_or_leaves_no_model_says_why() {
    let world = World::open().await;
    world.agent.play(Play::Fails("the data has no labels"));
    let id = world.begin().await;
    let failed = world.reach(id, TrainingState::Failed).await;
    assert_eq!(failed.error.as_deref(), Some("run: the data has no labels"));
    assert_eq!(failed.error_code.as_deref(), Some("training_failed"));
    world.agent.play(Play::EmptyHanded);
    let id = world.begin().await;
    let failed = world.reach(id, TrainingState::Failed).await;
    assert_eq!(failed.error.as_deref(), Some("run: the job left no model"));
}

#[tokio::test]
async fn a_job_whose_host_is_lost_runs_on_another() {
    let world = World::open().await;
    world.agent.play(Play::Hangs);
    let id = world.begin().await;
    world.reach(id, TrainingState::Running).await;
    let other = Agent::on(&world.house.control, 2).await;
    world.house.time.advance_ms(20_000);
    let ended = world
        .house
        .until(&other, "the training to end", || async {
            let training = world.fetch(id).await;
            (training.state == TrainingState::Succeeded).then_some(training)
        })
        .await;
    assert_eq!((ended.error, ended.error_code), (None, None));
    let rows = read!(world.house.store(), instances_list_of(Owner::Training(id))).unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn an_output_that_comes_after_the_cancel_is_refused() {
    let world = World::open().await;
    world.agent.play(Play::Hangs);
    let id = world.begin().await;
    world.reach(id, TrainingState::Running).await;
    let rows = read!(world.house.store(), instances_list_of(Owner::Training(id))).unwrap();
    world.cancelled(id).await;
    let body = futures::stream::iter([Ok(Bytes::from_static(b"late"))]);
    let late = instances::output(&world.house.control, rows[0].id, body).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
}

#[tokio::test]
async fn a_model_is_held_by_its_version_alone() {
    let world = World::open().await;
    let id = world.begin().await;
    world.reach(id, TrainingState::Succeeded).await;
    let item = (&name("alice"), &name("risk"));
    let version = items::version(&world.house.control, &world.alice, item, 1).await.unwrap();
    let holders = read!(world.house.store(), object_holders(version.object.unwrap())).unwrap();
    assert_eq!(holders, [format!("version:{}@1", version.item)]);
    let rows = read!(world.house.store(), instances_list_of(Owner::Training(id))).unwrap();
    assert!(rows.iter().all(|row| row.wanted == Wanted::Gone && row.state.ended()));
}

#[tokio::test]
async fn a_trigger_has_a_model_trained_anew_and_once_at_a_time() {
    let world = World::open().await;
    let first = world.begin().await;
    world.reach(first, TrainingState::Succeeded).await;
    let (house, alice) = (&world.house, &world.alice);
    let wanted = json!({ "name": "risk", "source": "risk" });
    assert_eq!(house.post(alice, "/v1/endpoints", wanted).await.status, 202);
    assert_eq!(house.post(alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    let when = json!({ "is": { "metric": "errors_ppm", "at_least": 50_000 } });
    let then = json!([{ "kind": "retrain" }]);
    let wanted = json!({
        "name": "worse", "on": "replay", "variant": "main", "when": when, "then": then
    });
    let made = house.post(alice, "/v1/endpoints/risk/triggers", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    let count = async || {
        let all = house.get(alice, "/v1/trainings").await.body;
        all["items"].as_array().unwrap().len()
    };
    for said in ["risk is trained anew", "risk is being trained already"] {
        house.time.advance_ms(1_000);
        let wanted = json!({ "endpoint": "risk", "stream": "sales", "variants": ["main"] });
        let run = house.post(alice, "/v1/runs", wanted).await;
        end_run(house, run.body["id"].as_str().unwrap().parse().unwrap(), (true, 100)).await;
        while watch(house).await > 0 {}
        let fired = &firings(house, alice).await[0];
        let words = fired["did"][0]["words"].as_str().unwrap();
        assert!(words.starts_with(said), "{fired}");
        assert_eq!(count().await, 2);
    }
    let all = house.get(alice, "/v1/trainings").await.body;
    let [again, before] = [&all["items"][0]["request"], &all["items"][1]["request"]];
    assert_eq!((&again["model"], &again["parameters"]), (&before["model"], &before["parameters"]));
    assert_eq!(
        (&again["algorithm"], &again["data"]["training"]),
        (&json!("producer/trainer"), &json!("producer/events"))
    );
}
