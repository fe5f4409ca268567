//! Backends: the instances that answer, and the connections to them.
//!
//! Requests to one instance share a few connections; each is numbered, sent as soon as it comes,
//! and answered in any order. The instance with the fewest requests under way is asked first, one
//! that could just not be reached last.
//!
//! Always true: a request is sent to one instance at most; a second instance is tried only when
//! not a byte was sent to the first. A caller that goes away takes its request with it: the worker
//! is told to stop. Absent on purpose: what is asked (see calls), health checks (agents report).

mod connection;
mod dial;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use api::internal;
use parking_lot::Mutex;
use policy::polling::Pace;
use tokio_rustls::TlsConnector;
use types::InstanceId;
use types::frame::{Answer, Infer};
use workflow::{Clock, Tasks};

use crate::error::Error;
use crate::settings::Settings;
use crate::trust;

use connection::{Connection, Refusal};

pub(crate) use dial::{Duplex, Empty, Preamble, through_agent};

/// How long an instance that could not be reached is asked last, in microseconds.
const REST_US: u64 = 1_000_000;

/// What an instance is known by: a new generation is another process.
type Key = (InstanceId, u64);

/// Every backend that a route names, with its connections.
pub(crate) struct Backends {
    tools: Arc<Tools>,
    known: Mutex<HashMap<Key, Arc<Backend>>>,
}

/// What a backend needs to make connections.
struct Tools {
    settings: Arc<Settings>,
    /// How agents on other hosts are reached; none where only this host is.
    tls: Option<TlsConnector>,
    clock: Clock,
    tasks: Tasks,
}

/// One ready instance.
pub(crate) struct Backend {
    told: internal::Backend,
    tools: Arc<Tools>,
    in_flight: AtomicUsize,
    /// How long its answers have taken lately.
    pace: Mutex<Pace>,
    /// Until then it is asked last, since it could not be reached.
    rests_until_us: AtomicU64,
    open: Mutex<Vec<Arc<Connection>>>,
    /// Held while a connection is being made, so that a burst makes one and not hundreds.
    dialing: tokio::sync::Mutex<()>,
}

/// The backends while a new table is built: those not kept are let go at the end.
pub(crate) struct Renewal<'a> {
    backends: &'a Backends,
    kept: HashMap<Key, Arc<Backend>>,
}

impl Backends {
    /// None yet.
    ///
    /// # Errors
    ///
    /// [`trust::Error`] when the certificate for agents cannot be used.
    pub(crate) fn new(
        settings: Arc<Settings>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, trust::Error> {
        let tls = settings.proof.as_ref().map(trust::of_agents).transpose()?;
        let tls = tls.map(TlsConnector::from);
        let tools = Arc::new(Tools { settings, tls, clock, tasks });
        Ok(Self { tools, known: Mutex::default() })
    }

    /// How agents on other hosts are reached; none where only this host is.
    pub(crate) fn tls(&self) -> Option<TlsConnector> {
        self.tools.tls.clone()
    }

    /// Begins to build a new table.
    pub(crate) fn renew(&self) -> Renewal<'_> {
        Renewal { backends: self, kept: HashMap::new() }
    }
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").field("known", &self.known.lock().len()).finish_non_exhaustive()
    }
}

impl Renewal<'_> {
    /// The backend of an instance: the one already known, with its connections, or a new one.
    pub(crate) fn keep(&mut self, told: internal::Backend) -> Arc<Backend> {
        let key = (told.instance, told.generation);
        let known = || self.backends.known.lock().get(&key).map(Arc::clone);
        let found = self.kept.get(&key).map(Arc::clone).or_else(known);
        let tools = &self.backends.tools;
        let backend = match found {
            Some(same) if same.told == told => same,
            _ => Arc::new(Backend::new(told, Arc::clone(tools))),
        };
        self.kept.insert(key, Arc::clone(&backend));
        backend
    }

    /// Lets go of every backend that was not kept. Requests under way at it are still answered.
    pub(crate) fn finish(self) {
        *self.backends.known.lock() = self.kept;
    }
}

/// Why a backend did not answer, and whether another may be asked.
enum Missed {
    /// Not a byte was sent.
    NotSent(Error),
    /// It may have been run.
    Sent(Error),
}

/// Runs a request at the backend with the fewest requests under way, or at the next one when it
/// could not be sent there.
///
/// # Errors
///
/// [`Error::NotReady`] without backends, [`Error::Busy`] when all are full, [`Error::Lost`] when
/// none is reached or one went away, and what the worker says.
pub(crate) async fn infer(
    backends: &[Arc<Backend>],
    model: &str,
    infer: &Infer,
) -> Result<Answer, Error> {
    let Some(first) = least_busy(backends, None) else {
        return Err(Error::NotReady { model: model.to_owned() });
    };
    let missed = match first.infer(infer).await {
        Ok(answer) => return Ok(answer),
        Err(Missed::Sent(error)) => return Err(error),
        Err(Missed::NotSent(error)) => error,
    };
    let Some(second) = least_busy(backends, Some(first)) else { return Err(missed) };
    match second.infer(infer).await {
        Ok(answer) => Ok(answer),
        Err(Missed::Sent(error) | Missed::NotSent(error)) => Err(error),
    }
}

