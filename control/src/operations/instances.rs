//! Instances: placed on hosts, granted what they run, let go, and reported on.
//!
//! Always true: the stored task never holds a key; keys are added when an agent asks for its
//! assignments. Placing an instance that exists changes nothing.

use api::internal::functions::provisioned::Provisioned;
use api::internal::{
    Assignment, Assignments, InstanceLogs, InstanceReport, ObjectGrant, Output, Purpose, Task,
    Watch,
};
use policy::placement::{self, Need};
use store::functions::provisions::provisions_list_assigned;
use store::hosts::{HostRow, host_fetch, hosts_list};
use store::instances::{
    InstanceRow, InstanceSays, InstanceState, Owner, Wanted, instance_fetch, instance_insert,
    instance_report, instance_unwant, instances_list_assigned, instances_reserved,
};
use store::logs::{Level, NewLine, NumberedLine, logs_append_from};
use store::objects::{object_fetch, object_hold};
use store::{Topic, Tx};
use types::{AccountId, ErrorKind, HostId, InstanceId, ObjectId, SagaId};
use workflow::saga;

use crate::operations::items::from_json;
use crate::operations::objects::store_stream;
use crate::{Control, Error};

/// A host that has not reported for this long is not given new instances, and what it ran counts
/// as lost: three missed reports.
pub(crate) const HOST_LOST_MS: u64 = 15_000;
/// Longest wait of a watch.
const WATCH_WAIT_MS_MAX: u64 = api::internal::WATCH_WAIT_MS_MAX;

/// An instance that is to be placed.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    pub(crate) id: InstanceId,
    pub(crate) account: AccountId,
    pub(crate) owner: Owner,
    pub(crate) stage: u32,
    pub(crate) task: Task,
}

/// Places an instance on a host with room, or gives the one that was placed before.
pub(crate) async fn place(control: &Control, placing: Placing) -> Result<InstanceRow, Error> {
    let now_ms = control.now_ms();
    control
        .shared
        .store
        .transact("place an instance", |tx| {
            let placing = placing.clone();
            Box::pin(async move { place_in(tx, &placing, now_ms).await })
        })
        .await
}

