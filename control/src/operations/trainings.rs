//! Trainings: started, shown, followed and cancelled.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};

use access::{Action, Kind, Resource};
use api::items::{Lineage, LineageData};
use api::pages::{Log, LogQuery, Page, PageQuery};
use api::trainings::{TrainRequest, Training, TrainingState};
use formats::manifest::Manifest;
use store::sagas::saga_insert;
use store::trainings::{
    self as rows, TrainingRow, training_cancel, training_fetch, training_insert, trainings_list,
    trainings_under_way,
};
use store::usage::{UsageRow, usage_add};
use store::versions::VersionRow;
use types::{
    AccountId, InstanceType, ItemId, ItemKind, Limits, Name, ObjectId, Reference, SagaId,
    TrainingId,
};
use workflow::saga;

use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::{self, Seen, from_json};
use crate::operations::{page, slice};
use crate::sagas::train::{State, TrainSaga};
use crate::{Control, Error};

/// What a training was found to need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resolved {
    pub(crate) algorithm: Package,
    pub(crate) channels: BTreeMap<String, Package>,
    pub(crate) entry: String,
    pub(crate) args: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) instance_type: String,
    pub(crate) parameters: BTreeMap<String, serde_json::Value>,
    pub(crate) lineage: Lineage,
}

/// A package that a training reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) item: ItemId,
    pub(crate) version: u32,
    pub(crate) owner: AccountId,
    pub(crate) object: ObjectId,
    pub(crate) bytes: u64,
}

impl Package {
    fn of((seen, version): &(Seen, VersionRow)) -> Self {
        Self {
            item: version.item_id,
            version: version.number,
            owner: seen.item.account_id,
            object: version.object_id,
            bytes: version.package_bytes,
        }
    }
}

/// The account's trainings, newest first.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Training>, Error> {
    control.authorize(caller, Action::TrainingsList, Resource::account(caller.account))?;
    let slice = slice::<TrainingId>(query)?;
    let (account, limit) = (caller.account, slice.limit);
    let read = control
        .shared
        .store
        .read("list trainings", |tx| Box::pin(trainings_list(tx, account, slice.after, limit + 1)));
    let mut shaped = Vec::new();
    for row in read.await? {
        shaped.push(shape(row, &caller.account_name)?);
    }
    Ok(page(shaped, limit, |training| training.id.to_string(), |training| training))
}

/// Starts a training.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: TrainRequest,
) -> Result<Training, Error> {
    let prepared = prepare(control, caller, &request).await?;
    let begin = control.shared.store.transact("begin to train", |tx| {
        let prepared = &prepared;
        Box::pin(async move { prepared.insert(tx).await })
    });
    begin.await?;
    control.drivers().sagas.wake();
    shape(prepared.row, &caller.account_name)
}

/// A training that was found to fit, to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    row: TrainingRow,
    record: saga::Record,
    uses: Vec<UsageRow>,
}

impl Prepared {
    /// Its id.
    pub(crate) const fn id(&self) -> TrainingId {
        self.row.id
    }

    /// Whether the model is being trained by now.
    pub(crate) async fn is_under_way(&self, tx: &mut store::Tx<'_>) -> Result<bool, store::Error> {
        let Ok(request) = from_json::<TrainRequest>(&self.row.request) else { return Ok(false) };
        let all = trainings_under_way(tx, self.row.account_id).await?;
        Ok(of_model(&all, &request.model).is_some())
    }

    /// Writes all of it; whoever does wakes the sagas behind it.
    pub(crate) async fn insert(&self, tx: &mut store::Tx<'_>) -> Result<(), store::Error> {
        training_insert(tx, &self.row).await?;
        for usage in &self.uses {
            usage_add(tx, usage).await?;
        }
        saga_insert(tx, &self.record).await
    }
}

/// The one of some trainings that makes versions of a model.
pub(crate) fn of_model<'a>(all: &'a [TrainingRow], model: &Name) -> Option<&'a TrainingRow> {
    all.iter().find(|row| {
        from_json::<TrainRequest>(&row.request).is_ok_and(|request| request.model == *model)
    })
}

