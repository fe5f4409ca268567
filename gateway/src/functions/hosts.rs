//! The hosts that run functions: which of them are asked, and what they answer.
//!
//! Always true: a call is run once at most: another host is asked only where the one before could
//! not be reached, so that not a byte was sent, or said that it did not run the call. A host that
//! control has lost is not asked, and what was under way there, beyond this machine, is lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::Problem;
use api::internal::functions::near::{Answered, NotRun, Outcome};
use api::internal::functions::{
    CALL_HEADER, CALLED_HEADER, Call, Called, EVENT_BYTES_MAX, FunctionHost, pieces,
};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use types::{ErrorKind, HostId, RevisionId};
use workflow::CancellationToken;

use super::Function;
use super::dial::authority;
use super::placing::{Chosen, Placing, TOLD_MS};
use super::provisioned;
use super::streaming::{Payload, Pieces};
use crate::error::Error;
use crate::hub::Hub;

/// How long a host that could not be reached is asked last, in milliseconds.
const REST_MS: u64 = 1_000;

/// The hosts of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Arc<Vec<Arc<Host>>>);

/// A host that runs functions.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) told: FunctionHost,
    /// What stands for it in the URI of a call.
    authority: String,
    /// Calls from this gateway that are under way there.
    pub(super) calls: AtomicU64,
    /// Memory for more instances that it told of last, in KiB, and when.
    free: Mutex<Option<(u64, u64)>>,
    /// Until then it is asked last, since it could not be reached.
    rests_until_ms: AtomicU64,
    /// Once control no longer counts it in.
    gone: CancellationToken,
}

/// What came of giving a call to a host.
enum Given {
    /// It was run, or answers.
    Run(Box<Called>, Payload),
    /// It was not, and another host may be asked.
    NotRun(Error),
}

impl Hosts {
    /// These hosts; those that were known keep their connections and counts, and calls end that are
    /// under way at those that are gone.
    pub(crate) fn new(told: Vec<FunctionHost>, before: &Self) -> Self {
        let known = |told: &FunctionHost| before.0.iter().find(|host| host.told.host == told.host);
        let hosts: Vec<Arc<Host>> = told
            .into_iter()
            .map(|told| match known(&told) {
                Some(host) if host.told == told => Arc::clone(host),
                known => Arc::new(Host::new(told, known.map(|host| host.gone.clone()))),
            })
            .collect();
        for host in before.0.iter() {
            if !hosts.iter().any(|other| other.told.host == host.told.host) {
                host.gone.cancel();
            }
        }
        Self(Arc::new(hosts))
    }

    /// The ways to a host's agent; none where it is not known, or lost.
    pub(crate) fn find(&self, id: HostId) -> Option<FunctionHost> {
        self.0.iter().find(|host| host.told.host == id).map(|host| host.told.clone())
    }

    /// Gives a call to a host that takes it, and waits for what became of it, or for how it begins to
    /// answer. Where there are several, `call.burst` is set for each by how it was chosen.
    ///
    /// # Errors
    ///
    /// [`Error::BodyTooLarge`], [`Error::NotRun`], and [`Error::CallLost`].
    pub(super) async fn call(
        &self,
        hub: &Hub,
        function: &Function,
        (placing, mut call): (Placing, Call),
        payload: Bytes,
    ) -> Result<(Called, Payload), Error> {
        if payload.len() > EVENT_BYTES_MAX {
            return Err(Error::BodyTooLarge { bytes_max: EVENT_BYTES_MAX });
        }
        let revision = placing.revision;
        if let [only] = self.0.as_slice()
            && only.told.fleet.takes(function.account_name())
        {
            return match only.call(hub, revision, call, payload).await? {
                Given::Run(called, payload) => Ok((*called, payload)),
                Given::NotRun(error) => Err(error),
            };
        }
        let seen = &function.seen;
        let mut choice = seen.begin(function, &self.0, placing.now_ms);
        let mut missed = unreached();
        let mut given = seen.provisioned.give(function, (&placing, &call), &self.0);
        let mut next = || {
            let provisioned = given.as_mut().and_then(provisioned::Given::chosen);
            provisioned.or_else(|| choice.next(seen, &placing))
        };
        while let Some(Chosen { host, burst, how }) = next() {
            call.burst = burst;
            hub.metrics.function_placed(&host.told.name, how);
            let id = host.told.host;
            seen.given(id, revision);
            match host.call(hub, revision, call.clone(), payload.clone()).await? {
                Given::Run(called, payload) => {
                    let now_ms = hub.clock.now_ms();
                    host.told_free(&called, now_ms);
                    seen.answered(id, revision, &called, now_ms);
                    return Ok((*called, payload));
                }
                Given::NotRun(error) => missed = error,
            }
        }
        Err(missed)
    }
}

impl Host {
    fn new(told: FunctionHost, gone: Option<CancellationToken>) -> Self {
        Self {
            authority: authority(&told),
            told,
            calls: AtomicU64::new(0),
            free: Mutex::default(),
            rests_until_ms: AtomicU64::new(0),
            gone: gone.unwrap_or_default(),
        }
    }

    /// Whether it is asked last now.
    pub(super) fn rests(&self, now_ms: u64) -> bool {
        now_ms < self.rests_until_ms.load(Ordering::Relaxed)
    }

