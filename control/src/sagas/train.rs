//! Training: an algorithm and data sets become a private model.
//!
//! Steps: allocate → run → publish → finish. The job's output is published as a private version
//! with its lineage by a publishing of its own.
//!
//! Always true: a cancelled or failed training leaves no instance and no half model; its log says
//! why. A model that was published before the end is there for good, so its training succeeded.

mod job;

use serde::{Deserialize, Serialize};

use api::items::Sharing;
use store::instances::{InstanceState, Owner};
use store::objects::objects_release;
use store::publishes::{PublishRow, PublishState, publish_fetch};
use store::trainings::{TrainingRow, TrainingState, training_fetch, training_update};
use types::{AccountId, ErrorKind, InstanceId, ItemId, Name, ObjectId, PublishId, TrainingId};
use workflow::saga::{Failure, Limits, Outcome, Problem, Saga};

use crate::Control;
use crate::operations::instances::{self, Placing};
use crate::operations::publishes;
use crate::operations::trainings::Resolved;
use crate::sagas::publish;
use crate::sagas::{HOSTS_LOST_MAX, Placed, ended, failure, lost, placed};

/// How often a saga looks whether its instance has reported; a report nudges it sooner.
const WAIT_MS: u64 = 1_000;

const STEPS: [&str; 4] = ["allocate", "run", "publish", "finish"];
/// The code of a training that its owner did not want any more.
const CANCELLED: &str = "cancelled";

/// Makes a model.
#[derive(Debug)]
pub struct TrainSaga {
    control: Control,
}

/// What the steps hand on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    training: TrainingId,
    account: AccountId,
    account_name: Name,
    model: Name,
    pub(crate) resolved: Resolved,
    instance: Option<InstanceId>,
    /// How many instances were lost with their hosts.
    #[serde(default)]
    hosts_lost: u32,
    output: Option<ObjectId>,
    publish: Option<PublishId>,
    version: Option<(ItemId, u32)>,
    problem: Option<Problem>,
}

impl State {
    /// A training at its beginning.
    pub(crate) fn new(
        row: &TrainingRow,
        account_name: Name,
        model: Name,
        resolved: Resolved,
    ) -> Self {
        Self {
            training: row.id,
            account: row.account_id,
            account_name,
            model,
            resolved,
            instance: None,
            hosts_lost: 0,
            output: None,
            publish: None,
            version: None,
            problem: None,
        }
    }
}

impl TrainSaga {
    /// Training by this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }
}

impl Saga for TrainSaga {
    const KIND: &'static str = "train";
    type State = State;

    fn steps() -> &'static [&'static str] {
        &STEPS
    }

    /// The longest job that a manifest may ask for, and a day to place it and take its model.
    fn limits() -> Limits {
        let age_ms_max = formats::manifest::JOB_MS_MAX + 24 * 3_600_000;
        Limits { age_ms_max, ..Limits::default() }
    }

    async fn run(&self, step: usize, state: &mut State) -> Result<Outcome, Failure> {
        let row = self.row(state).await?;
        if row.cancel_wanted && step < 2 {
            return Err(unwanted());
        }
        match step {
            0 => self.allocate(state, row).await,
            1 => self.train(state, row).await,
            2 => self.publish(state, row).await,
            _ => self.finish(state, row).await,
        }
    }

    async fn undo(&self, step: usize, state: &mut State) -> Result<(), Failure> {
        match step {
            0 => self.fail(state).await,
            2 => self.end_publish(state).await,
            _ => Ok(()),
        }
    }

    fn failed(state: &mut State, problem: &Problem) {
        state.problem = Some(problem.clone());
    }
}

impl TrainSaga {
    async fn allocate(&self, state: &mut State, row: TrainingRow) -> Result<Outcome, Failure> {
        let instance = match self.instance(state, "allocate").await? {
            Placed::At(instance) => instance,
            Placed::Waits(outcome) => return Ok(outcome),
        };
        let host = instances::host_name(&self.control, instance.host_id).await;
        let text = format!("a {} instance on host {host}", state.resolved.instance_type);
        self.say(state, "allocate", &text).await?;
        let instance_id = Some(instance.id);
        self.update(TrainingRow { state: TrainingState::Running, instance_id, ..row }).await?;
        Ok(Outcome::Done)
    }

