//! Runs.

use types::RunId;

use super::call::Call;
use super::{Client, Error};
use crate::pages::{Page, PageQuery};
use crate::runs::{Run, RunSpec};

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

    /// Has a run stop. `POST /v1/runs/{run}/stop`
    pub async fn run_stop(&self, id: RunId) -> Result<Run, Error> {
        self.ask(Call::post(format!("/v1/runs/{id}/stop")).repeatable()).await
    }
}
