//! Publishing: a package becomes a listed version.
//!
//! Steps: receive → package → test → check → unit-test → measure → version → list.
//! The producer's code runs in one instance, whose purpose is to prove the package: it runs the
//! unit tests and measures, and its report serves two steps.
//!
//! Always true: the version is committed in one transaction with the end of the publishing, so a
//! crash leaves the whole version or none of it; a failure says step, file and cure in the log.

use serde::{Deserialize, Serialize};

use api::internal::{InstanceReport, InstanceState, Purpose, Task};
use api::items::{Lineage, Sharing};
use catalog::{Inspection, Listing, Refusal, package};
use formats::manifest::{Manifest, TestInput};
use policy::linking;
use store::instances::InstanceRow;
use store::items::{ItemRow, item_fetch, item_fetch_by_name, item_insert, item_share};
use store::publishes::{PublishRow, PublishState, publish_fetch, publish_update};
use store::versions::{VersionRow, version_fetch, version_insert};
use types::{
    AccountId, ErrorKind, Figure, FigureName, Grade, InstanceId, ItemId, ItemKind, Limits, Name,
    ObjectId, PublishId, Reference, Runtime,
};
use workflow::saga::{Failure, Outcome, Problem, Saga};

use crate::operations::instances::{self, Placing};
use crate::operations::items;
use crate::packages::with_package;
use crate::sagas::failure;
use crate::{Control, Error};

/// Requests that a model is measured with.
const MEASURE_REQUESTS: u32 = 200;
/// How often a saga looks whether its instance has reported; a report nudges it sooner.
const WAIT_MS: u64 = 1_000;
const MIB: u64 = 1 << 20;

const STEPS: [&str; 8] =
    ["receive", "package", "test", "check", "unit-test", "measure", "version", "list"];

/// Makes a listed version of a package.
#[derive(Debug)]
pub struct PublishSaga {
    control: Control,
}

/// What the steps hand on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub publish: PublishId,
    pub account: AccountId,
    pub account_name: Name,
    pub object: ObjectId,
    pub sharing: Sharing,
    /// The name to publish under in place of the manifest's: of a trained model.
    pub name: Option<Name>,
    pub lineage: Option<Lineage>,
    package_sha256: Option<types::Digest>,
    package_bytes: u64,
    manifest: Option<Manifest>,
    files: Vec<formats::archive::Entry>,
    documentation: String,
    instance: Option<InstanceId>,
    figures: Vec<Figure>,
    version: Option<(ItemId, u32)>,
    problem: Option<Problem>,
}

impl State {
    /// A publishing at its beginning.
    pub fn new(row: &PublishRow, account_name: Name, sharing: Sharing) -> Self {
        Self {
            publish: row.id,
            account: row.account_id,
            account_name,
            object: row.object_id,
            sharing,
            name: None,
            lineage: None,
            package_sha256: None,
            package_bytes: 0,
            manifest: None,
            files: Vec::new(),
            documentation: String::new(),
            instance: None,
            figures: Vec::new(),
            version: None,
            problem: None,
        }
    }

    fn manifest(&self) -> Result<&Manifest, Failure> {
        self.manifest.as_ref().ok_or_else(|| Failure::permanent("internal", "no manifest was read"))
    }

    fn inspection(&self) -> Result<Inspection, Failure> {
        Ok(Inspection {
            manifest: self.manifest()?.clone(),
            files: self.files.clone(),
            documentation: self.documentation.clone(),
        })
    }
}

impl PublishSaga {
    /// Publishing by this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }
}

impl Saga for PublishSaga {
    const KIND: &'static str = "publish";
    type State = State;

    fn steps() -> &'static [&'static str] {
        &STEPS
    }

    async fn run(&self, step: usize, state: &mut State) -> Result<Outcome, Failure> {
        self.at_step(state, STEPS[step]).await?;
        let outcome = match step {
            0 => self.receive(state).await,
            1 => self.package(state).await,
            2 => self.test(state).await,
            3 => self.check(state).await,
            4 => self.unit_test(state).await,
            5 => self.measure(state).await,
            6 => self.version(state).await,
            _ => self.list(state).await,
        };
        if let Err(Failure::Permanent { message, .. }) = &outcome {
            self.say(state, STEPS[step], "error", message).await?;
        }
        outcome
    }

    async fn undo(&self, step: usize, state: &mut State) -> Result<(), Failure> {
        match step {
            0 => self.fail(state).await,
            4 => match state.instance {
                None => Ok(()),
                Some(id) => instances::let_go(&self.control, id).await.map_err(|e| failure(&e)),
            },
            _ => Ok(()),
        }
    }

    fn failed(state: &mut State, problem: &Problem) {
        state.problem = Some(problem.clone());
    }
}

