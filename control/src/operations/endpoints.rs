//! Endpoints: wanted state that the reconciler of endpoints makes true.

pub mod bakes;
pub mod captures;
pub mod gates;
pub mod triggers;
pub mod variants;

use futures::FutureExt as _;

use access::{Action, Resource};
use api::endpoints::{DeployRequest, Endpoint, EndpointState, StageStatus, UpdateEndpoint};
use api::internal::InstanceReport;
use api::items::ShareRequest;
use api::pages::{Log, LogQuery, Page, PageQuery};
use formats::manifest::Manifest;
use store::endpoints::{
    self as rows, EndpointChange, EndpointRow, endpoint_change, endpoint_delete,
    endpoint_fetch_by_name, endpoint_insert, endpoint_share, endpoints_list,
};
use store::instances::{InstanceRow, Owner, instances_list_of};
use types::{AccountId, EndpointId, ItemKind, Name, Reference, TaskReference};

use crate::caller::Caller;
use crate::operations::functions;
use crate::operations::instances::found;
use crate::operations::items::{self, access_sharing, from_json, shown_sharing, stored_sharing};
use crate::operations::stages::{ResolvedStage, resolve_stage};
use crate::operations::trainings::size;
use crate::operations::{made, page, slice};
use crate::reconcilers::endpoints::{NAME, current};
use crate::{Control, Error};

/// The account's endpoints.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Endpoint>, Error> {
    control.authorize(caller, Action::EndpointsList, Resource::account(caller.account))?;
    let slice = slice::<Name>(query)?;
    let (account, limit) = (caller.account, slice.limit);
    let after = slice.after;
    let rows = control
        .shared
        .store
        .read("list endpoints", |tx| {
            Box::pin(async move { endpoints_list(tx, account, after.as_ref(), limit + 1).await })
        })
        .await?;
    let mut endpoints = Vec::new();
    for row in rows {
        endpoints.push(shape(control, caller, row).await?);
    }
    Ok(page(endpoints, limit, |endpoint| endpoint.name.to_string(), |endpoint| endpoint))
}

/// Makes an endpoint of a model, a pipeline or a function.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: DeployRequest,
) -> Result<Endpoint, Error> {
    control.authorize(caller, Action::EndpointsDeploy, Resource::account(caller.account))?;
    let change =
        resolve(control, caller, &request.source, request.instance_type.as_deref()).await?;
    let row = row(control, caller.account, (request.name, main()), change);
    let inserted = control
        .shared
        .store
        .transact("make an endpoint", |tx| {
            let row = row.clone();
            Box::pin(async move { endpoint_insert(tx, &row).await })
        })
        .await;
    made(inserted, &row.name)?;
    control.wake(NAME);
    shape(control, caller, row).await
}

/// What the variant is called that an endpoint begins with.
fn main() -> Name {
    rows::MAIN.parse().unwrap_or_else(|_| unreachable!("it is a name"))
}

/// A new endpoint, or variant of one.
fn row(
    control: &Control,
    account_id: AccountId,
    (name, variant): (Name, Name),
    change: EndpointChange,
) -> EndpointRow {
    EndpointRow {
        id: EndpointId::new(control.clock().uuid()),
        account_id,
        name,
        variant_of: None,
        variant,
        source: change.source,
        resolved: change.resolved,
        instance_type: change.instance_type,
        sharing: store::Sharing::Nobody,
        state: rows::EndpointState::Starting,
        error: None,
        generation: 1,
        deleting: false,
        created_at_ms: control.now_ms(),
        served: None,
    }
}

/// Finds what a source means.
async fn resolve(
    control: &Control,
    caller: &Caller,
    source: &TaskReference,
    instance_type: Option<&str>,
) -> Result<EndpointChange, Error> {
    match source {
        TaskReference::Item(source) => resolve_item(control, caller, source, instance_type).await,
        TaskReference::Function { name, qualifier } => {
            if let Some(size) = instance_type {
                return Err(Error::invalid(format!(
                    "an endpoint of a function has no instances of its own: leave {size} out"
                )));
            }
            functions::fetch_described(control, caller, name, qualifier).await?;
            let (resolved, instance_type) = (serde_json::json!([]), String::new());
            Ok(EndpointChange { source: source.clone(), resolved, instance_type })
        }
    }
}

/// Finds the stages that an item means.
async fn resolve_item(
    control: &Control,
    caller: &Caller,
    source: &Reference,
    instance_type: Option<&str>,
) -> Result<EndpointChange, Error> {
    let (seen, version) = items::resolve(control, caller, source).await?;
    let reference = Reference {
        account: Some(seen.account_name.clone()),
        name: seen.item.name.clone(),
        version: Some(version.number),
    };
    let account = (caller.account, caller.account_name.clone());
    let mut stages: Vec<ResolvedStage> = Vec::new();
    match seen.item.kind {
        ItemKind::Model => stages.push(resolve_stage(control, &account, &reference).await?),
        ItemKind::Pipeline => {
            let manifest: Manifest = from_json(&version.manifest)?;
            for stage in &manifest.stages {
                stages.push(resolve_stage(control, &account, stage).await?);
            }
        }
        kind => {
            return Err(Error::wrong_kind(format!(
                "{reference} is a {kind}; models and pipelines can be deployed"
            )));
        }
    }
    let most = |need: fn(&ResolvedStage) -> u64| stages.iter().map(need).max().unwrap_or(0);
    let memory_bytes = most(|stage| stage.limits.memory_bytes);
    let cpu_milli = most(|stage| u64::from(stage.limits.cpu_milli));
    let size = size(instance_type, memory_bytes, u32::try_from(cpu_milli).unwrap_or(u32::MAX))?;
    Ok(EndpointChange {
        source: reference.into(),
        resolved: serde_json::to_value(&stages)
            .map_err(|error| Error::internal("could not write stages", error))?,
        instance_type: size.name.to_owned(),
    })
}

