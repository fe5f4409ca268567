//! Routes: who may call, what may be called, and which instances answer, all in memory.
//!
//! A [`Table`] is built whole from what control says and swapped in at once; a request reads one
//! table from its start to its end.
//!
//! Always true: a lookup never waits; an unknown endpoint and a forbidden one give the same
//! answer; an expired token is no token. Connections and statistics outlive the table.

mod endpoint;
mod face;

use std::collections::HashMap;
use std::sync::Arc;

use access::signature::DayKey;
use access::{Action, Authorizer, Credentials};
use api::internal::functions::sources::SourceRoute;
use api::internal::{Principal, Routes, RunRoute, StreamRoute};
use sha2::{Digest as _, Sha256};
use types::functions::account_number;
use types::{AccountId, FunctionId, FunctionName, Name, StreamId};

use crate::backends::Backends;
use crate::captures::Target;
use crate::error::Error;
use crate::functions::{Function, Hosts, Url};
use crate::services::Service;
use crate::statistics::Statistics;

pub(crate) use endpoint::{Endpoint, Stage, principal};
pub(crate) use face::Face;

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Somebody without credentials.
    Anonymous,
    /// The holder of a token.
    Known(Arc<Principal>),
}

impl Caller {
    /// The caller's account.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self {
            Self::Anonymous => None,
            Self::Known(principal) => Some(principal.account),
        }
    }
}

/// Everything a gateway needs to answer without asking.
#[derive(Debug, Default)]
pub(crate) struct Table {
    generation: u64,
    principals: HashMap<[u8; 32], Arc<Principal>>,
    /// By the access key's name.
    keyed: HashMap<String, Arc<Keyed>>,
    /// By the account's name, then by the endpoint's.
    accounts: HashMap<String, HashMap<String, Arc<Face>>>,
    /// By the account's name, then by the function's.
    functions: HashMap<String, HashMap<String, Arc<Function>>>,
    functions_by_id: HashMap<FunctionId, Arc<Function>>,
    /// Functions by the ids of their URLs.
    urls: HashMap<String, Arc<Url>>,
    /// By the account's name, then by the service's.
    services: HashMap<String, HashMap<String, Arc<Service>>>,
    /// By the account's name, then by the stream's.
    streams: HashMap<String, HashMap<String, Arc<StreamRoute>>>,
    /// Streams that were removed lately.
    removed_streams: Vec<StreamId>,
    /// Replays that have not ended.
    runs: Vec<Arc<RunRoute>>,
    /// Streams that functions are fed from.
    sources: Vec<Arc<SourceRoute>>,
    /// Names of accounts that have functions, by the account's number.
    numbers: HashMap<String, String>,
    hosts: Hosts,
}

/// Who holds an access key, and the keys of a few days.
#[derive(Debug)]
pub(crate) struct Keyed {
    pub(crate) principal: Arc<Principal>,
    pub(crate) day_keys: HashMap<String, DayKey>,
}