/// Finds what a training needs, for somebody who may start it.
pub(crate) async fn prepare(
    control: &Control,
    caller: &Caller,
    request: &TrainRequest,
) -> Result<Prepared, Error> {
    control.authorize(caller, Action::TrainingsCreate, Resource::account(caller.account))?;
    let resolved = resolve(control, caller, request).await?;
    let json = |value| -> Result<serde_json::Value, Error> {
        serde_json::to_value(value).map_err(|error| Error::internal("could not write", error))
    };
    let row = TrainingRow {
        id: TrainingId::new(control.clock().uuid()),
        account_id: caller.account,
        request: serde_json::to_value(request)
            .map_err(|error| Error::internal("could not write a request", error))?,
        resolved: json(&resolved)?,
        state: rows::TrainingState::Waiting,
        progress_ppm: None,
        instance_id: None,
        model_item: None,
        model_version: None,
        error: None,
        error_code: None,
        cancel_wanted: false,
        created_at_ms: control.now_ms(),
        ended_at_ms: None,
    };
    let state = State::new(&row, caller.account_name.clone(), request.model.clone(), resolved);
    let id = SagaId::new(control.clock().uuid());
    let record = saga::begin::<TrainSaga>(id, row.id.to_string(), &state, row.created_at_ms)
        .map_err(|error| Error::internal("could not begin to train", error))?;
    let packages =
        std::iter::once(&state.resolved.algorithm).chain(state.resolved.channels.values());
    let of = |package: &Package| UsageRow {
        item_id: package.item,
        version: package.version,
        endpoint_id: None,
        caller: Some(caller.account),
        requests: 0,
        failures: 0,
        trainings: 1,
    };
    let uses = packages.map(of).collect();
    Ok(Prepared { row, record, uses })
}

/// Finds what a training needs, and checks that it fits.
async fn resolve(
    control: &Control,
    caller: &Caller,
    request: &TrainRequest,
) -> Result<Resolved, Error> {
    let algorithm = items::resolve(control, caller, &request.algorithm).await?;
    let kind = algorithm.0.item.kind;
    if kind != ItemKind::Algorithm {
        return Err(Error::wrong_kind(format!(
            "{} is a {kind}, not an algorithm",
            request.algorithm
        )));
    }
    let manifest: Manifest = from_json(&algorithm.1.manifest)?;
    let task = manifest.task.clone().ok_or_else(|| Error::invalid("the algorithm has no task"))?;
    let parameters = manifest
        .resolve_parameters(&request.parameters)
        .map_err(|error| Error::Invalid { code: error.code(), message: error.to_string() })?;
    let (channels, data) = resolve_data(control, caller, request, &manifest.channels).await?;
    let listing = items::listing(&algorithm.1.listing)?;
    let limits = Limits {
        timeout_ms: task.timeout_ms,
        memory_bytes: listing.requires.memory_bytes,
        cpu_milli: listing.requires.cpu_milli,
        processes: listing.requires.processes,
        scratch_bytes: listing.requires.scratch_bytes,
    };
    let size = size(request.instance_type.as_deref(), limits.memory_bytes, limits.cpu_milli)?;
    Ok(Resolved {
        algorithm: Package::of(&algorithm),
        channels,
        entry: task.entry,
        args: task.args,
        limits: Limits { memory_bytes: size.memory_bytes, cpu_milli: size.cpu_milli, ..limits },
        instance_type: size.name.to_owned(),
        lineage: Lineage {
            algorithm: reference(&algorithm),
            algorithm_sha256: algorithm.1.package_sha256,
            data,
            parameters: serde_json::to_value(&parameters).unwrap_or_default(),
        },
        parameters,
    })
}

type Data = (BTreeMap<String, Package>, Vec<LineageData>);

async fn resolve_data(
    control: &Control,
    caller: &Caller,
    request: &TrainRequest,
    channels: &[String],
) -> Result<Data, Error> {
    if let Some(unknown) = request.data.keys().find(|name| !channels.contains(name)) {
        return Err(Error::invalid(format!(
            "the algorithm has no channel {unknown:?}; it reads {}",
            channels.join(", ")
        )));
    }
    let (mut packages, mut lineage) = (BTreeMap::new(), Vec::new());
    for channel in channels {
        let wanted = request
            .data
            .get(channel)
            .ok_or_else(|| Error::invalid(format!("the channel {channel:?} needs a data set")))?;
        let dataset = items::resolve(control, caller, wanted).await?;
        if dataset.0.item.kind != ItemKind::Dataset {
            return Err(Error::wrong_kind(format!("{wanted} is not a data set")));
        }
        packages.insert(channel.clone(), Package::of(&dataset));
        lineage.push(LineageData {
            channel: channel.clone(),
            dataset: reference(&dataset),
            sha256: dataset.1.package_sha256,
        });
    }
    Ok((packages, lineage))
}

