//! What agents and gateways ask of control, over a Unix socket or mutual TLS.

use bytes::Bytes;
use futures::Stream;
use http::{HeaderValue, Method, header};

use types::{AccountId, EventId, HostId, InstanceId, RevisionId, RunId, SourceId, StreamId};

use super::call::Call;
use super::{Client, Error};
use crate::internal::functions::provisioned::ProvisionedReport;
use crate::internal::functions::sizes::{FunctionsUsage, SizeAnswer, SizeReport};
use crate::internal::functions::sources::GivenUp;
use crate::internal::functions::{
    EventOutcome, KeepEvents, NewEvent, Revision, TakeEvents, TakenEvents, UsageTaken,
};
use crate::internal::{
    Assignments, ClaimStream, Enrol, Enrolled, HostReport, InstanceLogs, InstanceReport, Output,
    Renew, Renewed, Routes, RunReport, RunTaken, StreamClaimed, UsageReport, Watch,
};

impl Client {
    /// Has an event kept and run; doing so again changes nothing. `POST /internal/v1/events`
    pub async fn event_accept(&self, event: &NewEvent) -> Result<(), Error> {
        self.tell(Call::post("/internal/v1/events").json(event).repeatable()).await
    }

    /// Takes events that are due, once there are some or the wait is over.
    /// `POST /internal/v1/events/take`
    pub async fn events_take(&self, wanted: TakeEvents) -> Result<TakenEvents, Error> {
        let call = Call::post("/internal/v1/events/take").json(&wanted);
        self.ask(call.waits(wanted.wait_ms)).await
    }

    /// Keeps events that still run. `POST /internal/v1/events/keep`
    pub async fn events_keep(&self, wanted: &KeepEvents) -> Result<(), Error> {
        self.tell(Call::post("/internal/v1/events/keep").json(wanted).repeatable()).await
    }

    /// Tells what became of an event's run. `PUT /internal/v1/events/{event}/outcome`
    pub async fn event_outcome(&self, id: EventId, outcome: &EventOutcome) -> Result<(), Error> {
        self.tell(Call::put(format!("/internal/v1/events/{id}/outcome")).json(outcome)).await
    }

    /// Has a certificate signed; the token is the proof. `POST /internal/v1/enrol`
    pub async fn enrol(&self, request: &Enrol) -> Result<Enrolled, Error> {
        self.ask(Call::post("/internal/v1/enrol").json(request)).await
    }

    /// Has the next certificate signed; the one in use is the proof. `POST /internal/v1/renew`
    pub async fn renew(&self, request: &Renew) -> Result<Renewed, Error> {
        self.ask(Call::post("/internal/v1/renew").json(request).repeatable()).await
    }

    /// Tells what a host has. `PUT /internal/v1/hosts/{host}`
    pub async fn host_report(&self, host: HostId, report: &HostReport) -> Result<(), Error> {
        self.tell(Call::put(format!("/internal/v1/hosts/{host}")).json(report)).await
    }

    /// What a host is to run, once it is newer than `watch.after` or the wait is over.
    /// `GET /internal/v1/hosts/{host}/assignments`
    pub async fn assignments_watch(
        &self,
        host: HostId,
        watch: Watch,
    ) -> Result<Assignments, Error> {
        let call = Call::get(format!("/internal/v1/hosts/{host}/assignments"));
        self.ask(call.query(&watch).waits(watch.wait_ms)).await
    }

    /// Tells what became of an instance. `PUT /internal/v1/instances/{instance}/report`
    pub async fn instance_report(
        &self,
        instance: InstanceId,
        report: &InstanceReport,
    ) -> Result<(), Error> {
        let call = Call::put(format!("/internal/v1/instances/{instance}/report"));
        self.tell(call.json(report)).await
    }

    /// Hands over what an instance wrote; repeating it adds nothing.
    /// `POST /internal/v1/instances/{instance}/logs`
    pub async fn instance_logs(
        &self,
        instance: InstanceId,
        logs: &InstanceLogs,
    ) -> Result<(), Error> {
        let call = Call::post(format!("/internal/v1/instances/{instance}/logs"));
        self.tell(call.json(logs).repeatable()).await
    }

    /// Hands over what an instance of a function wrote; repeating it adds nothing.
    /// `POST /internal/v1/revisions/{revision}/logs/{instance}`
    pub async fn function_logs(
        &self,
        (revision, instance): (RevisionId, InstanceId),
        logs: &InstanceLogs,
    ) -> Result<(), Error> {
        let call = Call::post(format!("/internal/v1/revisions/{revision}/logs/{instance}"));
        self.tell(call.json(logs).repeatable()).await
    }

