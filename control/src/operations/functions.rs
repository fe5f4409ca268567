//! Functions: made, changed, versioned, removed. They are run by agents, when gateways ask.

pub mod aliases;
mod code;
pub mod destinations;
pub mod events;
pub mod provisioned;
pub mod schedules;
pub mod settings;
pub mod sizes;
pub mod sources;
mod spec;
pub mod urls;
pub mod versions;

use std::collections::BTreeMap;

use access::{Action, Kind, Resource};
use api::functions::sizes::SizingMode;
use api::functions::{CreateFunction, Function, LATEST, UpdateFunction};
use api::internal::InstanceLogs;
use api::internal::functions::Revision;
use api::pages::{Log, LogQuery, Page, PageQuery};
use futures::FutureExt as _;
use store::functions::aliases::alias_fetch;
use store::functions::{
    FunctionRow, RevisionRow, function_change, function_delete, function_fetch,
    function_fetch_by_name, function_insert, functions_list, revision_fetch,
    revision_fetch_numbered,
};
use types::{
    AliasName, Concurrency, FunctionId, FunctionName, FunctionRuntime, InstanceId, RevisionId,
};

use code::package;
use spec::{MEMORY_MIB, MEMORY_MIB_MAX, MEMORY_MIB_MIN, TIMEOUT_MS};

use crate::caller::Caller;
use crate::operations::instances::{self, found, grant_of};
use crate::operations::items::from_json;
use crate::operations::{changed, made, page, slice};
use crate::{Control, Error};

pub(crate) use spec::{Code, DESCRIPTION_BYTES_MAX, Spec};

/// A version of a function, with what only foreign protocols tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) function: Function,
    pub(crate) revision: RevisionId,
    pub(crate) code: Option<Code>,
    pub(crate) foreign: BTreeMap<String, serde_json::Value>,
}

/// A change of a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) wanted: UpdateFunction,
    pub(crate) runtime: Option<FunctionRuntime>,
    /// Added to what was said, and in its place.
    pub(crate) foreign: BTreeMap<String, serde_json::Value>,
}

/// The account's functions.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Function>, Error> {
    let page = list_described(control, caller, query).await?;
    Ok(Page { items: page.items.into_iter().map(|it| it.function).collect(), next: page.next })
}

/// The account's functions, with what only foreign protocols tell.
pub(crate) async fn list_described(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Described>, Error> {
    control.authorize(caller, Action::FunctionsList, Resource::account(caller.account))?;
    let slice = slice::<FunctionName>(query)?;
    let (account, limit, after) = (caller.account, slice.limit, slice.after);
    let rows = control
        .shared
        .store
        .read("list functions", |tx| {
            let after = after.clone();
            Box::pin(async move { functions_list(tx, account, after.as_ref(), limit + 1).await })
        })
        .await?;
    let mut functions = Vec::new();
    for (row, latest) in rows {
        functions.push(shape(caller, &row, latest)?);
    }
    Ok(page(functions, limit, |it| it.function.name.to_string(), |it| it))
}

/// Makes a function of a package of the account.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateFunction,
) -> Result<Function, Error> {
    Ok(create_described(control, caller, request, BTreeMap::new()).await?.function)
}

/// The same, with what a foreign client said.
pub(crate) async fn create_described(
    control: &Control,
    caller: &Caller,
    request: CreateFunction,
    foreign: BTreeMap<String, serde_json::Value>,
) -> Result<Described, Error> {
    control.authorize(caller, Action::FunctionsWrite, Resource::account(caller.account))?;
    let code = package(control, caller, request.object, request.runtime).await?;
    let spec = Spec {
        runtime: request.runtime,
        handler: request.handler,
        memory_mib: request.memory_mib.unwrap_or(MEMORY_MIB),
        timeout_ms: request.timeout_ms.unwrap_or(TIMEOUT_MS),
        environment: request.environment,
        egress: request.egress,
        concurrency: request.concurrency.unwrap_or_default(),
        code: Some(code),
        foreign,
    };
    spec.check(&request.description)?;
    let now_ms = control.now_ms();
    let id = FunctionId::new(control.clock().uuid());
    let first = RevisionRow {
        id: RevisionId::new(control.clock().uuid()),
        function_id: id,
        number: None,
        object_id: request.object,
        spec: spec.stored()?,
        description: request.description,
        created_at_ms: now_ms,
    };
    let row = FunctionRow {
        id,
        account_id: caller.account,
        name: request.name,
        latest: first.id,
        versions: 0,
        generation: 1,
        created_at_ms: now_ms,
        changed_at_ms: now_ms,
    };
    let inserted = control
        .shared
        .store
        .transact("make a function", |tx| {
            let (row, first) = (row.clone(), first.clone());
            Box::pin(async move { function_insert(tx, &row, &first).await })
        })
        .await;
    made(inserted, &row.name)?;
    shape(caller, &row, first)
}

