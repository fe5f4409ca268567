//! Runs: replays that this gateway sends, to itself, as its customers would.
//!
//! Always true: a run is sent by the gateway that holds its stream, once; it goes on after a restart
//! where it was; its requests come in by a socket of this gateway, with a secret of its own that is
//! nobody else's, and may do what its account may. What it measured is told to control as it goes.
//! Absent on purpose: which runs there are (control), when what is sent (`events::replay`).

mod drift;
mod drills;
mod judged;
mod kept;
mod plan;
mod records;
mod series;
mod told;
mod used;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::accounts::Role;
use api::internal::{Principal, RunReport, RunRoute};
use api::runs::{DrillOutcome, RunState};
use events::Folder;
use events::replay::report::Stage;
use events::replay::{Cells, Run};
use http::request::Parts;
use parking_lot::Mutex;
use policy::replay::turns;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use types::{AccountId, ErrorKind, RunId, TokenId};

use crate::error::Error;
use crate::hub::Hub;
use crate::limits::Place;
use crate::routes::Caller;
use drills::Drills;
use judged::Accuracies;
use plan::Planned;
use told::Beside;
use used::Meters;

pub(crate) use drift::drift;
pub(crate) use records::records;
pub(crate) use series::series;

/// Runs that are sent at a time; more would measure each other. The others wait.
const LIVE_MAX: usize = 4;
/// What a run came to is written down under this name, before it is told.
const ENDED: &str = "ended.json";
/// Its records are in this folder of its own.
const RECORDS: &str = "records";
/// How often what a run has come to is told, in milliseconds.
const TELL_MS: u64 = 1_000;
/// How often it is looked whether a run is over, in milliseconds.
const WATCH_MS: u64 = 100;
/// How long a run that is gone on with waits for its variants to be ready, in milliseconds: a restart
/// of the machine starts them too.
const READY_MS_MAX: u64 = 60_000;
/// Between two looks for runs that could not begin, in milliseconds.
const LOOK_MS: u64 = 2_000;

/// The runs that are sent now.
#[derive(Default)]
pub(crate) struct Runs {
    /// By the digests of their secrets.
    callers: Mutex<HashMap<[u8; 32], Caller>>,
    live: Mutex<HashMap<RunId, Option<Arc<Run>>>>,
    /// Whose streams another gateway holds: they come last, so that they hold nobody up.
    elsewhere: Mutex<HashSet<RunId>>,
    /// Once this gateway stops and nothing is sent any more.
    over: CancellationToken,
}

impl Runs {
    /// Cancelled once the gateway stops and its runs send nothing more: until then it has to answer
    /// them, or they would take its stop for a fault of their variants.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Who calls with the secret of a run.
    pub(crate) fn caller(&self, secret: &str) -> Option<Caller> {
        let callers = self.callers.lock();
        // Where nothing is replayed nobody pays for it.
        if callers.is_empty() {
            return None;
        }
        callers.get(&<[u8; 32]>::from(Sha256::digest(secret.as_bytes()))).cloned()
    }

    /// Whether a caller is a run that is sent now.
    pub(crate) fn is_one(&self, caller: &Caller) -> bool {
        let Caller::Known(principal) = caller else { return false };
        let callers = self.callers.lock();
        // Where nothing is replayed nobody pays for it.
        !callers.is_empty() && self.live.lock().contains_key(&RunId::new(principal.token.uuid()))
    }

    /// Has all runs stop; whether none is left.
    fn stop_all(&self) -> bool {
        let live = self.live.lock();
        for run in live.values().flatten() {
            run.stop();
        }
        live.is_empty()
    }

    /// What a run that is sent now has measured.
    fn cells(&self, id: RunId) -> Option<Cells> {
        // A run is held for as long as its cells are taken, and no longer: who ends it is alone then.
        self.live.lock().get(&id)?.as_ref().map(|run| run.cells())
    }

    /// Gives a run a secret, until what is given is dropped.
    fn admit<'h>(&self, hub: &'h Hub, told: &RunRoute) -> Admitted<'h> {
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
        hub.limits.replay(principal.token, plan::under_way_max(&told.spec));
        let token = principal.token;
        self.callers.lock().insert(digest, Caller::Known(Arc::new(principal)));
        Admitted { hub, digest, secret, token }
    }
}

/// A run that may call.
struct Admitted<'h> {
    hub: &'h Hub,
    digest: [u8; 32],
    secret: String,
    token: TokenId,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.hub.runs.callers.lock().remove(&self.digest);
        self.hub.limits.replayed(self.token);
    }
}

