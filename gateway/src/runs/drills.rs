//! Drills: instances of a run's variants that are ended while it goes on, and what that came to.
//!
//! States of a drill of a variant: waiting → asked → done, or missed.
//! Always true: it is written down before an instance's end is asked for, and is not asked for twice;
//! only instances of the run's own account are ended, and of a variant that answers live events only
//! where the run says so; what was not done, or is not known, is told as that.
//! Absent on purpose: how long a recovery takes (`policy::replay::drill`).

mod told;

use std::collections::BTreeSet;

use api::internal::RunRoute;
use api::internal::functions::FunctionHost;
use api::internal::instances::Drill;
use api::runs::{DrillOutcome, RunSpec};
use events::replay::report::Stage;
use events::replay::{Outcome, Record, Run, files};
use parking_lot::Mutex;
use policy::replay::drill::{Fate, Kill, Losses, Request, Until};
use serde::{Deserialize, Serialize};
use types::{InstanceId, Name};

use super::used::Meters;
use super::{RECORDS, write};
use crate::error::Error;
use crate::functions::NotDone;
use crate::hub::Hub;
use crate::streams::blocking;
use told::{measured, shown, shown_at_end, unmeasured};

/// What was done is written down under this name.
const BOOK: &str = "drills.json";
/// How often it is looked whether a drill is due, at least, in milliseconds.
const LOOK_MS: u64 = 50;
/// How often routes are looked at where nobody tells that they are new, in milliseconds.
const READY_MS: u64 = 500;
const MS_NS: u64 = 1_000_000;
/// The status of a request for which there is no room.
const BUSY: u16 = 429;

/// The drills of a run.
pub(super) struct Drills {
    /// The run's, with the key of its records where they are encrypted.
    folder: events::Folder,
    /// How long an answer may take: until then it is not known what became of a request.
    timeout_ns: u64,
    due: Vec<Due>,
    book: Mutex<Book>,
    /// Held while the book is written, so that the last one stays.
    writing: tokio::sync::Mutex<()>,
}

/// A drill of one variant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Due {
    at_ms: u64,
    variant: Name,
}

/// What has been done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    notes: Vec<Note>,
    gaps: Vec<Gap>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    due: Due,
    stands: Stands,
}

/// Where a drill stands; times are those of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
enum Stands {
    Asked { instance: InstanceId, asked_ns: u64 },
    Done { instance: InstanceId, asked_ns: u64, dead_ns: u64, ready_ns: Option<u64> },
    Missed { why: String, asked_ns: Option<u64> },
}

/// The run was not sent for a while.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    /// Up to then what ended is recorded.
    known_ns: u64,
    /// Then it went on.
    on_ns: u64,
}

/// An instance that is to be ended.
struct Chosen {
    instance: InstanceId,
    generation: u64,
    host: FunctionHost,
}

impl Stands {
    fn asked_ns(&self) -> Option<u64> {
        match self {
            Self::Asked { asked_ns, .. } | Self::Done { asked_ns, .. } => Some(*asked_ns),
            Self::Missed { asked_ns, .. } => *asked_ns,
        }
    }
}

impl Drills {
    /// The drills of a run, those that were done before included. What was asked for when the gateway
    /// ended, nobody knows.
    pub(super) fn open(folder: events::Folder, spec: &RunSpec, now_ns: u64) -> Result<Self, Error> {
        let due = due(spec);
        let path = folder.path.join(BOOK);
        let mut book = Book::default();
        if path.exists() && !due.is_empty() {
            let text = std::fs::read(&path).map_err(|error| super::broken(&error.to_string()))?;
            book = serde_json::from_slice(&text)
                .map_err(|error| super::broken(&format!("{}: {error}", path.display())))?;
            for note in &mut book.notes {
                if let Stands::Asked { asked_ns, .. } = note.stands {
                    let why = "the gateway ended meanwhile, and it is not known whether the \
                               instance was ended";
                    note.stands = Stands::Missed { why: why.to_owned(), asked_ns: Some(asked_ns) };
                }
            }
            book.gaps.push(Gap { known_ns: last_ns(&folder)?, on_ns: now_ns });
        }
        let timeout_ns = super::plan::timeout_ms(spec).saturating_mul(MS_NS);
        if !due.is_empty() {
            write(&path, &serde_json::to_vec(&book).unwrap_or_default())?;
        }
        let (book, writing) = (Mutex::new(book), tokio::sync::Mutex::default());
        Ok(Self { folder, timeout_ns, due, book, writing })
    }

    /// Does each drill when its time has come, and waits until all instances are ready again.
    pub(super) async fn follow(&self, (hub, told): (&Hub, &RunRoute), run: &Run, meters: &Meters) {
        let each = self.due.iter().map(|due| self.one((hub, told), run, (due, meters)));
        futures::future::join_all(each).await;
    }

