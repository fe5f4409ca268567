//! One call: built, sent, repeated where that is safe, and its answer taken apart.
//!
//! Always true: a call that could have been carried out is sent again only when carrying it out
//! twice is the same as once. Attempts, pauses and the size of an answer have limits.

use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Client, Error, failure};
use crate::problem::Problem;
use crate::{IDEMPOTENCY_HEADER, REQUEST_ID_HEADER, errors};

/// Largest answer that is kept in memory: the sealed manifest of the largest object, and some.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// First pause before a repetition, and the longest one.
const PAUSE_MS: u64 = 100;
const PAUSE_MS_MAX: u64 = 2_000;
/// The longest pause a server may ask for; above, the caller is told instead.
const RETRY_AFTER_MS_MAX: u64 = 10_000;
const TRACE_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// A call that is about to be made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Bytes,
    headers: HeaderMap,
    /// Whether twice is the same as once.
    repeatable: bool,
    creates: bool,
    wait_ms: u64,
    refused: Option<Error>,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Display) -> Self {
        Self {
            repeatable: method != Method::POST,
            method,
            path: path.to_string(),
            query: Vec::new(),
            body: Bytes::new(),
            headers: HeaderMap::new(),
            creates: false,
            wait_ms: 0,
            refused: None,
        }
    }

    pub(super) fn get(path: impl Display) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn put(path: impl Display) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn post(path: impl Display) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn delete(path: impl Display) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// With a JSON body.
    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(text) => self.body = Bytes::from(text),
            Err(cause) => {
                let what = format!("the request cannot be written as JSON: {cause}");
                self.refused = Some(Error::Settings { what });
            }
        }
        self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// With a body of bytes.
    pub(super) fn bytes(mut self, body: Bytes) -> Self {
        self.body = body;
        self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With these parameters behind the path; absent ones are left out.
    pub(super) fn query(mut self, query: &impl Serialize) -> Self {
        if let Ok(Value::Object(pairs)) = serde_json::to_value(query) {
            for (name, value) in pairs {
                match value {
                    Value::Null => {}
                    Value::String(text) => self.query.push((name, text)),
                    value => self.query.push((name, value.to_string())),
                }
            }
        }
        self
    }

    /// It makes something, so it carries an idempotency key and may be repeated.
    pub(super) fn creates(mut self) -> Self {
        self.creates = true;
        self.repeatable()
    }

    /// Doing it twice is the same as once.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Doing it twice is not the same as once, for example because it names a generation.
    pub(super) fn once(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// The server may take this long on purpose.
    pub(super) fn waits(mut self, wait_ms: u64) -> Self {
        self.wait_ms = wait_ms;
        self
    }
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What to do after an attempt that failed.
enum Next {
    Again(Duration),
    GiveUp,
}

impl Client {
    /// Makes a call and reads its answer as JSON.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let answer = self.exchange(call).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|source| Error::Answer { address: self.shared.address.to_string(), source })
    }

    /// Makes a call whose answer says nothing more than that it was done.
    pub(super) async fn tell(&self, call: Call) -> Result<(), Error> {
        self.exchange(call).await.map(drop)
    }

    /// Makes a call, again where that is safe and may help.
    pub(super) async fn exchange(&self, mut call: Call) -> Result<Answer, Error> {
        if let Some(refused) = call.refused.take() {
            return Err(refused);
        }
        let key = self.key_of(&call);
        let (mut attempt, mut uncertain) = (1, false);
        loop {
            let outcome = self.attempt(&call, key.as_ref()).await;
            let Err((error, retry_after)) = outcome else {
                return outcome.map_err(|(error, _)| error);
            };
            if call.method == Method::DELETE && uncertain && error.status() == Some(404) {
                // The attempt before was carried out, and only its answer was lost.
                return Ok(Answer { headers: HeaderMap::new(), body: Bytes::new() });
            }
            match next(&error, &call, attempt < self.shared.attempts, (attempt, retry_after)) {
                Next::GiveUp => return Err(error),
                Next::Again(pause) => tokio::time::sleep(pause).await,
            }
            uncertain |= matches!(error, Error::Broken { .. } | Error::Silent { .. });
            attempt += 1;
        }
    }

    /// One attempt; a failure comes with the pause the server asked for.
    async fn attempt(
        &self,
        call: &Call,
        key: Option<&HeaderValue>,
    ) -> Result<Answer, (Error, Option<u64>)> {
        let limit = self.shared.call + Duration::from_millis(call.wait_ms);
        let request = self.request(call, key).map_err(|error| (error, None))?;
        let exchange = async {
            let response = self.send(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = self.body(response, ANSWER_BYTES_MAX).await?;
            Ok::<_, Error>((status, headers, body))
        };
        let (status, headers, body) = match tokio::time::timeout(limit, exchange).await {
            Ok(outcome) => outcome.map_err(|error| (error, None))?,
            Err(_) => return Err((self.silent(limit), None)),
        };
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
        Err((problem(status, &headers, &body), retry_after.map(|s| s.saturating_mul(1_000))))
    }

    /// The request of a call, without its limit of time.
    pub(super) fn request(
        &self,
        call: &Call,
        key: Option<&HeaderValue>,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let mut url = reqwest::Url::parse(&format!("{}{}", self.shared.base, call.path))
            .map_err(|cause| Error::Settings { what: format!("no such path: {cause}") })?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.shared.http.request(call.method.clone(), url);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_HEADER, key);
        }
        if let Some(trace) = &self.trace {
            request = request.header(TRACE_HEADER, trace);
        }
        if !call.body.is_empty() || call.method == Method::POST || call.method == Method::PUT {
            request = request.body(call.body.clone());
        }
        Ok(request.headers(call.headers.clone()))
    }

    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Error> {
        let sent = request.send().await;
        sent.map_err(|source| failure::transport(&self.shared.address, source))
    }

    /// Reads a body into memory, up to a limit.
    pub(super) async fn body(
        &self,
        mut response: reqwest::Response,
        bytes_max: usize,
    ) -> Result<Bytes, Error> {
        let address = || self.shared.address.to_string();
        let broken = |source| Error::Broken { address: address(), source };
        let mut first = response.chunk().await.map_err(broken)?.unwrap_or_default();
        let mut whole = BytesMut::new();
        while let Some(more) = response.chunk().await.map_err(broken)? {
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&more);
            if whole.len() > bytes_max {
                return Err(Error::AnswerTooLarge { address: address(), bytes_max });
            }
        }
        Ok(if whole.is_empty() { first } else { whole.freeze() })
    }

    /// The problem in an answer that is no success.
    pub(super) async fn refusal(&self, response: reqwest::Response) -> Error {
        let (status, headers) = (response.status(), response.headers().clone());
        match self.body(response, ANSWER_BYTES_MAX).await {
            Ok(body) => problem(status, &headers, &body),
            Err(error) => error,
        }
    }

    pub(super) fn silent(&self, limit: Duration) -> Error {
        let wait_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Error::Silent { address: self.shared.address.to_string(), wait_ms }
    }

    /// The idempotency key of a creating call.
    pub(super) fn key_of(&self, call: &Call) -> Option<HeaderValue> {
        call.creates.then(|| self.key.clone().unwrap_or_else(fresh_key))
    }
}