fn least_busy<'a>(
    backends: &'a [Arc<Backend>],
    except: Option<&Arc<Backend>>,
) -> Option<&'a Arc<Backend>> {
    let other = |backend: &&Arc<Backend>| except.is_none_or(|not| !Arc::ptr_eq(not, backend));
    backends.iter().filter(other).min_by_key(|it| it.rank())
}

impl Backend {
    fn new(told: internal::Backend, tools: Arc<Tools>) -> Self {
        Self {
            told,
            tools,
            in_flight: AtomicUsize::new(0),
            pace: Mutex::default(),
            rests_until_us: AtomicU64::new(0),
            open: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
        }
    }

    /// The order in which backends are asked: those that were reached first, then by what is under
    /// way.
    fn rank(&self) -> (bool, usize) {
        let until_us = self.rests_until_us.load(Ordering::Relaxed);
        let rests = until_us > 0 && self.tools.clock.now_us() < until_us;
        (rests, self.in_flight.load(Ordering::Relaxed))
    }

    /// Which instance it is, and where.
    pub(crate) fn told(&self) -> &internal::Backend {
        &self.told
    }

    async fn infer(&self, infer: &Infer) -> Result<Answer, Missed> {
        let full = || Missed::NotSent(Error::Busy { what: "this model" });
        let _place = self.take_place().ok_or_else(full)?;
        // A connection that broke while nobody looked is noticed when it is used: a second try.
        for _ in 0..2 {
            let connection = self.connection().await.map_err(Missed::NotSent)?;
            let asked = match connection.ask(infer) {
                Ok(asked) => asked,
                Err(Refusal::Closed) => continue,
                Err(Refusal::Full) => return Err(full()),
                Err(Refusal::TooLarge(error)) => {
                    let reason = format!("the tensors cannot be sent: {error}");
                    return Err(Missed::Sent(Error::BadRequest { reason }));
                }
            };
            let began_us = self.tools.clock.now_us();
            let answer = asked.answer(self.look_us()).await;
            let took_us = self.tools.clock.now_us().saturating_sub(began_us);
            let mut pace = self.pace.lock();
            *pace = pace.after(took_us);
            return answer.map_err(Missed::Sent);
        }
        Err(Missed::NotSent(Error::Lost))
    }

    /// How long to look for an answer before sleeping: only for one that nothing is ahead of.
    fn look_us(&self) -> u64 {
        let alone = self.in_flight.load(Ordering::Relaxed) == 1;
        if alone { self.pace.lock().look_us(self.tools.settings.look_us_max) } else { 0 }
    }

    /// A connection to send over: one with nothing under way, else a new one while there may be
    /// more, else the one with the least under way.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let max = self.tools.settings.connections_per_backend_max.max(1);
        if let Some(found) = self.open_connection(max) {
            return Ok(found);
        }
        let _dialing = match self.dialing.try_lock() {
            Ok(dialing) => dialing,
            Err(_) => match self.open_connection(0) {
                Some(found) => return Ok(found),
                None => self.dialing.lock().await,
            },
        };
        if let Some(found) = self.open_connection(max) {
            return Ok(found);
        }
        let made = dial::connect(&self.told, self.tools.tls.as_ref());
        let made = self.tools.clock.within_ms(self.tools.settings.connect_ms_max, made).await;
        let wire = made.map_err(|late| dial::Failure::Slow(late.limit_ms)).and_then(|it| it);
        match wire {
            Ok(wire) => {
                let connection = Connection::start(wire, &self.tools.settings, &self.tools.tasks);
                self.open.lock().push(Arc::clone(&connection));
                Ok(connection)
            }
            Err(failure) => {
                let (instance, cause) = (self.told.instance, failure);
                tracing::warn!(%instance, %cause, "an instance could not be reached");
                let until_us = self.tools.clock.now_us().saturating_add(REST_US);
                self.rests_until_us.store(until_us, Ordering::Relaxed);
                self.open_connection(0).ok_or(Error::Lost)
            }
        }
    }

    /// The open connection with the least under way; none when it is in use and more may be made.
    fn open_connection(&self, max: usize) -> Option<Arc<Connection>> {
        let mut open = self.open.lock();
        open.retain(|connection| !connection.closed());
        let least = open.iter().min_by_key(|connection| connection.pending())?;
        (least.pending() == 0 || open.len() >= max).then(|| Arc::clone(least))
    }

    /// One place among the requests under way, given back when dropped.
    fn take_place(&self) -> Option<Place<'_>> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Place { in_flight: &self.in_flight };
        (before < self.tools.settings.requests_per_backend_max).then_some(place)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("told", &self.told).finish_non_exhaustive()
    }
}

struct Place<'a> {
    in_flight: &'a AtomicUsize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
