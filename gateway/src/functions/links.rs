//! Links: calls of functions of other accounts, by what their owners granted.
//!
//! Always true: what the owner's code is told of a call is its event and the owner's own name for
//! the function; what the caller is told of a failure is what the grant says, and never where in the
//! code it happened.

use std::sync::Arc;

use api::grants::ErrorDetail;
use api::internal::functions::{Called, LinkRoute, LinkedFunction, milliseconds};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Function;
use super::allowances::{Limited, Subject};
use crate::error::Error;
use crate::routes::Table;

/// How a call comes to a function.
pub(crate) struct Way<'f> {
    /// What runs.
    pub(crate) function: Arc<Function>,
    pub(crate) qualifier: String,
    /// The link it comes by.
    pub(crate) link: Option<Linked<'f>>,
}

/// A link that leads somewhere.
#[derive(Clone, Copy)]
pub(crate) struct Linked<'f> {
    pub(crate) named: &'f Function,
    pub(crate) route: &'f LinkRoute,
    pub(crate) to: &'f LinkedFunction,
}

impl<'f> Way<'f> {
    /// What a function of the caller's account, or a link, leads to.
    ///
    /// # Errors
    ///
    /// [`Error::LinkBroken`], [`Error::NoFunction`] for a qualifier of a link.
    pub(crate) fn of(
        table: &Table,
        named: &'f Arc<Function>,
        qualifier: &str,
    ) -> Result<Self, Error> {
        let Some(route) = &named.told.link else {
            let (function, qualifier) = (Arc::clone(named), qualifier.to_owned());
            return Ok(Self { function, qualifier, link: None });
        };
        if !matches!(qualifier, "" | api::functions::LATEST) {
            // Which version it runs is its owner's to say.
            return Err(Error::no_function(&format!("{}:{qualifier}", named.told.name)));
        }
        let broken = |reason: &str| Error::LinkBroken {
            reason: format!("the link {} cannot be called: {reason}", named.told.name),
        };
        let to = route.to.as_ref().map_err(|reason| broken(reason))?;
        let function = table.function_by_id(to.function);
        let function = function.ok_or_else(|| broken("its owner has removed the function"))?;
        let link = Some(Linked { named, route, to });
        Ok(Self { function, qualifier: to.qualifier.clone(), link })
    }
}

impl Linked<'_> {
    /// What limits a call.
    pub(crate) fn limits(&self) -> [Limited; 2] {
        let (link, grant) = (self.named.told.function, self.to.grant);
        [
            Limited::new(Subject::Link(link), &self.route.limits, self.route.calls_today),
            Limited::new(Subject::Grant(grant), &self.to.limits, self.to.calls_today),
        ]
    }

    /// The event with the link's parameters in it.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] where there are parameters and the event is no object.
    pub(crate) fn bind(&self, payload: Bytes) -> Result<Bytes, Error> {
        let parameters = &self.route.parameters;
        if parameters.is_empty() {
            return Ok(payload);
        }
        let event: Result<Map<String, Value>, _> = match &payload[..] {
            b"" => Ok(Map::new()),
            bytes => serde_json::from_slice(bytes),
        };
        let mut event = event.map_err(|error| {
            let name = &self.named.told.name;
            Error::bad_request(format!("{name} has parameters, and takes an object: {error}"))
        })?;
        for (name, value) in parameters {
            event.insert(name.clone(), value.clone());
        }
        Ok(serde_json::to_vec(&event).unwrap_or_default().into())
    }

    /// What the caller is told of an error of the owner's function.
    pub(crate) fn shown_error(&self, called: &Called, payload: Bytes) -> Bytes {
        let Some(kind) = &called.error else { return payload };
        let mut shown = json!({ "errorType": kind });
        if self.to.errors == ErrorDetail::Message {
            let told: Value = serde_json::from_slice(&payload).unwrap_or_default();
            for name in ["errorType", "errorMessage"] {
                if let Some(text) = told.get(name).and_then(Value::as_str) {
                    shown[name] = text.into();
                }
            }
        }
        shown.to_string().into()
    }
}

/// The line of a link's log about a call.
pub(crate) fn report(id: &str, called: &Called) -> String {
    let mut line = format!("{}\tWait: {}", called.report(id), milliseconds(called.waited_us));
    if let Some(error) = &called.error {
        line += &format!("\tError Type: {error}");
    }
    line
}
