//! Gives every stage of every endpoint an instance, and takes the others away.
//!
//! An instance is current when its task is the one that the stage wants; after an update the old
//! ones answer until every stage has a ready current one, and are let go a little after the
//! routes changed. What fails is started again after a growing pause, and the endpoint is marked
//! failed when it has failed too often in a row.
//!
//! Always true: what is routed is wholly of one wanted state, never of two; an endpoint is removed
//! only when none of its instances is left.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use api::internal::InstanceReport;
use policy::backoff;
use store::endpoints::{
    EndpointChange, EndpointRow, EndpointState, endpoint_remove, endpoint_serve, endpoint_state,
    endpoints_list_all,
};
use store::instances::{InstanceRow, InstanceState, Owner, Wanted, instances_list_of};
use types::{InstanceId, InstanceType};
use workflow::reconciler::{Reconciler, Status};

use crate::operations::instances::{self, Placing};
use crate::operations::items::from_json;
use crate::operations::stages::ResolvedStage;
use crate::{Control, Error};

/// The reconciler's name, by which it is woken.
pub const NAME: &str = "endpoints";

/// How often a stage may fail in a row before its endpoint counts as failed; it is tried further.
const FAILURES_MAX: usize = 3;
/// The pause before a failed stage is started again; it doubles up to the maximum.
const RESTART_MS_MIN: u64 = 500;
const RESTART_MS_MAX: u64 = 60_000;
/// How long the old instances go on after the routes changed, for requests that they still have.
const DRAIN_MS: u64 = 5_000;

/// Makes endpoints true.
#[derive(Debug)]
pub struct Endpoints {
    control: Control,
}

/// The newest of an endpoint's instances whose task is what the stage at this place wants.
pub(crate) fn current<'a>(
    instances: &'a [InstanceRow],
    instance_type: &str,
    place: usize,
    stage: &ResolvedStage,
) -> Option<&'a InstanceRow> {
    of_stage(instances, instance_type, place, stage).max_by_key(|row| row.id)
}

fn of_stage<'a>(
    instances: &'a [InstanceRow],
    instance_type: &str,
    place: usize,
    stage: &ResolvedStage,
) -> impl Iterator<Item = &'a InstanceRow> + use<'a> {
    let wanted = InstanceType::find(instance_type)
        .and_then(|size| serde_json::to_value(stage.task(&size)).ok());
    instances.iter().filter(move |row| {
        row.stage as usize == place
            && row.wanted == Wanted::Running
            && Some(&row.task) == wanted.as_ref()
    })
}

impl Endpoints {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    async fn close(&self) -> Result<Status, Error> {
        let read =
            self.control.shared.store.read("list endpoints", |tx| Box::pin(endpoints_list_all(tx)));
        let mut status = Status::default();
        for endpoint in read.await? {
            let name = endpoint.name.clone();
            match self.close_one(endpoint).await {
                Ok(steps) => status.steps_done += steps,
                Err(error) => {
                    status.failures.push(format!("{name}: {}", workflow::chain(&error)));
                }
            }
        }
        Ok(status)
    }

    async fn close_one(&self, endpoint: EndpointRow) -> Result<u64, Error> {
        let id = endpoint.id;
        let read = self.control.shared.store.read("list instances of an endpoint", |tx| {
            Box::pin(instances_list_of(tx, Owner::Endpoint(id)))
        });
        let instances = read.await?;
        if endpoint.deleting {
            return self.remove(&endpoint, &instances).await;
        }
        let stages: Vec<ResolvedStage> = from_json(&endpoint.resolved)?;
        let (mut steps, mut ready, mut problem) = (0, true, None);
        for (place, stage) in stages.iter().enumerate() {
            let size = &endpoint.instance_type;
            let tried: Vec<_> = of_stage(&instances, size, place, stage).collect();
            let newest = tried.iter().max_by_key(|row| row.id).map(|row| row.state);
            if newest == Some(InstanceState::Ready) {
                continue;
            }
            ready = false;
            let failed = tried.iter().filter(|row| row.state.ended());
            if failed.clone().count() >= FAILURES_MAX {
                problem = problem.or_else(|| failed.max_by_key(|row| row.id).map(|row| why(row)));
            }
            if newest.is_some_and(|state| !state.ended()) {
                continue;
            }
            match self.start(&endpoint, (place, stage), &tried).await {
                Ok(true) => steps += 1,
                Ok(false) => {}
                Err(Error::NoResources { message, .. }) => problem = Some(message),
                Err(error) => return Err(error),
            }
        }
        if ready {
            steps += self.serve(&endpoint, (&instances, &stages)).await?;
        }
        let state = match (ready, &problem) {
            (true, _) => EndpointState::Ready,
            (false, Some(_)) => EndpointState::Failed,
            (false, None) => EndpointState::Starting,
        };
        let problem = if ready { None } else { problem };
        if endpoint.state != state || endpoint.error != problem {
            self.note(&endpoint, state, problem.as_deref()).await?;
            steps += 1;
        }
        Ok(steps)
    }

