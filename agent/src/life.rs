//! What every life of an instance shares: its reports, its lines, and its end.
//!
//! Always true: a report is repeated until control has it or refuses it; nothing of an instance is
//! left on this host once its life is ended.

use api::internal::{Assignment, InstanceReport, InstanceState};
use executor::{Exit, Running, Start};
use tokio::sync::watch;

use crate::control::ControlError;
use crate::retry::Pauses;
use crate::{Agent, logs};

/// Why an instance cannot do what it is for; one sentence for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Trouble(pub(crate) String);

impl Trouble {
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Self(text)
    }
}

/// A report in this state that says nothing else.
pub(crate) fn report(
    agent: &Agent,
    assignment: &Assignment,
    state: InstanceState,
) -> InstanceReport {
    InstanceReport {
        host: agent.shared.settings.host,
        generation: assignment.generation,
        state,
        socket: None,
        description: None,
        error: None,
        progress_ppm: None,
        measures: None,
        tests: Vec::new(),
    }
}

/// Reports until control has it, or does not want it.
pub(crate) async fn deliver(agent: &Agent, assignment: &Assignment, report: &InstanceReport) {
    let id = assignment.id;
    let mut pauses = Pauses::new();
    loop {
        match agent.shared.control.report(id, report).await {
            Ok(()) => return,
            Err(ControlError::Refused { message }) => {
                tracing::debug!(%id, message, "control does not want this report");
                return;
            }
            Err(error) => {
                tracing::debug!(%id, %error, "a report has to be repeated");
                let stopping = agent.shared.tasks.stopping();
                if !pauses.wait(&agent.shared.clock, &stopping).await {
                    return;
                }
            }
        }
    }
}

/// An instance that runs, ended and cleared when this is dropped or [`Life::end`] is called.
pub(crate) struct Life {
    pub(crate) running: Running,
    pub(crate) progress: watch::Receiver<Option<u32>>,
    forwarding: Option<tokio::task::JoinHandle<()>>,
}

impl Life {
    /// Starts an instance and hands its lines over.
    pub(crate) async fn start(agent: &Agent, start: Start) -> Result<Self, Trouble> {
        let id = start.id;
        let running = agent.shared.executor.start(start).await.map_err(|e| Trouble::of(&e))?;
        let (told, progress) = watch::channel(None);
        let forward = logs::forward(agent.clone(), id, running.logs(), told);
        let forwarding = Some(agent.shared.tasks.spawn("instance log", forward));
        Ok(Self { running, progress, forwarding })
    }

    /// Ends it where it still runs, waits until nothing of it is left, and says how it ended.
    pub(crate) async fn end(mut self) -> Exit {
        self.running.kill();
        let exit = self.running.wait().await;
        if let Some(forwarding) = self.forwarding.take() {
            // The streams have ended; what is left is handed over unless control is away.
            let grace = std::time::Duration::from_secs(2);
            let _ = tokio::time::timeout(grace, forwarding).await;
        }
        self.clear();
        exit
    }

    fn clear(&self) {
        if let Err(error) = self.running.clear() {
            tracing::warn!(id = %self.running.id(), %error, "could not remove an instance's folder");
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.running.exit().is_none() {
            self.running.kill();
        }
    }
}

/// Why a program ended, for people; its own word where it left one.
pub(crate) fn why(exit: &Exit) -> String {
    match &exit.failure {
        Some(text) if !text.trim().is_empty() => format!("{}: {}", exit.reason, text.trim()),
        _ => exit.reason.clone(),
    }
}