/// Whether and when to try again after an attempt; `tried` is its number and the wished pause.
fn next(error: &Error, call: &Call, may: bool, tried: (u32, Option<u64>)) -> Next {
    let (attempt, retry_after_ms) = tried;
    let again = match error {
        Error::Unreachable { .. } => true,
        Error::Broken { .. } | Error::Silent { .. } => call.repeatable && call.wait_ms == 0,
        Error::Problem(problem) => {
            call.repeatable
                && (matches!(problem.status, 429 | 502 | 503)
                    || problem.code == "idempotency_in_progress")
        }
        _ => false,
    };
    if !again || !may {
        return Next::GiveUp;
    }
    let pause_ms = match retry_after_ms {
        Some(wanted_ms) if wanted_ms > RETRY_AFTER_MS_MAX => return Next::GiveUp,
        Some(wanted_ms) => wanted_ms.max(1),
        None => {
            let doubled = PAUSE_MS << (attempt - 1).min(8);
            let full = doubled.min(PAUSE_MS_MAX);
            // Between half and the whole, so that clients do not come back all at once.
            full / 2 + u64::from(random()[0]) * full / 512
        }
    };
    Next::Again(Duration::from_millis(pause_ms))
}

/// Reads what went wrong; an answer of something in between gets the code nearest to its status.
fn problem(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return Error::Problem(Box::new(problem));
    }
    // The shape of errors in the Open Inference Protocol.
    let told = serde_json::from_slice::<Value>(body).ok();
    let told = told.as_ref().and_then(|told| told.get("error")?.as_str()).map(str::to_owned);
    let code = errors::code_of_status(status.as_u16());
    let known = errors::find(code).map_or("the request failed", |known| known.title);
    let request_id = headers.get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
    Error::Problem(Box::new(Problem {
        page: format!("/v1/errors/{code}"),
        status: status.as_u16(),
        code: code.to_owned(),
        title: told.unwrap_or_else(|| known.to_owned()),
        hint: None,
        request_id: request_id.map(str::to_owned),
    }))
}

fn fresh_key() -> HeaderValue {
    let key = hex::encode(random());
    HeaderValue::from_str(&key).expect("hex digits are a header value")
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the kernel always gives random bytes");
    bytes
}
