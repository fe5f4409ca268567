//! What every protocol shares: the routes, the limits, the counts, and the way in.
//!
//! Always true: a request is authenticated, finds its endpoint, and takes its place among those
//! under way, in this order, before its body is read.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use access::{Action, Authorizer, Credentials};
use api::internal::Principal;
use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use tokio::sync::watch;
use workflow::{Clock, Tasks};

use crate::backends::Backends;
use crate::calls::Call;
use crate::captures::{self, Captures};
use crate::control::Control;
use crate::error::Error;
use crate::functions::{Allowances, Calls, Concurrency, Webhooks};
use crate::limits::{Limits, Place, Who};
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::routes::{Caller, Endpoint, Face, Table, principal};
use crate::runs::Runs;
use crate::settings::Settings;
use crate::shadows::Shadows;
use crate::sources::Sources;
use crate::streams::Streams;
use crate::trust;
use crate::usage::Usage;

/// The gateway's inside.
pub(crate) struct Hub {
    pub(crate) rights: Authorizer,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) table: ArcSwap<Table>,
    pub(crate) backends: Backends,
    /// To agents that run functions.
    pub(crate) calls: Calls,
    pub(crate) concurrency: Concurrency,
    pub(crate) allowances: Allowances,
    pub(crate) webhooks: Webhooks,
    pub(crate) mail: Mail,
    pub(crate) shadows: Shadows,
    pub(crate) captures: Captures,
    pub(crate) streams: Streams,
    pub(crate) runs: Runs,
    pub(crate) sources: Sources,
    /// The generation of the routes in use.
    pub(crate) generation: watch::Sender<u64>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Who calls, and what answers.
pub(crate) struct Found {
    pub(crate) caller: Caller,
    pub(crate) endpoint: Arc<Endpoint>,
    /// What is shown a copy.
    pub(crate) shadows: Vec<Arc<Endpoint>>,
    /// Where live requests are kept.
    pub(crate) capture: Option<Arc<captures::Target>>,
    /// Whether the caller named the variant.
    pub(crate) is_direct: bool,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policies built into the program are broken.
    #[error("the policies cannot be used")]
    Policies(#[from] access::Error),
    /// The gateway's certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] trust::Error),
}

impl Hub {
    pub(crate) fn new(
        settings: Settings,
        clock: Clock,
        tasks: Tasks,
        control: Arc<dyn Control>,
    ) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        let start = hex::encode(clock.random::<8>());
        let backends = Backends::new(Arc::clone(&settings), clock.clone(), tasks.clone())?;
        Ok(Self {
            rights: Authorizer::new()?,
            usage: Arc::new(Usage::new(format!("{}-{start}", settings.name))),
            calls: Calls::new(backends.tls(), settings.connect_ms_max),
            backends,
            concurrency: Concurrency::default(),
            allowances: Allowances::default(),
            webhooks: Webhooks::new(settings.door.clone()),
            mail: Mail::new(settings.smtp.clone()),
            shadows: Shadows::default(),
            streams: Streams::new(
                settings.folder.as_ref().map(|folder| folder.join("streams")),
                settings.copies.clone(),
                settings.events_keys.clone(),
            ),
            captures: Captures::default(),
            runs: Runs::default(),
            sources: Sources::default(),
            generation: watch::Sender::default(),
            limits: Arc::new(Limits::new(Arc::clone(&settings))),
            metrics: Arc::new(Metrics::new()),
            table: ArcSwap::default(),
            settings,
            clock,
            tasks,
            control,
        })
    }

    /// Whether routes are here.
    pub(crate) fn ready(&self) -> bool {
        self.table.load().generation() > 0 && !self.tasks.stopping().is_cancelled()
    }

