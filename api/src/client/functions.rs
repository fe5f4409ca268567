//! Functions.

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use super::call::{Answer, Call};
use super::{Client, Error, segment};
use crate::functions::events::{EventSettings, EventSettingsQuery, ShownEventSettings};
use crate::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings};
use crate::functions::sizes::{Advice, AdviceQuery, SizeStep, Sizing};
use crate::functions::urls::{FunctionUrl, UrlQuery, UrlSettings};
use crate::functions::{
    AcceptedEvent, Alias, CreateAlias, CreateFunction, CreateSchedule, DeadEvent, ERROR_HEADER,
    Function, PublishVersion, STALE_HEADER, Schedule, TIMING_HEADER, UpdateAlias, UpdateFunction,
    VERSION_HEADER,
};
use crate::pages::{Log, LogQuery, Page, PageQuery};
use types::{AliasName, EventId, FunctionName};

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

impl Client {
    /// What becomes of a function's events.
    /// `GET /v1/functions/{name}/event-settings?qualifier=`
    pub async fn event_settings(
        &self,
        name: &FunctionName,
        of: &EventSettingsQuery,
    ) -> Result<ShownEventSettings, Error> {
        self.ask(Call::get(format!("{}/event-settings", path(name))).query(of)).await
    }

    /// Changes that, as a whole. `PUT /v1/functions/{name}/event-settings?qualifier=`
    pub async fn event_settings_put(
        &self,
        name: &FunctionName,
        of: &EventSettingsQuery,
        wanted: &EventSettings,
    ) -> Result<ShownEventSettings, Error> {
        let path = format!("{}/event-settings", path(name));
        self.ask(Call::put(path).query(of).json(wanted)).await
    }

    /// How the memory of a function's instances is chosen. `GET /v1/functions/{name}/sizing`
    pub async fn function_sizing(&self, name: &FunctionName) -> Result<Sizing, Error> {
        self.ask(Call::get(format!("{}/sizing", path(name)))).await
    }

    /// Changes that, as a whole. `PUT /v1/functions/{name}/sizing`
    pub async fn function_sizing_put(
        &self,
        name: &FunctionName,
        wanted: &Sizing,
    ) -> Result<Sizing, Error> {
        self.ask(Call::put(format!("{}/sizing", path(name))).json(wanted)).await
    }

    /// What was done about it, the last first. `GET /v1/functions/{name}/sizes`
    pub async fn function_sizes(&self, name: &FunctionName) -> Result<Vec<SizeStep>, Error> {
        self.ask(Call::get(format!("{}/sizes", path(name)))).await
    }

    /// What it would cost, and how long calls would take, at other sizes.
    /// `GET /v1/functions/{name}/advice?qualifier=`
    pub async fn function_advice(
        &self,
        name: &FunctionName,
        of: &AdviceQuery,
    ) -> Result<Advice, Error> {
        self.ask(Call::get(format!("{}/advice", path(name))).query(of)).await
    }
}

impl Client {
    /// Gives a function, or an alias of it, a URL. `POST /v1/functions/{name}/url?qualifier=`
    pub async fn function_url_create(
        &self,
        name: &FunctionName,
        (of, wanted): (&UrlQuery, &UrlSettings),
    ) -> Result<FunctionUrl, Error> {
        self.ask(Call::post(format!("{}/url", path(name))).query(of).json(wanted).creates()).await
    }

    /// Which URL it has. `GET /v1/functions/{name}/url?qualifier=`
    pub async fn function_url(
        &self,
        name: &FunctionName,
        of: &UrlQuery,
    ) -> Result<FunctionUrl, Error> {
        self.ask(Call::get(format!("{}/url", path(name))).query(of)).await
    }

    /// The URLs of a function and of its aliases. `GET /v1/functions/{name}/urls`
    pub async fn function_urls_list(&self, name: &FunctionName) -> Result<Vec<FunctionUrl>, Error> {
        self.ask(Call::get(format!("{}/urls", path(name)))).await
    }

