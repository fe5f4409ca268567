//! Functions.

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use super::call::{Answer, Call};
use super::{Client, Error, segment};
use crate::functions::{
    CreateFunction, ERROR_HEADER, Function, PublishVersion, TIMING_HEADER, UpdateFunction,
    VERSION_HEADER,
};
use crate::pages::{Page, PageQuery};
use types::FunctionName;

impl Client {
    /// Makes a function. `POST /v1/functions`
    pub async fn function_create(&self, wanted: &CreateFunction) -> Result<Function, Error> {
        self.ask(Call::post("/v1/functions").json(wanted).creates()).await
    }

    /// The caller's functions. `GET /v1/functions`
    pub async fn functions_list(&self, page: &PageQuery) -> Result<Page<Function>, Error> {
        self.ask(Call::get("/v1/functions").query(page)).await
    }

    /// One function. `GET /v1/functions/{name}`
    pub async fn function_fetch(&self, name: &FunctionName) -> Result<Function, Error> {
        self.ask(Call::get(path(name))).await
    }

    /// Changes a function. `PUT /v1/functions/{name}`
    pub async fn function_update(
        &self,
        name: &FunctionName,
        wanted: &UpdateFunction,
    ) -> Result<Function, Error> {
        self.ask(Call::put(path(name)).json(wanted).once()).await
    }

    /// Removes a function and its versions. `DELETE /v1/functions/{name}`
    pub async fn function_delete(&self, name: &FunctionName) -> Result<(), Error> {
        self.tell(Call::delete(path(name))).await
    }

    /// Makes a numbered version. `POST /v1/functions/{name}/versions`
    pub async fn function_publish(
        &self,
        name: &FunctionName,
        wanted: &PublishVersion,
    ) -> Result<Function, Error> {
        self.ask(Call::post(format!("{}/versions", path(name))).json(wanted).creates()).await
    }

    /// A function's numbered versions. `GET /v1/functions/{name}/versions`
    pub async fn function_versions(
        &self,
        name: &FunctionName,
        page: &PageQuery,
    ) -> Result<Page<Function>, Error> {
        self.ask(Call::get(format!("{}/versions", path(name))).query(page)).await
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The version that ran.
    pub version: Option<String>,
    /// What failed, such as `Function.ValueError`; none where the function answered.
    pub error: Option<String>,
    /// Where the time went, as `Server-Timing` writes it.
    pub timing: Option<String>,
    /// The answer, or what is told of the error.
    pub body: Bytes,
}

impl Client {
    /// Calls a function. It is not repeated by itself. An error of the function is no error here.
    /// `POST /v1/functions/{name}/invocations`
    pub async fn function_call(
        &self,
        name: &FunctionName,
        qualifier: Option<&str>,
        (payload, wait_ms): (Bytes, u64),
    ) -> Result<Called, Error> {
        let mut call = Call::new(Method::POST, format!("{}/invocations", path(name)));
        if let Some(qualifier) = qualifier {
            call = call.query(&serde_json::json!({ "qualifier": qualifier }));
        }
        let json = HeaderValue::from_static("application/json");
        let call = call.bytes(payload).header(header::CONTENT_TYPE, json).waits(wait_ms);
        let Answer { headers, body } = self.exchange(call).await?;
        let word = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        Ok(Called {
            version: word(VERSION_HEADER),
            error: word(ERROR_HEADER),
            timing: word(TIMING_HEADER),
            body,
        })
    }
}

fn path(name: &FunctionName) -> String {
    format!("/v1/functions/{}", segment(name.as_str()))
}
