//! URLs of functions: requests of any HTTP client, each of which is a call.
//!
//! Always true: who may call is known before the body is read, and what was signed is checked before
//! anything runs; a browser that asks before a request is answered here; what speaks of who called
//! does not reach the function where that was checked here.
//! Absent on purpose: making URLs, and saying whom they let in, which control does.
//!
//! Source: "Creating and managing Lambda function URLs".

mod answer;

use std::sync::Arc;

use api::functions::IDEMPOTENCY_HEADER;
use api::functions::urls::{Cors, UrlAuth};
use api::internal::functions::urls::UrlRoute;
use api::internal::functions::{EVENT_BYTES_MAX, shown};
use axum::body::Body;
use bytes::Bytes;
use formats::http_api::{self, HEADERS_BYTES_MAX, Signer};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use policy::cors::{Header, Preflight, Rules};
use types::functions::account_number;

use super::signed::Who;
use super::{Function, Said, call, open, traces};
use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::proxy::FORWARDED_PROTO;
use crate::routes::Caller;
use crate::service::Incoming;

pub(crate) use answer::refusal;

/// Who asked the gateway, and whoever asked on the way there, as proxies tell it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A URL, and the function that it calls.
#[derive(Debug)]
pub(crate) struct Url {
    pub(crate) told: UrlRoute,
    function: Arc<Function>,
}

/// Who a request is of, as the function is told.
struct Admitted {
    caller: Caller,
    /// Where who it is was checked.
    signed: Option<(Who, Signer)>,
}

impl Url {
    /// The URLs of a function.
    pub(crate) fn all(function: &Arc<Function>) -> impl Iterator<Item = Self> {
        let url = |told: &UrlRoute| Self { told: told.clone(), function: Arc::clone(function) };
        function.told.urls.iter().map(url)
    }

    /// Whom a request is of; the signature is checked when its body is here.
    ///
    /// # Errors
    ///
    /// [`Error::UrlClosed`] where it may not call, and those of credentials.
    fn admit(&self, hub: &Hub, parts: &Parts) -> Result<Admitted, Error> {
        let lets_in = |name: &str| self.told.accounts.iter().any(|it| it == name);
        if self.told.settings.auth == UrlAuth::None {
            let open = lets_in("*").then_some(Admitted { caller: Caller::Anonymous, signed: None });
            return open.ok_or(Error::UrlClosed);
        }
        let who = Who::of(hub, parts)?;
        let caller = who.caller();
        let Caller::Known(known) = &caller else { return Err(Error::UrlClosed) };
        let number = account_number(known.account);
        let allowed = if known.account == self.function.told.account {
            self.function.allows(&hub.rights, &caller, &self.told.qualifier)
        } else {
            lets_in("*") || lets_in(&number)
        };
        if !allowed {
            return Err(Error::UrlClosed);
        }
        let (access_key, token) = (who.key().to_owned(), known.token.to_string());
        let signer = Signer {
            access_key,
            user_arn: format!("arn:aws:iam::{number}:user/{token}"),
            account_id: number,
            caller_id: token.clone(),
            user_id: token,
        };
        Ok(Admitted { caller, signed: Some((who, signer)) })
    }

    /// What the owner has said of other sites' scripts.
    fn cors(&self) -> Option<Rules<'_>> {
        let cors = self.told.settings.cors.as_ref()?;
        let Cors { origins, methods, headers, exposed, credentials, max_age_s } = cors;
        let (credentials, max_age_s) = (*credentials, *max_age_s);
        Some(Rules { origins, methods, headers, exposed, credentials, max_age_s })
    }
}

/// Answers a request for what is behind a URL.
///
/// # Errors
///
/// [`Error::NoUrl`]; what else goes wrong is an answer, so that browsers may read it.
pub(crate) async fn answer(
    hub: &Arc<Hub>,
    incoming: Incoming,
    (id, path): (&str, &str),
) -> Result<Response<Body>, Error> {
    let url = hub.table.load().url(id)?;
    let Some(rules) = url.cors() else {
        return Ok(ask(hub, incoming, (&url, path)).await.unwrap_or_else(|it| refusal(&it)));
    };
    let headers = &incoming.parts.headers;
    let origin = text(headers, &header::ORIGIN).map(str::to_owned);
    let told = match preflight(&incoming.parts, origin.as_deref()) {
        Some(asked) => {
            let told = rules.preflight(&asked);
            let place = hub.place(&Caller::Anonymous, incoming.from());
            let answer = place.map(|_| Response::new(Body::empty()));
            return Ok(with(answer.unwrap_or_else(|it| refusal(&it)), told));
        }
        None => rules.answer(origin.as_deref()),
    };
    let answered = ask(hub, incoming, (&url, path)).await;
    Ok(with(answered.unwrap_or_else(|it| refusal(&it)), told))
}

