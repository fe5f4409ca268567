//! Metrics: what an operator watches, in Prometheus' text form under OpenTelemetry's names.
//!
//! Always true: label values come from fixed lists and from the endpoints and hosts in the routes,
//! so no caller can make new series. Absent on purpose: names of callers, contents of requests.

pub(crate) mod endpoints;

use std::fmt;

use axum::body::Body;
use axum::response::IntoResponse as _;
use axum::routing::get;
use http::{Response, StatusCode, header};
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::functions::metrics::Functions;
use crate::routes::Endpoint;
use endpoints::Endpoints;

/// The media type of the text form.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: OpenTelemetry's for HTTP, and finer ones below for fast models.
const SECONDS: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
    0.75, 1.0, 2.5, 5.0, 10.0,
];

/// Labels of an HTTP request, as OpenTelemetry names them.
#[expect(clippy::struct_field_names, reason = "these are the names of the labels")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Http {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

/// Labels of a gRPC call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rpc {
    rpc_method: &'static str,
    rpc_grpc_status_code: i32,
}

/// Labels of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    account: String,
    endpoint: String,
    outcome: &'static str,
}

/// Labels of a call that one of several hosts was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Placed {
    host: String,
    place: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of a gateway.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    http: Histograms<Http>,
    rpc: Histograms<Rpc>,
    requests: Family<Model, Counter>,
    placed: Family<Placed, Counter>,
    captured: Family<Model, Counter>,
    active: Gauge,
    generation: Gauge,
    watch_failures: Counter,
    report_failures: Counter,
    /// Of functions.
    pub(crate) functions: Functions,
    /// Of endpoints and replays, by variant.
    pub(crate) endpoints: Endpoints,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let metrics = Self {
            registry: Mutex::default(),
            http: Family::new_with_constructor(histogram),
            rpc: Family::new_with_constructor(histogram),
            requests: Family::default(),
            placed: Family::default(),
            captured: Family::default(),
            active: Gauge::default(),
            generation: Gauge::default(),
            watch_failures: Counter::default(),
            report_failures: Counter::default(),
            functions: Functions::default(),
            endpoints: Endpoints::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock();
        let help = "Time from the head of a request to the head of its answer";
        let http = self.http.clone();
        registry.register_with_unit("http_server_request_duration", help, Unit::Seconds, http);
        let help = "Time from a call to its answer";
        let rpc = self.rpc.clone();
        registry.register_with_unit("rpc_server_call_duration", help, Unit::Seconds, rpc);
        let help = "Inferences of an endpoint by outcome";
        registry.register("freehold_inference_requests", help, self.requests.clone());
        let help = "Calls of functions by the host that was asked and how it was chosen";
        registry.register("freehold_function_calls_placed", help, self.placed.clone());
        let help = "Live requests that were to be kept as events, by what became of them";
        registry.register("freehold_captured_requests", help, self.captured.clone());
        let help = "Requests being answered";
        registry.register("http_server_active_requests", help, self.active.clone());
        let help = "Generation of the routes in use";
        registry.register("freehold_routes_generation", help, self.generation.clone());
        let help = "Watches of the routes that control did not answer";
        registry.register("freehold_routes_watch_failures", help, self.watch_failures.clone());
        let help = "Usage reports that control did not take";
        registry.register("freehold_usage_report_failures", help, self.report_failures.clone());
        self.functions.register(&mut registry);
        self.endpoints.register(&mut registry);
    }

    pub(crate) fn http(&self, method: &http::Method, route: &'static str, done: (u16, f64)) {
        let (http_response_status_code, seconds) = done;
        let http_request_method = match *method {
            http::Method::GET => "GET",
            http::Method::HEAD => "HEAD",
            http::Method::POST => "POST",
            http::Method::PUT => "PUT",
            http::Method::DELETE => "DELETE",
            http::Method::PATCH => "PATCH",
            http::Method::OPTIONS => "OPTIONS",
            _ => "_OTHER",
        };
        let labels = Http { http_request_method, http_route: route, http_response_status_code };
        self.http.get_or_create(&labels).observe(seconds);
    }

    pub(crate) fn rpc(&self, rpc_method: &'static str, code: i32, seconds: f64) {
        let labels = Rpc { rpc_method, rpc_grpc_status_code: code };
        self.rpc.get_or_create(&labels).observe(seconds);
    }

    pub(crate) fn inference(&self, endpoint: &Endpoint, outcome: &'static str) {
        let account = endpoint.account_name.to_string();
        let labels = Model { account, endpoint: endpoint.name.to_string(), outcome };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn captured(&self, endpoint: &Endpoint, outcome: &'static str) {
        let account = endpoint.account_name.to_string();
        let labels = Model { account, endpoint: endpoint.name.to_string(), outcome };
        self.captured.get_or_create(&labels).inc();
    }

    pub(crate) fn function_placed(&self, host: &types::Name, place: &'static str) {
        let labels = Placed { host: host.to_string(), place };
        self.placed.get_or_create(&labels).inc();
    }

    pub(crate) fn begin(&self) -> Active {
        self.active.inc();
        Active { gauge: self.active.clone() }
    }

    pub(crate) fn routes(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    pub(crate) fn watch_failed(&self) {
        self.watch_failures.inc();
    }

    pub(crate) fn report_failed(&self) {
        self.report_failures.inc();
    }

    /// All of them as text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        match text::encode(&mut out, &self.registry.lock()) {
            Ok(()) => out,
            Err(fmt::Error) => String::new(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A request being answered; counted until dropped.
pub(crate) struct Active {
    gauge: Gauge,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// `GET /metrics`, to be served on a listener of its own.
pub(crate) fn router(metrics: std::sync::Arc<Metrics>) -> axum::Router {
    let answer = move || async move {
        let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        let answer: Response<Body> = (StatusCode::OK, kind, metrics.text()).into_response();
        answer
    };
    axum::Router::new().route("/metrics", get(answer))
}