    /// The instance of the job, placed where there is none yet.
    async fn instance(&self, state: &mut State, step: &'static str) -> Result<Placed, Failure> {
        let Some(id) = state.instance else {
            // The id is stored before the instance is made, so that a repeated step finds it.
            state.instance = Some(InstanceId::new(self.control.clock().uuid()));
            return Ok(Placed::Waits(Outcome::Wait { retry_after_ms: 0 }));
        };
        let placing = Placing {
            id,
            account: state.account,
            owner: Owner::Training(state.training),
            stage: 0,
            task: job::task(&state.resolved),
        };
        let placed = placed(&self.control, placing).await?;
        if matches!(placed, Placed::Waits(_)) {
            self.say(state, step, "waiting for a host with room").await?;
        }
        Ok(placed)
    }

    async fn train(&self, state: &mut State, row: TrainingRow) -> Result<Outcome, Failure> {
        let instance = match self.instance(state, "run").await? {
            Placed::At(instance) => instance,
            Placed::Waits(outcome) => return Ok(outcome),
        };
        let id = instance.id;
        if row.instance_id != Some(id) {
            self.update(TrainingRow { instance_id: Some(id), ..row }).await?;
        }
        let Some(report) = ended(&instance)? else {
            return Ok(Outcome::Wait { retry_after_ms: WAIT_MS });
        };
        if lost(&instance) && state.hosts_lost < HOSTS_LOST_MAX {
            instances::let_go(&self.control, id).await.map_err(|error| failure(&error))?;
            self.release_output(state).await?;
            state.hosts_lost += 1;
            let text = format!("a host was lost; training again, {} so far", state.hosts_lost);
            self.say(state, "run", &text).await?;
            state.instance = None;
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        }
        if instance.state == InstanceState::Failed {
            let why = report.error.unwrap_or_else(|| "the job failed".to_owned());
            return Err(Failure::permanent("training_failed", why));
        }
        let output = instances::output_of(&self.control, id).await.map_err(|e| failure(&e))?;
        state.output = output;
        if output.is_none() {
            return Err(Failure::permanent("training_failed", "the job left no model"));
        }
        instances::let_go(&self.control, id).await.map_err(|error| failure(&error))?;
        Ok(Outcome::Done)
    }