    /// Starts an instance of a stage, unless it failed so lately that it has to pause.
    async fn start(
        &self,
        endpoint: &EndpointRow,
        (place, stage): (usize, &ResolvedStage),
        tried: &[&InstanceRow],
    ) -> Result<bool, Error> {
        let failures = tried.iter().filter(|row| row.state.ended()).count();
        let last_ms = tried.iter().filter_map(|row| row.ended_at_ms).max();
        if let Some(last_ms) = last_ms.filter(|_| failures > 0) {
            let attempt = u32::try_from(failures).unwrap_or(u32::MAX);
            let pause_ms = backoff::pause_ms(attempt, RESTART_MS_MIN, RESTART_MS_MAX, 0);
            if self.control.now_ms() < last_ms.saturating_add(pause_ms) {
                return Ok(false);
            }
        }
        let size = InstanceType::find(&endpoint.instance_type).ok_or_else(|| {
            Error::invalid(format!("{} is no instance type any more", endpoint.instance_type))
        })?;
        let placing = Placing {
            id: InstanceId::new(self.control.clock().uuid()),
            account: endpoint.account_id,
            owner: Owner::Endpoint(endpoint.id),
            stage: u32::try_from(place).unwrap_or(u32::MAX),
            task: stage.task(&size),
        };
        let row = instances::place(&self.control, placing).await?;
        let host = instances::host_name(&self.control, row.host_id).await;
        let subject = endpoint.id.to_string();
        let text = format!("{}: a {} instance on host {host}", stage.reference, size.name);
        self.control.say(&subject, "deploy", &text).await?;
        Ok(true)
    }

    /// Routes what is wanted, which is ready; and takes the old away once nobody uses it.
    async fn serve(
        &self,
        endpoint: &EndpointRow,
        (instances, stages): (&[InstanceRow], &[ResolvedStage]),
    ) -> Result<u64, Error> {
        let wanted = EndpointChange {
            source: endpoint.source.clone(),
            resolved: endpoint.resolved.clone(),
            instance_type: endpoint.instance_type.clone(),
        };
        let now_ms = self.control.now_ms();
        match &endpoint.served {
            Some(served) if served.what == wanted => {
                let drained = now_ms >= served.since_ms.saturating_add(DRAIN_MS);
                if drained { self.retire(instances, endpoint, stages).await } else { Ok(0) }
            }
            _ => {
                let (id, generation) = (endpoint.id, endpoint.generation);
                let served = self.control.shared.store.transact("serve an endpoint", |tx| {
                    Box::pin(endpoint_serve(tx, id, generation, now_ms))
                });
                passed(served.await).map(|()| 1)
            }
        }
    }

    /// Takes away what is not current, also what failed before: it no longer counts.
    async fn retire(
        &self,
        instances: &[InstanceRow],
        endpoint: &EndpointRow,
        stages: &[ResolvedStage],
    ) -> Result<u64, Error> {
        let kept: Vec<InstanceId> = stages
            .iter()
            .enumerate()
            .filter_map(|(place, stage)| current(instances, &endpoint.instance_type, place, stage))
            .map(|row| row.id)
            .collect();
        let mut steps = 0;
        for row in instances {
            if row.wanted == Wanted::Running && !kept.contains(&row.id) {
                instances::let_go(&self.control, row.id).await?;
                steps += 1;
            }
        }
        Ok(steps)
    }

    async fn remove(
        &self,
        endpoint: &EndpointRow,
        instances: &[InstanceRow],
    ) -> Result<u64, Error> {
        let mut steps = 0;
        for row in instances.iter().filter(|row| row.wanted == Wanted::Running) {
            instances::let_go(&self.control, row.id).await?;
            steps += 1;
        }
        if instances.iter().all(|row| row.ended_at_ms.is_some()) {
            let id = endpoint.id;
            let removed = self
                .control
                .shared
                .store
                .transact("remove an endpoint", |tx| Box::pin(endpoint_remove(tx, id)));
            removed.await?;
            steps += 1;
        }
        Ok(steps)
    }

    async fn note(
        &self,
        endpoint: &EndpointRow,
        state: EndpointState,
        problem: Option<&str>,
    ) -> Result<(), Error> {
        let (id, generation) = (endpoint.id, endpoint.generation);
        let noted = self
            .control
            .shared
            .store
            .transact("note where an endpoint stands", |tx| {
                let problem = problem.map(str::to_owned);
                Box::pin(async move {
                    endpoint_state(tx, id, generation, state, problem.as_deref()).await
                })
            })
            .await;
        passed(noted)
    }
}

/// What was stored, or came too late: something newer is wanted, and has its own activation.
fn passed(stored: Result<(), store::Error>) -> Result<(), Error> {
    match stored {
        Err(store::Error::Stale { .. } | store::Error::Conflict { .. }) => Ok(()),
        other => Ok(other?),
    }
}

fn why(row: &InstanceRow) -> String {
    let report = row.report.clone().and_then(|report| {
        serde_json::from_value::<InstanceReport>(report).ok().and_then(|report| report.error)
    });
    report.unwrap_or_else(|| match row.state {
        InstanceState::Ended => "it ended by itself".to_owned(),
        _ => "its host was lost".to_owned(),
    })
}

impl Reconciler for Endpoints {
    fn name(&self) -> &'static str {
        NAME
    }

    fn period_ms(&self) -> u64 {
        1_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async { self.close().await.unwrap_or_else(|error| Status::failed(workflow::chain(&error))) }
            .boxed()
    }
}