    /// Changes how a URL answers, as a whole. `PUT /v1/functions/{name}/url?qualifier=`
    pub async fn function_url_update(
        &self,
        name: &FunctionName,
        (of, wanted): (&UrlQuery, &UrlSettings),
    ) -> Result<FunctionUrl, Error> {
        self.ask(Call::put(format!("{}/url", path(name))).query(of).json(wanted)).await
    }

    /// Removes a URL. `DELETE /v1/functions/{name}/url?qualifier=`
    pub async fn function_url_delete(
        &self,
        name: &FunctionName,
        of: &UrlQuery,
    ) -> Result<(), Error> {
        self.tell(Call::delete(format!("{}/url", path(name))).query(of)).await
    }
}

impl Client {
    /// How many instances are kept warm, by version and alias.
    /// `GET /v1/functions/{name}/provisioned`
    pub async fn provisioned_list(
        &self,
        name: &FunctionName,
    ) -> Result<Vec<ProvisionedConcurrency>, Error> {
        self.ask(Call::get(format!("{}/provisioned", path(name)))).await
    }

    /// How many instances of a version or an alias are kept warm.
    /// `GET /v1/functions/{name}/provisioned/{qualifier}`
    pub async fn provisioned(
        &self,
        (name, qualifier): (&FunctionName, &str),
    ) -> Result<ProvisionedConcurrency, Error> {
        self.ask(Call::get(provisioned_path(name, qualifier))).await
    }

    /// Has so many instances of a version or an alias kept warm.
    /// `PUT /v1/functions/{name}/provisioned/{qualifier}`
    pub async fn provisioned_put(
        &self,
        (name, qualifier): (&FunctionName, &str),
        wanted: ProvisionedSettings,
    ) -> Result<ProvisionedConcurrency, Error> {
        self.ask(Call::put(provisioned_path(name, qualifier)).json(&wanted)).await
    }

    /// Has none kept warm any more. `DELETE /v1/functions/{name}/provisioned/{qualifier}`
    pub async fn provisioned_delete(
        &self,
        (name, qualifier): (&FunctionName, &str),
    ) -> Result<(), Error> {
        self.tell(Call::delete(provisioned_path(name, qualifier))).await
    }
}

fn provisioned_path(name: &FunctionName, qualifier: &str) -> String {
    format!("{}/provisioned/{}", path(name), segment(qualifier))
}

impl Client {
    /// Makes an alias. `POST /v1/functions/{name}/aliases`
    pub async fn alias_create(
        &self,
        name: &FunctionName,
        wanted: &CreateAlias,
    ) -> Result<Alias, Error> {
        self.ask(Call::post(format!("{}/aliases", path(name))).json(wanted).creates()).await
    }

    /// A function's aliases. `GET /v1/functions/{name}/aliases`
    pub async fn aliases_list(
        &self,
        name: &FunctionName,
        page: &PageQuery,
    ) -> Result<Page<Alias>, Error> {
        self.ask(Call::get(format!("{}/aliases", path(name))).query(page)).await
    }

    /// Changes an alias. `PUT /v1/functions/{name}/aliases/{alias}`
    pub async fn alias_update(
        &self,
        name: &FunctionName,
        (alias, wanted): (&AliasName, &UpdateAlias),
    ) -> Result<Alias, Error> {
        let path = format!("{}/aliases/{}", path(name), segment(alias.as_str()));
        self.ask(Call::put(path).json(wanted).once()).await
    }

    /// Removes an alias. `DELETE /v1/functions/{name}/aliases/{alias}`
    pub async fn alias_delete(&self, name: &FunctionName, alias: &AliasName) -> Result<(), Error> {
        let path = format!("{}/aliases/{}", path(name), segment(alias.as_str()));
        self.tell(Call::delete(path)).await
    }

