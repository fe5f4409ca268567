//! Drills, and what instances of models use: what gateways ask of this host for replays.
//!
//! Always true: an instance is ended once, and only where it serves in the generation that was asked
//! for; its log and its last report say which run's drill it was; it then counts as one that ended by
//! itself, and is started again as such.
//! Absent on purpose: which instance is ended, and whether it may be (the gateway knows).

use api::internal::functions::near::NotRun;
use api::internal::instances::{
    Drill, INSTANCES_ASKED_MAX, InstanceUsed, InstancesAsked, InstancesUsed,
};
use executor::Running;
use types::{ErrorKind, InstanceId, RunId};

use crate::Agent;
use crate::life::Trouble;

/// Why an instance ended that a drill has ended.
pub(crate) fn why(run: RunId) -> Trouble {
    Trouble(format!("it was ended by a drill of the run {run}"))
}

impl Agent {
    /// Ends an instance at once, as by a crash; returns what it had used once nothing of it is left.
    ///
    /// # Errors
    ///
    /// [`NotRun`] where no such instance serves here.
    pub(crate) async fn drill(
        &self,
        instance: InstanceId,
        drill: Drill,
    ) -> Result<InstanceUsed, NotRun> {
        let Drill { generation, run } = drill;
        let running = self.shared.held.drill(instance, generation, run);
        let running = running.ok_or_else(|| NotRun {
            kind: ErrorKind::NotFound,
            reason: format!("the instance {instance} does not serve on this host any more"),
            wait_ms: None,
        })?;
        tracing::info!(%instance, %run, "an instance is ended by a drill");
        running.tell(format!("{}: killed", why(run)), self.shared.clock.now_ms());
        let used = used(&running);
        running.kill();
        running.wait().await;
        Ok(used)
    }

    /// What instances use that serve here.
    pub(crate) fn instances_used(&self, asked: &InstancesAsked) -> InstancesUsed {
        let asked = asked.instances.iter().take(INSTANCES_ASKED_MAX);
        let serving =
            asked.filter_map(|(id, generation)| self.shared.held.running(*id, *generation));
        InstancesUsed { instances: serving.map(|running| used(&running)).collect() }
    }
}

/// What an instance uses. Where the machine tells nothing, it reads as nothing, which no instance
/// that serves uses.
fn used(running: &Running) -> InstanceUsed {
    let usage = running.measure();
    let known = |value: u64| (value > 0).then_some(value);
    InstanceUsed {
        instance: running.id(),
        generation: running.generation(),
        cpu_us: known(usage.cpu_us),
        memory_bytes: known(usage.memory_bytes),
        memory_peak_bytes: known(usage.memory_peak_bytes),
    }
}
