//! Publishing packages.

use types::PublishId;

use super::call::Call;
use super::{Client, Error};
use crate::pages::{Log, LogQuery, Page, PageQuery};
use crate::publishes::{Publish, PublishRequest};

impl Client {
    /// Starts publishing a package that is there as an object. `POST /v1/publishes`
    pub async fn publish_create(&self, wanted: &PublishRequest) -> Result<Publish, Error> {
        self.ask(Call::post("/v1/publishes").json(wanted).creates()).await
    }

    /// The caller's publishings, newest first. `GET /v1/publishes`
    pub async fn publishes_list(&self, page: &PageQuery) -> Result<Page<Publish>, Error> {
        self.ask(Call::get("/v1/publishes").query(page)).await
    }

    /// One publishing. `GET /v1/publishes/{publish}`
    pub async fn publish_fetch(&self, publish: PublishId) -> Result<Publish, Error> {
        self.ask(Call::get(format!("/v1/publishes/{publish}"))).await
    }

    /// Lines of a publishing's log. `GET /v1/publishes/{publish}/log`
    pub async fn publish_log(&self, publish: PublishId, query: &LogQuery) -> Result<Log, Error> {
        let call = Call::get(format!("/v1/publishes/{publish}/log")).query(query);
        self.ask(call.waits(query.wait_ms.unwrap_or(0))).await
    }
}
