//! Ends the instances of hosts that no longer report, so that others take their place, and has
//! gateways ask them no more; and ends what was let go so long ago that its agent must have
//! forgotten it.
//!
//! A host that comes back finds them unassigned and stops what still runs.
//!
//! Always true: a host counts as lost only after control could have heard of it all that time.
//! After a start of control, or a loss of its database, the hosts have their whole time again.

use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use store::hosts::{host_lose, hosts_list};
use store::instances::{InstanceState, Owner, Wanted, instance_end, instances_list_live};
use types::{HostId, InstanceId};
use workflow::reconciler::{Reconciler, Status};

use crate::operations::instances::{HOST_LOST_MS, alive, nudge};
use crate::reconcilers::endpoints;
use crate::{Control, Error};

/// How long an agent has to stop what was let go and to say so: many times what it needs.
const STOP_MS: u64 = 60_000;

/// Ends what lost hosts ran.
#[derive(Debug)]
pub struct LostHosts {
    control: Control,
}

impl LostHosts {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    async fn close(&self) -> Result<Status, Error> {
        let control = &self.control;
        let now_ms = control.now_ms();
        let read = control
            .shared
            .store
            .read("list hosts and instances", |tx| {
                Box::pin(async move {
                    let hosts = hosts_list(tx).await?;
                    Ok::<_, store::Error>((hosts, instances_list_live(tx).await?))
                })
            })
            .await;
        if read.is_err() {
            // No report could be heard either.
            control.shared.hears_since_ms.store(now_ms, Ordering::Relaxed);
        }
        let (hosts, instances) = read?;
        let hears_since_ms = control.shared.hears_since_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(hears_since_ms) <= HOST_LOST_MS {
            return Ok(Status::default());
        }
        let silent = hosts.iter().filter(|host| host.seen_at_ms > 0 && !alive(host, now_ms));
        let mut status = Status::default();
        for host in silent.filter(|host| !host.lost) {
            tracing::info!(host = %host.name, "a host no longer reports; calls go to others");
            status.note(self.lose(host.id, host.seen_at_ms).await);
        }
        let lost = |id| !hosts.iter().any(|host| host.id == id && alive(host, now_ms));
        for row in instances {
            // A new instance is given the time that a host has for its report.
            let young = now_ms.saturating_sub(row.created_at_ms) <= HOST_LOST_MS;
            let forgotten =
                row.wanted == Wanted::Gone && now_ms.saturating_sub(row.changed_at_ms) > STOP_MS;
            if forgotten || !young && lost(row.host_id) {
                status.note(self.end(row.id, row.owner).await);
            }
        }
        Ok(status)
    }

    async fn lose(&self, id: HostId, seen_at_ms: u64) -> Result<(), Error> {
        let store = &self.control.shared.store;
        store.transact("lose a host", |tx| Box::pin(host_lose(tx, id, seen_at_ms))).await?;
        Ok(())
    }

    async fn end(&self, id: InstanceId, owner: Owner) -> Result<(), Error> {
        let now_ms = self.control.now_ms();
        self.control
            .shared
            .store
            .transact("end a lost instance", |tx| {
                Box::pin(instance_end(tx, id, InstanceState::Failed, None, now_ms))
            })
            .await?;
        match owner {
            Owner::Endpoint(_) => self.control.wake(endpoints::NAME),
            Owner::Training(_) | Owner::Publish(_) => {
                nudge(&self.control, &owner.to_string()).await?;
            }
        }
        Ok(())
    }
}

impl Reconciler for LostHosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    fn period_ms(&self) -> u64 {
        3_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async { self.close().await.unwrap_or_else(|error| Status::failed(workflow::chain(&error))) }
            .boxed()
    }
}
