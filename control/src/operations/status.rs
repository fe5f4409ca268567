//! Status: whether control answers, what runs, and how its tasks stand.

use access::{Action, Resource};
use api::status::{Feature, Health, HostStatus, InstanceTypeInfo, Status, TaskStatus};
use store::endpoints::endpoints_count;
use store::hosts::hosts_list;
use store::instances::instances_reserved;
use store::items::items_count;
use store::sagas::sagas_list_open;
use types::InstanceType;

use crate::caller::Caller;
use crate::operations::instances::alive;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// Most open sagas that are shown.
const SAGAS_MAX: u32 = 200;

/// Whether the database answers.
pub async fn health(control: &Control) -> Result<Health, Error> {
    control.shared.store.read("ask the database", |tx| Box::pin(items_count(tx))).await?;
    Ok(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// What runs, and what each host gives and lacks.
pub async fn status(control: &Control, caller: &Caller) -> Result<Status, Error> {
    control.authorize(caller, Action::StatusRead, Resource::cloud())?;
    let (hosts, reserved, items, endpoints) = control
        .shared
        .store
        .read("read the status", |tx| {
            Box::pin(async move {
                let hosts = hosts_list(tx).await?;
                let reserved = instances_reserved(tx).await?;
                let items = items_count(tx).await?;
                Ok::<_, store::Error>((hosts, reserved, items, endpoints_count(tx).await?))
            })
        })
        .await?;
    let now_ms = control.now_ms();
    let mut shown = Vec::with_capacity(hosts.len());
    for host in hosts {
        let held = reserved.get(&host.id).copied().unwrap_or_default();
        let cpu_milli_free = u64::from(host.cpu_milli).saturating_sub(held.cpu_milli);
        shown.push(HostStatus {
            id: host.id,
            alive: alive(&host, now_ms),
            name: host.name,
            fleet: host.fleet,
            cpu_milli: host.cpu_milli,
            cpu_milli_free: u32::try_from(cpu_milli_free).unwrap_or(u32::MAX),
            memory_bytes: host.memory_bytes,
            memory_bytes_free: host.memory_bytes.saturating_sub(held.memory_bytes),
            instances: held.instances,
            features: from_json::<Vec<Feature>>(&host.features)?,
        });
    }
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        database: control.shared.store.database().as_str().to_owned(),
        objects: if control.shared.settings.objects.starts_with("s3:") { "s3" } else { "folder" }
            .to_owned(),
        instances: shown.iter().map(|host| u64::from(host.instances)).sum(),
        hosts: shown,
        items,
        endpoints,
    })
}

/// The instance types.
pub fn instance_types() -> Vec<InstanceTypeInfo> {
    let info = |size: InstanceType| InstanceTypeInfo {
        name: size.name.to_owned(),
        cpu_milli: size.cpu_milli,
        memory_bytes: size.memory_bytes,
    };
    InstanceType::ALL.into_iter().map(info).collect()
}

/// Every reconciler, and every saga that has not ended.
pub async fn tasks(control: &Control, caller: &Caller) -> Result<Vec<TaskStatus>, Error> {
    control.authorize(caller, Action::TasksRead, Resource::cloud())?;
    let json = |value: Result<serde_json::Value, serde_json::Error>| value.unwrap_or_default();
    let mut tasks: Vec<TaskStatus> = control
        .drivers()
        .reconcilers
        .reports()
        .into_iter()
        .map(|report| TaskStatus {
            name: report.name.to_owned(),
            kind: "reconciler".to_owned(),
            status: json(serde_json::to_value(&report)),
        })
        .collect();
    let read =
        control.shared.store.read("list sagas", |tx| Box::pin(sagas_list_open(tx, SAGAS_MAX)));
    for record in read.await? {
        tasks.push(TaskStatus {
            name: format!("{} {}", record.kind, record.subject),
            kind: "saga".to_owned(),
            status: serde_json::json!({
                "phase": record.phase.as_str(),
                "step": record.step,
                "attempts": record.attempts,
                "started_at_ms": record.started_at_ms,
                "due_at_ms": record.due_at_ms,
                "error": record.error,
            }),
        });
    }
    Ok(tasks)
}
