//! Publishing: a package becomes a listed version.
//!
//! Steps: receive → package → test → check → unit-test → measure → version → list.
//! The producer's code runs in one instance, whose purpose is to prove the package: it runs the
//! unit tests and measures, and its report serves two steps.
//!
//! Always true: the version is committed in one transaction with the end of the publishing and its
//! last line, so a crash leaves the whole version or none of it; a failure says step, file and
//! cure in the log. The last step commits, and a version is never taken back: undoing it changes
//! nothing, and the publishing stays published.

mod commit;
mod proof;

use serde::{Deserialize, Serialize};

use api::items::{Lineage, Sharing};
use catalog::{Inspection, Refusal, package};
use formats::manifest::Manifest;
use policy::linking;
use store::publishes::{PublishRow, PublishState, publish_fetch, publish_update};
use types::{AccountId, Digest, Figure, InstanceId, ItemId, ItemKind, Name, ObjectId, PublishId};
use workflow::saga::{Failure, Outcome, Problem, Saga};

use crate::Control;
use crate::operations::{instances, stages};
use crate::packages::with_package;
use crate::sagas::failure;

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
    package_sha256: Option<Digest>,
    package_bytes: u64,
    manifest: Option<Manifest>,
    files: Vec<formats::archive::Entry>,
    documentation: String,
    instance: Option<InstanceId>,
    /// How many instances were lost with their hosts.
    #[serde(default)]
    hosts_lost: u32,
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
            hosts_lost: 0,
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
            let resolved = stages::resolve_stage(&self.control, &account, stage).await;
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
                    let error_code = problem.as_ref().map(|problem| problem.code.clone());
                    let step = problem.map_or(row.step.clone(), |problem| problem.step);
                    let row = PublishRow {
                        state: PublishState::Failed,
                        step,
                        error,
                        error_code,
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
