//! What this host holds, and the plan that makes it match its assignment.
//!
//! Always true: an instance is held from the moment its start begins until it is wholly gone, so
//! that no two lives of it overlap.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use api::internal::Assignment;
use executor::Running;
use types::{InstanceId, RunId};

/// An instance that is being started, runs, or is being stopped.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    /// The generation it was started for.
    pub(crate) generation: u64,
    /// Cancelled when it is to go.
    pub(crate) stop: CancellationToken,
    /// Its socket, once it serves.
    pub(crate) socket: Option<std::path::PathBuf>,
    /// What runs, as long as it serves.
    pub(crate) running: Option<Running>,
    /// The run whose drill ended it.
    pub(crate) drilled: Option<RunId>,
    /// Whether it has ended by itself and been reported; it is not started again.
    pub(crate) over: bool,
}

/// Everything that is held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    list: Mutex<BTreeMap<InstanceId, Holding>>,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Start(InstanceId),
    Stop(InstanceId),
    /// It ended and is no longer assigned.
    Forget(InstanceId),
}

/// What makes the held instances match the assigned ones.
///
/// An instance whose assignment has a newer generation is stopped now and started by the plan
/// after its end.
pub(crate) fn plan(held: &BTreeMap<InstanceId, Holding>, wanted: &[Assignment]) -> Vec<Step> {
    let mut steps = Vec::new();
    let wanted: BTreeMap<InstanceId, u64> =
        wanted.iter().map(|assignment| (assignment.id, assignment.generation)).collect();
    for (&id, holding) in held {
        match wanted.get(&id) {
            None if holding.over => steps.push(Step::Forget(id)),
            None => steps.push(Step::Stop(id)),
            Some(&generation) if generation > holding.generation && holding.over => {
                steps.push(Step::Forget(id));
                steps.push(Step::Start(id));
            }
            Some(&generation) if generation > holding.generation => steps.push(Step::Stop(id)),
            Some(_) => {}
        }
    }
    steps.extend(wanted.keys().filter(|id| !held.contains_key(id)).copied().map(Step::Start));
    steps
}

impl Held {
    pub(crate) fn plan(&self, wanted: &[Assignment]) -> Vec<Step> {
        plan(&self.list.lock(), wanted)
    }

    /// Holds an instance that is about to be started; its token is cancelled when it is to go.
    pub(crate) fn hold(&self, id: InstanceId, generation: u64) -> CancellationToken {
        let stop = CancellationToken::new();
        let holding = Holding {
            generation,
            stop: stop.clone(),
            socket: None,
            running: None,
            drilled: None,
            over: false,
        };
        self.list.lock().insert(id, holding);
        stop
    }

    pub(crate) fn stop(&self, id: InstanceId) {
        if let Some(holding) = self.list.lock().get(&id) {
            holding.stop.cancel();
        }
    }

    /// It answers on its socket.
    pub(crate) fn serves(&self, id: InstanceId, running: &Running) {
        if let Some(holding) = self.list.lock().get_mut(&id) {
            holding.socket = running.socket().map(std::path::Path::to_path_buf);
            holding.running = Some(running.clone());
        }
    }

    /// It does not answer any more.
    pub(crate) fn serves_no_more(&self, id: InstanceId) {
        if let Some(holding) = self.list.lock().get_mut(&id) {
            (holding.socket, holding.running) = (None, None);
        }
    }

    /// What runs of an instance that serves, if it is of this generation.
    pub(crate) fn running(&self, id: InstanceId, generation: u64) -> Option<Running> {
        let list = self.list.lock();
        list.get(&id).filter(|holding| holding.generation == generation)?.running.clone()
    }

    /// Notes that a drill ends an instance of this generation, and gives what runs of it; none where
    /// it does not serve, or is to stop anyway, or another drill has it.
    pub(crate) fn drill(&self, id: InstanceId, generation: u64, run: RunId) -> Option<Running> {
        let mut list = self.list.lock();
        let holding = list.get_mut(&id).filter(|holding| holding.generation == generation)?;
        if holding.stop.is_cancelled() || holding.drilled.is_some() {
            return None;
        }
        let running = holding.running.clone()?;
        holding.drilled = Some(run);
        Some(running)
    }