/// Sends runs as they are wanted, until the gateway stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let stopping = hub.tasks.stopping();
    let _over = hub.runs.over().drop_guard();
    let mut generation = hub.generation.subscribe();
    let mut tended_ms = None;
    while !stopping.is_cancelled() {
        let wanted = hub.table.load().runs().to_vec();
        kept::tend(&hub, &wanted, &mut tended_ms).await;
        follow(&hub, &wanted);
        tokio::select! {
            _ = generation.changed() => {}
            () = hub.clock.sleep_ms(LOOK_MS) => {}
            () = stopping.cancelled() => break,
        }
    }
    // One that was just beginning is stopped with the next look.
    while !hub.runs.stop_all() {
        hub.clock.sleep_ms(WATCH_MS).await;
    }
}

/// Has runs stop, and begins as many as there are places for: who has fewest of them is next.
fn follow(hub: &Arc<Hub>, wanted: &[Arc<RunRoute>]) {
    let mut elsewhere = hub.runs.elsewhere.lock();
    elsewhere.retain(|run| wanted.iter().any(|told| told.run == *run));
    let live = hub.runs.live.lock();
    let (taken, waiting): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|told| live.contains_key(&told.run));
    // What control tells no more has ended, or is gone with its endpoint: nobody else can stop it.
    let goes_on = |id: &RunId| taken.iter().any(|told| told.run == *id && !told.stop_wanted);
    for (_, run) in live.iter().filter(|(id, _)| !goes_on(id)) {
        if let Some(run) = run {
            run.stop();
        }
    }
    let free = LIVE_MAX.saturating_sub(live.len());
    drop(live);
    // What is to stop needs no place: it only says so.
    let (stopping, waiting): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|told| told.stop_wanted);
    let (others, waiting): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|told| elsewhere.contains(&told.run));
    drop(elsewhere);
    let owners = |told: &[&Arc<RunRoute>]| told.iter().map(|it| it.account).collect::<Vec<_>>();
    let next = turns::next(&owners(&waiting), &owners(&taken), free);
    let left = free - next.len();
    let next = next.into_iter().map(|at| waiting[at]);
    for told in stopping.into_iter().chain(next).chain(others.into_iter().take(left)) {
        begin(hub, told);
    }
}

/// Begins a run.
fn begin(hub: &Arc<Hub>, told: &Arc<RunRoute>) {
    hub.runs.live.lock().insert(told.run, None);
    let (hub, told) = (Arc::clone(hub), Arc::clone(told));
    let tasks = hub.tasks.clone();
    tasks.spawn("replay", async move {
        match send(&hub, &told).await {
            Ok(()) | Err(Unsent::Failed(Error::NoControl)) => {}
            Err(Unsent::Elsewhere) => _ = hub.runs.elsewhere.lock().insert(told.run),
            Err(Unsent::Locked(error)) if told.stop_wanted => {
                let report = report(RunState::Stopped, None, None, Some(error.to_string()));
                tell(&hub, told.run, report).await;
            }
            Err(Unsent::Locked(error)) => {
                if hub.runs.elsewhere.lock().insert(told.run) {
                    tracing::warn!(run = %told.run, %error, "a replay waits for its key");
                }
            }
            Err(Unsent::Failed(error)) => {
                tracing::warn!(run = %told.run, %error, "a replay failed");
                let report = report(RunState::Failed, None, None, Some(error.to_string()));
                tell(&hub, told.run, report).await;
            }
        }
        hub.runs.live.lock().remove(&told.run);
    });
}

/// Why a run was not sent to its end.
enum Unsent {
    /// Another gateway sends it.
    Elsewhere,
    /// What it had begun with is encrypted by a key that is away, as after a start with another one: it
    /// is looked at again, after those that can begin, until control gives it up.
    Locked(Error),
    Failed(Error),
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        match error {
            Error::StreamElsewhere { .. } => Self::Elsewhere,
            error => Self::Failed(error),
        }
    }
}

/// The stream of a run, and what this gateway keeps of the run.
async fn reached(hub: &Arc<Hub>, told: &RunRoute) -> Result<(events::Stream, Folder), Unsent> {
    let table = hub.table.load_full();
    let route = table.streams().find(|stream| stream.stream == told.stream).map(Arc::clone);
    drop(table);
    let route = route.ok_or_else(|| Error::NoStream { stream: told.spec.stream.to_string() })?;
    folder(hub, told.run)?;
    let place = kept(hub, told.run).await.map_err(Unsent::Locked)?;
    Ok((hub.streams.open(hub, &route).await?, place))
}

