//! Calls from a gateway in the same process.

use api::internal::functions::Call;
use api::internal::functions::near::{Answered, Near, NotRun};
use api::internal::instances::{Drill, InstanceUsed, InstancesAsked, InstancesUsed};
use bytes::Bytes;
use futures::future::BoxFuture;
use types::{ErrorKind, InstanceId, RevisionId};

use super::Refusal;
use crate::Agent;

impl Near for Agent {
    fn call(
        &self,
        revision: RevisionId,
        call: Call,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Answered, NotRun>> {
        let agent = self.clone();
        Box::pin(async move { Ok(agent.run_call(revision, call, payload).await?) })
    }

    fn drill(
        &self,
        instance: InstanceId,
        drill: Drill,
    ) -> BoxFuture<'static, Result<InstanceUsed, NotRun>> {
        let agent = self.clone();
        Box::pin(async move { agent.drill(instance, drill).await })
    }

    fn used(&self, asked: InstancesAsked) -> BoxFuture<'static, InstancesUsed> {
        let used = self.instances_used(&asked);
        Box::pin(async move { used })
    }
}

impl From<Refusal> for NotRun {
    fn from(refusal: Refusal) -> Self {
        let (kind, wait_ms) = match refusal {
            Refusal::Throttled { retry_ms } => (ErrorKind::Busy, Some(retry_ms)),
            Refusal::Full { retry_ms } => (ErrorKind::Unavailable, Some(retry_ms)),
            Refusal::Unknown => (ErrorKind::NotFound, None),
            Refusal::Away(_) => (ErrorKind::Unavailable, None),
        };
        Self { kind, reason: refusal.to_string(), wait_ms }
    }
}
