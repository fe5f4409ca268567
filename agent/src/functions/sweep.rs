//! What is seen to while nobody calls: instances are made ahead, frozen, and ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Known, Origin, Use};
use crate::Agent;

/// Revisions that are remembered, with the gaps between their calls: some kilobytes each.
const KNOWN_MAX: usize = 10_000;
/// How often it is looked for instances whose time is over, and how long a window of the parked sets
/// is.
pub(super) const SWEEP_MS: u64 = 1_000;
/// An instance that nobody has called for so long is frozen: longer than a caller needs between two
/// calls of a series, and short enough that nothing is done meanwhile at others' expense.
const FREEZE_MS: u64 = 100;

/// Makes an instance ahead of a call that is expected, unless one is there by then.
pub(super) async fn make_ahead(agent: &Agent, known: &Arc<Known>, at_ms: u64) {
    let stopping = agent.shared.tasks.stopping();
    let pause_ms = at_ms.saturating_sub(agent.shared.clock.now_ms());
    tokio::select! {
        () = stopping.cancelled() => return,
        () = agent.shared.clock.sleep_ms(pause_ms) => {}
    }
    let Some(spec) = known.spec.get() else { return };
    let mut pool = known.pool.lock();
    // A call that came meanwhile has its own expectation.
    let expected = pool.called_ms() < at_ms && !pool.is_live() && pool.starting == 0;
    if expected && agent.room(known, spec) > 0 {
        agent.begin(&mut pool, (known, Origin::Call), spec);
    }
}

/// Freezes the instances of a revision that nobody calls, for as long as there are some to freeze.
pub(super) async fn freeze_idle(agent: &Agent, known: &Known) {
    let clock = &agent.shared.clock;
    loop {
        clock.sleep_ms(FREEZE_MS).await;
        let until_ms = clock.now_ms().saturating_sub(FREEZE_MS);
        if !known.pool.lock().freeze_until(until_ms) {
            return;
        }
    }
}

/// Ends instances that nobody calls, until the tasks stop; then all of them.
pub(crate) async fn sweep(agent: Agent) {
    let stopping = agent.shared.tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            () = agent.shared.clock.sleep_ms(SWEEP_MS) => {}
        }
        agent.parking_window_over();
        end_idle(&agent, agent.shared.clock.now_ms()).await;
    }
    agent.parking_over();
    end_idle(&agent, u64::MAX).await;
}

/// Ends what is not to be kept at this time, and forgets revisions of which nothing is of use.
async fn end_idle(agent: &Agent, now_ms: u64) {
    let mut ended = Vec::new();
    {
        let mut all = agent.shared.functions.known.lock();
        for known in all.values() {
            ended.extend(known.pool.lock().over(now_ms));
        }
        forget(&mut all, now_ms);
    }
    // At the same time, since each may have a moment to see to its end.
    futures::future::join_all(ended.iter().map(|warm| warm.end(agent))).await;
}

/// Forgets revisions that were not called for as long as anything is expected, and of those that
/// have nothing running the ones called the longest ago, where there are too many.
fn forget(all: &mut BTreeMap<Use, Arc<Known>>, now_ms: u64) {
    all.retain(|_, known| Arc::strong_count(known) > 1 || !known.pool.lock().is_over(now_ms));
    if all.len() <= KNOWN_MAX {
        return;
    }
    let mut called: Vec<u64> = all.values().map(|known| known.pool.lock().called_ms()).collect();
    called.sort_unstable();
    let before_ms = called[called.len() - KNOWN_MAX];
    all.retain(|_, known| {
        let pool = known.pool.lock();
        Arc::strong_count(known) > 1 || !pool.is_empty() || pool.called_ms() >= before_ms
    });
}