/// Sends a run to its end.
async fn send(hub: &Arc<Hub>, told: &Arc<RunRoute>) -> Result<(), Unsent> {
    let (stream, place) = reached(hub, told).await?;
    // It had come to its end when this gateway did, and control had not heard of it.
    if let Some(report) = ended(&place) {
        tell(hub, told.run, report).await;
        return Ok(());
    }
    let began = report(RunState::Running, None, None, None);
    if told.stop_wanted || !tell(hub, told.run, began).await {
        let stopped = report(RunState::Stopped, None, None, None);
        tell(hub, told.run, stopped).await;
        return Ok(());
    }
    let admitted = hub.runs.admit(hub, told);
    let Planned { plan, events, judge, judged } =
        plan::plan(hub, (stream, told), &admitted.secret).await?;
    if plan.resume {
        ready(hub, told).await;
    }
    if hub.tasks.stopping().is_cancelled() {
        return Ok(());
    }
    let place = kept(hub, told.run).await?;
    let (spec, clock) = (told.spec.clone(), hub.clock.clone());
    let opened = crate::streams::blocking(move || {
        let now_ns = clock.now_us().saturating_mul(1_000);
        Ok((Meters::open(&place.path), Drills::open(place, &spec, now_ns)?))
    });
    let (meters, drills) = opened.await?;
    let clock = hub.clock.clone();
    let run = crate::streams::blocking(move || {
        let traffic = events::replay::Posts { form: events::replay::Form::CloudEvents };
        Run::start(plan, &clock, events, traffic, judge).map_err(Error::from)
    });
    let run = Arc::new(run.await?);
    hub.runs.live.lock().insert(told.run, Some(Arc::clone(&run)));
    tokio::select! {
        () = telling((hub, told), &run, (&judged, &meters, &drills)) => {}
        () = meters.follow(hub, told) => {}
        () = async {
            drills.follow((hub, told), &run, &meters).await;
            std::future::pending::<()>().await;
        } => {}
    }
    meters.read(hub, told).await;
    hub.runs.live.lock().insert(told.run, None);
    let is_left = is_left(hub, told.run);
    let run = Arc::into_inner(run).ok_or_else(|| broken("a replay is still held"))?;
    let finished = crate::streams::blocking(move || run.wait().map_err(Error::from)).await?;
    if is_left && finished.facts.stopped {
        return Ok(());
    }
    let state = if finished.facts.stopped { RunState::Stopped } else { RunState::Succeeded };
    let variants = told.spec.variants.clone();
    let drilled = crate::streams::blocking(move || Ok(drills.outcomes(&variants))).await?;
    let beside = beside((hub, told), &meters, drilled);
    let outcome = told::outcome(&finished, &judged, &beside);
    let report = report(state, None, Some(outcome), None);
    note(hub, told.run, &report).await?;
    tell(hub, told.run, report).await;
    Ok(())
}

/// Whether a run is left to be gone on with, as a gateway that stops leaves those that are not to stop.
fn is_left(hub: &Hub, id: RunId) -> bool {
    let table = hub.table.load();
    let is_wanted = table.runs().iter().any(|run| run.run == id && !run.stop_wanted);
    is_wanted && hub.tasks.stopping().is_cancelled()
}

/// Waits until all variants of a run can answer, within limits: after a restart they have to start
/// too, and what they could not answer meanwhile says nothing about them.
async fn ready(hub: &Hub, told: &RunRoute) {
    let begun_ms = hub.clock.now_ms();
    let is_over = || hub.clock.now_ms().saturating_sub(begun_ms) >= READY_MS_MAX;
    let is_ready = || told::endpoints(hub, told).iter().flatten().all(|endpoint| endpoint.ready());
    while !is_ready() && !is_over() && !hub.tasks.stopping().is_cancelled() {
        hub.clock.sleep_ms(WATCH_MS).await;
    }
}