    async fn one(&self, (hub, told): (&Hub, &RunRoute), run: &Run, (due, meters): (&Due, &Meters)) {
        if self.book.lock().notes.iter().any(|note| note.due == *due) {
            return;
        }
        while run.elapsed_ns().is_none_or(|ns| ns < due.at_ms.saturating_mul(MS_NS)) {
            if !matches!(run.stage(), Stage::Sending | Stage::Paused) {
                return;
            }
            let left_ms = due.at_ms.saturating_sub(run.elapsed_ns().unwrap_or(0) / MS_NS);
            hub.clock.sleep_ms(left_ms.clamp(1, LOOK_MS)).await;
        }
        let missed = |why: String| Stands::Missed { why, asked_ns: None };
        let (chosen, done) = match choose(hub, told, &due.variant) {
            Ok(chosen) => {
                let done = self.kill((hub, told), run, (due, &chosen, meters)).await;
                (Some(chosen), done)
            }
            Err(why) => (None, missed(why)),
        };
        self.note(due, done.clone()).await;
        let (Some(chosen), Stands::Done { instance, asked_ns, dead_ns, .. }) = (chosen, done)
        else {
            return;
        };
        let mut generation = hub.generation.subscribe();
        while !is_ready(hub, told, &due.variant, &chosen) {
            tokio::select! {
                _ = generation.changed() => {}
                () = hub.clock.sleep_ms(READY_MS) => {}
            }
        }
        let ready_ns = Some(run.now_ns());
        self.note(due, Stands::Done { instance, asked_ns, dead_ns, ready_ns }).await;
    }

    /// Ends an instance, once that is written down.
    async fn kill(
        &self,
        (hub, told): (&Hub, &RunRoute),
        run: &Run,
        (due, chosen, meters): (&Due, &Chosen, &Meters),
    ) -> Stands {
        let Chosen { instance, generation, host } = chosen;
        let instance = *instance;
        if !self.note(due, Stands::Asked { instance, asked_ns: run.now_ns() }).await {
            let why = "it could not be written down, and was not done".to_owned();
            return Stands::Missed { why, asked_ns: None };
        }
        let asked_ns = run.now_ns();
        let drill = Drill { generation: *generation, run: told.run };
        let ended = hub.calls.drill(&hub.clock, (host, instance), drill).await;
        match ended {
            Ok(used) => {
                meters.see(&due.variant, &used);
                tracing::info!(run = %told.run, variant = %due.variant, %instance, "drilled");
                Stands::Done { instance, asked_ns, dead_ns: run.now_ns(), ready_ns: None }
            }
            Err(refused @ NotDone::Refused(_)) => {
                Stands::Missed { why: refused.to_string(), asked_ns: None }
            }
            Err(unknown) => Stands::Missed { why: unknown.to_string(), asked_ns: Some(asked_ns) },
        }
    }

    /// Notes where a drill stands; whether it is on the disk.
    async fn note(&self, due: &Due, stands: Stands) -> bool {
        let _writing = self.writing.lock().await;
        let text = {
            let mut book = self.book.lock();
            book.notes.retain(|note| note.due != *due);
            book.notes.push(Note { due: due.clone(), stands });
            serde_json::to_vec(&*book).unwrap_or_default()
        };
        let path = self.folder.path.join(BOOK);
        match blocking(move || write(&path, &text)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "a drill could not be written down");
                false
            }
        }
    }

    /// What is known of the drills of a variant while the run goes on.
    pub(super) fn so_far(&self, variant: &Name) -> Vec<DrillOutcome> {
        let book = self.book.lock();
        self.of(variant)
            .map(|due| shown(due, book.notes.iter().find(|it| it.due == *due)))
            .collect()
    }

    /// What the drills of each of a run's variants came to, by its records; what is noted alone where
    /// they cannot be read. Reads all of them: blocks.
    pub(super) fn outcomes(&self, variants: &[Name]) -> Vec<Vec<DrillOutcome>> {
        if self.due.is_empty() {
            return vec![Vec::new(); variants.len()];
        }
        self.by_records(variants).unwrap_or_else(|error| {
            tracing::warn!(%error, "what drills came to could not be read");
            let book = self.book.lock();
            let noted = |due: &Due| {
                let note = book.notes.iter().find(|note| note.due == *due);
                unmeasured(shown_at_end(due, note))
            };
            variants.iter().map(|variant| self.of(variant).map(noted).collect()).collect()
        })
    }

    fn by_records(&self, variants: &[Name]) -> Result<Vec<Vec<DrillOutcome>>, Error> {
        let book = self.book.lock().clone();
        let mut looks = Vec::new();
        for (place, variant) in variants.iter().enumerate() {
            for due in self.of(variant) {
                let note = book.notes.iter().find(|note| note.due == *due);
                let kill = note.and_then(|note| self.kill_of(&book, note));
                looks.push((place, shown_at_end(due, note), kill.map(Losses::new)));
            }
        }
        each_request(&self.folder, |place, request| {
            let of_it = looks.iter_mut().filter(|look| look.0 == place);
            for losses in of_it.filter_map(|look| look.2.as_mut()) {
                losses.see(request);
            }
        })?;
        let look = |(place, told, losses): (usize, DrillOutcome, Option<Losses>)| {
            (place, told, losses.map(Losses::search))
        };
        let mut looks: Vec<_> = looks.into_iter().map(look).collect();
        each_request(&self.folder, |place, request| {
            let of_it = looks.iter_mut().filter(|look| look.0 == place);
            for search in of_it.filter_map(|look| look.2.as_mut()) {
                search.see(request);
            }
        })?;
        let mut told = vec![Vec::new(); variants.len()];
        for (place, outcome, search) in looks {
            told[place].push(measured(outcome, search));
        }
        Ok(told)
    }

    fn of(&self, variant: &Name) -> impl Iterator<Item = &Due> {
        self.due.iter().filter(move |due| due.variant == *variant)
    }

    /// The end of an instance, and up to when it is known what followed.
    fn kill_of(&self, book: &Book, note: &Note) -> Option<Kill> {
        let Stands::Done { asked_ns, dead_ns, ready_ns, .. } = note.stands else { return None };
        let next = book.notes.iter().filter(|other| other.due.variant == note.due.variant);
        let next = next.filter_map(|other| other.stands.asked_ns()).filter(|ns| *ns > asked_ns);
        let gap = book.gaps.iter().filter(|gap| gap.on_ns > asked_ns).min_by_key(|gap| gap.on_ns);
        let gap = gap.map(|gap| gap.known_ns.saturating_sub(self.timeout_ns));
        let until = match (next.min(), gap) {
            (Some(drill), Some(gap)) if drill < gap => Until::Drill { at_ns: drill },
            (_, Some(gap)) => Until::Gap { at_ns: gap },
            (Some(drill), None) => Until::Drill { at_ns: drill },
            (None, None) => Until::End,
        };
        Some(Kill { asked_ns, dead_ns, ready_ns, until })
    }
}

