//! What every protocol shares: the routes, the limits, the counts, and the way in.
//!
//! Always true: a request is authenticated, finds its endpoint, and takes its place among those
//! under way, in this order, before its body is read.

use std::net::IpAddr;
use std::sync::Arc;

use access::{Action, Authorizer, Credentials};
use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use tokio::sync::watch;
use workflow::{Clock, Tasks};

use crate::backends::Backends;
use crate::calls::Call;
use crate::control::Control;
use crate::error::Error;
use crate::functions::{Allowances, Calls, Concurrency, Webhooks};
use crate::limits::{Limits, Place, Who};
use crate::metrics::Metrics;
use crate::routes::{Caller, Endpoint, Table};
use crate::settings::Settings;
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
    /// The generation of the routes in use.
    pub(crate) generation: watch::Sender<u64>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) metrics: Arc<Metrics>,
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
        let credentials = credentials(headers)?;
        self.table.load().caller(credentials.as_ref(), self.clock.now_ms())
    }

    /// Finds who calls and the endpoint, to tell about it, that `model` and `version` name to them.
    pub(crate) fn find(
        &self,
        headers: &HeaderMap,
        model: &str,
        version: &str,
    ) -> Result<(Caller, Arc<Endpoint>), Error> {
        self.find_for(headers, Action::EndpointsDescribe, (model, version))
    }

    fn find_for(
        &self,
        headers: &HeaderMap,
        action: Action,
        (model, version): (&str, &str),
    ) -> Result<(Caller, Arc<Endpoint>), Error> {
        let credentials = credentials(headers)?;
        let table = self.table.load();
        let caller = table.caller(credentials.as_ref(), self.clock.now_ms())?;
        let endpoint = table.endpoint(&self.rights, &caller, action, model)?;
        endpoint.check_version(model, version)?;
        let endpoint = Arc::clone(endpoint);
        Ok((caller, endpoint))
    }

    /// Like [`Hub::find`], to invoke it, and takes a place among the requests under way.
    pub(crate) fn admit<'h>(
        &'h self,
        headers: &HeaderMap,
        (model, version): (&str, &str),
        from: Option<IpAddr>,
    ) -> Result<Call<'h>, Error> {
        let named = (model, version);
        let (caller, endpoint) = self.find_for(headers, Action::EndpointsInvoke, named)?;
        let place = self.place(&caller, from)?;
        Ok(Call::begin(self, (caller, endpoint), model, place))
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