    /// Memory for more instances, in KiB: what it told lately, or else as much as any.
    pub(super) fn free_kib(&self, now_ms: u64) -> u64 {
        let told = self.free.lock().filter(|(_, at_ms)| now_ms.saturating_sub(*at_ms) < TOLD_MS);
        told.map_or(u64::MAX, |(kib, _)| kib)
    }

    fn told_free(&self, called: &Called, now_ms: u64) {
        if let Some(left) = called.left {
            *self.free.lock() = Some((left.free_kib, now_ms));
        }
    }

    /// Whether its end would not be noticed by a connection to it.
    fn is_far(&self) -> bool {
        self.told.data_address.is_some() && !Path::new(&self.told.socket).exists()
    }

    /// Gives a call to this host.
    ///
    /// # Errors
    ///
    /// Where it may have been run, or no host would run it.
    async fn call(
        &self,
        hub: &Hub,
        revision: RevisionId,
        call: Call,
        payload: Bytes,
    ) -> Result<Given, Error> {
        let _under_way = UnderWay::begin(&self.calls);
        let Some(agent) = hub.calls.near(&self.told) else {
            return self.call_over_http(hub, self.request(revision, &call, payload)?).await;
        };
        match agent.call(revision, call, payload).await {
            Ok(Answered::Whole(outcome)) => {
                let Outcome { called, payload } = *outcome;
                Ok(Given::Run(Box::new(called), Payload::Whole(payload)))
            }
            Ok(Answered::InPieces(called, pieces)) => {
                Ok(Given::Run(called, Payload::Pieces(Pieces::near(pieces))))
            }
            Err(refused) => not_run(refused),
        }
    }

    async fn call_over_http(
        &self,
        hub: &Hub,
        request: Request<Full<Bytes>>,
    ) -> Result<Given, Error> {
        let asked = hub.calls.ask(request);
        let answer = async {
            match asked.await {
                Ok(response) => read(response).await,
                Err(cause) if cause.unreached => {
                    let until_ms = hub.clock.now_ms().saturating_add(REST_MS);
                    self.rests_until_ms.store(until_ms, Ordering::Relaxed);
                    tracing::debug!(host = %self.told.host, %cause, "a host could not be reached");
                    Ok(Given::NotRun(unreached()))
                }
                Err(cause) => {
                    tracing::warn!(host = %self.told.host, %cause, "a call was lost");
                    Err(Error::CallLost)
                }
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = self.gone.cancelled(), if self.is_far() => {
                tracing::warn!(host = %self.told.host, "a call was lost with its host");
                Err(Error::CallLost)
            }
        }
    }

    fn request(
        &self,
        revision: RevisionId,
        call: &Call,
        payload: Bytes,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let broken = |reason: String| Error::BadRequest { reason };
        let said = serde_json::to_string(call).map_err(|error| broken(error.to_string()))?;
        let said = HeaderValue::try_from(said).map_err(|error| broken(error.to_string()))?;
        Request::post(format!("http://{}/revisions/{revision}/calls", self.authority))
            .header(CALL_HEADER, said)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(payload))
            .map_err(|error| broken(error.to_string()))
    }
}

fn unreached() -> Error {
    let message = "no host that runs functions can be reached: try again".to_owned();
    Error::NotRun { kind: ErrorKind::Unavailable, message, wait_ms: None }
}

/// A call under way, counted until this is dropped.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn begin(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What became of a call, or how it begins to answer.
async fn read(response: Response<Body>) -> Result<Given, Error> {
    let (parts, body) = response.into_parts();
    let said = parts.headers.get(CALLED_HEADER).and_then(|value| value.to_str().ok());
    let called: Option<Called> = said.and_then(|text| serde_json::from_str(text).ok());
    let called = called.filter(|_| parts.status == StatusCode::OK);
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    if media_type.is_some_and(|value| value == pieces::MEDIA_TYPE)
        && let Some(called) = called
    {
        return Ok(Given::Run(Box::new(called), Payload::Pieces(Pieces::read(body))));
    }
    // The agent has limited it.
    let body = body.collect().await.map_err(|_| Error::CallLost)?.to_bytes();
    if let Some(called) = called {
        return Ok(Given::Run(Box::new(called), Payload::Whole(body)));
    }
    if parts.status == StatusCode::PAYLOAD_TOO_LARGE {
        return Err(Error::BodyTooLarge { bytes_max: EVENT_BYTES_MAX });
    }
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let said = problem.is_some();
    let reason =
        problem.map_or_else(|| "the agent's answer was not understood".into(), |it| it.title);
    let told = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait_ms = told.and_then(|text| text.parse::<u64>().ok()).map(|s| s.saturating_mul(1_000));
    let kind = match parts.status {
        StatusCode::TOO_MANY_REQUESTS if said => ErrorKind::Busy,
        StatusCode::SERVICE_UNAVAILABLE if said => ErrorKind::Unavailable,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        _ => ErrorKind::Internal,
    };
    not_run(NotRun { kind, reason, wait_ms })
}

/// An agent that says so has not run the call; another one may have room, or reach control.
fn not_run(NotRun { kind, reason: message, wait_ms }: NotRun) -> Result<Given, Error> {
    let error = Error::NotRun { kind, message, wait_ms };
    match kind {
        ErrorKind::Busy | ErrorKind::Unavailable => Ok(Given::NotRun(error)),
        _ => Err(error),
    }
}
