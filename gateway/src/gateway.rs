//! The gateway itself: its services, and the loops that keep its routes fresh and its usage told.
//!
//! Always true: an answer of control that is older than the routes in use is ignored; while control
//! is away the last routes are used; on the stop, requests under way end, the last usage is
//! reported, and the connections to instances are closed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use api::internal::Routes;
use api::internal::functions::near::Near;
use api::listen::{self, Listener};
use tokio::task::JoinHandle;
use workflow::{Clock, Tasks};

use crate::captures;
use crate::control::Control;
use crate::functions;
use crate::hub::{Hub, StartError};
use crate::metrics;
use crate::oip::grpc;
use crate::routes::Table;
use crate::runs;
use crate::service::Http;
use crate::settings::Settings;
use crate::sources;
use crate::streams;
use crate::usage::Refused;

/// Between two tries while control is away, in milliseconds.
const RETRY_MS: u64 = 500;
/// How often the routes are asked for though nothing has changed, in milliseconds.
const ANEW_MS: u64 = 3_600_000;
/// Longest time for the last usage report at the stop, in milliseconds.
const LAST_REPORT_MS: u64 = 2_000;

/// The data plane. Cheap to clone; clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    hub: Arc<Hub>,
}

impl Gateway {
    /// A gateway without routes; they come once [`Gateway::run`] was called.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the policies or the certificate cannot be used.
    pub fn new(
        settings: Settings,
        clock: Clock,
        tasks: Tasks,
        control: Arc<dyn Control>,
    ) -> Result<Self, StartError> {
        Ok(Self { hub: Arc::new(Hub::new(settings, clock, tasks, control)?) })
    }

    /// Functions of the agent with this socket, which is in this process, are called without a
    /// connection from now on.
    pub fn add_near(&self, socket: String, agent: Arc<dyn Near>) {
        self.hub.calls.add_near(socket, agent);
    }

    /// Everything over HTTP, as a tower service without the costs of a router.
    pub fn http_service(&self) -> Http {
        Http::new(Arc::clone(&self.hub))
    }

    /// Everything over HTTP, as a router that others can be merged into.
    pub fn http_router(&self) -> axum::Router {
        axum::Router::new().fallback_service(self.http_service())
    }

    /// The Open Inference Protocol over gRPC.
    pub fn grpc_router(&self) -> axum::Router {
        grpc::router(Arc::clone(&self.hub))
    }

    /// `/metrics`, for a listener of its own.
    pub fn metrics_router(&self) -> axum::Router {
        metrics::router(Arc::clone(&self.hub.metrics))
    }

    /// Where it is to listen for its own replays.
    pub fn replay_socket(&self) -> Option<PathBuf> {
        self.hub.settings.replay_socket.clone()
    }

    /// Listens to its own replays: longer than to others, for as long as they send.
    pub fn listen_to_replays(&self, listener: Listener) {
        let over = self.hub.runs.over();
        let serving = listen::serve(listener, self.http_service(), None, over);
        self.hub.tasks.spawn("replay listener", serving);
    }

    /// Starts the loops that watch the routes, report the usage, run events, feed functions, send
    /// replays and count right answers; they end with the tasks.
    pub fn run(&self) -> [JoinHandle<()>; 7] {
        let (watch, report) = (self.clone(), self.clone());
        [
            self.hub.tasks.spawn("gateway streams", streams::tend(Arc::clone(&self.hub))),
            self.hub.tasks.spawn("gateway sources", sources::run(Arc::clone(&self.hub))),
            self.hub.tasks.spawn("gateway replays", runs::run(Arc::clone(&self.hub))),
            self.hub.tasks.spawn("gateway answers", captures::right::run(Arc::clone(&self.hub))),
            self.hub.tasks.spawn("gateway events", functions::run_events(Arc::clone(&self.hub))),
            self.hub.tasks.spawn("gateway routes", async move { watch.watch().await }),
            self.hub.tasks.spawn("gateway usage", async move { report.report().await }),
        ]
    }