    /// Events of a function that were given up. `GET /v1/functions/{name}/dead-events`
    pub async fn dead_events_list(
        &self,
        name: &FunctionName,
        page: &PageQuery,
    ) -> Result<Page<DeadEvent>, Error> {
        self.ask(Call::get(format!("{}/dead-events", path(name))).query(page)).await
    }

    /// Has such an event run again. `POST /v1/functions/{name}/dead-events/{event}`
    pub async fn dead_event_redrive(&self, name: &FunctionName, id: EventId) -> Result<(), Error> {
        self.tell(Call::post(format!("{}/dead-events/{id}", path(name))).repeatable()).await
    }

    /// Forgets such an event. `DELETE /v1/functions/{name}/dead-events/{event}`
    pub async fn dead_event_delete(&self, name: &FunctionName, id: EventId) -> Result<(), Error> {
        self.tell(Call::delete(format!("{}/dead-events/{id}", path(name)))).await
    }
}

impl Client {
    /// Has a function run at times. `POST /v1/functions/{name}/schedules`
    pub async fn schedule_create(
        &self,
        name: &FunctionName,
        wanted: &CreateSchedule,
    ) -> Result<Schedule, Error> {
        self.ask(Call::post(format!("{}/schedules", path(name))).json(wanted).creates()).await
    }

    /// A function's schedules. `GET /v1/functions/{name}/schedules`
    pub async fn schedules_list(
        &self,
        name: &FunctionName,
        page: &PageQuery,
    ) -> Result<Page<Schedule>, Error> {
        self.ask(Call::get(format!("{}/schedules", path(name))).query(page)).await
    }

    /// Removes a schedule. `DELETE /v1/functions/{name}/schedules/{schedule}`
    pub async fn schedule_delete(
        &self,
        name: &FunctionName,
        schedule: &AliasName,
    ) -> Result<(), Error> {
        let path = format!("{}/schedules/{}", path(name), segment(schedule.as_str()));
        self.tell(Call::delete(path)).await
    }

    /// What a function's instances wrote. `GET /v1/functions/{name}/log`
    pub async fn function_log(&self, name: &FunctionName, query: &LogQuery) -> Result<Log, Error> {
        let call = Call::get(format!("{}/log", path(name))).query(query);
        self.ask(call.waits(query.wait_ms.unwrap_or(0))).await
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
    /// For how long the version that ran had been replaced, where it had, in milliseconds.
    pub stale_ms: Option<u64>,
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
        let call = invocation(name, (None, qualifier), payload).waits(wait_ms);
        let Answer { headers, body } = self.exchange(call).await?;
        let word = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        Ok(Called {
            version: word(VERSION_HEADER),
            error: word(ERROR_HEADER),
            timing: word(TIMING_HEADER),
            stale_ms: word(STALE_HEADER).and_then(|ms| ms.parse().ok()),
            body,
        })
    }
}

impl Client {
    /// Has an event kept and run, without waiting. It is not repeated by itself.
    /// `POST /v1/functions/{name}/invocations?mode=event`
    pub async fn function_event(
        &self,
        name: &FunctionName,
        qualifier: Option<&str>,
        payload: Bytes,
    ) -> Result<EventId, Error> {
        let call = invocation(name, (Some("event"), qualifier), payload);
        Ok(self.ask::<AcceptedEvent>(call).await?.event)
    }
}

/// A call of a function, in a mode other than the usual one where one is told.
pub(super) fn invocation(
    name: &FunctionName,
    (mode, qualifier): (Option<&str>, Option<&str>),
    payload: Bytes,
) -> Call {
    #[derive(serde::Serialize)]
    struct Asked<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        qualifier: Option<&'a str>,
    }
    let json = HeaderValue::from_static("application/json");
    Call::new(Method::POST, format!("{}/invocations", path(name)))
        .query(&Asked { mode, qualifier })
        .bytes(payload)
        .header(header::CONTENT_TYPE, json)
}

fn path(name: &FunctionName) -> String {
    format!("/v1/functions/{}", segment(name.as_str()))
}