    /// The run whose drill ended it.
    pub(crate) fn drilled(&self, id: InstanceId) -> Option<RunId> {
        self.list.lock().get(&id)?.drilled
    }

    /// The socket of an instance, if it is of this generation.
    pub(crate) fn socket(&self, id: InstanceId, generation: u64) -> Option<std::path::PathBuf> {
        let list = self.list.lock();
        let holding = list.get(&id).filter(|holding| holding.generation == generation)?;
        holding.socket.clone()
    }

    /// It is gone: forgotten where it was stopped, remembered where it ended by itself.
    pub(crate) fn gone(&self, id: InstanceId) {
        let mut list = self.list.lock();
        let Some(holding) = list.get_mut(&id) else { return };
        if holding.stop.is_cancelled() {
            list.remove(&id);
        } else {
            holding.over = true;
            (holding.socket, holding.running) = (None, None);
        }
    }

    pub(crate) fn forget(&self, id: InstanceId) {
        self.list.lock().remove(&id);
    }

    pub(crate) fn stop_all(&self) {
        for holding in self.list.lock().values() {
            holding.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use api::internal::{ObjectGrant, Purpose, Task};
    use types::{AccountId, Limits, ObjectId, Runtime};
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> InstanceId {
        InstanceId::new(Uuid::from_u128(number))
    }

    fn assignment(number: u128, generation: u64) -> Assignment {
        let package = ObjectGrant {
            account: AccountId::new(Uuid::from_u128(1)),
            object: ObjectId::new(Uuid::from_u128(1)),
            bytes: 0,
            key: String::new(),
        };
        let limits =
            Limits { timeout_ms: 1, memory_bytes: 1, cpu_milli: 1, processes: 1, scratch_bytes: 1 };
        let task = Task {
            runtime: Runtime::Onnx,
            package,
            entry: String::new(),
            args: vec![],
            limits,
            batch_max: 1,
            purpose: Purpose::Serve,
        };
        Assignment { id: id(number), generation, task }
    }

    #[test]
    fn the_plan_closes_the_gap_and_then_rests() {
        let held = Held::default();
        assert_eq!(held.plan(&[assignment(1, 1)]), [Step::Start(id(1))]);
        let stop = held.hold(id(1), 1);
        assert_eq!(held.plan(&[assignment(1, 1)]), []);
        assert_eq!(held.plan(&[assignment(1, 2)]), [Step::Stop(id(1))]);
        held.stop(id(1));
        assert!(stop.is_cancelled());
        held.gone(id(1));
        assert_eq!(held.plan(&[assignment(1, 2)]), [Step::Start(id(1))]);
        assert_eq!(held.plan(&[]), []);
    }

    #[test]
    fn what_ended_by_itself_is_not_started_again_until_it_is_wanted_anew() {
        let held = Held::default();
        held.hold(id(1), 1);
        held.gone(id(1));
        assert_eq!(held.plan(&[assignment(1, 1)]), []);
        assert_eq!(held.plan(&[assignment(1, 2)]), [Step::Forget(id(1)), Step::Start(id(1))]);
        assert_eq!(held.plan(&[]), [Step::Forget(id(1))]);
    }

    #[test]
    fn what_does_not_serve_is_not_drilled_nor_said_to_be() {
        let held = Held::default();
        let run = RunId::new(Uuid::from_u128(9));
        assert!(held.drill(id(1), 1, run).is_none(), "it is not held");
        held.hold(id(1), 1);
        assert!(held.drill(id(1), 1, run).is_none(), "it starts");
        assert_eq!((held.drilled(id(1)), held.running(id(1), 1).is_none()), (None, true));
    }

    #[test]
    fn an_older_generation_changes_nothing() {
        let held = Held::default();
        held.hold(id(1), 3);
        assert_eq!(plan(&held.list.lock(), &[assignment(1, 2)]), []);
        let empty: BTreeMap<InstanceId, Holding> = BTreeMap::new();
        assert_eq!(plan(&empty, &[]), []);
    }
}