/// One endpoint.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<Endpoint, Error> {
    let row = own(control, caller, name, Action::EndpointsRead).await?;
    shape(control, caller, row).await
}

/// Changes what an endpoint runs.
pub async fn update(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: UpdateEndpoint,
) -> Result<Endpoint, Error> {
    let row = own(control, caller, name, Action::EndpointsDeploy).await?;
    let change =
        resolve(control, caller, &request.source, request.instance_type.as_deref()).await?;
    let (id, generation) = (row.id, request.generation);
    let changed = control
        .shared
        .store
        .transact("change an endpoint", |tx| {
            let change = change.clone();
            Box::pin(async move { endpoint_change(tx, id, generation, &change).await })
        })
        .await;
    guard(changed, name)?;
    control.wake(NAME);
    fetch(control, caller, name).await
}

/// Begins to remove an endpoint.
pub async fn remove(control: &Control, caller: &Caller, name: &Name) -> Result<Endpoint, Error> {
    let row = own(control, caller, name, Action::EndpointsDelete).await?;
    let id = row.id;
    let row = control
        .shared
        .store
        .transact("delete an endpoint", |tx| Box::pin(endpoint_delete(tx, id)))
        .await?;
    control.wake(NAME);
    shape(control, caller, row).await
}

/// Changes who may call an endpoint.
pub async fn share(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: ShareRequest,
) -> Result<Endpoint, Error> {
    let row = own(control, caller, name, Action::EndpointsShare).await?;
    let sharing = stored_sharing(control, &request.sharing).await?;
    let (id, generation) = (row.id, request.generation);
    let shared = control
        .shared
        .store
        .transact("share an endpoint", |tx| {
            let sharing = sharing.clone();
            Box::pin(async move { endpoint_share(tx, id, generation, &sharing).await })
        })
        .await;
    guard(shared, name)?;
    fetch(control, caller, name).await
}

/// What the endpoint's instances wrote.
pub async fn log(
    control: &Control,
    caller: &Caller,
    name: &Name,
    query: &LogQuery,
) -> Result<Log, Error> {
    let row = own(control, caller, name, Action::EndpointsRead).await?;
    control.follow_log(&row.id.to_string(), query, || std::future::ready(Ok(false)).boxed()).await
}

pub(super) async fn own(
    control: &Control,
    caller: &Caller,
    name: &Name,
    action: Action,
) -> Result<EndpointRow, Error> {
    let (account, wanted) = (caller.account, name.clone());
    let read = control
        .shared
        .store
        .read("fetch an endpoint", move |tx| {
            Box::pin(async move { endpoint_fetch_by_name(tx, account, &wanted).await })
        })
        .await;
    let row = found(read, || format!("the endpoint {name}"))?;
    let resource = Resource::endpoint(row.account_id, access_sharing(&row.sharing));
    control.authorize(caller, action, resource)?;
    Ok(row)
}

fn guard<T>(changed: Result<T, store::Error>, name: &Name) -> Result<T, Error> {
    match changed {
        Err(store::Error::Stale { stored, .. }) => Err(Error::Stale { stored }),
        Err(store::Error::Conflict { .. }) => {
            Err(Error::NotFound { what: format!("the endpoint {name}") })
        }
        other => Ok(other?),
    }
}

async fn shape(control: &Control, caller: &Caller, row: EndpointRow) -> Result<Endpoint, Error> {
    let stages: Vec<ResolvedStage> = from_json(&row.resolved)?;
    let id = row.id;
    let instances = control
        .shared
        .store
        .read("list instances of an endpoint", |tx| {
            Box::pin(instances_list_of(tx, Owner::Endpoint(id)))
        })
        .await?;
    let status = |(place, stage): (usize, &ResolvedStage)| {
        let newest = current(&instances, &row.instance_type, place, stage);
        StageStatus {
            source: stage.reference.clone(),
            state: newest.map_or("waiting", |row| row.state.as_str()).to_owned(),
            engine: newest.and_then(engine),
        }
    };
    let (modes_number, variants) = variants::used(control, &row).await?;
    Ok(Endpoint {
        id: row.id,
        account: caller.account_name.clone(),
        name: row.name.clone(),
        state: shown_state(row.state),
        source: row.source.clone(),
        instance_type: row.instance_type.clone(),
        sharing: shown_sharing(control, &row.sharing).await?,
        stages: stages.iter().enumerate().map(status).collect(),
        input: stages.first().and_then(|stage| stage.input.clone()),
        output: stages.last().and_then(|stage| stage.output.clone()),
        error: row.error.clone(),
        generation: row.generation,
        created_at_ms: row.created_at_ms,
        variants: variants.iter().map(|(row, used)| variants::shape(row, used)).collect(),
        modes_number,
    })
}

const fn shown_state(state: rows::EndpointState) -> EndpointState {
    match state {
        rows::EndpointState::Starting => EndpointState::Starting,
        rows::EndpointState::Ready => EndpointState::Ready,
        rows::EndpointState::Failed => EndpointState::Failed,
        rows::EndpointState::Deleting => EndpointState::Deleting,
    }
}

fn engine(row: &InstanceRow) -> Option<String> {
    let report: InstanceReport = serde_json::from_value(row.report.clone()?).ok()?;
    report.description.map(|description| description.engine)
}