impl Table {
    /// Builds the table of these routes; connections and statistics are taken over from `backends`
    /// and from the table before. Instances that are in no route any more are let go.
    pub(crate) fn build(routes: Routes, before: &Self, backends: &Backends) -> Self {
        let mut table = Self { generation: routes.generation, ..Self::default() };
        for principal in routes.principals {
            let mut digest = [0; 32];
            if hex::decode_to_slice(&principal.secret_sha256, &mut digest).is_err() {
                tracing::warn!(token = %principal.token, "a token without a digest was left out");
                continue;
            }
            let principal = Arc::new(principal);
            if let Some(key) = &principal.access_key {
                let day_keys = key.day_keys.iter().filter_map(|(day, key)| {
                    let mut bytes = [0; 32];
                    hex::decode_to_slice(key, &mut bytes).ok()?;
                    Some((day.clone(), DayKey(bytes)))
                });
                let day_keys = day_keys.collect();
                let keyed = Keyed { principal: Arc::clone(&principal), day_keys };
                table.keyed.insert(key.name.clone(), Arc::new(keyed));
            }
            table.principals.insert(digest, principal);
        }
        let statistics = before.statistics();
        let mut kept = backends.renew();
        let mut faces: HashMap<String, HashMap<String, Face>> = HashMap::new();
        for mut route in routes.endpoints {
            let known =
                statistics.get(&route.endpoint).copied().map(Arc::clone).unwrap_or_default();
            let around = (std::mem::take(&mut route.modes), route.capture.take());
            let endpoint = Arc::new(Endpoint::build(route, known, &mut kept));
            let names = faces.entry(endpoint.account_name.to_string()).or_default();
            names.entry(endpoint.name.to_string()).or_default().add(endpoint, around);
        }
        let shared = |names: HashMap<String, Face>| {
            names.into_iter().map(|(name, face)| (name, Arc::new(face))).collect()
        };
        table.accounts = faces.into_iter().map(|(owner, names)| (owner, shared(names))).collect();
        kept.finish();
        for told in routes.functions {
            let known = before.functions.get(told.account_name.as_str());
            let known = known.and_then(|names| names.get(told.name.as_str()));
            let known = known.filter(|known| known.told.function == told.function);
            let function = Arc::new(Function::build(told, known));
            let number = account_number(function.told.account);
            table.numbers.insert(number, function.account_name().to_string());
            table.functions_by_id.insert(function.told.function, Arc::clone(&function));
            let urls = Url::all(&function).map(|url| (url.told.id.to_string(), Arc::new(url)));
            table.urls.extend(urls);
            let names = table.functions.entry(function.account_name().to_string()).or_default();
            names.insert(function.told.name.to_string(), function);
        }
        for told in routes.services {
            let (account, name) = (told.account_name.to_string(), told.name.to_string());
            let known = before.services.get(&account).and_then(|names| names.get(&name));
            let service = Arc::new(Service::build(told, known));
            table.services.entry(account).or_default().insert(name, service);
        }
        for told in routes.streams {
            let names = table.streams.entry(told.account_name.to_string()).or_default();
            names.insert(told.name.to_string(), Arc::new(told));
        }
        table.removed_streams = routes.removed_streams;
        table.runs = routes.runs.into_iter().map(Arc::new).collect();
        table.sources = routes.sources.into_iter().map(Arc::new).collect();
        table.hosts = Hosts::new(routes.hosts, &before.hosts);
        table
    }

    /// Whether an account has a function of this name.
    pub(crate) fn has_function(&self, account: &str, name: &str) -> bool {
        self.functions.get(account).is_some_and(|names| names.contains_key(name))
    }

    /// The hosts that run functions.
    pub(crate) fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// Finds the function of the caller's account that has this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoFunction`], or [`Error::NoCredentials`] for an anonymous caller.
    pub(crate) fn function(
        &self,
        rights: &Authorizer,
        caller: &Caller,
        (name, qualifier): (&str, &str),
    ) -> Result<Arc<Function>, Error> {
        let Caller::Known(known) = caller else { return Err(Error::NoCredentials) };
        let names = self.functions.get(known.account_name.as_str());
        match names.and_then(|names| names.get(name)) {
            Some(function) if function.allows(rights, caller, qualifier) => {
                Ok(Arc::clone(function))
            }
            _ => Err(Error::no_function(name)),
        }
    }

    /// Like [`Table::function`], of the account that has this number.
    ///
    /// # Errors
    ///
    /// As [`Table::function`].
    pub(crate) fn function_by_number(
        &self,
        rights: &Authorizer,
        caller: &Caller,
        number: &str,
        (name, qualifier): (&FunctionName, &str),
    ) -> Result<Arc<Function>, Error> {
        let account = self.numbers.get(number);
        let found = account.and_then(|account| self.function_of(account, name));
        let allowed = found.filter(|function| function.allows(rights, caller, qualifier));
        allowed.ok_or_else(|| Error::no_function(name.as_str()))
    }

