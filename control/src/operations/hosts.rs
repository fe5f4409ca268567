//! Hosts: what each reports of itself.
//!
//! Always true: an agent that starts again runs nothing of before, so what was let go on its host
//! has ended with its first report.

use api::internal::HostReport;
use store::Tx;
use store::functions::provisions::provisions_reset;
use store::hosts::{HostRow, HostSays, host_fetch, host_insert, host_report};
use store::instances::{InstanceState, Wanted, instance_end, instances_list_live};
use types::{ErrorKind, Fleet, HostId};

use crate::{Control, Error};

/// Records what a host has. The host in control's own process is made by its first report.
pub async fn report(
    control: &Control,
    id: HostId,
    local: bool,
    report: HostReport,
) -> Result<(), Error> {
    let says = HostSays {
        generation: report.generation,
        cpu_milli: report.cpu_milli,
        memory_bytes: report.memory_bytes,
        functions_memory_bytes: report.functions_memory_bytes,
        data_address: report.data_address,
        functions_socket: report.functions_socket,
        fleet: report.fleet,
        features: serde_json::to_value(&report.features)
            .map_err(|error| Error::internal("could not write features", error))?,
    };
    let first = HostRow {
        id,
        name: report.name,
        generation: 0,
        cpu_milli: 0,
        memory_bytes: 0,
        functions_memory_bytes: 0,
        data_address: None,
        functions_socket: None,
        fleet: Fleet::default(),
        lost: false,
        features: serde_json::Value::Array(Vec::new()),
        seen_at_ms: 0,
        local,
    };
    let now_ms = control.now_ms();
    let reported = control
        .shared
        .store
        .transact("record a host's report", |tx| {
            let (says, first) = (says.clone(), first.clone());
            Box::pin(async move {
                let generation = match host_fetch(tx, id).await {
                    Err(error) if error.kind() == ErrorKind::NotFound && local => {
                        host_insert(tx, &first).await?;
                        0
                    }
                    Err(error) => return Err(error),
                    Ok(row) => row.generation,
                };
                host_report(tx, id, &says, now_ms).await?;
                if says.generation > generation {
                    provisions_reset(tx, id).await?;
                    end_unwanted(tx, id, now_ms).await
                } else {
                    Ok(())
                }
            })
        })
        .await;
    match reported {
        Ok(()) => Ok(()),
        Err(store::Error::Stale { stored, .. }) => Err(Error::Stale { stored }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::NotFound { what: format!("the host {id}") })
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends what was let go on a host whose agent has started again and knows nothing of it.
async fn end_unwanted(tx: &mut Tx<'_>, id: HostId, now_ms: u64) -> Result<(), store::Error> {
    for row in instances_list_live(tx).await? {
        if row.host_id == id && row.wanted == Wanted::Gone {
            instance_end(tx, row.id, InstanceState::Ended, None, now_ms).await?;
        }
    }
    Ok(())
}
