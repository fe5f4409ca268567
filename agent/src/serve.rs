//! An instance that answers requests: a model worker behind a Unix socket.

use std::path::Path;
use std::time::Instant;

use api::internal::{Assignment, Description, InstanceReport, InstanceState, Measures, Task};
use executor::{Start, Work};
use policy::polling;
use tokio_util::sync::CancellationToken;

use crate::Agent;
use crate::channel::{Channel, ChannelError};
use crate::drills;
use crate::life::{Life, Trouble, deliver, report, why};

/// Longest time to load a model: large ones on slow disks take a minute.
pub(crate) const LOAD_MS_MAX: u64 = 240_000;
/// How often a worker is asked whether it still answers.
const HEALTH_MS: u64 = 5_000;
/// How long that answer may take: it does not wait for requests that are being worked on.
const HEALTH_ANSWER_MS: u64 = 10_000;

/// How many of its last lines a broken worker's failure tells.
const LAST_LINES: usize = 3;

/// Starts the worker, reports it ready, watches its health until it is to stop or ends by itself.
pub(crate) async fn live(
    agent: &Agent,
    assignment: &Assignment,
    stop: &CancellationToken,
) -> Result<InstanceReport, Trouble> {
    let task = &assignment.task;
    let unpacking = agent.shared.packages.unpack(&task.package);
    let package = tokio::select! {
        () = stop.cancelled() => return Ok(report(agent, assignment, InstanceState::Ended)),
        package = unpacking => package.map_err(|error| Trouble::of(&error))?,
    };
    let began = Instant::now();
    let life = Life::start(agent, start(assignment, package.folder())).await?;
    let description = tokio::select! {
        () = stop.cancelled() => {
            life.end().await;
            return Ok(report(agent, assignment, InstanceState::Ended));
        }
        description = described(&life) => description,
    };
    let description = match description {
        Ok(description) => description,
        Err(trouble) => {
            life.end().await;
            return Err(trouble);
        }
    };
    let start_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let socket = life.running.socket().map(Path::to_path_buf).unwrap_or_default();
    agent.shared.held.serves(assignment.id, &life.running);
    let ready = InstanceReport {
        socket: Some(socket.display().to_string()),
        description: Some(description),
        measures: Some(Measures { start_us, ..Measures::default() }),
        ..report(agent, assignment, InstanceState::Ready)
    };
    let trouble = tokio::select! {
        () = stop.cancelled() => None,
        exit = life.running.wait() => Some(Trouble(format!("the model worker {}", why(&exit)))),
        trouble = watch(agent, assignment, &ready, &socket) => Some(trouble),
    };
    agent.shared.held.serves_no_more(assignment.id);
    life.end().await;
    // Whoever asked for its end is the reason, and not how that was done.
    let drilled = agent.shared.held.drilled(assignment.id).map(drills::why);
    match trouble {
        Some(trouble) => Err(drilled.unwrap_or(trouble)),
        None => Ok(report(agent, assignment, InstanceState::Ended)),
    }
}

/// Reports readiness, then asks the worker now and then; returns when it no longer answers.
async fn watch(
    agent: &Agent,
    assignment: &Assignment,
    ready: &InstanceReport,
    socket: &Path,
) -> Trouble {
    deliver(agent, assignment, ready).await;
    loop {
        agent.shared.clock.sleep_ms(HEALTH_MS).await;
        let asked = async {
            let mut channel = Channel::connect(socket).await?;
            channel.describe(HEALTH_ANSWER_MS).await
        };
        if let Err(error) = asked.await {
            return Trouble::of(&error);
        }
    }
}

/// What the worker says of itself, once its model is loaded.
pub(crate) async fn described(life: &Life) -> Result<Description, Trouble> {
    let Some(socket) = life.running.socket() else {
        return Err(Trouble("the instance has no socket".to_owned()));
    };
    let asked = async {
        let mut channel = Channel::connect(socket).await?;
        channel.describe(LOAD_MS_MAX).await
    };
    match asked.await {
        Ok(description) => Ok(description),
        // Its own end says more than the broken connection.
        Err(ChannelError::Closed | ChannelError::Io(_)) => {
            let exit = life.running.wait().await;
            let mut lines = life.running.logs();
            let mut last = Vec::new();
            while let Some(line) = lines.ready() {
                last.push(line.line);
            }
            let last = last[last.len().saturating_sub(LAST_LINES)..].join("; ");
            let text = format!("the model worker {}: {last}", why(&exit));
            Err(Trouble(text.trim_end_matches(": ").to_owned()))
        }
        Err(error) => Err(Trouble::of(&error)),
    }
}

/// What the executor is to start.
pub(crate) fn start(assignment: &Assignment, package: &Path) -> Start {
    let task = &assignment.task;
    Start {
        id: assignment.id,
        generation: assignment.generation,
        package: package.to_path_buf(),
        work: Work::Serve,
        limits: task.limits,
        task: worker_task(task),
    }
}

fn worker_task(task: &Task) -> serde_json::Value {
    serde_json::json!({
        "entry": task.entry,
        "batch_max": task.batch_max,
        "timeout_ms": task.limits.timeout_ms,
        "threads": (task.limits.cpu_milli / 1_000).max(1),
        "poll_us": polling::limit_us(task.limits.cpu_milli),
    })
}
