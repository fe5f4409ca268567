//! Triggers of endpoints.

use types::Name;

use super::call::Call;
use super::{Client, Error};
use crate::pages::{Page, PageQuery};
use crate::triggers::{Firing, Trigger, TriggerSpec, Triggers};

impl Client {
    /// The triggers of an endpoint. `GET /v1/endpoints/{name}/triggers`
    pub async fn triggers_list(&self, name: &Name) -> Result<Triggers, Error> {
        self.ask(Call::get(format!("/v1/endpoints/{name}/triggers"))).await
    }

    /// Adds a trigger. `POST /v1/endpoints/{name}/triggers`
    pub async fn trigger_create(
        &self,
        name: &Name,
        wanted: &TriggerSpec,
    ) -> Result<Trigger, Error> {
        self.ask(Call::post(format!("/v1/endpoints/{name}/triggers")).json(wanted).creates()).await
    }

    /// Removes a trigger. `DELETE /v1/endpoints/{name}/triggers/{trigger}`
    pub async fn trigger_delete(&self, name: &Name, trigger: &Name) -> Result<(), Error> {
        self.tell(Call::delete(format!("/v1/endpoints/{name}/triggers/{trigger}"))).await
    }

    /// What triggers did, the newest first. `GET /v1/endpoints/{name}/firings`
    pub async fn firings_list(&self, name: &Name, page: &PageQuery) -> Result<Page<Firing>, Error> {
        self.ask(Call::get(format!("/v1/endpoints/{name}/firings")).query(page)).await
    }
}
