//! Endpoints. Invocations are in `invoke.rs`.

use types::Name;

use super::call::Call;
use super::{Client, Error};
use crate::endpoints::{DeployRequest, Endpoint, UpdateEndpoint};
use crate::items::ShareRequest;
use crate::pages::{Log, LogQuery, Page, PageQuery};

impl Client {
    /// Makes an endpoint of a model or pipeline. `POST /v1/endpoints`
    pub async fn endpoint_create(&self, wanted: &DeployRequest) -> Result<Endpoint, Error> {
        self.ask(Call::post("/v1/endpoints").json(wanted).creates()).await
    }

    /// The caller's endpoints. `GET /v1/endpoints`
    pub async fn endpoints_list(&self, page: &PageQuery) -> Result<Page<Endpoint>, Error> {
        self.ask(Call::get("/v1/endpoints").query(page)).await
    }

    /// One endpoint. `GET /v1/endpoints/{name}`
    pub async fn endpoint_fetch(&self, name: &Name) -> Result<Endpoint, Error> {
        self.ask(Call::get(format!("/v1/endpoints/{name}"))).await
    }

    /// Changes what an endpoint runs. `PUT /v1/endpoints/{name}`
    pub async fn endpoint_update(
        &self,
        name: &Name,
        wanted: &UpdateEndpoint,
    ) -> Result<Endpoint, Error> {
        self.ask(Call::put(format!("/v1/endpoints/{name}")).json(wanted).once()).await
    }

    /// Removes an endpoint. `DELETE /v1/endpoints/{name}`
    pub async fn endpoint_delete(&self, name: &Name) -> Result<(), Error> {
        self.tell(Call::delete(format!("/v1/endpoints/{name}"))).await
    }

    /// Changes who may call an endpoint. `PUT /v1/endpoints/{name}/sharing`
    pub async fn endpoint_share(
        &self,
        name: &Name,
        wanted: &ShareRequest,
    ) -> Result<Endpoint, Error> {
        let call = Call::put(format!("/v1/endpoints/{name}/sharing"));
        self.ask(call.json(wanted).once()).await
    }

    /// Lines of an endpoint's log. `GET /v1/endpoints/{name}/log`
    pub async fn endpoint_log(&self, name: &Name, query: &LogQuery) -> Result<Log, Error> {
        let call = Call::get(format!("/v1/endpoints/{name}/log")).query(query);
        self.ask(call.waits(query.wait_ms.unwrap_or(0))).await
    }
}