    /// The generation of the routes in use; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.hub.table.load().generation()
    }

    /// Uses these routes from now on, unless newer ones are in use.
    pub fn use_routes(&self, routes: Routes) {
        let before = self.hub.table.load();
        if routes.generation < before.generation() {
            tracing::warn!(generation = routes.generation, "older routes were refused");
            return;
        }
        let table = Table::build(routes, &before, &self.hub.backends);
        tracing::debug!(generation = table.generation(), "routes changed");
        self.hub.metrics.routes(table.generation());
        self.hub.metrics.functions.keep(|account, name| table.has_function(account, name));
        self.hub
            .metrics
            .endpoints
            .keep(|account, name, variant| table.has_variant(account, name, variant));
        let generation = table.generation();
        self.hub.sources.see(&table, &before);
        self.hub.table.store(Arc::new(table));
        self.hub.generation.send_replace(generation);
    }

    async fn watch(&self) {
        let stopping = self.hub.tasks.stopping();
        let wait_ms = self.hub.settings.watch_wait_ms;
        let mut away = false;
        let mut asked_ms = self.hub.clock.now_ms();
        while !stopping.is_cancelled() {
            // Keys of days go with the days, though nobody changes anything.
            let now_ms = self.hub.clock.now_ms();
            let anew = now_ms.saturating_sub(asked_ms) >= ANEW_MS;
            asked_ms = if anew { now_ms } else { asked_ms };
            let after = if anew { 0 } else { self.generation() };
            let watched = self.hub.control.watch_routes(after, wait_ms);
            let answer = tokio::select! {
                answer = watched => answer,
                () = stopping.cancelled() => break,
            };
            match answer {
                Ok(routes) => {
                    away = false;
                    if anew || routes.generation > self.generation() {
                        self.use_routes(routes);
                    }
                }
                Err(cause) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%cause, "control is away; the last routes are used");
                    }
                    self.hub.metrics.watch_failed();
                    tokio::select! {
                        () = self.hub.clock.sleep_ms(RETRY_MS) => {}
                        () = stopping.cancelled() => break,
                    }
                }
            }
        }
        self.hub.runs.over().cancelled().await;
        self.hub.limits.idle().await;
        self.hub.table.store(Arc::default());
        self.hub.backends.renew().finish();
    }

    async fn report(&self) {
        let stopping = self.hub.tasks.stopping();
        while !stopping.is_cancelled() {
            tokio::select! {
                () = self.hub.clock.sleep_ms(self.hub.settings.usage_period_ms) => {}
                () = stopping.cancelled() => break,
            }
            self.report_once().await;
        }
        self.hub.limits.idle().await;
        let last = std::time::Duration::from_millis(LAST_REPORT_MS);
        if tokio::time::timeout(last, self.report_once()).await.is_err() {
            tracing::warn!("the last usage was not reported: control did not answer");
        }
    }

    /// Reports what was counted so far. What is counted meanwhile waits for the next time: under
    /// load there is always something.
    async fn report_once(&self) {
        let mut due = self.hub.usage.due();
        while due > 0 || self.hub.usage.has_parts() {
            due = due.saturating_sub(1);
            let Some(report) = self.hub.usage.next_report() else { return };
            let (number, functions) = (report.number, report.functions.clone());
            match self.hub.control.report_usage(report).await {
                Ok(told) => {
                    self.hub.usage.taken(number);
                    self.hub.allowances.hear(&told, &functions);
                }
                Err(cause) if cause.refused => {
                    self.hub.metrics.report_failed();
                    match self.hub.usage.refused(number) {
                        Refused::Parted => {}
                        Refused::LetGo(part) => {
                            tracing::warn!(%cause, ?part, "control refused a part of a usage report");
                        }
                        Refused::Kept { is_first } => {
                            if is_first {
                                tracing::warn!(%cause, "control refused usage; it is sent again");
                            }
                            return;
                        }
                    }
                }
                Err(cause) => {
                    tracing::debug!(%cause, number, "usage was not taken; it is sent again");
                    self.hub.metrics.report_failed();
                    return;
                }
            }
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("generation", &self.generation()).finish_non_exhaustive()
    }
}
