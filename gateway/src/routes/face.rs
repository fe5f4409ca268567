//! Faces: endpoints by the names that callers use, and the variants that answer behind each.
//!
//! Always true: who may call is what the endpoint says, whichever variant answers; a variant by its
//! own name, `endpoint@variant`, is for its owner alone; a key is answered by one variant.

use std::sync::Arc;

use access::{Action, Authorizer};
use api::internal::CaptureRoute;
use policy::modes;
use types::Used;

use super::{Caller, Endpoint};
use crate::captures::Target;

/// What a name leads to.
#[derive(Debug, Default)]
pub(crate) struct Face {
    /// `main` is among them, where it has come.
    variants: Vec<Arc<Endpoint>>,
    /// Empty where `main` alone is in production.
    used: Vec<Used>,
    /// Of the endpoint's id: shares of different endpoints have nothing to do with each other.
    salt: String,
    /// Where live requests are kept.
    capture: Option<Arc<Target>>,
}

impl Face {
    /// Adds a variant; `main` brings how all of them are used, and what is kept of requests.
    pub(super) fn add(
        &mut self,
        endpoint: Arc<Endpoint>,
        (used, capture): (Vec<Used>, Option<CaptureRoute>),
    ) {
        if endpoint.variant.as_str() == api::endpoints::MAIN {
            let (id, name) = (endpoint.id, endpoint.name.clone());
            self.capture = capture.map(|told| Arc::new(Target { endpoint: id, name, told }));
            self.used = used;
            self.salt = endpoint.id.to_string();
            self.variants.insert(0, endpoint);
        } else {
            self.variants.push(endpoint);
        }
    }

    /// What says who may call.
    fn own(&self) -> Option<&Arc<Endpoint>> {
        self.variants.first().filter(|it| it.variant.as_str() == api::endpoints::MAIN)
    }

    /// What it answers with where no key says otherwise; none while `main` has not come.
    pub(super) fn production(&self) -> Option<&Arc<Endpoint>> {
        self.answering(None)
    }

    /// The variant that answers this key.
    fn answering(&self, key: Option<&[u8]>) -> Option<&Arc<Endpoint>> {
        let own = self.own()?;
        if self.used.is_empty() {
            return Some(own);
        }
        let used = match key {
            Some(key) => modes::answering(&self.used, key, self.salt.as_bytes()),
            None => self.used.iter().find(|used| used.mode == types::Mode::Production),
        };
        used.and_then(|used| self.variant(used.variant.as_str())).or(Some(own))
    }

    /// The variants that are shown a copy of an event with this key.
    pub(crate) fn watching(&self, key: &[u8]) -> Vec<Arc<Endpoint>> {
        let names = modes::watching(&self.used, key, self.salt.as_bytes());
        names.filter_map(|used| self.variant(used.variant.as_str())).map(Arc::clone).collect()
    }

    /// Where live requests are kept.
    pub(crate) fn capture(&self) -> Option<&Arc<Target>> {
        self.capture.as_ref()
    }

    /// Whether it matters which key an event has.
    pub(crate) fn by_key(&self) -> bool {
        self.used.len() > 1
    }

    fn variant(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.variants.iter().find(|endpoint| endpoint.variant.as_str() == name)
    }

    /// What answers this caller: the named variant, which is its own account's, or the one for this
    /// key. None where it may not know.
    pub(super) fn answers(
        &self,
        (rights, caller, action): (&Authorizer, &Caller, Action),
        variant: Option<&str>,
        key: Option<&[u8]>,
    ) -> Option<&Arc<Endpoint>> {
        let own = self.own()?;
        if !own.allows(rights, caller, action) {
            return None;
        }
        match variant {
            None => self.answering(key),
            Some(name) if caller.account() == Some(own.account) => self.variant(name),
            Some(_) => None,
        }
    }

    /// Whether a variant answers live events.
    pub(super) fn is_live(&self, variant: &str) -> bool {
        if self.used.is_empty() {
            return variant == api::endpoints::MAIN;
        }
        self.used.iter().any(|used| used.variant.as_str() == variant && used.mode.is_live())
    }

    /// All of its variants.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.variants.iter()
    }
}
