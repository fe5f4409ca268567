//! Runs: replays that this gateway sends, to itself, as its customers would.
//!
//! Always true: a run is sent by the gateway that holds its stream, once; it goes on after a restart
//! where it was; its requests come in by a socket of this gateway, with a secret of its own that is
//! nobody else's, and may do what its account may. What it measured is told to control as it goes.
//! Absent on purpose: which runs there are (control), when what is sent (`events::replay`).

mod judged;
mod plan;
mod records;
mod told;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use api::accounts::Role;
use api::internal::{Principal, RunReport, RunRoute};
use api::runs::RunState;
use events::replay::Run;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use types::{RunId, TokenId};

use crate::error::Error;
use crate::hub::Hub;
use crate::routes::Caller;
use plan::Planned;

pub(crate) use records::records;

/// How often what a run has come to is told, in milliseconds.
const TELL_MS: u64 = 1_000;
/// How often it is looked whether a run is over, in milliseconds.
const WATCH_MS: u64 = 100;
/// Between two looks for runs that could not begin, in milliseconds.
const LOOK_MS: u64 = 2_000;

/// The runs that are sent now.
#[derive(Default)]
pub(crate) struct Runs {
    /// By the digests of their secrets.
    callers: Mutex<HashMap<[u8; 32], Caller>>,
    live: Mutex<HashMap<RunId, Option<Arc<Run>>>>,
}

impl Runs {
    /// Who calls with the secret of a run.
    pub(crate) fn caller(&self, secret: &str) -> Option<Caller> {
        let callers = self.callers.lock();
        // Where nothing is replayed nobody pays for it.
        if callers.is_empty() {
            return None;
        }
        callers.get(&<[u8; 32]>::from(Sha256::digest(secret.as_bytes()))).cloned()
    }

    /// Whether this caller is a run, whose requests are no live events.
    pub(crate) fn sends(&self, caller: &Caller) -> bool {
        let Caller::Known(known) = caller else { return false };
        let live = self.live.lock();
        !live.is_empty() && live.contains_key(&RunId::new(known.token.uuid()))
    }

    /// Gives a run a secret, until what is given is dropped.
    fn admit<'h>(&'h self, hub: &Hub, told: &RunRoute) -> Admitted<'h> {
        let secret = hex::encode(hub.clock.random::<32>());
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let principal = Principal {
            token: TokenId::new(told.run.uuid()),
            secret_sha256: hex::encode(digest),
            account: told.account,
            account_name: told.account_name.clone(),
            role: Role::Reader,
            expires_at_ms: None,
            access_key: None,
        };
        self.callers.lock().insert(digest, Caller::Known(Arc::new(principal)));
        Admitted { runs: self, digest, secret }
    }
}

/// A run that may call.
struct Admitted<'h> {
    runs: &'h Runs,
    digest: [u8; 32],
    secret: String,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.runs.callers.lock().remove(&self.digest);
    }
}

/// Sends runs as they are wanted, until the gateway stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let stopping = hub.tasks.stopping();
    let mut generation = hub.generation.subscribe();
    while !stopping.is_cancelled() {
        let wanted = hub.table.load().runs().to_vec();
        for told in wanted {
            follow(&hub, told);
        }
        tokio::select! {
            _ = generation.changed() => {}
            () = hub.clock.sleep_ms(LOOK_MS) => {}
            () = stopping.cancelled() => break,
        }
    }
    for run in hub.runs.live.lock().values().flatten() {
        run.stop();
    }
}

/// Begins a run, or has one stop.
fn follow(hub: &Arc<Hub>, told: Arc<RunRoute>) {
    let mut live = hub.runs.live.lock();
    if let Some(run) = live.get(&told.run) {
        if let Some(run) = run.as_ref().filter(|_| told.stop_wanted) {
            run.stop();
        }
        return;
    }
    live.insert(told.run, None);
    drop(live);
    let hub = Arc::clone(hub);
    let tasks = hub.tasks.clone();
    tasks.spawn("replay", async move {
        let ended = send(&hub, &told).await;
        if let Err(error) = ended {
            match error {
                // Another gateway's, or control is away: it is looked at again.
                Error::StreamElsewhere { .. } | Error::NoControl => {}
                error => {
                    tracing::warn!(run = %told.run, %error, "a replay failed");
                    let report = report(RunState::Failed, None, None, Some(error.to_string()));
                    tell(&hub, told.run, report).await;
                }
            }
        }
        hub.runs.live.lock().remove(&told.run);
    });
}