impl PublishSaga {
    async fn receive(&self, state: &mut State) -> Result<Outcome, Failure> {
        let id = state.object;
        let read = self
            .control
            .shared
            .store
            .read("fetch the package", |tx| Box::pin(store::objects::object_fetch(tx, id)));
        let row = read.await.map_err(|error| failure(&error.into()))?;
        state.package_sha256 = Some(row.sha256);
        state.package_bytes = row.bytes;
        let text = format!("{} bytes, SHA-256 {}", row.bytes, row.sha256);
        self.say(state, "receive", "info", &text).await?;
        Ok(Outcome::Done)
    }

    async fn package(&self, state: &mut State) -> Result<Outcome, Failure> {
        let read = self.with(state, |open| package::read_manifest(open)).await?;
        let mut manifest = read.map_err(|refusal| refused(&refusal))?;
        if let Some(name) = &state.name {
            manifest.name = name.clone();
        }
        let text = format!("{} {}: {}", manifest.kind, manifest.name, manifest.summary);
        state.manifest = Some(manifest);
        self.say(state, "package", "info", &text).await?;
        Ok(Outcome::Done)
    }

    async fn test(&self, state: &mut State) -> Result<Outcome, Failure> {
        let manifest = state.manifest()?.clone();
        let tested = self.with(state, move |open| package::test(open, manifest)).await?;
        let inspection = tested.map_err(|refusal| refused(&refusal))?;
        let text = format!("{} files, all paths and sizes within limits", inspection.files.len());
        state.files = inspection.files;
        state.documentation = inspection.documentation;
        self.say(state, "test", "info", &text).await?;
        Ok(Outcome::Done)
    }

    async fn check(&self, state: &mut State) -> Result<Outcome, Failure> {
        let mut inspection = state.inspection()?;
        let checked = self.with(state, move |open| {
            package::check(open, &mut inspection).map(|lines| (lines, inspection.manifest))
        });
        let (lines, mut manifest) = checked.await?.map_err(|refusal| refused(&refusal))?;
        for line in lines {
            self.say(state, "check", "info", &line).await?;
        }
        if manifest.kind == ItemKind::Pipeline {
            self.check_pipeline(state, &mut manifest).await?;
        }
        state.manifest = Some(manifest);
        Ok(Outcome::Done)
    }

    /// The stages must be models that the producer may use, each with the format the next takes.
    async fn check_pipeline(&self, state: &State, manifest: &mut Manifest) -> Result<(), Failure> {
        let mut formats = Vec::new();
        for stage in &mut manifest.stages {
            let account = (state.account, state.account_name.clone());
            let resolved = instances::resolve_stage(&self.control, &account, stage).await;
            let resolved = resolved.map_err(|error| failure(&error))?;
            *stage = resolved.reference.clone();
            formats.push((resolved.input, resolved.output));
        }
        let (input, output) = linking::chain(&formats)
            .map_err(|error| Failure::permanent("formats_differ", error.to_string()))?;
        manifest.input = input;
        manifest.output = output;
        let text = format!("{} stages whose formats are equal", formats.len());
        self.say(state, "check", "info", &text).await
    }