    /// Streams the output of a job, a tar. Not repeated by itself: the stream is used up.
    /// `PUT /internal/v1/instances/{instance}/output`
    pub async fn instance_output<S, E>(&self, instance: InstanceId, tar: S) -> Result<Output, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let path = format!("/internal/v1/instances/{instance}/output");
        let media_type = HeaderValue::from_static("application/x-tar");
        let call = Call::new(Method::PUT, path).header(header::CONTENT_TYPE, media_type);
        self.stream(call, tar).await
    }

    /// What a function's revision is. `GET /internal/v1/revisions/{revision}`
    pub async fn revision_fetch(&self, id: RevisionId) -> Result<Revision, Error> {
        self.ask(Call::get(format!("/internal/v1/revisions/{id}"))).await
    }

    /// Tells of a step about the size of a revision's instances, or asks whether a trial may begin.
    /// `POST /internal/v1/revisions/{revision}/sizes`
    pub async fn revision_size(
        &self,
        id: RevisionId,
        report: &SizeReport,
    ) -> Result<SizeAnswer, Error> {
        self.ask(Call::post(format!("/internal/v1/revisions/{id}/sizes")).json(report)).await
    }

    /// Tells what calls of functions on a host took; repeating it replaces the same.
    /// `POST /internal/v1/hosts/{host}/functions-usage`
    pub async fn functions_usage(&self, host: HostId, usage: &FunctionsUsage) -> Result<(), Error> {
        let call = Call::post(format!("/internal/v1/hosts/{host}/functions-usage"));
        self.tell(call.json(usage).repeatable()).await
    }

    /// Tells what a host has of the instances that it is to keep warm.
    /// `PUT /internal/v1/hosts/{host}/provisioned`
    pub async fn provisioned_report(
        &self,
        host: HostId,
        report: &ProvisionedReport,
    ) -> Result<(), Error> {
        self.tell(Call::put(format!("/internal/v1/hosts/{host}/provisioned")).json(report)).await
    }

    /// A sealed blob of an account: `chunks/ID` or `manifests/ID`.
    /// `GET /internal/v1/accounts/{account}/blobs/{key}`
    pub async fn blob_fetch(&self, account: AccountId, key: &str) -> Result<Bytes, Error> {
        let key: Vec<_> = key.split('/').map(super::segment).collect();
        let key = key.join("/");
        let call = Call::get(format!("/internal/v1/accounts/{account}/blobs/{key}"));
        Ok(self.exchange(call).await?.body)
    }

    /// Everything a gateway needs, once it is newer than `watch.after` or the wait is over.
    /// `GET /internal/v1/routes`
    pub async fn routes_watch(&self, watch: Watch) -> Result<Routes, Error> {
        self.ask(Call::get("/internal/v1/routes").query(&watch).waits(watch.wait_ms)).await
    }

    /// Tells what was counted, and hears what the day has of it; a repeated report counts once.
    /// `POST /internal/v1/usage`
    pub async fn usage_report(&self, report: &UsageReport) -> Result<UsageTaken, Error> {
        self.ask(Call::post("/internal/v1/usage").json(report).repeatable()).await
    }

    /// Asks to write a stream; asking again is told the same.
    /// `POST /internal/v1/streams/{stream}/claim`
    pub async fn stream_claim(
        &self,
        id: StreamId,
        said: ClaimStream,
    ) -> Result<StreamClaimed, Error> {
        let call = Call::post(format!("/internal/v1/streams/{id}/claim")).query(&said);
        self.ask(call.repeatable()).await
    }

    /// Gives events of a source up; repeating it changes nothing.
    /// `POST /internal/v1/sources/{source}/given-up`
    pub async fn source_given_up(&self, id: SourceId, given_up: &GivenUp) -> Result<(), Error> {
        let call = Call::post(format!("/internal/v1/sources/{id}/given-up"));
        self.tell(call.json(given_up).repeatable()).await
    }

    /// Tells of a run. `POST /internal/v1/runs/{run}/report`
    pub async fn run_report(&self, id: RunId, report: &RunReport) -> Result<RunTaken, Error> {
        let call = Call::post(format!("/internal/v1/runs/{id}/report"));
        self.ask(call.json(report).repeatable()).await
    }
}
