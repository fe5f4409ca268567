//! The life of one instance on this host: fetched, started, reported, ended.
//!
//! States, as reported: starting → ready → ended or failed.
//! Always true: the last report is repeated until control has it or refuses it; nothing of the
//! instance is left on this host when its life is over.

use api::internal::{Assignment, InstanceReport, InstanceState, Purpose};
use tokio_util::sync::CancellationToken;

use crate::life::{deliver, report};
use crate::{Agent, prove, serve, train};

/// Lives an instance from its assignment to its end.
pub(crate) async fn live(agent: Agent, assignment: Assignment, stop: CancellationToken) {
    let id = assignment.id;
    let first = report(&agent, &assignment, InstanceState::Starting);
    let life = async {
        deliver(&agent, &assignment, &first).await;
        match &assignment.task.purpose {
            Purpose::Serve => serve::live(&agent, &assignment, &stop).await,
            Purpose::Train { .. } => train::live(&agent, &assignment, &stop).await,
            Purpose::Prove { .. } => prove::live(&agent, &assignment, &stop).await,
        }
    };
    let ended = match life.await {
        Ok(report) => report,
        Err(trouble) if stop.is_cancelled() => {
            tracing::debug!(%id, %trouble, "an instance was stopped");
            report(&agent, &assignment, InstanceState::Ended)
        }
        Err(trouble) => {
            tracing::info!(%id, %trouble, "an instance failed");
            let error = Some(trouble.0);
            InstanceReport { error, ..report(&agent, &assignment, InstanceState::Failed) }
        }
    };
    // A job that was stopped with its agent is no job that ended: it is begun anew by the next
    // agent of this host. Who serves has ended, so that another may take the place.
    let job = !matches!(assignment.task.purpose, Purpose::Serve);
    let begun_anew = job && stop.is_cancelled() && agent.shared.tasks.stopping().is_cancelled();
    if !begun_anew {
        deliver(&agent, &assignment, &ended).await;
    }
    agent.shared.held.gone(id);
}
