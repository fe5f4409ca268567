//! What runs, and what the cloud says of itself.

use serde_json::Value;

use super::call::Call;
use super::{Client, Error};
use crate::status::{CreateEnrolment, Enrolment, Health, InstanceTypeInfo, Status, TaskStatus};

impl Client {
    /// That the control plane answers; needs no credentials. `GET /v1/health`
    pub async fn health(&self) -> Result<Health, Error> {
        self.ask(Call::get("/v1/health")).await
    }

    /// What runs, and what the hosts give. `GET /v1/status`
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(Call::get("/v1/status")).await
    }

    /// The sizes of instances. `GET /v1/instance-types`
    pub async fn instance_types_list(&self) -> Result<Vec<InstanceTypeInfo>, Error> {
        self.ask(Call::get("/v1/instance-types")).await
    }

    /// Sagas and reconcilers; operators only. `GET /v1/tasks`
    pub async fn tasks_list(&self) -> Result<Vec<TaskStatus>, Error> {
        self.ask(Call::get("/v1/tasks")).await
    }

    /// Makes a token with which one host enrols; operators only. `POST /v1/enrolments`
    pub async fn enrolment_create(&self, wanted: &CreateEnrolment) -> Result<Enrolment, Error> {
        self.ask(Call::post("/v1/enrolments").json(wanted).creates()).await
    }

    /// The page about an error code, in Markdown. `GET /v1/errors/{code}`
    pub async fn error_page(&self, code: &str) -> Result<String, Error> {
        let path = format!("/v1/errors/{}", super::segment(code));
        let answer = self.exchange(Call::get(path)).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The `OpenAPI` document. `GET /v1/openapi.json`
    pub async fn openapi(&self) -> Result<Value, Error> {
        self.ask(Call::get("/v1/openapi.json")).await
    }
}
