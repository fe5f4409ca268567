//! Services.

use super::call::Call;
use super::{Client, Error, segment};
use crate::pages::{Page, PageQuery};
use crate::services::{
    CreateService, CreateServiceKey, CreatedServiceKey, Service, ServiceKey, ServiceVersion,
    UpdateService,
};
use types::Name;

impl Client {
    /// Makes a service. `POST /v1/services`
    pub async fn service_create(&self, wanted: &CreateService) -> Result<Service, Error> {
        self.ask(Call::post("/v1/services").json(wanted).creates()).await
    }

    /// The account's services. `GET /v1/services`
    pub async fn services_list(&self, page: &PageQuery) -> Result<Page<Service>, Error> {
        self.ask(Call::get("/v1/services").query(page)).await
    }

    /// One service. `GET /v1/services/{name}`
    pub async fn service_fetch(&self, name: &Name) -> Result<Service, Error> {
        self.ask(Call::get(path(name))).await
    }

    /// Makes a new version of a service. `PUT /v1/services/{name}`
    pub async fn service_update(
        &self,
        name: &Name,
        wanted: &UpdateService,
    ) -> Result<Service, Error> {
        self.ask(Call::put(path(name)).json(wanted).once()).await
    }

    /// Removes a service, its versions and keys. `DELETE /v1/services/{name}`
    pub async fn service_delete(&self, name: &Name) -> Result<(), Error> {
        self.tell(Call::delete(path(name))).await
    }

    /// A service's versions. `GET /v1/services/{name}/versions`
    pub async fn service_versions(
        &self,
        name: &Name,
        page: &PageQuery,
    ) -> Result<Page<ServiceVersion>, Error> {
        self.ask(Call::get(format!("{}/versions", path(name))).query(page)).await
    }

    /// Removes a version that is not the newest. `DELETE /v1/services/{name}/versions/{version}`
    pub async fn service_version_delete(&self, name: &Name, version: u32) -> Result<(), Error> {
        self.tell(Call::delete(format!("{}/versions/{version}", path(name)))).await
    }

    /// Makes a key; its secret is in the answer only. `POST /v1/services/{name}/keys`
    pub async fn service_key_create(
        &self,
        name: &Name,
        wanted: &CreateServiceKey,
    ) -> Result<CreatedServiceKey, Error> {
        self.ask(Call::post(format!("{}/keys", path(name))).json(wanted).creates()).await
    }

    /// A service's keys, without secrets. `GET /v1/services/{name}/keys`
    pub async fn service_keys(
        &self,
        name: &Name,
        page: &PageQuery,
    ) -> Result<Page<ServiceKey>, Error> {
        self.ask(Call::get(format!("{}/keys", path(name))).query(page)).await
    }

    /// Asks an operation of a service, with the service's key as this client's token.
    /// `POST /services/{account}/{name}/…`
    pub async fn service_call(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        self.ask(Call::post(path).json(body).once()).await
    }

    /// Ends a key. `DELETE /v1/services/{name}/keys/{key}`
    pub async fn service_key_delete(&self, name: &Name, key: &Name) -> Result<(), Error> {
        self.tell(Call::delete(format!("{}/keys/{}", path(name), segment(key.as_str())))).await
    }
}

fn path(name: &Name) -> String {
    format!("/v1/services/{}", segment(name.as_str()))
}