    /// Finds who calls.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        self.caller_of(&self.table.load(), headers)
    }

    /// Finds who calls, and that they may do this in their own account.
    ///
    /// # Errors
    ///
    /// [`Error::NoCredentials`], [`Error::BadCredentials`], [`Error::Forbidden`].
    pub(crate) fn member(
        &self,
        headers: &HeaderMap,
        action: Action,
    ) -> Result<(Caller, Arc<Principal>), Error> {
        let caller = self.caller(headers)?;
        let Caller::Known(known) = &caller else { return Err(Error::NoCredentials) };
        let resource = access::Resource::account(known.account);
        let request = access::Request { principal: principal(&caller), action, resource };
        if !self.rights.allows(&request) {
            return Err(Error::Forbidden { action: action.as_str() });
        }
        let known = Arc::clone(known);
        Ok((caller, known))
    }

    fn caller_of(&self, table: &Table, headers: &HeaderMap) -> Result<Caller, Error> {
        let credentials = credentials(headers)?;
        if let Some(caller) = credentials.as_ref().and_then(|it| self.runs.caller(it.secret())) {
            return Ok(caller);
        }
        table.caller(credentials.as_ref(), self.clock.now_ms())
    }

    /// Finds who calls and the endpoint, to tell about it, that `model` and `version` name to them.
    pub(crate) fn find(
        &self,
        headers: &HeaderMap,
        model: &str,
        version: &str,
    ) -> Result<(Caller, Arc<Endpoint>), Error> {
        let found = self.find_for(headers, Action::EndpointsDescribe, (model, version));
        found.map(|found| (found.caller, found.endpoint))
    }

    fn find_for(
        &self,
        headers: &HeaderMap,
        action: Action,
        (model, version): (&str, &str),
    ) -> Result<Found, Error> {
        let table = self.table.load();
        let caller = self.caller_of(&table, headers)?;
        // Where there is only one variant nobody asks for a key.
        let by_key = |face: &Face| action == Action::EndpointsInvoke && face.by_key();
        let key = OnceCell::new();
        let key = |face: &Face| by_key(face).then(|| &**key.get_or_init(|| self.key(headers)));
        let (face, endpoint) = table.endpoint((&self.rights, &caller, action), model, key)?;
        endpoint.check_version(model, version)?;
        let is_direct = model.contains('@');
        let shadows =
            key(face).filter(|_| !is_direct).map_or_else(Vec::new, |key| face.watching(key));
        let capture = face.capture().filter(|_| !is_direct).map(Arc::clone);
        let endpoint = Arc::clone(endpoint);
        Ok(Found { caller, endpoint, shadows, capture, is_direct })
    }

    /// Like [`Hub::find`], to invoke it, and takes a place among the requests under way. The request's
    /// id is empty where it has none.
    pub(crate) fn admit<'h>(
        self: &'h Arc<Self>,
        headers: &HeaderMap,
        (model, version): (&str, &str),
        (from, id): (Option<IpAddr>, &str),
    ) -> Result<Call<'h>, Error> {
        let named = (model, version);
        let found = self.find_for(headers, Action::EndpointsInvoke, named)?;
        let place = self.place(&found.caller, from)?;
        let noted = found.capture.as_ref().and_then(|target| {
            captures::note(self, target, (&found.caller, &found.endpoint), (headers, id))
        });
        Ok(Call::begin(self, (found, noted), model, place))
    }

    /// By what it is decided which variant answers: what the caller says, or else chance.
    fn key(&self, headers: &HeaderMap) -> Vec<u8> {
        let told = headers.get(api::endpoints::KEY_HEADER);
        told.map_or_else(|| self.clock.random::<16>().to_vec(), |told| told.as_bytes().to_vec())
    }

    /// The endpoints that the caller may know of, by the names it may use.
    pub(crate) fn visible(&self, caller: &Caller) -> Vec<(String, Arc<Endpoint>)> {
        self.table.load().visible(&self.rights, caller)
    }

    /// Takes a place among the requests under way.
    pub(crate) fn place(&self, caller: &Caller, from: Option<IpAddr>) -> Result<Place, Error> {
        let who = match caller {
            Caller::Known(principal) => Who::Token(principal.token),
            Caller::Anonymous => Who::Anonymous(from),
        };
        self.limits.take(who, self.clock.now_us())
    }
}

/// What came as `Authorization`; none without the header.
///
/// # Errors
///
/// [`Error::BadCredentials`] for another scheme, or text that is broken.
fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, Error> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let read = value.to_str().ok().and_then(Credentials::read);
    read.map(Some).ok_or(Error::BadCredentials)
}
