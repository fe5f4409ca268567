//! Every saga, failed, repeated, lost and dropped at every step and every undo.
//!
//! The law of publishing: the whole version or none of it, and the publishing says which. A
//! version is never taken back, so a fault after the last step's effect leaves it published; the
//! sagas without their last step show that every fault before it leaves nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use api::items::Sharing;
use api::publishes::PublishRequest;
use api::trainings::TrainRequest;
use control::operations::{publishes, trainings};
use control::sagas;
use control::sagas::publish::{self, PublishSaga};
use control::sagas::train::{self, TrainSaga};
use store::instances::{InstanceRow, Owner, Wanted, instances_list_of};
use store::items::items_list;
use store::objects::{object_holders, objects_held};
use store::publishes::{PublishRow, PublishState, publish_fetch};
use store::sagas::{saga_save, sagas_list_about};
use store::trainings::{TrainingState, training_fetch};
use store::versions::{VersionRow, versions_list};
use testkit::Package;
use types::{AccountId, ObjectId, Reference, TrainingId};
use workflow::saga::laws::{Ending, Trial, assert_upheld};
use workflow::saga::{Driver, Failure, Outcome, Phase, Problem, Record, Saga, Settings};

use crate::agent::Agent;
use crate::harness::{House, Member, name, packed, read, write};

/// The sagas that are tried below.
const TRIED: [&str; 2] = [PublishSaga::KIND, TrainSaga::KIND];

