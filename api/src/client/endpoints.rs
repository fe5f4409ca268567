//! Endpoints. Invocations are in `invoke.rs`.

use types::Name;

use super::call::Call;
use super::{Client, Error};
use crate::endpoints::captures::{Capture, CaptureSpec};
use crate::endpoints::{
    AskGate, ChangeMode, CreateVariant, DeployRequest, Endpoint, GateJudgement, GateSpec, Modes,
    Promote, Promotion, UpdateEndpoint,
};
use crate::items::ShareRequest;
use crate::pages::{Log, LogQuery, Page, PageQuery};

impl Client {
    /// Makes an endpoint of a model, a pipeline or a function. `POST /v1/endpoints`
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

    /// Adds a variant to an endpoint. `POST /v1/endpoints/{name}/variants`
    pub async fn variant_create(
        &self,
        name: &Name,
        wanted: &CreateVariant,
    ) -> Result<Endpoint, Error> {
        self.ask(Call::post(format!("/v1/endpoints/{name}/variants")).json(wanted).creates()).await
    }

    /// Removes a variant. `DELETE /v1/endpoints/{name}/variants/{variant}`
    pub async fn variant_delete(&self, name: &Name, variant: &Name) -> Result<(), Error> {
        self.tell(Call::delete(format!("/v1/endpoints/{name}/variants/{variant}"))).await
    }

    /// Changes how a variant is used. `PUT /v1/endpoints/{name}/variants/{variant}/mode`
    pub async fn variant_mode(
        &self,
        name: &Name,
        variant: &Name,
        wanted: &ChangeMode,
    ) -> Result<Endpoint, Error> {
        let call = Call::put(format!("/v1/endpoints/{name}/variants/{variant}/mode"));
        self.ask(call.json(wanted).once()).await
    }

    /// How variants were used, the newest change first. `GET /v1/endpoints/{name}/modes`
    pub async fn modes_list(&self, name: &Name, page: &PageQuery) -> Result<Page<Modes>, Error> {
        self.ask(Call::get(format!("/v1/endpoints/{name}/modes")).query(page)).await
    }

    /// Has variants used again as they once were.
    /// `POST /v1/endpoints/{name}/modes/{number}/restore`
    pub async fn modes_restore(&self, name: &Name, number: u64) -> Result<Endpoint, Error> {
        let call = Call::post(format!("/v1/endpoints/{name}/modes/{number}/restore"));
        self.ask(call.once()).await
    }

    /// The gate of an endpoint. `GET /v1/endpoints/{name}/gate`
    pub async fn gate_fetch(&self, name: &Name) -> Result<GateSpec, Error> {
        self.ask(Call::get(format!("/v1/endpoints/{name}/gate"))).await
    }

    /// Sets the gate of an endpoint. `PUT /v1/endpoints/{name}/gate`
    pub async fn gate_put(&self, name: &Name, wanted: &GateSpec) -> Result<GateSpec, Error> {
        self.ask(Call::put(format!("/v1/endpoints/{name}/gate")).json(wanted)).await
    }

    /// Takes the gate of an endpoint away. `DELETE /v1/endpoints/{name}/gate`
    pub async fn gate_delete(&self, name: &Name) -> Result<(), Error> {
        self.tell(Call::delete(format!("/v1/endpoints/{name}/gate"))).await
    }

    /// Which requests of an endpoint are kept, and what became of them.
    /// `GET /v1/endpoints/{name}/capture`
    pub async fn capture_fetch(&self, name: &Name) -> Result<Capture, Error> {
        self.ask(Call::get(format!("/v1/endpoints/{name}/capture"))).await
    }

    /// Sets which requests of an endpoint are kept. `PUT /v1/endpoints/{name}/capture`
    pub async fn capture_put(&self, name: &Name, wanted: &CaptureSpec) -> Result<Capture, Error> {
        self.ask(Call::put(format!("/v1/endpoints/{name}/capture")).json(wanted)).await
    }

    /// Has no request of an endpoint kept any more. `DELETE /v1/endpoints/{name}/capture`
    pub async fn capture_delete(&self, name: &Name) -> Result<(), Error> {
        self.tell(Call::delete(format!("/v1/endpoints/{name}/capture"))).await
    }

    /// What the gate of an endpoint says of a run. `POST /v1/endpoints/{name}/gate/judgement`
    pub async fn gate_ask(&self, name: &Name, wanted: &AskGate) -> Result<GateJudgement, Error> {
        self.ask(Call::post(format!("/v1/endpoints/{name}/gate/judgement")).json(wanted).once())
            .await
    }

    /// Promotes a variant where the gate says so of a run.
    /// `POST /v1/endpoints/{name}/variants/{variant}/promotion`
    pub async fn variant_promote(
        &self,
        name: &Name,
        variant: &Name,
        wanted: &Promote,
    ) -> Result<Promotion, Error> {
        let call = Call::post(format!("/v1/endpoints/{name}/variants/{variant}/promotion"));
        self.ask(call.json(wanted).once()).await
    }
}