/// One function.
pub async fn fetch(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
) -> Result<Function, Error> {
    Ok(fetch_described(control, caller, name, "").await?.function)
}

/// A version of a function, by its number, by an alias, or the latest.
pub(crate) async fn fetch_described(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    qualifier: &str,
) -> Result<Described, Error> {
    let (row, latest) = own(control, caller, name, Action::FunctionsRead).await?;
    if matches!(qualifier, "" | LATEST) {
        return shape(caller, &row, latest);
    }
    let (id, wanted) = (row.id, qualifier.to_owned());
    let read = control.shared.store.read("fetch a version of a function", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move {
            let number = match wanted.parse::<AliasName>() {
                Ok(alias) => alias_fetch(tx, id, &alias).await?.version,
                Err(_) => Some(wanted.parse().unwrap_or(0)),
            };
            match number {
                Some(number) => revision_fetch_numbered(tx, id, number).await.map(Some),
                None => Ok(None),
            }
        })
    });
    let version = found(read.await, || format!("the function {name}:{qualifier}"))?;
    shape(caller, &row, version.unwrap_or(latest))
}

/// Changes a function's code or configuration.
pub async fn update(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    request: UpdateFunction,
) -> Result<Function, Error> {
    let change = Change { wanted: request, ..Change::default() };
    Ok(change_described(control, caller, name, change).await?.function)
}

/// The same, with what a foreign client said.
pub(crate) async fn change_described(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    change: Change,
) -> Result<Described, Error> {
    let (row, latest) = own(control, caller, name, Action::FunctionsWrite).await?;
    let Change { wanted, runtime, foreign } = change;
    let mut spec: Spec = from_json(&latest.spec)?;
    spec.runtime = runtime.unwrap_or(spec.runtime);
    if let Some(object) = wanted.object {
        spec.code = Some(package(control, caller, object, spec.runtime).await?);
    }
    spec.handler = wanted.handler.unwrap_or(spec.handler);
    spec.memory_mib = wanted.memory_mib.unwrap_or(spec.memory_mib);
    spec.timeout_ms = wanted.timeout_ms.unwrap_or(spec.timeout_ms);
    spec.environment = wanted.environment.unwrap_or(spec.environment);
    spec.egress = wanted.egress.unwrap_or(spec.egress);
    spec.concurrency = wanted.concurrency.unwrap_or(spec.concurrency);
    spec.foreign.extend(foreign);
    if wanted.concurrency.is_some_and(Concurrency::is_several)
        && sizes::sizing(control, caller, name).await?.mode == SizingMode::Auto
    {
        sizes::check_alone(spec.concurrency)?;
    }
    let description = wanted.description.unwrap_or(latest.description);
    spec.check(&description)?;
    let next = RevisionRow {
        id: RevisionId::new(control.clock().uuid()),
        function_id: row.id,
        number: None,
        object_id: wanted.object.unwrap_or(latest.object_id),
        spec: spec.stored()?,
        description,
        created_at_ms: control.now_ms(),
    };
    let (id, generation) = (row.id, wanted.generation);
    let stored = control
        .shared
        .store
        .transact("change a function", |tx| {
            let next = next.clone();
            Box::pin(async move { function_change(tx, id, generation, &next).await })
        })
        .await;
    let generation = changed(stored, || format!("the function {name}"))?;
    shape(caller, &FunctionRow { latest: next.id, generation, ..row }, next)
}