    /// The function of this name in an account, whoever asks.
    pub(crate) fn function_of(&self, account: &str, name: &FunctionName) -> Option<Arc<Function>> {
        self.functions.get(account)?.get(name.as_str()).map(Arc::clone)
    }

    /// The service of this name of an account.
    pub(crate) fn service(&self, account: &str, name: &str) -> Option<Arc<Service>> {
        self.services.get(account)?.get(name).map(Arc::clone)
    }

    /// The stream of this name of an account.
    pub(crate) fn stream(&self, account: &str, name: &str) -> Option<Arc<StreamRoute>> {
        self.streams.get(account)?.get(name).map(Arc::clone)
    }

    /// Every stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Arc<StreamRoute>> {
        self.streams.values().flat_map(HashMap::values)
    }

    /// Every endpoint's capture.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &Arc<Target>> {
        let faces = self.accounts.values().flat_map(HashMap::values);
        faces.filter_map(|face| face.capture())
    }

    /// The streams that were removed lately.
    pub(crate) fn removed_streams(&self) -> &[StreamId] {
        &self.removed_streams
    }

    /// The replays that have not ended.
    pub(crate) fn runs(&self) -> &[Arc<RunRoute>] {
        &self.runs
    }

    /// The streams that functions are fed from, also those from which they are not now.
    pub(crate) fn sources(&self) -> &[Arc<SourceRoute>] {
        &self.sources
    }

    /// The URL of this id, whoever asks.
    ///
    /// # Errors
    ///
    /// [`Error::NoUrl`], or [`Error::NoControl`] before the first routes are here.
    pub(crate) fn url(&self, id: &str) -> Result<Arc<Url>, Error> {
        let unknown = if self.generation == 0 { Error::NoControl } else { Error::NoUrl };
        self.urls.get(id).map(Arc::clone).ok_or(unknown)
    }

    /// The function that has this id, whoever asks.
    pub(crate) fn function_by_id(&self, id: FunctionId) -> Option<Arc<Function>> {
        self.functions_by_id.get(&id).map(Arc::clone)
    }

    /// Finds who holds an access key, before their signature is checked.
    ///
    /// # Errors
    ///
    /// As [`Table::caller`].
    pub(crate) fn keyed(&self, key: &str, now_ms: u64) -> Result<Arc<Keyed>, Error> {
        let unknown = if self.generation == 0 { Error::NoControl } else { Error::BadCredentials };
        let keyed = self.keyed.get(key).ok_or(unknown)?;
        if keyed.principal.expires_at_ms.is_some_and(|end_ms| end_ms <= now_ms) {
            return Err(Error::BadCredentials);
        }
        Ok(Arc::clone(keyed))
    }

    /// The generation of the routes in it; 0 before the first.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Finds who holds these credentials; without any, the caller is anonymous.
    ///
    /// # Errors
    ///
    /// [`Error::BadCredentials`] when nobody holds the secret at `now_ms`, or another account than
    /// was named; [`Error::NoControl`] before the first routes are here.
    pub(crate) fn caller(
        &self,
        credentials: Option<&Credentials>,
        now_ms: u64,
    ) -> Result<Caller, Error> {
        let Some(credentials) = credentials else { return Ok(Caller::Anonymous) };
        let digest: [u8; 32] = Sha256::digest(credentials.secret().as_bytes()).into();
        let unknown = if self.generation == 0 { Error::NoControl } else { Error::BadCredentials };
        let principal = self.principals.get(&digest).ok_or(unknown)?;
        let ended = principal.expires_at_ms.is_some_and(|end_ms| end_ms <= now_ms);
        if ended || !credentials.may_be_of(principal.account_name.as_str()) {
            return Err(Error::BadCredentials);
        }
        Ok(Caller::Known(Arc::clone(principal)))
    }

    /// Finds what `model` names to this caller, and what answers it: of its own account, or
    /// `account.endpoint` where it may invoke that. `endpoint@variant` is a variant of its own;
    /// else the key says which one it is, and without one it is what is in production.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`], or [`Error::NoCredentials`] for an anonymous caller.
    pub(crate) fn endpoint<'k>(
        &self,
        (rights, caller, action): (&Authorizer, &Caller, Action),
        model: &str,
        key: impl FnOnce(&Face) -> Option<&'k [u8]>,
    ) -> Result<(&Arc<Face>, &Arc<Endpoint>), Error> {
        let (account, name) = match (model.split_once('.'), caller) {
            (Some(parts), _) => parts,
            (None, Caller::Known(principal)) => (principal.account_name.as_str(), model),
            (None, Caller::Anonymous) => return Err(Error::NoCredentials),
        };
        let (name, variant) = match name.split_once('@') {
            Some((name, variant)) => (name, Some(variant)),
            None => (name, None),
        };
        let face = self.accounts.get(account).and_then(|names| names.get(name));
        let found = face.and_then(|face| {
            let key = key(face);
            let endpoint = face.answers((rights, caller, action), variant, key)?;
            Some((face, endpoint))
        });
        match found {
            None if self.generation == 0 => Err(Error::NoControl),
            Some(found) => Ok(found),
            None if matches!(caller, Caller::Anonymous) => Err(Error::NoCredentials),
            None => Err(Error::no_model(model)),
        }
    }

    /// Whether an endpoint of an account has a variant of this name.
    pub(crate) fn has_variant(&self, account: &str, name: &str, variant: &str) -> bool {
        let face = self.accounts.get(account).and_then(|names| names.get(name));
        face.is_some_and(|face| face.all().any(|endpoint| endpoint.variant.as_str() == variant))
    }

    /// Whether a variant of an endpoint answers live events.
    pub(crate) fn is_live(&self, account: &str, name: &Name, variant: &Name) -> bool {
        let face = self.accounts.get(account).and_then(|names| names.get(name.as_str()));
        face.is_some_and(|face| face.is_live(variant.as_str()))
    }

    /// A variant of an endpoint, by the names of its account, itself and the variant.
    pub(crate) fn variant(
        &self,
        account: &str,
        name: &Name,
        variant: &Name,
    ) -> Option<Arc<Endpoint>> {
        let face = self.accounts.get(account)?.get(name.as_str())?;
        face.all().find(|endpoint| endpoint.variant == *variant).map(Arc::clone)
    }

    /// The endpoints that the caller may invoke by a name, and that name, in order: those of its
    /// own account, those granted to it, and those open to everybody.
    pub(crate) fn visible(
        &self,
        rights: &Authorizer,
        caller: &Caller,
    ) -> Vec<(String, Arc<Endpoint>)> {
        let own = caller.account();
        let all = self.accounts.values().flat_map(HashMap::values);
        let mut seen: Vec<_> = all
            .filter_map(|face| face.production())
            .filter(|endpoint| endpoint.allows(rights, caller, Action::EndpointsDescribe))
            .map(|endpoint| {
                let local = own == Some(endpoint.account);
                let name = endpoint.name.to_string();
                let full = || format!("{}.{name}", endpoint.account_name);
                (if local { name.clone() } else { full() }, Arc::clone(endpoint))
            })
            .collect();
        seen.sort_by(|(one, _), (other, _)| one.cmp(other));
        seen
    }

    fn statistics(&self) -> HashMap<types::EndpointId, &Arc<Statistics>> {
        let all = self.accounts.values().flat_map(HashMap::values).flat_map(|face| face.all());
        all.map(|endpoint| (endpoint.id, &endpoint.statistics)).collect()
    }
}

#[cfg(test)]
mod tests;
