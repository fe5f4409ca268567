//! Requests that are signed with an access key, as AWS's clients sign them, or carry a token.
//!
//! Always true: who signed is known before the body is read; what was signed is what the client
//! sent, with its path as it was asked for.

use std::sync::Arc;

use access::signature::{Request as Signable, Signed};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, header};

use crate::error::Error;
use crate::hub::Hub;
use crate::routes::{Caller, Keyed};

/// Who calls, before their signature is checked.
pub(super) enum Who {
    /// The holder of a token, or nobody.
    Known(Caller),
    /// Whoever has the secret of an access key.
    Signed(Signed, Arc<Keyed>),
}

impl Who {
    /// Who calls, by what the request says.
    ///
    /// # Errors
    ///
    /// As of unknown, expired and revoked tokens.
    pub(super) fn of(hub: &Hub, parts: &Parts) -> Result<Self, Error> {
        let said = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(signed) = said.and_then(Signed::read) else {
            return hub.caller(&parts.headers).map(Self::Known);
        };
        let table = hub.table.load();
        let keyed = table.keyed(&signed.key, hub.clock.now_ms())?;
        Ok(Self::Signed(signed, keyed))
    }

    /// The caller, once the signature is checked.
    pub(super) fn caller(&self) -> Caller {
        match self {
            Self::Known(caller) => caller.clone(),
            Self::Signed(_, keyed) => Caller::Known(Arc::clone(&keyed.principal)),
        }
    }

    /// The access key's name; empty for a token.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Known(_) => "",
            Self::Signed(signed, _) => &signed.key,
        }
    }

    /// Sees that this was signed, as its client sent it.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`].
    pub(super) fn check(&self, hub: &Hub, parts: &Parts, body: &Bytes) -> Result<(), Error> {
        let Self::Signed(signed, keyed) = self else { return Ok(()) };
        let request = Signable {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            body,
        };
        let headers = &parts.headers;
        let sent: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        let header = |name: &str| {
            let mut all = headers.get_all(name).iter().map(|value| value.to_str().ok());
            let first = all.next()??.to_owned();
            all.try_fold(first, |joined, value| Some(joined + "," + value?))
        };
        let refused = |reason: String| Error::BadSignature { reason };
        let key = keyed.day_keys.get(&signed.day);
        let key = key.ok_or_else(|| refused(access::signature::Refusal::Skewed.to_string()))?;
        let checked = signed.check(key, &request, (header, &sent), hub.clock.now_ms());
        checked.map_err(|refusal| refused(refusal.to_string()))
    }
}
