//! Sources of functions.

use types::{FunctionName, SourceId};

use super::call::Call;
use super::{Client, Error};
use crate::functions::sources::{CreateSource, Source, UpdateSource};
use crate::pages::{Page, PageQuery};

impl Client {
    /// Feeds a function from a stream. `POST /v1/functions/{name}/sources`
    pub async fn source_create(
        &self,
        name: &FunctionName,
        wanted: &CreateSource,
    ) -> Result<Source, Error> {
        self.ask(Call::post(path(name)).json(wanted).creates()).await
    }

    /// What a function is fed from. `GET /v1/functions/{name}/sources`
    pub async fn sources_list(
        &self,
        name: &FunctionName,
        page: &PageQuery,
    ) -> Result<Page<Source>, Error> {
        self.ask(Call::get(path(name)).query(page)).await
    }

    /// One source. `GET /v1/functions/{name}/sources/{source}`
    pub async fn source_fetch(&self, name: &FunctionName, id: SourceId) -> Result<Source, Error> {
        self.ask(Call::get(format!("{}/{id}", path(name)))).await
    }

    /// Changes how a function is fed. `PUT /v1/functions/{name}/sources/{source}`
    pub async fn source_update(
        &self,
        name: &FunctionName,
        id: SourceId,
        wanted: &UpdateSource,
    ) -> Result<Source, Error> {
        self.ask(Call::put(format!("{}/{id}", path(name))).json(wanted).once()).await
    }

    /// Feeds a function from it no more. `DELETE /v1/functions/{name}/sources/{source}`
    pub async fn source_delete(&self, name: &FunctionName, id: SourceId) -> Result<(), Error> {
        self.tell(Call::delete(format!("{}/{id}", path(name)))).await
    }
}

fn path(name: &FunctionName) -> String {
    format!("/v1/functions/{}/sources", super::segment(name.as_str()))
}