/// Removes a function and its versions.
pub async fn remove(control: &Control, caller: &Caller, name: &FunctionName) -> Result<(), Error> {
    let (row, _) = own(control, caller, name, Action::FunctionsDelete).await?;
    let id = row.id;
    let removed =
        control.shared.store.transact("delete a function", |tx| Box::pin(function_delete(tx, id)));
    Ok(removed.await?)
}

/// What an agent runs for a revision, with the key of its package.
pub async fn revision(control: &Control, id: RevisionId) -> Result<Revision, Error> {
    let read = control
        .shared
        .store
        .read("read a revision", |tx| {
            Box::pin(async move {
                let revision = revision_fetch(tx, id).await?;
                let function = function_fetch(tx, revision.function_id).await?;
                let account = store::accounts::account_fetch(tx, function.account_id).await?;
                Ok::<_, store::Error>((revision, function, account))
            })
        })
        .await;
    let (revision, function, account) = found(read, || format!("the revision {id}"))?;
    let spec: Spec = from_json(&revision.spec)?;
    let limits = spec.limits();
    Ok(Revision {
        id,
        account: function.account_id,
        account_name: account.name,
        function: function.name,
        version: version_of(&revision),
        runtime: spec.runtime,
        handler: spec.handler,
        package: grant_of(control, revision.object_id).await?,
        limits,
        env: spec.environment,
        egress: spec.egress,
        concurrency: spec.concurrency,
    })
}

/// Takes over lines that an instance of a function wrote.
pub async fn take_logs(
    control: &Control,
    (id, instance): (RevisionId, InstanceId),
    logs: InstanceLogs,
) -> Result<(), Error> {
    let read = control.shared.store.read("fetch a revision", |tx| Box::pin(revision_fetch(tx, id)));
    let revision = found(read.await, || format!("the revision {id}"))?;
    let key = (revision.function_id.to_string(), instance.to_string());
    instances::take_logs(control, key, logs).await
}

/// What a function's instances wrote, with a line before and after each call.
pub async fn log(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    query: &LogQuery,
) -> Result<Log, Error> {
    let row = called(control, caller, name, Action::FunctionsRead).await?;
    control.follow_log(&row.id.to_string(), query, || std::future::ready(Ok(false)).boxed()).await
}

/// `$LATEST`, or the number.
pub(crate) fn version_of(revision: &RevisionRow) -> String {
    revision.number.map_or_else(|| LATEST.to_owned(), |number| number.to_string())
}

/// What is called by this name: a function of the account, or a link.
pub(crate) async fn called(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    action: Action,
) -> Result<FunctionRow, Error> {
    let (account, wanted) = (caller.account, name.clone());
    let read = control.shared.store.read("fetch a function", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { function_fetch_by_name(tx, account, &wanted).await })
    });
    let row = found(read.await, || format!("the function {name}"))?;
    control.authorize(caller, action, Resource::of(Kind::Function, row.account_id))?;
    Ok(row)
}

pub(crate) async fn own(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    action: Action,
) -> Result<(FunctionRow, RevisionRow), Error> {
    let (account, wanted) = (caller.account, name.clone());
    let read = control
        .shared
        .store
        .read("fetch a function", move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move {
                let row = function_fetch_by_name(tx, account, &wanted).await?;
                let latest = revision_fetch(tx, row.latest).await?;
                Ok::<_, store::Error>((row, latest))
            })
        })
        .await;
    let (row, latest) = found(read, || format!("the function {name}"))?;
    control.authorize(caller, action, Resource::of(Kind::Function, row.account_id))?;
    Ok((row, latest))
}

fn shape(caller: &Caller, row: &FunctionRow, revision: RevisionRow) -> Result<Described, Error> {
    let spec: Spec = from_json(&revision.spec)?;
    let function = Function {
        id: row.id,
        account: caller.account_name.clone(),
        name: row.name.clone(),
        version: version_of(&revision),
        runtime: spec.runtime,
        handler: spec.handler,
        object: revision.object_id,
        memory_mib: spec.memory_mib,
        timeout_ms: spec.timeout_ms,
        environment: spec.environment,
        egress: spec.egress,
        concurrency: spec.concurrency,
        description: revision.description,
        generation: row.generation,
        created_at_ms: revision.created_at_ms,
    };
    let (code, foreign) = (spec.code, spec.foreign);
    Ok(Described { function, revision: revision.id, code, foreign })
}
