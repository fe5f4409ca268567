//! Runs.

use types::RunId;

use super::call::Call;
use super::{Client, Error};
use crate::pages::{Page, PageQuery};
use crate::runs::{Run, RunDriftQuery, RunSeries, RunSpec, SeriesQuery};
use crate::streams::Drift;

/// How long the records of a run may take to be read, in milliseconds.
const WAIT_MS: u64 = 600_000;

impl Client {
    /// Has events replayed. `POST /v1/runs`
    pub async fn run_create(&self, wanted: &RunSpec) -> Result<Run, Error> {
        self.ask(Call::post("/v1/runs").json(wanted).creates()).await
    }

    /// The account's runs, the newest first. `GET /v1/runs`
    pub async fn runs_list(&self, page: &PageQuery) -> Result<Page<Run>, Error> {
        self.ask(Call::get("/v1/runs").query(page)).await
    }

    /// One run. `GET /v1/runs/{run}`
    pub async fn run_fetch(&self, id: RunId) -> Result<Run, Error> {
        self.ask(Call::get(format!("/v1/runs/{id}"))).await
    }

    /// How a run went over its time. `GET /v1/runs/{run}/series`
    pub async fn run_series(&self, id: RunId, query: &SeriesQuery) -> Result<RunSeries, Error> {
        self.ask(Call::get(format!("/v1/runs/{id}/series")).query(query).waits(WAIT_MS)).await
    }

    /// Whether a run's answers still are as another's were. `GET /v1/runs/{run}/drift`
    pub async fn run_drift(&self, id: RunId, query: &RunDriftQuery) -> Result<Drift, Error> {
        self.ask(Call::get(format!("/v1/runs/{id}/drift")).query(query).waits(WAIT_MS)).await
    }

    /// Has a run stop. `POST /v1/runs/{run}/stop`
    pub async fn run_stop(&self, id: RunId) -> Result<Run, Error> {
        self.ask(Call::post(format!("/v1/runs/{id}/stop")).repeatable()).await
    }
}