#[tokio::test]
async fn every_saga_is_tried() {
    let house = House::open().await;
    let kinds: Vec<_> = sagas::registry(&house.control).kinds().collect();
    assert_eq!(kinds, TRIED, "a saga without a trial: add one here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_a_data_set_leaves_the_whole_version_or_none() {
    publishing::<PublishSaga>(&Package::events("events")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_a_model_leaves_the_whole_version_or_none() {
    publishing::<PublishSaga>(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_an_algorithm_leaves_the_whole_version_or_none() {
    publishing::<PublishSaga>(&Package::trainer("trainer")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_that_fails_before_its_last_step_leaves_nothing() {
    publishing::<Unlisted>(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn training_leaves_the_whole_model_or_none() {
    training::<TrainSaga>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn training_that_fails_before_its_model_is_published_leaves_nothing() {
    training::<Untrained>().await;
}

/// A saga of control, whole or cut off before its last steps.
trait Cut: Saga {
    /// Whether nothing may be visible even when every step is done.
    const CUT: bool;
    fn of(house: &House) -> Self;
}

impl Cut for PublishSaga {
    const CUT: bool = false;
    fn of(house: &House) -> Self {
        Self::new(house.control.clone())
    }
}

impl Cut for TrainSaga {
    const CUT: bool = false;
    fn of(house: &House) -> Self {
        Self::new(house.control.clone())
    }
}

/// Declares a saga without the last steps of another.
macro_rules! cut {
    ($name:ident, $whole:ty, $steps:expr) => {
        struct $name($whole);

        impl Cut for $name {
            const CUT: bool = true;
            fn of(house: &House) -> Self {
                Self(Cut::of(house))
            }
        }

        impl Saga for $name {
            const KIND: &'static str = <$whole>::KIND;
            type State = <$whole as Saga>::State;

            fn steps() -> &'static [&'static str] {
                &<$whole>::steps()[..$steps]
            }

            async fn run(&self, step: usize, state: &mut Self::State) -> Result<Outcome, Failure> {
                self.0.run(step, state).await
            }

            async fn undo(&self, step: usize, state: &mut Self::State) -> Result<(), Failure> {
                self.0.undo(step, state).await
            }

            fn failed(state: &mut Self::State, problem: &Problem) {
                <$whole>::failed(state, problem);
            }
        }
    };
}

cut!(Unlisted, PublishSaga, 7);
cut!(Untrained, TrainSaga, 2);

/// The house in which every trial has an account of its own, with the agent of its host.
struct World {
    house: House,
    agent: Agent,
}

impl World {
    async fn open() -> Arc<Self> {
        let house = House::open().await;
        let agent = Agent::on(&house.control, 1).await;
        Arc::new(Self { house, agent })
    }

    /// What happens elsewhere while a saga waits.
    async fn go_on(&self) {
        let control = &self.house.control;
        self.agent.report_host(control).await;
        self.agent.act(control).await;
        let registry = sagas::registry(control);
        let log = Arc::new(self.house.store().clone());
        let driver = Driver::new(self.house.clock.clone(), log, registry, Settings::default());
        driver.activate().await.unwrap();
        self.house.time.advance_ms(300);
    }

    /// Takes the record of a run out of control's hands.
    async fn take(&self, subject: &str) -> Record {
        let store = self.house.store();
        let record = read!(store, sagas_list_about(subject)).unwrap().remove(0);
        let generation = record.generation + 1;
        let ended = Record { phase: Phase::Done, generation, ..record.clone() };
        assert!(write!(store, saga_save(&ended)).unwrap());
        record
    }

    /// Every version of an account.
    async fn versions(&self, account: AccountId) -> Vec<VersionRow> {
        let store = self.house.store();
        let mut versions = Vec::new();
        for item in read!(store, items_list(account, None, 50)).unwrap() {
            versions.extend(read!(store, versions_list(item.id, None, 50)).unwrap());
        }
        versions
    }

    /// Checks that a run had one instance at most, and that it is to run no more.
    async fn let_go(&self, owner: Owner) -> Result<(), String> {
        let rows = read!(self.house.store(), instances_list_of(owner)).unwrap();
        expect(rows.len() <= 1, &format!("{} instances", rows.len()))?;
        let wanted = |row: &InstanceRow| row.wanted == Wanted::Running && !row.state.ended();
        expect(!rows.iter().any(wanted), "an instance that is to run")
    }

    /// Checks that no trial left an instance that is to run.
    async fn at_rest(&self) {
        let assigned = self.agent.assigned(&self.house.control).await;
        assert_eq!(assigned, []);
    }
}

async fn publishing<S: Cut<State = publish::State>>(package: &Package) {
    let world = World::open().await;
    let tar = Arc::new(packed(package));
    let undone_though_listed = Arc::new(AtomicU32::new(0));
    assert_upheld(|| publish_trial::<S>(&world, &tar, &undone_though_listed)).await;
    world.at_rest().await;
    if S::CUT {
        assert_eq!(undone_though_listed.load(Ordering::Relaxed), 0);
    }
}

async fn publish_trial<S: Cut<State = publish::State>>(
    world: &Arc<World>,
    tar: &Arc<Vec<u8>>,
    undone_though_listed: &Arc<AtomicU32>,
) -> Trial<S> {
    let owner = world.house.someone().await;
    let object = world.house.upload(&owner, tar).await;
    let request = PublishRequest { object, sharing: Some(Sharing::Everybody) };
    let publish = publishes::create(&world.house.control, &owner, request).await.unwrap();
    let record = world.take(&publish.id.to_string()).await;
    let state = record.state::<PublishSaga>().unwrap();
    let (during, after) = (Arc::clone(world), Arc::clone(world));
    let counter = Arc::clone(undone_though_listed);
    Trial::new(S::of(&world.house), state)
        .on_wait(move || {
            let world = Arc::clone(&during);
            Box::pin(async move { world.go_on().await })
        })
        .on_end(move |ending, state| {
            let (world, counter) = (Arc::clone(&after), Arc::clone(&counter));
            Box::pin(async move {
                let store = world.house.store();
                let row = read!(store, publish_fetch(state.publish)).unwrap();
                let versions = world.versions(state.account).await;
                if ending == Ending::Undone && row.state == PublishState::Published {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                if ending == Ending::Done && S::CUT {
                    return expect(versions.is_empty(), "a version before it is listed");
                }
                world.let_go(Owner::Publish(row.id)).await?;
                let holders = read!(store, object_holders(state.object)).unwrap();
                let done = ending == Ending::Done;
                published(&row, &versions, done).or(failed(&row, &versions, done))?;
                expect(holders.len() == versions.len(), &format!("held by {holders:?}"))
            })
        })
}

fn expect(law: bool, otherwise: &str) -> Result<(), String> {
    if law { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// The whole version, and the publishing says so.
fn published(row: &PublishRow, versions: &[VersionRow], _: bool) -> Result<(), String> {
    expect(row.state == PublishState::Published, "not published")?;
    expect(row.ended_at_ms.is_some() && row.error.is_none(), "published, and yet not")?;
    expect(row.error_code.is_none(), "published, with the code of an error")?;
    expect(versions.len() == 1, &format!("{} versions", versions.len()))?;
    let version = &versions[0];
    let said = (row.item_id, row.version);
    expect(said == (Some(version.item_id), Some(version.number)), "it names another version")?;
    expect(version.object_id == row.object_id, "a version of another object")
}

/// None of it, and the publishing says at which step and why.
fn failed(row: &PublishRow, versions: &[VersionRow], done: bool) -> Result<(), String> {
    expect(!done, "it is done, and yet not published")?;
    expect(row.state == PublishState::Failed, &format!("it is {:?}", row.state))?;
    expect(versions.is_empty(), &format!("{} versions", versions.len()))?;
    expect(row.ended_at_ms.is_some() && row.version.is_none(), "it failed, and yet not")?;
    let why = row.error.clone().unwrap_or_default();
    expect(why.starts_with(&format!("{}: failed on purpose", row.step)), &format!("why: {why}"))
}

impl World {
    /// What a training needs: an algorithm and data of everybody.
    async fn stock(&self) -> (Reference, Reference) {
        let owner = self.house.account("stock").await;
        let mut made = Vec::new();
        for package in [Package::trainer("trainer"), Package::events("events")] {
            let tried = (&package, Sharing::Everybody);
            made.push(self.house.publish(&self.agent, &owner, tried).await);
        }
        (made.remove(0), made.remove(0))
    }

    async fn train(&self, owner: &Member, stock: &(Reference, Reference)) -> TrainingId {
        let request = TrainRequest {
            algorithm: stock.0.clone(),
            data: [("training".to_owned(), stock.1.clone())].into(),
            parameters: [].into(),
            instance_type: None,
            model: name("risk"),
        };
        trainings::create(&self.house.control, owner, request).await.unwrap().id
    }
}

async fn training<S: Cut<State = train::State>>() {
    let world = World::open().await;
    let stock = Arc::new(world.stock().await);
    assert_upheld(|| train_trial::<S>(&world, &stock)).await;
    world.at_rest().await;
}

async fn train_trial<S: Cut<State = train::State>>(
    world: &Arc<World>,
    stock: &Arc<(Reference, Reference)>,
) -> Trial<S> {
    let owner = world.house.someone().await;
    let id = world.train(&owner, stock).await;
    let record = world.take(&id.to_string()).await;
    let state = record.state::<TrainSaga>().unwrap();
    let (during, after) = (Arc::clone(world), Arc::clone(world));
    let account = owner.account;
    Trial::new(S::of(&world.house), state)
        .on_wait(move || {
            let world = Arc::clone(&during);
            Box::pin(async move { world.go_on().await })
        })
        .on_end(move |ending, _| {
            let world = Arc::clone(&after);
            Box::pin(async move { trained::<S>(&world, (account, id), ending).await })
        })
}

/// The whole model, or none; the training says which, and neither instance nor output is left.
async fn trained<S: Cut>(
    world: &World,
    (account, id): (AccountId, TrainingId),
    ending: Ending,
) -> Result<(), String> {
    let store = world.house.store();
    let row = read!(store, training_fetch(id)).unwrap();
    let versions = world.versions(account).await;
    if S::CUT && ending == Ending::Done {
        return expect(versions.is_empty(), "a model before it is published");
    }
    world.let_go(Owner::Training(id)).await?;
    for instance in read!(store, instances_list_of(Owner::Training(id))).unwrap() {
        let holder = format!("output:{}", instance.id);
        let held: Vec<ObjectId> = read!(store, objects_held(&holder)).unwrap();
        expect(held.is_empty(), &format!("{holder} holds {held:?}"))?;
    }
    let model = row.model_item.zip(row.model_version);
    match row.state {
        TrainingState::Succeeded => {
            let there: Vec<_> =
                versions.iter().map(|version| (version.item_id, version.number)).collect();
            expect(there == model.into_iter().collect::<Vec<_>>(), &format!("{there:?}"))?;
            expect(versions.iter().all(|version| version.lineage.is_some()), "no lineage")?;
            expect(!S::CUT, "a model though it never was published")
        }
        TrainingState::Failed => {
            expect(ending == Ending::Undone, "it is done, and yet failed")?;
            expect(versions.is_empty() && model.is_none(), "half a model")?;
            let why = row.error.unwrap_or_default();
            expect(why.contains("failed on purpose"), &format!("why: {why}"))
        }
        state => Err(format!("it is {state:?}")),
    }
}