/// Places an instance within a transaction.
pub(crate) async fn place_in(
    tx: &mut Tx<'_>,
    placing: &Placing,
    now_ms: u64,
) -> Result<InstanceRow, Error> {
    match instance_fetch(tx, placing.id).await {
        Ok(row) => return Ok(row),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let limits = placing.task.limits;
    let need = Need { cpu_milli: limits.cpu_milli, memory_bytes: limits.memory_bytes };
    let hosts = free_hosts(tx, now_ms).await?;
    let host_id = match placement::pick(&hosts, &need) {
        Ok(host_id) => host_id,
        Err(refusal) => {
            let later = may_fit_later(tx, &need, now_ms).await?;
            return Err(Error::NoResources { message: refusal.to_string(), later });
        }
    };
    let task = serde_json::to_value(&placing.task)
        .map_err(|error| Error::internal("could not write a task", error))?;
    let row = InstanceRow {
        id: placing.id,
        account_id: placing.account,
        owner: placing.owner,
        stage: placing.stage,
        host_id,
        generation: 1,
        reported_generation: 0,
        wanted: Wanted::Running,
        state: InstanceState::Waiting,
        task,
        report: None,
        cpu_milli: limits.cpu_milli,
        memory_bytes: limits.memory_bytes,
        created_at_ms: now_ms,
        changed_at_ms: now_ms,
        ended_at_ms: None,
    };
    instance_insert(tx, &row).await?;
    Ok(row)
}

/// The hosts that report, and what is free on each.
async fn free_hosts(tx: &mut Tx<'_>, now_ms: u64) -> Result<Vec<placement::Host>, Error> {
    let reserved = instances_reserved(tx).await?;
    let hosts = hosts_list(tx).await?.into_iter().filter(|host| alive(host, now_ms));
    let free = |host: HostRow| {
        let held = reserved.get(&host.id).copied().unwrap_or_default();
        let cpu_milli = u64::from(host.cpu_milli).saturating_sub(held.cpu_milli);
        placement::Host {
            id: host.id,
            free_cpu_milli: u32::try_from(cpu_milli).unwrap_or(u32::MAX),
            free_memory_bytes: host.memory_bytes.saturating_sub(held.memory_bytes),
            holds_package: false,
        }
    };
    Ok(hosts.map(free).collect())
}

/// Whether a host would have room if nothing ran on it. While no host is there, one may come.
async fn may_fit_later(tx: &mut Tx<'_>, need: &Need, now_ms: u64) -> Result<bool, Error> {
    let mut hosts = hosts_list(tx).await?;
    hosts.retain(|host| alive(host, now_ms));
    let fits =
        |host: &HostRow| host.cpu_milli >= need.cpu_milli && host.memory_bytes >= need.memory_bytes;
    Ok(hosts.is_empty() || hosts.iter().any(fits))
}

/// Whether a host has reported lately.
pub(crate) fn alive(host: &HostRow, now_ms: u64) -> bool {
    host.seen_at_ms > 0 && now_ms.saturating_sub(host.seen_at_ms) <= HOST_LOST_MS
}

/// One instance.
pub(crate) async fn fetch(control: &Control, id: InstanceId) -> Result<InstanceRow, Error> {
    let read =
        control.shared.store.read("fetch an instance", |tx| Box::pin(instance_fetch(tx, id)));
    found(read.await, || format!("the instance {id}"))
}

/// What its host last said of an instance.
pub(crate) fn reported(row: &InstanceRow) -> Result<Option<InstanceReport>, Error> {
    row.report.as_ref().map(from_json).transpose()
}

/// Wants an instance gone. One that was never made is gone.
pub(crate) async fn let_go(control: &Control, id: InstanceId) -> Result<(), Error> {
    let now_ms = control.now_ms();
    let gone = control
        .shared
        .store
        .transact("let an instance go", |tx| Box::pin(instance_unwant(tx, id, now_ms)))
        .await;
    match gone {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The name of a host, for people.
pub(crate) async fn host_name(control: &Control, id: HostId) -> String {
    let read = control.shared.store.read("fetch a host", |tx| Box::pin(host_fetch(tx, id)));
    read.await.map_or_else(|_| id.to_string(), |host| host.name.to_string())
}

/// What a host is to run, with the keys of what it runs, once it is newer or the wait is over.
pub async fn assignments(
    control: &Control,
    host: HostId,
    watch: Watch,
) -> Result<Assignments, Error> {
    let wait_ms = watch.wait_ms.min(WATCH_WAIT_MS_MAX);
    let store = &control.shared.store;
    store.feed_wait(Topic::Host(host), watch.after, wait_ms).await?;
    let (generation, rows, provisions) = store
        .read("list assignments", |tx| {
            Box::pin(async move {
                let generation = store::feeds::feed_fetch(tx, Topic::Host(host)).await?;
                let rows = instances_list_assigned(tx, host).await?;
                let provisions = provisions_list_assigned(tx, host).await?;
                Ok::<_, store::Error>((generation, rows, provisions))
            })
        })
        .await?;
    let mut instances = Vec::with_capacity(rows.len());
    for row in rows {
        let mut task: Task = from_json(&row.task)?;
        grant(control, &mut task.package).await?;
        if let Purpose::Train { channels, .. } = &mut task.purpose {
            for channel in channels.values_mut() {
                grant(control, channel).await?;
            }
        }
        instances.push(Assignment { id: row.id, generation: row.generation, task });
    }
    let provisioned = provisions
        .into_iter()
        .map(|(revision, instances)| Provisioned { revision, instances })
        .collect();
    Ok(Assignments { generation, instances, provisioned })
}

/// Adds the key that opens the object and nothing else.
async fn grant(control: &Control, grant: &mut ObjectGrant) -> Result<(), Error> {
    grant.key = grant_of(control, grant.object).await?.key;
    Ok(())
}

/// An object with the key that opens it and nothing else.
pub(crate) async fn grant_of(control: &Control, id: ObjectId) -> Result<ObjectGrant, Error> {
    let read = control.shared.store.read("fetch an object", |tx| Box::pin(object_fetch(tx, id)));
    let row = read.await?;
    let key = control.object_key(&row).await?;
    let key = hex::encode(key.as_bytes());
    Ok(ObjectGrant { account: row.account_id, object: id, bytes: row.bytes, key })
}

/// Records what became of an instance, and wakes what waits for it.
pub async fn report(
    control: &Control,
    id: InstanceId,
    report: InstanceReport,
) -> Result<(), Error> {
    let state = match report.state {
        api::internal::InstanceState::Waiting => InstanceState::Waiting,
        api::internal::InstanceState::Starting => InstanceState::Starting,
        api::internal::InstanceState::Ready => InstanceState::Ready,
        api::internal::InstanceState::Ended => InstanceState::Ended,
        api::internal::InstanceState::Failed => InstanceState::Failed,
    };
    let says = InstanceSays {
        generation: report.generation,
        state,
        report: serde_json::to_value(&report)
            .map_err(|error| Error::internal("could not write a report", error))?,
    };
    let (now_ms, progress) = (control.now_ms(), report.progress_ppm);
    let recorded = control
        .shared
        .store
        .transact("record an instance's report", |tx| {
            let says = says.clone();
            Box::pin(async move {
                let row = instance_report(tx, id, &says, now_ms).await?;
                if let (Owner::Training(training), Some(ppm)) = (row.owner, progress) {
                    store::trainings::training_progress(tx, training, ppm.min(1_000_000)).await?;
                }
                Ok::<_, store::Error>(row)
            })
        })
        .await;
    let row = match recorded {
        Ok(row) => row,
        Err(store::Error::Stale { stored, .. }) => return Err(Error::Stale { stored }),
        other => found(other, || format!("the instance {id}"))?,
    };
    match row.owner {
        Owner::Endpoint(_) => control.wake(crate::reconcilers::endpoints::NAME),
        Owner::Training(_) | Owner::Publish(_) => {
            nudge(control, &row.owner.to_string()).await?;
        }
    }
    Ok(())
}

/// Has the sagas about a subject look now.
pub(crate) async fn nudge(control: &Control, subject: &str) -> Result<(), Error> {
    for id in open_sagas(control, subject).await? {
        control.drivers().sagas.nudge(id);
    }
    Ok(())
}

/// Has the sagas about a subject undone, as far as they have not ended.
pub(crate) async fn cancel_sagas(control: &Control, subject: &str) -> Result<(), Error> {
    for id in open_sagas(control, subject).await? {
        match control.drivers().sagas.cancel(id).await {
            Ok(_) | Err(saga::Error::NotFound { .. } | saga::Error::TooLate { .. }) => {}
            Err(error) => return Err(Error::internal("could not cancel a saga", error)),
        }
    }
    Ok(())
}

async fn open_sagas(control: &Control, subject: &str) -> Result<Vec<SagaId>, Error> {
    let about = subject.to_owned();
    let records = control
        .shared
        .store
        .read("find sagas", move |tx| {
            Box::pin(async move { store::sagas::sagas_list_about(tx, &about).await })
        })
        .await?;
    let open = records.iter().filter(|record| !record.phase.ended());
    Ok(open.map(|record| record.id).collect())
}

/// Takes over lines that an instance wrote. They go to the log of what it runs for.
pub async fn logs(control: &Control, id: InstanceId, logs: InstanceLogs) -> Result<(), Error> {
    let row = fetch(control, id).await?;
    take_logs(control, (row.owner.to_string(), id.to_string()), logs).await
}

/// Takes over lines of an origin into the log of a subject.
pub(crate) async fn take_logs(
    control: &Control,
    (subject, origin): (String, String),
    logs: InstanceLogs,
) -> Result<(), Error> {
    let lines: Vec<NumberedLine> = logs
        .lines
        .into_iter()
        .map(|line| NumberedLine {
            number: line.seq,
            line: NewLine {
                at_ms: line.at_ms,
                source: line.source,
                level: line.level.parse().unwrap_or(Level::Info),
                text: line.text,
            },
        })
        .collect();
    control
        .shared
        .store
        .transact("take over log lines", |tx| {
            let (subject, origin, lines) = (subject.clone(), origin.clone(), lines.clone());
            Box::pin(async move { logs_append_from(tx, &subject, &origin, lines).await })
        })
        .await?;
    Ok(())
}

/// How an instance is called where it holds its output.
pub(crate) fn output_holder(id: InstanceId) -> String {
    format!("output:{id}")
}

/// Takes over a job's output as an object of the account that it runs for.
pub async fn output(
    control: &Control,
    id: InstanceId,
    body: impl futures::Stream<Item = std::io::Result<bytes::Bytes>> + Send,
) -> Result<Output, Error> {
    let row = fetch(control, id).await?;
    expect_running(&row)?;
    let object = store_stream(control, row.account_id, "application/x-tar", body).await?;
    let holder = output_holder(id);
    control
        .shared
        .store
        .transact("hold an output", |tx| {
            let holder = holder.clone();
            Box::pin(async move {
                // Asked again: whoever let the instance go holds nothing of it any more.
                expect_running(&instance_fetch(tx, id).await?)?;
                store::objects::objects_release(tx, &holder).await?;
                Ok::<_, Error>(object_hold(tx, object.id, &holder).await?)
            })
        })
        .await?;
    Ok(Output { object: object.id })
}

/// Refuses what comes from an instance that has ended, or that nobody wants any more.
fn expect_running(row: &InstanceRow) -> Result<(), Error> {
    if row.wanted == Wanted::Running && !row.state.ended() {
        return Ok(());
    }
    Err(Error::Conflict {
        code: "conflict",
        message: format!("the instance {} has ended, or is to end", row.id),
    })
}

/// A sealed blob that an instance needs: `chunks/ID` or `manifests/ID` of an account.
pub async fn blob(
    control: &Control,
    account: AccountId,
    kind: &str,
    id: &str,
) -> Result<bytes::Bytes, Error> {
    let missing = || Error::NotFound { what: format!("the blob {kind}/{id}") };
    let source = control.shared.objects.source();
    let blob = match kind {
        "chunks" => source.chunk(account, id.parse().map_err(|_| missing())?).await,
        "manifests" => source.manifest(account, id.parse().map_err(|_| missing())?).await,
        _ => return Err(missing()),
    };
    match blob {
        Ok(blob) => Ok(blob),
        Err(objects::Error::Missing { .. }) => Err(missing()),
        Err(error) => Err(crate::operations::objects::object_error(error)),
    }
}

/// Turns a missing row into a missing thing.
pub(crate) fn found<T>(
    read: Result<T, store::Error>,
    what: impl FnOnce() -> String,
) -> Result<T, Error> {
    read.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::NotFound { what: what() },
        _ => error.into(),
    })
}

/// The objects that an instance's output holds: none or one.
pub(crate) async fn output_of(
    control: &Control,
    id: InstanceId,
) -> Result<Option<ObjectId>, Error> {
    let holder = output_holder(id);
    let read = control.shared.store.read("find an output", move |tx| {
        Box::pin(async move { store::objects::objects_held(tx, &holder).await })
    });
    Ok(read.await?.into_iter().next())
}