/// Which variant is drilled when, in the order of time; each once, however often it is in the run.
fn due(spec: &RunSpec) -> Vec<Due> {
    let each = spec.drills.iter().flat_map(|drill| {
        let named: Vec<&Name> = match &drill.variant {
            Some(name) => vec![name],
            None => spec.variants.iter().collect(),
        };
        named.into_iter().map(|name| Due { at_ms: drill.at_ms, variant: name.clone() })
    });
    each.collect::<BTreeSet<Due>>().into_iter().collect()
}

/// An instance of a variant that is ready: of the first of its stages.
fn choose(hub: &Hub, told: &RunRoute, variant: &Name) -> Result<Chosen, String> {
    let table = hub.table.load();
    let account = told.account_name.as_str();
    let found = table.variant(account, &told.spec.endpoint, variant);
    let endpoint = found.ok_or_else(|| "the variant is not there any more".to_owned())?;
    if table.is_live(account, &told.spec.endpoint, variant) && !told.spec.drill_production {
        return Err("the variant answers live events by now, and was spared".to_owned());
    }
    let backend = endpoint.stages.first().and_then(|stage| stage.backends.first());
    let backend = backend.ok_or_else(|| "no instance was ready".to_owned())?.told();
    let host = table.hosts().find(backend.host);
    let host = host.ok_or_else(|| "the instance's host is not there any more".to_owned())?;
    Ok(Chosen { instance: backend.instance, generation: backend.generation, host })
}

/// Whether each stage has an instance that is ready, and none of them is the one that was ended.
fn is_ready(hub: &Hub, told: &RunRoute, variant: &Name, ended: &Chosen) -> bool {
    let table = hub.table.load();
    let found = table.variant(told.account_name.as_str(), &told.spec.endpoint, variant);
    found.is_some_and(|endpoint| {
        let mut all = endpoint.stages.iter().flat_map(|stage| &stage.backends);
        let key = (ended.instance, ended.generation);
        endpoint.ready() && all.all(|it| (it.told().instance, it.told().generation) != key)
    })
}

/// Shows what was sent, with its variant's place.
fn each_request(
    folder: &events::Folder,
    mut show: impl FnMut(usize, &Request),
) -> Result<(), Error> {
    for record in files::read(folder.within(RECORDS))? {
        if let Some((place, request)) = request(&record?) {
            show(place, &request);
        }
    }
    Ok(())
}

fn request(record: &Record) -> Option<(usize, Request)> {
    let fate = match record.outcome {
        Outcome::Ok => Fate::Good,
        Outcome::ServerError => Fate::Failed,
        Outcome::ClientError if record.status == Some(BUSY) => Fate::Failed,
        // Whoever refuses it for its own sake need not have an instance.
        Outcome::ClientError | Outcome::Dropped | Outcome::Skipped => return None,
        Outcome::Timeout | Outcome::Refused | Outcome::Reset | Outcome::Invalid => Fate::Unanswered,
    };
    let sent_ns = record.sent_ns?;
    Some((usize::from(record.variant), Request { sent_ns, done_ns: record.done_ns, fate }))
}

/// When the last of the records ended that are on the disk.
fn last_ns(folder: &events::Folder) -> Result<u64, Error> {
    let records = folder.within(RECORDS);
    if !records.path.exists() {
        return Ok(0);
    }
    let mut last_ns = 0;
    for record in files::read(records)? {
        last_ns = record?.done_ns.max(last_ns);
    }
    Ok(last_ns)
}

#[cfg(test)]
mod tests;