/// Tells how far a run is, until it is over.
async fn telling(
    (hub, told): (&Hub, &RunRoute),
    run: &Run,
    (judged, meters, drills): (&Accuracies, &Meters, &Drills),
) {
    let mut told_ms = 0;
    while run.stage() != Stage::Over {
        hub.clock.sleep_ms(WATCH_MS).await;
        let now_ms = hub.clock.now_ms();
        if now_ms.saturating_sub(told_ms) >= TELL_MS {
            told_ms = now_ms;
            let so_far = told.spec.variants.iter().map(|name| drills.so_far(name)).collect();
            let beside = beside((hub, told), meters, so_far);
            let progress = told::progress(run, judged, &beside);
            tell(hub, told.run, report(RunState::Running, Some(progress), None, None)).await;
        }
    }
}

fn beside(
    (hub, told): (&Hub, &RunRoute),
    meters: &Meters,
    drills: Vec<Vec<DrillOutcome>>,
) -> Beside {
    let endpoints = told::endpoints(hub, told);
    Beside { endpoints, usage: meters.all(&told.spec.variants), drills }
}

/// Writes down what a run came to; returns once it is on the disk.
async fn note(hub: &Hub, id: RunId, report: &RunReport) -> Result<(), Error> {
    let place = kept(hub, id).await?;
    let mut text = serde_json::to_vec(report).unwrap_or_default();
    if let Some(key) = &place.key {
        text = key.seal(ENDED, &text);
    }
    crate::streams::blocking(move || write(&place.path.join(ENDED), &text)).await
}

/// What a run came to, where it has.
fn ended(folder: &Folder) -> Option<RunReport> {
    let mut text = std::fs::read(folder.path.join(ENDED)).ok()?;
    if let Some(key) = &folder.key {
        text = key.open(ENDED, &text)?;
    }
    serde_json::from_slice(&text).ok()
}

/// Writes a file as a whole; returns once it is on the disk.
fn write(path: &Path, text: &[u8]) -> Result<(), Error> {
    let (unfinished, folder) = (path.with_extension("new"), path.parent().unwrap_or(path));
    let written = std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::File::open(&unfinished)?.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, path))
        // Its name must outlive the power too.
        .and_then(|()| std::fs::File::open(folder)?.sync_all());
    written.map_err(|error| broken(&format!("{}: {error}", path.display())))
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

/// A run of whoever asks about it.
struct Mine {
    id: RunId,
    account: AccountId,
    records: Folder,
    /// Its variants, by their places.
    names: Vec<String>,
    /// Held for as long as is answered.
    place: Place,
}

/// Finds the run that a request is about.
///
/// # Errors
///
/// [`Error::NoRun`] also where the caller may not know.
async fn mine(
    hub: &Hub,
    (parts, from): (&Parts, Option<IpAddr>),
    run: &str,
) -> Result<Mine, Error> {
    let (caller, known) = hub.member(&parts.headers, access::Action::RunsRead)?;
    let missing = || Error::NoRun { run: run.chars().take(160).collect() };
    let id: RunId = run.parse().map_err(|_| missing())?;
    let place = hub.place(&caller, from)?;
    let (records, names) = own(hub, known.account, id).await?;
    Ok(Mine { id, account: known.account, records, names, place })
}

/// The records of a run of an account, and its variants by their places.
async fn own(hub: &Hub, account: AccountId, id: RunId) -> Result<(Folder, Vec<String>), Error> {
    let place = folder(hub, id)?;
    let begun = crate::streams::blocking(move || {
        Ok(plan::begun(&place).filter(|begun| begun.account == account))
    });
    let names = begun.await?.ok_or_else(|| Error::NoRun { run: id.to_string() })?.variants;
    Ok((kept(hub, id).await?.within(RECORDS), names))
}

/// The folder of a run, with its key where it has one.
async fn kept(hub: &Hub, id: RunId) -> Result<Folder, Error> {
    let (keys, place) = (hub.streams.keys().clone(), folder(hub, id)?);
    crate::streams::blocking(move || keys.known(&place, &whose(id))).await
}

/// Whose key that of a run is.
fn whose(id: RunId) -> String {
    format!("run {id}")
}

/// Where one run's records are.
fn folder(hub: &Hub, id: RunId) -> Result<PathBuf, Error> {
    let folder = hub.streams.runs_folder();
    let folder = folder.ok_or_else(|| broken("this gateway has no folder for replays"))?;
    Ok(folder.join(id.to_string()))
}

fn broken(message: &str) -> Error {
    Error::Stream { kind: ErrorKind::Unavailable, message: message.to_owned() }
}

impl From<events::replay::Error> for Error {
    fn from(error: events::replay::Error) -> Self {
        broken(&workflow::chain(&error))
    }
}
