//! Sagas: what a caller waits for, step by step.
//!
//! Always true: every saga is in [`registry`], whose sagas a test fails, repeats and resumes at
//! every step.

pub mod publish;
pub mod train;

use api::internal::{InstanceReport, InstanceState as Reported};
use store::instances::{InstanceRow, InstanceState};
use workflow::saga::{Failure, Outcome, Registry};

use crate::operations::instances::{self, Placing};
use crate::{Control, Error};

/// How often an instance is placed again after its host was lost: enough for a machine that is
/// restarted, few enough for a package that breaks its machines.
const HOSTS_LOST_MAX: u32 = 3;
/// How often a saga looks whether a host has room now.
const ROOM_WAIT_MS: u64 = 2_000;

/// Every saga.
pub fn registry(control: &Control) -> Registry {
    Registry::new()
        .with(publish::PublishSaga::new(control.clone()))
        .with(train::TrainSaga::new(control.clone()))
}

/// What an error of control means to a saga: what may pass is tried again.
fn failure(error: &Error) -> Failure {
    use types::ErrorKind::{Busy, Internal, Timeout, Unavailable};
    match error.kind() {
        Busy | Internal | Timeout | Unavailable => Failure::transient(workflow::chain(error)),
        _ => Failure::permanent(error.code(), error.to_string()),
    }
}

/// What came of placing an instance.
enum Placed {
    /// It is there, now or since before.
    At(Box<InstanceRow>),
    /// No host has room now.
    Waits(Outcome),
}

/// Places an instance, or waits for room; fails for good where no host could ever have it.
async fn placed(control: &Control, placing: Placing) -> Result<Placed, Failure> {
    match instances::place(control, placing).await {
        Ok(row) => Ok(Placed::At(Box::new(row))),
        Err(Error::NoResources { later: true, .. }) => {
            Ok(Placed::Waits(Outcome::Wait { retry_after_ms: ROOM_WAIT_MS }))
        }
        Err(error @ Error::NoResources { .. }) => {
            Err(Failure::permanent(error.code(), error.to_string()))
        }
        Err(error) => Err(failure(&error)),
    }
}

/// The last report of an instance that has ended; one that was lost is said to have failed.
fn ended(row: &InstanceRow) -> Result<Option<InstanceReport>, Failure> {
    if !row.state.ended() {
        return Ok(None);
    }
    let report = instances::reported(row).map_err(|error| failure(&error))?;
    let report = report.filter(|report| is_end(report.state));
    Ok(Some(report.unwrap_or_else(|| InstanceReport {
        host: row.host_id,
        generation: row.generation,
        state: Reported::Failed,
        socket: None,
        description: None,
        error: Some("its host was lost".to_owned()),
        progress_ppm: None,
        measures: None,
        tests: Vec::new(),
    })))
}

/// Whether an instance ended with its host: nobody reported its end.
fn lost(row: &InstanceRow) -> bool {
    let reported = instances::reported(row).ok().flatten();
    row.state == InstanceState::Failed && !reported.is_some_and(|report| is_end(report.state))
}

fn is_end(state: Reported) -> bool {
    matches!(state, Reported::Ended | Reported::Failed)
}