/// What a browser asks before a request, where this is that.
fn preflight<'p>(parts: &'p Parts, origin: Option<&'p str>) -> Option<Preflight<'p>> {
    let origin = origin.filter(|_| parts.method == Method::OPTIONS)?;
    let method = text(&parts.headers, &header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let headers = text(&parts.headers, &header::ACCESS_CONTROL_REQUEST_HEADERS);
    Some(Preflight { origin, method, headers: headers.unwrap_or_default() })
}

/// An answer with what browsers are told, in place of what the function told them of it.
fn with(mut response: Response<Body>, told: Vec<Header>) -> Response<Body> {
    let headers = response.headers_mut();
    let of_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let theirs: Vec<HeaderName> = headers.keys().filter(of_cors).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
    for (name, value) in told {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(name, value);
        }
    }
    response
}

/// Has a request's call run, and answers what the function did.
async fn ask(
    hub: &Arc<Hub>,
    incoming: Incoming,
    (url, path): (&Url, &str),
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let Incoming { parts, body, request_id } = incoming;
    let headers = parts.headers.iter();
    if headers.map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
        > HEADERS_BYTES_MAX
    {
        return Err(Error::HeadersTooLarge { bytes_max: HEADERS_BYTES_MAX });
    }
    let Admitted { caller, signed } = url.admit(hub, &parts)?;
    let place = hub.place(&caller, from)?;
    let limits = (EVENT_BYTES_MAX, &*hub.settings);
    let payload = body::collect(&parts.headers, body, limits, &hub.clock).await?;
    if let Some((who, _)) = &signed {
        who.check(hub, &parts, &payload)?;
    }
    let id = request_id.to_str().unwrap_or_default();
    let from = from.map(|address| address.to_string()).unwrap_or_default();
    let signer = signed.as_ref().map(|(_, signer)| signer);
    let event = event(hub, &parts, (url, path), (&payload, id, &from, signer));
    if event.len() > EVENT_BYTES_MAX {
        return Err(Error::BodyTooLarge { bytes_max: EVENT_BYTES_MAX });
    }
    let said = Said {
        trace_id: traces::told(&parts.headers),
        idempotent: parts.headers.contains_key(IDEMPOTENCY_HEADER),
        stream: url.told.settings.stream,
        ..Said::default()
    };
    let at = (url.told.qualifier.as_str(), id);
    if said.stream {
        let opened = open(hub, &url.function, at, said, event).await?;
        return answer::streamed(opened, place).await;
    }
    answer::whole(&call(hub, &url.function, at, said, event).await?)
}

/// The event of a request.
fn event(
    hub: &Hub,
    parts: &Parts,
    (url, path): (&Url, &str),
    (body, id, from, signer): (&Bytes, &str, &str, Option<&Signer>),
) -> Bytes {
    let is_checked = |name: &HeaderName| signer.is_some() && name == header::AUTHORIZATION;
    let sent = parts.headers.iter().filter(|(name, _)| !is_checked(name));
    let mut headers: Vec<(&str, &[u8])> =
        sent.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    // As proxies do: behind whoever asked on the way.
    if !from.is_empty() {
        headers.push((FORWARDED_FOR, from.as_bytes()));
    }
    if !parts.headers.contains_key(FORWARDED_PROTO) {
        let scheme = if hub.settings.tls { &b"https"[..] } else { b"http" };
        headers.push((FORWARDED_PROTO, scheme));
    }
    let authority = || parts.uri.authority().map(http::uri::Authority::as_str);
    let domain = text(&parts.headers, &header::HOST).or_else(authority).unwrap_or_default();
    let protocol = format!("{:?}", parts.version);
    http_api::event(&http_api::Request {
        method: parts.method.as_str(),
        path: if path.is_empty() { "/" } else { path },
        query: parts.uri.query().unwrap_or_default(),
        protocol: &protocol,
        headers: &headers,
        body,
        api_id: url.told.id.as_str(),
        domain,
        source_ip: from,
        request_id: &shown(id),
        time_ms: hub.clock.now_ms(),
        signer,
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