    async fn unit_test(&self, state: &mut State) -> Result<Outcome, Failure> {
        let Some(task) = proof(state)? else {
            self.say(state, "unit-test", "info", "nothing to run").await?;
            return Ok(Outcome::Done);
        };
        let Some(id) = state.instance else {
            // The id is stored before the instance is made, so that a repeated step finds it.
            state.instance = Some(InstanceId::new(self.control.clock().uuid()));
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        let placing = Placing {
            id,
            account: state.account,
            owner: store::instances::Owner::Publish(state.publish),
            stage: 0,
            task,
        };
        let row =
            instances::place(&self.control, placing).await.map_err(|error| failure(&error))?;
        let Some(report) = ended(&row)? else {
            return Ok(Outcome::Wait { retry_after_ms: WAIT_MS });
        };
        for test in &report.tests {
            match &test.failure {
                None => {
                    let text = format!("{}: passed", test.name);
                    self.say(state, "unit-test", "info", &text).await?;
                }
                Some(why) => {
                    return Err(Failure::permanent(
                        "unit_test_failed",
                        format!("{}: {why}", test.name),
                    ));
                }
            }
        }
        if row.state == store::instances::InstanceState::Failed {
            let why = report.error.unwrap_or_else(|| "the instance failed".to_owned());
            return Err(Failure::permanent("unit_test_failed", why));
        }
        if report.tests.is_empty() {
            self.say(state, "unit-test", "info", "it loads; it brings no unit tests").await?;
        }
        Ok(Outcome::Done)
    }

    async fn measure(&self, state: &mut State) -> Result<Outcome, Failure> {
        let Some(id) = state.instance else { return Ok(Outcome::Done) };
        let row = instances::fetch(&self.control, id).await.map_err(|error| failure(&error))?;
        let measures = ended(&row)?.and_then(|report| report.measures).unwrap_or_default();
        let host = instances::host_name(&self.control, row.host_id).await;
        let source = format!("measured while publishing, on host {host}");
        let found = [
            (FigureName::StartUs, Some(measures.start_us).filter(|us| *us > 0)),
            (FigureName::LatencyP50Us, measures.latency_p50_us),
            (FigureName::LatencyP99Us, measures.latency_p99_us),
            (FigureName::MemoryPeakBytes, measures.memory_peak_bytes),
        ];
        state.figures = found
            .into_iter()
            .filter_map(|(name, value)| {
                let (grade, source) = (Grade::Measured, source.clone());
                value.map(|value| Figure { name, value, grade, source })
            })
            .collect();
        let figures: Vec<String> = state
            .figures
            .iter()
            .map(|figure| format!("{:?} {}", figure.name, figure.value))
            .collect();
        let text =
            if figures.is_empty() { "nothing measured".to_owned() } else { figures.join(", ") };
        self.say(state, "measure", "info", &text).await?;
        instances::let_go(&self.control, id).await.map_err(|error| failure(&error))?;
        Ok(Outcome::Done)
    }

    async fn version(&self, state: &mut State) -> Result<Outcome, Failure> {
        let manifest = state.manifest()?.clone();
        let number = self.draw_number(state, &manifest.name).await?;
        let Some((item_id, number)) = number else {
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        let reference = Reference {
            account: Some(state.account_name.clone()),
            name: manifest.name.clone(),
            version: Some(number),
        };
        let mut listing = Listing::of(&state.inspection()?, state.package_bytes);
        listing.figures.extend(state.figures.iter().cloned());
        let signer = &self.control.shared.signer;
        let row = VersionRow {
            item_id,
            number,
            object_id: state.object,
            package_sha256: state.package_sha256.unwrap_or(types::Digest([0; 32])),
            package_bytes: state.package_bytes,
            manifest: json(&manifest)?,
            listing: json(&listing)?,
            files: json(&state.files)?,
            signature: hex::encode(signer.sign(&reference, &state.files)),
            signed_by: hex::encode(signer.public_key()),
            lineage: state.lineage.as_ref().map(json).transpose()?,
            created_at_ms: self.control.now_ms(),
        };
        self.commit(state, &row, manifest.kind).await?;
        self.say(state, "version", "info", &format!("{reference}, signed")).await?;
        Ok(Outcome::Done)
    }

    /// The item and the number that the version gets; none when it was just drawn and has to be
    /// stored first.
    async fn draw_number(
        &self,
        state: &mut State,
        name: &Name,
    ) -> Result<Option<(ItemId, u32)>, Failure> {
        if state.version.is_some() {
            return Ok(state.version);
        }
        let (account, name) = (state.account, name.clone());
        let found = self.control.shared.store.read("look for the item", move |tx| {
            Box::pin(async move { item_fetch_by_name(tx, account, &name).await })
        });
        state.version = match found.await {
            Ok(item) => Some((item.id, item.newest + 1)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some((ItemId::new(self.control.clock().uuid()), 1))
            }
            Err(error) => return Err(failure(&error.into())),
        };
        Ok(None)
    }

    /// Commits item, version and the end of the publishing together.
    async fn commit(
        &self,
        state: &mut State,
        version: &VersionRow,
        kind: ItemKind,
    ) -> Result<(), Failure> {
        let control = &self.control;
        let sharing = items::stored_sharing(control, &state.sharing).await;
        let sharing = sharing.map_err(|error| failure(&error))?;
        let item = ItemRow {
            id: version.item_id,
            account_id: state.account,
            name: state.manifest()?.name.clone(),
            kind,
            sharing,
            newest: 0,
            generation: 1,
            created_at_ms: version.created_at_ms,
        };
        let (publish, now_ms) = (state.publish, control.now_ms());
        let committed = control
            .shared
            .store
            .transact("publish a version", |tx| {
                let (item, version) = (item.clone(), version.clone());
                Box::pin(async move { insert(tx, publish, (&item, &version), now_ms).await })
            })
            .await;
        match committed {
            Ok(()) => Ok(()),
            Err(Error::Store(store::Error::Stale { .. } | store::Error::Unique { .. })) => {
                // Another publishing of the same item was quicker: draw the next number.
                state.version = None;
                Err(Failure::transient("another version of the item was published meanwhile"))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    async fn list(&self, state: &mut State) -> Result<Outcome, Failure> {
        let who = match &state.sharing {
            Sharing::Nobody => "its owner only",
            Sharing::Accounts { .. } => "its owner and named accounts",
            Sharing::Everybody => "everybody",
        };
        self.say(state, "list", "info", &format!("listed; a new item is shown to {who}")).await?;
        Ok(Outcome::Done)
    }

    /// Marks the publishing as failed.
    async fn fail(&self, state: &State) -> Result<(), Failure> {
        let (id, now_ms) = (state.publish, self.control.now_ms());
        let problem = state.problem.clone();
        let failed = self
            .control
            .shared
            .store
            .transact("fail a publishing", |tx| {
                let problem = problem.clone();
                Box::pin(async move {
                    let row = publish_fetch(tx, id).await?;
                    if row.state != PublishState::Running {
                        return Ok::<_, store::Error>(());
                    }
                    let error = problem.as_ref().map(ToString::to_string);
                    let step = problem.map_or(row.step.clone(), |problem| problem.step);
                    let row = PublishRow {
                        state: PublishState::Failed,
                        step,
                        error,
                        ended_at_ms: Some(now_ms),
                        ..row
                    };
                    publish_update(tx, &row).await
                })
            })
            .await;
        failed.map_err(|error| failure(&error.into()))
    }

    /// Notes which step the publishing is at, and its name once known.
    async fn at_step(&self, state: &State, step: &'static str) -> Result<(), Failure> {
        let (id, name) = (state.publish, state.manifest.as_ref().map(|m| m.name.clone()));
        let noted = self
            .control
            .shared
            .store
            .transact("note a step", |tx| {
                let name = name.clone();
                Box::pin(async move {
                    let row = publish_fetch(tx, id).await?;
                    if row.state != PublishState::Running || row.step == step {
                        return Ok::<_, store::Error>(());
                    }
                    let name = name.or(row.name.clone());
                    publish_update(tx, &PublishRow { step: step.to_owned(), name, ..row }).await
                })
            })
            .await;
        noted.map_err(|error| failure(&error.into()))
    }

    async fn say(
        &self,
        state: &State,
        step: &'static str,
        level: &'static str,
        text: &str,
    ) -> Result<(), Failure> {
        let subject = state.publish.to_string();
        let said = self.control.say_once(&subject, step, level, text).await;
        said.map_err(|error| failure(&error))
    }

    async fn with<T, F>(&self, state: &State, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&package::Open<'_>) -> T + Send + 'static,
    {
        let id = state.object;
        let read = self
            .control
            .shared
            .store
            .read("fetch the package", |tx| Box::pin(store::objects::object_fetch(tx, id)));
        let row = read.await.map_err(|error| failure(&error.into()))?;
        let reader = self.control.open_object(&row).await.map_err(|error| failure(&error))?;
        with_package(reader, work).await.map_err(|error| failure(&error))
    }
}

/// In one transaction: the item where it is new, its version, and the end of the publishing.
async fn insert(
    tx: &mut store::Tx<'_>,
    publish: PublishId,
    (item, version): (&ItemRow, &VersionRow),
    now_ms: u64,
) -> Result<(), Error> {
    if let Ok(there) = version_fetch(tx, version.item_id, version.number).await
        && there.object_id == version.object_id
    {
        return Ok(()); // An earlier run of this step committed, and its answer was lost.
    }
    if version.number == 1 {
        let (sharing, first) = (item.sharing.clone(), store::Sharing::Nobody);
        item_insert(tx, &ItemRow { sharing: first, ..item.clone() }).await?;
        version_insert(tx, version).await?;
        if sharing != store::Sharing::Nobody {
            let generation = item_fetch(tx, item.id).await?.generation;
            item_share(tx, item.id, generation, &sharing).await?;
        }
    } else {
        let there = item_fetch(tx, item.id).await?;
        if there.kind != item.kind {
            return Err(Error::Conflict {
                code: "invalid_manifest",
                message: format!(
                    "{} is a {} already; publish the {} under another name",
                    item.name, there.kind, item.kind
                ),
            });
        }
        version_insert(tx, version).await?;
    }
    let row = publish_fetch(tx, publish).await?;
    let row = PublishRow {
        state: PublishState::Published,
        step: "list".to_owned(),
        name: Some(item.name.clone()),
        item_id: Some(item.id),
        version: Some(version.number),
        ended_at_ms: Some(now_ms),
        ..row
    };
    Ok(publish_update(tx, &row).await?)
}

fn refused(refusal: &Refusal) -> Failure {
    if refusal.transient {
        Failure::transient(refusal.message.clone())
    } else {
        Failure::permanent(refusal.code, refusal.message.clone())
    }
}

fn json<T: Serialize>(value: &T) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::permanent("internal", error.to_string()))
}

/// The report of an instance that has ended.
pub(super) fn ended(row: &InstanceRow) -> Result<Option<InstanceReport>, Failure> {
    use store::instances::InstanceState::{Ended, Failed};
    if !matches!(row.state, Ended | Failed) {
        return Ok(None);
    }
    match &row.report {
        Some(report) => serde_json::from_value(report.clone())
            .map(Some)
            .map_err(|error| Failure::permanent("internal", error.to_string())),
        None => Ok(Some(InstanceReport {
            host: row.host_id,
            generation: row.generation,
            state: InstanceState::Failed,
            socket: None,
            description: None,
            error: Some("its host was lost".to_owned()),
            progress_ppm: None,
            measures: None,
            tests: Vec::new(),
        })),
    }
}

/// The task that proves a package; none where nothing runs.
fn proof(state: &State) -> Result<Option<Task>, Failure> {
    let manifest = state.manifest()?;
    let Some(task) = &manifest.task else { return Ok(None) };
    if task.runtime == Runtime::Job && manifest.tests.is_empty() {
        return Ok(None);
    }
    let tests = manifest.tests.iter().map(json).collect::<Result<Vec<_>, _>>()?;
    let is_job = |input: &TestInput| matches!(input, TestInput::Job { .. });
    let channels = if manifest.tests.iter().any(|test| is_job(&test.input)) {
        manifest.channels.clone()
    } else {
        Vec::new()
    };
    let measure_requests = if task.runtime == Runtime::Onnx { MEASURE_REQUESTS } else { 0 };
    Ok(Some(Task {
        runtime: task.runtime,
        package: instances::ungranted(state.account, state.object, state.package_bytes),
        entry: task.entry.clone(),
        args: task.args.clone(),
        limits: limits_of(manifest, task.timeout_ms),
        batch_max: task.batch_max,
        purpose: Purpose::Prove {
            tests,
            parameters: json(&manifest.parameters)?,
            channels,
            measure_requests,
        },
    }))
}

fn limits_of(manifest: &Manifest, timeout_ms: u64) -> Limits {
    let requires = &manifest.requires;
    Limits {
        timeout_ms,
        memory_bytes: requires.memory_mib.saturating_mul(MIB),
        cpu_milli: requires.cpu_milli,
        processes: requires.processes,
        scratch_bytes: requires.scratch_mib.saturating_mul(MIB),
    }
}
