//! Functions: a call is given to an agent that runs it, and the answer is passed on.
//!
//! Always true: a call is given to one host; what it was not told to do is not done again. An
//! unknown function and a forbidden one look the same.
//! Absent on purpose: instances (the agent makes and keeps them), hosts that are not this one.

mod hosts;

use std::sync::Arc;

use access::Action;
use api::functions::{ERROR_HEADER, LATEST, TIMING_HEADER, VERSION_HEADER};
use api::internal::functions::{Call, Called, FunctionRoute};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use types::{AccountId, Name, RevisionId};

use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::routes::{Caller, principal};
use crate::service::Incoming;

pub(crate) use hosts::{Calls, Hosts, client};

/// Longest trace that is handed on.
const TRACE_BYTES_MAX: usize = 512;

/// A function as routes tell it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) told: FunctionRoute,
}

impl Function {
    pub(crate) fn account_name(&self) -> &Name {
        &self.told.account_name
    }

    /// Whether the policies allow this caller to call it.
    pub(crate) fn allows(&self, rights: &access::Authorizer, caller: &Caller) -> bool {
        let resource = access::Resource::of(access::Kind::Function, self.told.account);
        let (principal, action) = (principal(caller), Action::FunctionsInvoke);
        rights.allows(&access::Request { principal, action, resource })
    }

    /// The version that a qualifier names.
    fn version(&self, qualifier: &str) -> Result<(String, RevisionId), Error> {
        let version = if qualifier.is_empty() { LATEST } else { qualifier };
        let found = self.told.versions.get(version);
        let missing = || Error::no_function(&format!("{}:{version}", self.told.name));
        found.map(|route| (version.to_owned(), route.revision)).ok_or_else(missing)
    }

    fn arn(&self, version: &str) -> String {
        arn(self.told.account, self.told.name.as_str(), version)
    }
}

/// What a function is called in Lambda's words.
fn arn(account: AccountId, name: &str, version: &str) -> String {
    // Accounts there are twelve digits; ours are told apart by as many.
    let number = account.uuid().as_u128() % 1_000_000_000_000;
    let qualifier = if version == LATEST { String::new() } else { format!(":{version}") };
    format!("arn:aws:lambda:local:{number:012}:function:{name}{qualifier}")
}

/// Runs a call of a function of the caller's account.
///
/// # Errors
///
/// [`Error::NoFunction`], the limits', [`Error::NotRun`] where the host could not run it.
pub(crate) async fn invoke(
    hub: &Arc<Hub>,
    incoming: Incoming,
    name: &str,
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let Incoming { parts, body, request_id } = incoming;
    let caller = hub.caller(&parts.headers)?;
    let function = hub.table.load().function(&hub.rights, &caller, name)?;
    let _place = hub.place(&caller, from)?;
    let qualifier = query(parts.uri.query().unwrap_or_default(), "qualifier");
    let (version, revision) = function.version(&qualifier)?;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    let call = Call {
        id: request_id.to_str().unwrap_or_default().to_owned(),
        function_arn: function.arn(&version),
        trace_id: trace(&parts.headers),
        client_context: None,
        log_tail: false,
    };
    let hosts = hub.table.load().hosts();
    let (how, payload) = hosts.call(hub, revision, &call, payload).await?;
    Ok(answer(&how, payload, &version))
}

/// The function's answer or error. Also an error is a 200: the call was carried out, and a header
/// tells that the function failed.
fn answer(called: &Called, payload: Bytes, version: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(payload));
    let media_type = called.media_type.as_deref().unwrap_or("application/json");
    let told = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (HeaderName::from_static(VERSION_HEADER), version.to_owned()),
        (HeaderName::from_static(TIMING_HEADER), timing(called)),
    ];
    let error = called.error.iter();
    let error = error.map(|kind| (HeaderName::from_static(ERROR_HEADER), kind.clone()));
    for (name, value) in told.into_iter().chain(error) {
        // What a program says may be no header; then it is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Where the time went, in milliseconds.
fn timing(called: &Called) -> String {
    let ms = |us: u64| format!("{}.{:03}", us / 1_000, us % 1_000);
    let mut parts = vec![
        format!("handler;dur={}", ms(called.duration_us)),
        format!("wait;dur={}", ms(called.waited_us)),
    ];
    if let Some(start) = called.start {
        parts.push(format!("code;dur={}", ms(start.code_us)));
        parts.push(format!("sandbox;dur={}", ms(start.sandbox_us)));
        parts.push(format!("init;dur={}", ms(start.init_us)));
    }
    parts.join(", ")
}

/// A parameter behind the question mark; empty where it is absent.
fn query(text: &str, name: &str) -> String {
    let found =
        text.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
    let value = found.map(|(_, value)| value).unwrap_or_default();
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

fn trace(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-amzn-trace-id")?.to_str().ok()?;
    (value.len() <= TRACE_BYTES_MAX).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_milliseconds() {
        let mut called = Called {
            error: None,
            media_type: None,
            duration_us: 1_234,
            waited_us: 56,
            start: None,
            memory_peak_bytes: 0,
            log_tail: None,
        };
        assert_eq!(timing(&called), "handler;dur=1.234, wait;dur=0.056");
        called.start = Some(api::internal::functions::StartTimes {
            code_us: 1,
            sandbox_us: 20_000,
            init_us: 300,
        });
        assert!(timing(&called).ends_with("code;dur=0.001, sandbox;dur=20.000, init;dur=0.300"));
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        assert_eq!(query("a=1&qualifier=%24LATEST", "qualifier"), "$LATEST");
        assert_eq!(query("xqualifier=1", "qualifier"), "");
        assert_eq!(query("", "qualifier"), "");
    }
}
