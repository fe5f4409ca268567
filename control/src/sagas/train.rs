//! Training: an algorithm and data sets become a private model.
//!
//! Steps: allocate → run → publish → finish. The job's output is published as a private version
//! with its lineage by a publishing of its own.
//!
//! Always true: a cancelled or failed training leaves no instance and no half model; its log says
//! why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use api::internal::{Purpose, Task};
use api::items::Sharing;
use store::instances::{InstanceState, Owner};
use store::publishes::{PublishRow, PublishState, publish_fetch};
use store::trainings::{TrainingRow, TrainingState, training_fetch, training_update};
use types::{AccountId, InstanceId, ItemId, Name, ObjectId, PublishId, Runtime, TrainingId};
use workflow::saga::{Failure, Outcome, Problem, Saga};

use crate::Control;
use crate::operations::instances::{self, Placing, ungranted};
use crate::operations::publishes;
use crate::operations::trainings::Resolved;
use crate::sagas::failure;
use crate::sagas::publish::{self, ended};

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

    async fn run(&self, step: usize, state: &mut State) -> Result<Outcome, Failure> {
        let row = self.row(state).await?;
        if row.cancel_wanted && step < 3 {
            return Err(Failure::permanent(CANCELLED, "cancelled by its owner"));
        }
        match step {
            0 => self.allocate(state, row).await,
            1 => self.train(state).await,
            2 => self.publish(state, row).await,
            _ => self.finish(state, row).await,
        }
    }

    async fn undo(&self, step: usize, state: &mut State) -> Result<(), Failure> {
        match step {
            0 => self.fail(state).await,
            1 => match state.instance {
                None => Ok(()),
                Some(id) => instances::let_go(&self.control, id).await.map_err(|e| failure(&e)),
            },
            _ => Ok(()),
        }
    }

    fn failed(state: &mut State, problem: &Problem) {
        state.problem = Some(problem.clone());
    }
}

impl TrainSaga {
    async fn allocate(&self, state: &mut State, row: TrainingRow) -> Result<Outcome, Failure> {
        let Some(id) = state.instance else {
            state.instance = Some(InstanceId::new(self.control.clock().uuid()));
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        let placing = Placing {
            id,
            account: state.account,
            owner: Owner::Training(state.training),
            stage: 0,
            task: task(state),
        };
        let placed = instances::place(&self.control, placing).await;
        let instance = placed.map_err(|error| failure(&error))?;
        let host = instances::host_name(&self.control, instance.host_id).await;
        let text = format!("a {} instance on host {host}", state.resolved.instance_type);
        self.say(state, "allocate", &text).await?;
        self.update(TrainingRow { state: TrainingState::Running, instance_id: Some(id), ..row })
            .await?;
        Ok(Outcome::Done)
    }

    async fn train(&self, state: &mut State) -> Result<Outcome, Failure> {
        let id = state.instance.ok_or_else(|| Failure::permanent("internal", "no instance"))?;
        let row = instances::fetch(&self.control, id).await.map_err(|error| failure(&error))?;
        let Some(report) = ended(&row)? else {
            return Ok(Outcome::Wait { retry_after_ms: WAIT_MS });
        };
        if row.state == InstanceState::Failed {
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
        let Some(id) = state.publish else {
            state.publish = Some(PublishId::new(self.control.clock().uuid()));
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        if row.state == TrainingState::Running {
            self.begin_publish(state, id).await?;
            self.update(TrainingRow { state: TrainingState::Publishing, ..row }).await?;
        }
        let read = self
            .control
            .shared
            .store
            .read("fetch a publishing", |tx| Box::pin(publish_fetch(tx, id)));
        let publish = read.await.map_err(|error| failure(&error.into()))?;
        match publish.state {
            PublishState::Running => Ok(Outcome::Wait { retry_after_ms: WAIT_MS / 4 }),
            PublishState::Failed => {
                let why = publish.error.unwrap_or_default();
                Err(Failure::permanent("training_failed", format!("the model is not sound: {why}")))
            }
            PublishState::Published => {
                state.version = publish.item_id.zip(publish.version);
                Ok(Outcome::Done)
            }
        }
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
        let (item, version) =
            state.version.ok_or_else(|| Failure::permanent("internal", "no version"))?;
        self.say(state, "finish", &format!("the model is {}@{version}", state.model)).await?;
        let now_ms = self.control.now_ms();
        self.update(TrainingRow {
            state: TrainingState::Succeeded,
            model_item: Some(item),
            model_version: Some(version),
            ended_at_ms: Some(row.ended_at_ms.unwrap_or(now_ms)),
            ..row
        })
        .await?;
        self.release_output(state).await?;
        Ok(Outcome::Done)
    }

    async fn fail(&self, state: &State) -> Result<(), Failure> {
        let row = self.row(state).await?;
        if row.state.ended() {
            return Ok(());
        }
        let problem = state.problem.as_ref();
        let cancelled = problem.is_some_and(|problem| problem.code == CANCELLED);
        let text = problem.map_or_else(String::new, ToString::to_string);
        self.say(state, "end", &text).await?;
        self.release_output(state).await?;
        let now_ms = self.control.now_ms();
        self.update(TrainingRow {
            state: if cancelled { TrainingState::Cancelled } else { TrainingState::Failed },
            error: Some(text),
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
            Box::pin(async move { store::objects::objects_release(tx, &holder).await })
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

/// The job, by the training contract.
fn task(state: &State) -> Task {
    let resolved = &state.resolved;
    let grant = |package: &crate::operations::trainings::Package| {
        ungranted(package.owner, package.object, package.bytes)
    };
    let channels: BTreeMap<_, _> =
        resolved.channels.iter().map(|(name, package)| (name.clone(), grant(package))).collect();
    Task {
        runtime: Runtime::Job,
        package: grant(&resolved.algorithm),
        entry: resolved.entry.clone(),
        args: resolved.args.clone(),
        limits: resolved.limits,
        batch_max: 1,
        purpose: Purpose::Train { config: config(resolved), channels },
    }
}

/// Files of `/opt/ml/input/config`. Values of hyperparameters are texts.
///
/// Source: SageMaker, "How Amazon SageMaker Provides Training Information".
fn config(resolved: &Resolved) -> BTreeMap<String, serde_json::Value> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let hyperparameters: BTreeMap<&String, String> =
        resolved.parameters.iter().map(|(name, value)| (name, text(value))).collect();
    let channel = serde_json::json!({
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    });
    let channels: BTreeMap<&String, &serde_json::Value> =
        resolved.channels.keys().map(|name| (name, &channel)).collect();
    BTreeMap::from([
        ("hyperparameters.json".to_owned(), serde_json::json!(hyperparameters)),
        ("inputdataconfig.json".to_owned(), serde_json::json!(channels)),
        (
            "resourceconfig.json".to_owned(),
            serde_json::json!({
                "current_host": "algo-1",
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            }),
        ),
    ])
}