fn reference((seen, version): &(Seen, VersionRow)) -> Reference {
    Reference {
        account: Some(seen.account_name.clone()),
        name: seen.item.name.clone(),
        version: Some(version.number),
    }
}

/// The instance type that was asked for, or the smallest that fits.
pub(crate) fn size(
    wanted: Option<&str>,
    memory_bytes: u64,
    cpu_milli: u32,
) -> Result<InstanceType, Error> {
    let names = || InstanceType::ALL.map(|size| size.name).join(", ");
    let fits =
        |size: &InstanceType| size.memory_bytes >= memory_bytes && size.cpu_milli >= cpu_milli;
    match wanted {
        None => InstanceType::ALL.into_iter().find(fits).ok_or_else(|| {
            Error::invalid(format!(
                "no instance type has {memory_bytes} bytes of memory and {cpu_milli} thousandths of a processor"
            ))
        }),
        Some(name) => {
            let size = InstanceType::find(name).ok_or_else(|| Error::Invalid {
                code: "unknown_instance_type",
                message: format!("{name:?} is not an instance type; use {}", names()),
            })?;
            if fits(&size) {
                return Ok(size);
            }
            Err(Error::invalid(format!(
                "{name} has {} bytes of memory and {} thousandths of a processor; {memory_bytes} and {cpu_milli} are needed",
                size.memory_bytes, size.cpu_milli
            )))
        }
    }
}

/// One training of the account.
pub async fn fetch(control: &Control, caller: &Caller, id: TrainingId) -> Result<Training, Error> {
    shape(own(control, caller, id, Action::TrainingsRead).await?, &caller.account_name)
}

/// The log of a training.
pub async fn log(
    control: &Control,
    caller: &Caller,
    id: TrainingId,
    query: &LogQuery,
) -> Result<Log, Error> {
    let ended = || {
        let row = own(control, caller, id, Action::TrainingsRead);
        async move { Ok(row.await?.state.ended()) }.boxed()
    };
    control.follow_log(&id.to_string(), query, ended).await
}

/// Wants a training no more. One that has ended stays as it is.
pub async fn cancel(control: &Control, caller: &Caller, id: TrainingId) -> Result<Training, Error> {
    own(control, caller, id, Action::TrainingsCancel).await?;
    let row = control
        .shared
        .store
        .transact("cancel a training", |tx| Box::pin(training_cancel(tx, id)))
        .await?;
    crate::operations::instances::nudge(control, &id.to_string()).await?;
    shape(row, &caller.account_name)
}

async fn own(
    control: &Control,
    caller: &Caller,
    id: TrainingId,
    action: Action,
) -> Result<TrainingRow, Error> {
    let read = control.shared.store.read("fetch a training", |tx| Box::pin(training_fetch(tx, id)));
    let missing = || format!("the training {id}");
    let row = found(read.await, missing)?;
    let resource = Resource::of(Kind::Training, row.account_id);
    if !control.may(caller, Action::TrainingsRead, resource.clone()) {
        return Err(Error::NotFound { what: missing() });
    }
    control.authorize(caller, action, resource)?;
    Ok(row)
}

fn shape(row: TrainingRow, owner: &Name) -> Result<Training, Error> {
    let request: TrainRequest = from_json(&row.request)?;
    let model = row.model_version.map(|number| Reference {
        account: Some(owner.clone()),
        name: request.model.clone(),
        version: Some(number),
    });
    Ok(Training {
        id: row.id,
        request,
        state: match row.state {
            rows::TrainingState::Waiting => TrainingState::Waiting,
            rows::TrainingState::Running => TrainingState::Running,
            rows::TrainingState::Publishing => TrainingState::Publishing,
            rows::TrainingState::Succeeded => TrainingState::Succeeded,
            rows::TrainingState::Failed => TrainingState::Failed,
            rows::TrainingState::Cancelled => TrainingState::Cancelled,
        },
        progress_ppm: match row.state {
            rows::TrainingState::Succeeded => Some(1_000_000),
            _ => row.progress_ppm,
        },
        model,
        error: row.error,
        error_code: row.error_code,
        created_at_ms: row.created_at_ms,
        ended_at_ms: row.ended_at_ms,
    })
}
