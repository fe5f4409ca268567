//! Grants, links and usage: functions across accounts.

use super::call::Call;
use super::{Client, Error, segment};
use crate::grants::{CreateGrant, CreateLink, Grant, Link, ReceivedGrant, UpdateGrant, UpdateLink};
use crate::pages::{Page, PageQuery};
use crate::usage::{FunctionUsage, SoldUsage, UsageQuery};
use types::{FunctionName, Name};

impl Client {
    /// Gives a grant. `POST /v1/grants`
    pub async fn grant_create(&self, wanted: &CreateGrant) -> Result<Grant, Error> {
        self.ask(Call::post("/v1/grants").json(wanted).creates()).await
    }

    /// The grants that the account gave. `GET /v1/grants`
    pub async fn grants_list(&self, page: &PageQuery) -> Result<Page<Grant>, Error> {
        self.ask(Call::get("/v1/grants").query(page)).await
    }

    /// One grant. `GET /v1/grants/{name}`
    pub async fn grant_fetch(&self, name: &Name) -> Result<Grant, Error> {
        self.ask(Call::get(grant(name))).await
    }

    /// Changes a grant. `PUT /v1/grants/{name}`
    pub async fn grant_update(&self, name: &Name, wanted: &UpdateGrant) -> Result<Grant, Error> {
        self.ask(Call::put(grant(name)).json(wanted).once()).await
    }

    /// Takes a grant back. `DELETE /v1/grants/{name}`
    pub async fn grant_delete(&self, name: &Name) -> Result<(), Error> {
        self.tell(Call::delete(grant(name))).await
    }

    /// The grants that the account was given. `GET /v1/received-grants`
    pub async fn grants_received(&self, page: &PageQuery) -> Result<Page<ReceivedGrant>, Error> {
        self.ask(Call::get("/v1/received-grants").query(page)).await
    }
}

impl Client {
    /// Makes a link. `POST /v1/links`
    pub async fn link_create(&self, wanted: &CreateLink) -> Result<Link, Error> {
        self.ask(Call::post("/v1/links").json(wanted).creates()).await
    }

    /// The account's links. `GET /v1/links`
    pub async fn links_list(&self, page: &PageQuery) -> Result<Page<Link>, Error> {
        self.ask(Call::get("/v1/links").query(page)).await
    }

    /// One link. `GET /v1/links/{name}`
    pub async fn link_fetch(&self, name: &FunctionName) -> Result<Link, Error> {
        self.ask(Call::get(link(name))).await
    }

    /// Changes a link. `PUT /v1/links/{name}`
    pub async fn link_update(
        &self,
        name: &FunctionName,
        wanted: &UpdateLink,
    ) -> Result<Link, Error> {
        self.ask(Call::put(link(name)).json(wanted).once()).await
    }

    /// Removes a link. `DELETE /v1/links/{name}`
    pub async fn link_delete(&self, name: &FunctionName) -> Result<(), Error> {
        self.tell(Call::delete(link(name))).await
    }

    /// What the account's calls came to. `GET /v1/usage`
    pub async fn usage(&self, query: &UsageQuery) -> Result<FunctionUsage, Error> {
        self.ask(Call::get("/v1/usage").query(query)).await
    }

    /// What others' calls of the account's functions came to. `GET /v1/sold-usage`
    pub async fn usage_sold(&self, query: &UsageQuery) -> Result<SoldUsage, Error> {
        self.ask(Call::get("/v1/sold-usage").query(query)).await
    }
}

fn grant(name: &Name) -> String {
    format!("/v1/grants/{}", segment(name.as_str()))
}

fn link(name: &FunctionName) -> String {
    format!("/v1/links/{}", segment(name.as_str()))
}
