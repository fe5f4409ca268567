//! Streams.

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use types::Name;

use super::call::Call;
use super::{Client, Error, Pieces, segment};
use crate::pages::{Page, PageQuery};
use crate::streams::{
    AppendedEvents, CreateStream, Drift, DriftQuery, EventsQuery, ForgetSubject, ForgottenEvents,
    ImportQuery, ImportedEvents, LabelEvents, LabelledEvents, MadeEvents, MakeEvents,
    SelectionQuery, Stream, StreamStats, UpdateStream,
};

/// How long a stream's events may take to be summed up or to be sent, in milliseconds.
const WAIT_MS: u64 = 600_000;

impl Client {
    /// Makes a stream. `POST /v1/streams`
    pub async fn stream_create(&self, wanted: &CreateStream) -> Result<Stream, Error> {
        self.ask(Call::post("/v1/streams").json(wanted).creates()).await
    }

    /// The account's streams. `GET /v1/streams`
    pub async fn streams_list(&self, page: &PageQuery) -> Result<Page<Stream>, Error> {
        self.ask(Call::get("/v1/streams").query(page)).await
    }

    /// One stream. `GET /v1/streams/{name}`
    pub async fn stream_fetch(&self, name: &Name) -> Result<Stream, Error> {
        self.ask(Call::get(path(name, ""))).await
    }

    /// Changes how a stream is kept. `PUT /v1/streams/{name}`
    pub async fn stream_update(&self, name: &Name, wanted: &UpdateStream) -> Result<Stream, Error> {
        self.ask(Call::put(path(name, "")).json(wanted).once()).await
    }

    /// Removes a stream with its events. `DELETE /v1/streams/{name}`
    pub async fn stream_delete(&self, name: &Name) -> Result<(), Error> {
        self.tell(Call::delete(path(name, ""))).await
    }

    /// Adds events, as a batch of `CloudEvents`; those that are known are not stored again.
    /// `POST /v1/streams/{name}/events`
    pub async fn stream_append(
        &self,
        name: &Name,
        events: &[serde_json::Value],
    ) -> Result<AppendedEvents, Error> {
        let media_type = HeaderValue::from_static("application/cloudevents-batch+json");
        let call = Call::post(path(name, "/events")).json(&events);
        self.ask(call.header(header::CONTENT_TYPE, media_type).repeatable()).await
    }

    /// Adds what a file tells; those events that are known are not stored again. Not repeated by
    /// itself: the file is used up. `POST /v1/streams/{name}/imports`
    pub async fn stream_import<S, E>(
        &self,
        name: &Name,
        query: &ImportQuery,
        file: S,
    ) -> Result<ImportedEvents, Error>
    where
        S: futures::Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let call = Call::new(Method::POST, path(name, "/imports")).query(query).waits(WAIT_MS);
        self.stream(call, file).await
    }

    /// Sums of a stream's events. `GET /v1/streams/{name}/stats`
    pub async fn stream_stats(
        &self,
        name: &Name,
        selection: &SelectionQuery,
    ) -> Result<StreamStats, Error> {
        self.ask(Call::get(path(name, "/stats")).query(selection).waits(WAIT_MS)).await
    }

    /// Whether a stream's events still are as others were. `GET /v1/streams/{name}/drift`
    pub async fn stream_drift(
        &self,
        name: &Name,
        selection: &SelectionQuery,
        query: &DriftQuery,
    ) -> Result<Drift, Error> {
        let call = Call::get(path(name, "/drift")).query(selection).query(query);
        self.ask(call.waits(WAIT_MS)).await
    }

    /// Events in the order of their times, as they are written. `GET /v1/streams/{name}/events`
    pub async fn stream_events(
        &self,
        name: &Name,
        selection: &SelectionQuery,
        query: &EventsQuery,
    ) -> Result<Pieces, Error> {
        let call = Call::get(path(name, "/events")).query(selection).query(query);
        self.pieces(call, WAIT_MS).await
    }

    /// Says what events turned out to be. `POST /v1/streams/{name}/labels`
    pub async fn stream_label(
        &self,
        name: &Name,
        labels: &LabelEvents,
    ) -> Result<LabelledEvents, Error> {
        self.ask(Call::post(path(name, "/labels")).json(labels).repeatable()).await
    }

    /// Makes events that are drawn from recorded ones. `POST /v1/streams/{name}/synthetic`
    pub async fn stream_make(&self, name: &Name, how: &MakeEvents) -> Result<MadeEvents, Error> {
        let call = Call::post(path(name, "/synthetic")).json(how);
        self.ask(call.waits(WAIT_MS)).await
    }

    /// Removes all events of a subject, and their labels. `POST /v1/streams/{name}/forget`
    pub async fn stream_forget(
        &self,
        name: &Name,
        whose: &ForgetSubject,
    ) -> Result<ForgottenEvents, Error> {
        let call = Call::post(path(name, "/forget")).json(whose);
        self.ask(call.repeatable().waits(WAIT_MS)).await
    }
}

fn path(name: &Name, rest: &str) -> String {
    format!("/v1/streams/{}{rest}", segment(name.as_str()))
}