/// Sends a run to its end.
async fn send(hub: &Arc<Hub>, told: &Arc<RunRoute>) -> Result<(), Error> {
    let table = hub.table.load_full();
    let route = table.streams().find(|stream| stream.stream == told.stream).map(Arc::clone);
    drop(table);
    let route = route.ok_or_else(|| Error::NoStream { stream: told.spec.stream.to_string() })?;
    let stream = hub.streams.open(hub, &route).await?;
    let began = report(RunState::Running, None, None, None);
    if told.stop_wanted || !tell(hub, told.run, began).await {
        let stopped = report(RunState::Stopped, None, None, None);
        tell(hub, told.run, stopped).await;
        return Ok(());
    }
    let admitted = hub.runs.admit(hub, told);
    let Planned { plan, events, judge, judged } =
        plan::plan(hub, (stream, told), &admitted.secret).await?;
    let clock = hub.clock.clone();
    let run = crate::streams::blocking(move || {
        let traffic = events::replay::Posts { form: events::replay::Form::CloudEvents };
        Run::start(plan, &clock, events, traffic, judge).map_err(Error::from)
    });
    let run = Arc::new(run.await?);
    hub.runs.live.lock().insert(told.run, Some(Arc::clone(&run)));
    let mut told_ms = 0;
    while !matches!(run.progress().stage, events::replay::report::Stage::Over) {
        hub.clock.sleep_ms(WATCH_MS).await;
        let now_ms = hub.clock.now_ms();
        if now_ms.saturating_sub(told_ms) >= TELL_MS {
            told_ms = now_ms;
            let progress = told::progress(&run.progress(), &judged);
            tell(hub, told.run, report(RunState::Running, Some(progress), None, None)).await;
        }
    }
    hub.runs.live.lock().insert(told.run, None);
    let stops = hub.tasks.stopping().is_cancelled();
    let run = Arc::into_inner(run).ok_or_else(|| broken("a replay is still held"))?;
    let finished = crate::streams::blocking(move || run.wait().map_err(Error::from)).await?;
    // A gateway that stops leaves it to be gone on with.
    if stops && finished.facts.stopped {
        return Ok(());
    }
    let state = if finished.facts.stopped { RunState::Stopped } else { RunState::Succeeded };
    let outcome = told::outcome(&finished, &judged);
    tell(hub, told.run, report(state, None, Some(outcome), None)).await;
    Ok(())
}

const fn report(
    state: RunState,
    progress: Option<serde_json::Value>,
    outcome: Option<serde_json::Value>,
    error: Option<String>,
) -> RunReport {
    RunReport { state, progress, outcome, error }
}

/// Tells control; whether it was taken. What ends a run is told until it is heard.
async fn tell(hub: &Hub, id: RunId, report: RunReport) -> bool {
    let last = report.state.ended();
    loop {
        match hub.control.report_run(id, report.clone()).await {
            Ok(told) => return told.taken,
            Err(cause) if last && !hub.tasks.stopping().is_cancelled() => {
                tracing::debug!(%cause, run = %id, "what a replay came to was not taken");
                hub.clock.sleep_ms(TELL_MS).await;
            }
            Err(_) => return !last,
        }
    }
}

/// Where one run's records are.
fn folder(hub: &Hub, id: RunId) -> Result<PathBuf, Error> {
    let folder = hub.streams.runs_folder();
    let folder = folder.ok_or_else(|| broken("this gateway has no folder for replays"))?;
    Ok(folder.join(id.to_string()))
}

fn broken(message: &str) -> Error {
    Error::Stream { kind: types::ErrorKind::Unavailable, message: message.to_owned() }
}

impl From<events::replay::Error> for Error {
    fn from(error: events::replay::Error) -> Self {
        broken(&workflow::chain(&error))
    }
}
