//! Trainings.

use types::TrainingId;

use super::call::Call;
use super::{Client, Error};
use crate::pages::{Log, LogQuery, Page, PageQuery};
use crate::trainings::{TrainRequest, Training};

impl Client {
    /// Starts a training. `POST /v1/trainings`
    pub async fn training_create(&self, wanted: &TrainRequest) -> Result<Training, Error> {
        self.ask(Call::post("/v1/trainings").json(wanted).creates()).await
    }

    /// The caller's trainings, newest first. `GET /v1/trainings`
    pub async fn trainings_list(&self, page: &PageQuery) -> Result<Page<Training>, Error> {
        self.ask(Call::get("/v1/trainings").query(page)).await
    }

    /// One training. `GET /v1/trainings/{training}`
    pub async fn training_fetch(&self, training: TrainingId) -> Result<Training, Error> {
        self.ask(Call::get(format!("/v1/trainings/{training}"))).await
    }

    /// Lines of a training's log. `GET /v1/trainings/{training}/log`
    pub async fn training_log(&self, training: TrainingId, query: &LogQuery) -> Result<Log, Error> {
        let call = Call::get(format!("/v1/trainings/{training}/log")).query(query);
        self.ask(call.waits(query.wait_ms.unwrap_or(0))).await
    }

    /// Cancels a training. `POST /v1/trainings/{training}/cancel`
    pub async fn training_cancel(&self, training: TrainingId) -> Result<Training, Error> {
        let call = Call::post(format!("/v1/trainings/{training}/cancel"));
        self.ask(call.repeatable()).await
    }
}