    async fn publish(&self, state: &mut State, row: TrainingRow) -> Result<Outcome, Failure> {
        let cancelled = row.cancel_wanted;
        let Some(id) = state.publish else {
            if cancelled {
                return Err(unwanted());
            }
            state.publish = Some(PublishId::new(self.control.clock().uuid()));
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        if row.state == TrainingState::Running && !cancelled {
            self.begin_publish(state, id).await?;
            self.update(TrainingRow { state: TrainingState::Publishing, ..row }).await?;
        }
        match self.published(state).await? {
            Some(PublishRow { state: PublishState::Published, item_id, version, .. }) => {
                state.version = item_id.zip(version);
                Ok(Outcome::Done)
            }
            _ if cancelled => Err(unwanted()),
            Some(PublishRow { state: PublishState::Failed, error, .. }) => {
                let why = error.unwrap_or_default();
                Err(Failure::permanent("training_failed", format!("the model is not sound: {why}")))
            }
            _ => Ok(Outcome::Wait { retry_after_ms: WAIT_MS / 4 }),
        }
    }

    /// The model's publishing, if it was begun.
    async fn published(&self, state: &State) -> Result<Option<PublishRow>, Failure> {
        let Some(id) = state.publish else { return Ok(None) };
        let read = self
            .control
            .shared
            .store
            .read("fetch a publishing", |tx| Box::pin(publish_fetch(tx, id)));
        match read.await {
            Ok(row) => Ok(Some(row)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure(&error.into())),
        }
    }

    /// Ends the model's publishing where it still runs, and waits for its end.
    async fn end_publish(&self, state: &State) -> Result<(), Failure> {
        let Some(row) = self.published(state).await? else { return Ok(()) };
        if row.state != PublishState::Running {
            return Ok(());
        }
        let cancelled = instances::cancel_sagas(&self.control, &row.id.to_string()).await;
        cancelled.map_err(|error| failure(&error))?;
        Err(Failure::transient("the publishing of the model has not ended yet"))
    }

    async fn begin_publish(&self, state: &State, id: PublishId) -> Result<(), Failure> {
        let object = state.output.ok_or_else(|| Failure::permanent("internal", "no output"))?;
        let row = PublishRow {
            id,
            account_id: state.account,
            object_id: object,
            state: PublishState::Running,
            step: "receive".to_owned(),
            name: Some(state.model.clone()),
            item_id: None,
            version: None,
            sharing: serde_json::to_value(Sharing::Nobody).unwrap_or_default(),
            error: None,
            error_code: None,
            instance_id: None,
            training_id: Some(state.training),
            created_at_ms: self.control.now_ms(),
            ended_at_ms: None,
        };
        let mut begin = publish::State::new(&row, state.account_name.clone(), Sharing::Nobody);
        begin.name = Some(state.model.clone());
        begin.lineage = Some(state.resolved.lineage.clone());
        publishes::start(&self.control, &row, &begin).await.map_err(|error| failure(&error))
    }

    async fn finish(&self, state: &mut State, row: TrainingRow) -> Result<Outcome, Failure> {
        let version = state.version.ok_or_else(|| Failure::permanent("internal", "no version"))?;
        self.succeed(state, row, version).await?;
        Ok(Outcome::Done)
    }

    async fn succeed(
        &self,
        state: &State,
        row: TrainingRow,
        (item, version): (ItemId, u32),
    ) -> Result<(), Failure> {
        self.say(state, "finish", &format!("the model is {}@{version}", state.model)).await?;
        self.release_output(state).await?;
        let now_ms = self.control.now_ms();
        self.update(TrainingRow {
            state: TrainingState::Succeeded,
            model_item: Some(item),
            model_version: Some(version),
            ended_at_ms: Some(row.ended_at_ms.unwrap_or(now_ms)),
            ..row
        })
        .await
    }

    async fn fail(&self, state: &State) -> Result<(), Failure> {
        if let Some(id) = state.instance {
            instances::let_go(&self.control, id).await.map_err(|error| failure(&error))?;
        }
        let row = self.row(state).await?;
        if row.state.ended() {
            return Ok(());
        }
        if let Some(publish) = self.published(state).await?
            && let Some(version) = publish.item_id.zip(publish.version)
        {
            return self.succeed(state, row, version).await;
        }
        let problem = state.problem.as_ref();
        let cancelled = problem.is_some_and(|problem| problem.code == CANCELLED);
        let text = problem.map_or_else(String::new, ToString::to_string);
        self.say(state, "end", &text).await?;
        self.release_output(state).await?;
        let now_ms = self.control.now_ms();
        self.update(TrainingRow {
            state: if cancelled { TrainingState::Cancelled } else { TrainingState::Failed },
            error: problem.map(ToString::to_string),
            error_code: problem.map(|problem| problem.code.clone()),
            ended_at_ms: Some(now_ms),
            ..row
        })
        .await
    }

    /// The output is held by its publishing and its version from now on, or by nothing.
    async fn release_output(&self, state: &State) -> Result<(), Failure> {
        let Some(id) = state.instance else { return Ok(()) };
        let holder = instances::output_holder(id);
        let released = self.control.shared.store.transact("release an output", |tx| {
            let holder = holder.clone();
            Box::pin(async move { objects_release(tx, &holder).await })
        });
        released.await.map(|_| ()).map_err(|error| failure(&error.into()))
    }

    async fn row(&self, state: &State) -> Result<TrainingRow, Failure> {
        let id = state.training;
        let read = self
            .control
            .shared
            .store
            .read("fetch a training", |tx| Box::pin(training_fetch(tx, id)));
        read.await.map_err(|error| failure(&error.into()))
    }

    async fn update(&self, row: TrainingRow) -> Result<(), Failure> {
        let updated = self.control.shared.store.transact("update a training", |tx| {
            let row = row.clone();
            Box::pin(async move { training_update(tx, &row).await })
        });
        updated.await.map_err(|error| failure(&error.into()))
    }

    async fn say(&self, state: &State, step: &'static str, text: &str) -> Result<(), Failure> {
        let subject = state.training.to_string();
        let said = self.control.say_once(&subject, step, "info", text).await;
        said.map_err(|error| failure(&error))
    }
}

fn unwanted() -> Failure {
    Failure::permanent(CANCELLED, "cancelled by its owner")
}
