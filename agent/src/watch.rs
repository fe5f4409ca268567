//! The two loops of an agent: telling what the host has, and following what it is to run.

use api::internal::{Assignment, HostReport, WATCH_WAIT_MS_MAX, Watch};

use crate::Agent;
use crate::held::Step;
use crate::instance;
use crate::retry::Pauses;

/// How often a host reports.
const REPORT_MS: u64 = 5_000;

/// Reports the host at once and then every few seconds, until the tasks stop.
pub(crate) async fn report(agent: Agent) {
    let shared = &agent.shared;
    let stopping = shared.tasks.stopping();
    let settings = &shared.settings;
    let report = HostReport {
        name: settings.name.clone(),
        generation: settings.generation,
        cpu_milli: settings.cpu_milli,
        memory_bytes: settings.memory_bytes,
        functions_memory_bytes: settings.functions_memory_bytes,
        data_address: settings.data_address.map(|address| address.to_string()),
        functions_socket: Some(agent.functions_socket().display().to_string()),
        fleet: settings.fleet.clone(),
        features: shared.features.clone(),
    };
    let mut pauses = Pauses::new();
    while !stopping.is_cancelled() {
        if let Err(error) = shared.control.report_host(settings.host, &report).await {
            if pauses.are_longest() {
                tracing::warn!(%error, "control does not take this host's report");
            }
            pauses.wait(&shared.clock, &stopping).await;
            continue;
        }
        pauses.reset();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = shared.clock.sleep_ms(REPORT_MS) => {}
        }
    }
}

/// Follows the assignments until the tasks stop, then stops every instance.
pub(crate) async fn assignments(agent: Agent) {
    let shared = &agent.shared;
    let stopping = shared.tasks.stopping();
    let (mut after, mut wanted) = (0, Vec::new());
    let mut pauses = Pauses::new();
    while !stopping.is_cancelled() {
        let wait_ms = if shared.held.plan(&wanted).is_empty() { WATCH_WAIT_MS_MAX } else { 200 };
        let watch = Watch { after, wait_ms };
        let answer = tokio::select! {
            () = stopping.cancelled() => break,
            answer = shared.control.assignments(shared.settings.host, watch) => answer,
        };
        match answer {
            Ok(assignments) => {
                pauses.reset();
                if assignments.generation >= after {
                    after = assignments.generation;
                    wanted = assignments.instances;
                    agent.keep_provisioned(&assignments.provisioned);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "could not watch the assignments");
                after = 0;
                if !pauses.wait(&shared.clock, &stopping).await {
                    break;
                }
            }
        }
        apply(&agent, &wanted);
    }
    shared.held.stop_all();
}

fn apply(agent: &Agent, wanted: &[Assignment]) {
    let shared = &agent.shared;
    for step in shared.held.plan(wanted) {
        match step {
            Step::Stop(id) => shared.held.stop(id),
            Step::Forget(id) => shared.held.forget(id),
            Step::Start(id) => {
                let Some(assignment) = wanted.iter().find(|assignment| assignment.id == id) else {
                    continue;
                };
                let stop = shared.held.hold(id, assignment.generation);
                let life = instance::live(agent.clone(), assignment.clone(), stop);
                shared.tasks.spawn("instance", life);
            }
        }
    }
}
