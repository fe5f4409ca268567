//! Metrics of endpoints and of replays, by variant; also under `SageMaker`'s names.
//!
//! Always true: series are those of variants in the routes; of one that is removed, none is kept.
//! Absent on purpose: regions, groups and runs, of which there is no end: a run's series tell of them.
//! Source: the metrics of `SageMaker`'s endpoints, whose latencies are in microseconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::replay::{Outcome, Record};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Histograms, SECONDS};
use crate::routes::Endpoint;

/// Upper bounds in microseconds: those of seconds.
const MICROSECONDS: [f64; 18] = [
    100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 7.5e4, 1e5, 2.5e5, 5e5, 7.5e5, 1e6,
    2.5e6, 5e6, 1e7,
];

/// Whose series it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Of {
    account: String,
    endpoint: String,
    variant: String,
}

/// The same in `SageMaker`'s words.
#[expect(non_snake_case, reason = "these are the names of the labels")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    account: String,
    EndpointName: String,
    VariantName: String,
}

/// A variant's replayed requests by what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Replayed {
    account: String,
    endpoint: String,
    variant: String,
    outcome: &'static str,
}

/// The metrics of all endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints {
    service: Histograms<Of>,
    overhead: Histograms<Of>,
    invocations: Family<Named, Counter>,
    refused: Family<Named, Counter>,
    failed: Family<Named, Counter>,
    model_latency: Histograms<Named>,
    overhead_latency: Histograms<Named>,
    replayed: Family<Replayed, Counter>,
    lag: Histograms<Of>,
    response: Histograms<Of>,
    /// Those that have series, found once and not for every call.
    known: Mutex<BTreeMap<Of, Arc<Meters>>>,
    /// Those that were replayed.
    known_replays: Mutex<BTreeMap<Of, Arc<Replays>>>,
}

/// The series of one variant.
#[derive(Debug)]
pub(crate) struct Meters {
    service: Histogram,
    overhead: Histogram,
    invocations: Counter,
    refused: Counter,
    failed: Counter,
    model_latency: Histogram,
    overhead_latency: Histogram,
}

/// The series of replays to one variant.
#[derive(Debug)]
pub(crate) struct Replays {
    outcomes: [Counter; Outcome::ALL.len()],
    lag: Histogram,
    response: Histogram,
}

impl Default for Endpoints {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let microseconds: fn() -> Histogram = || Histogram::new(MICROSECONDS);
        Self {
            service: Family::new_with_constructor(seconds),
            overhead: Family::new_with_constructor(seconds),
            invocations: Family::default(),
            refused: Family::default(),
            failed: Family::default(),
            model_latency: Family::new_with_constructor(microseconds),
            overhead_latency: Family::new_with_constructor(microseconds),
            replayed: Family::default(),
            lag: Family::new_with_constructor(seconds),
            response: Family::new_with_constructor(seconds),
            known: Mutex::default(),
            known_replays: Mutex::default(),
        }
    }
}

impl Endpoints {
    pub(super) fn register(&self, registry: &mut Registry) {
        let histograms = [
            (
                "freehold_inference_service_duration",
                "How long variants themselves took, by what they tell",
                &self.service,
            ),
            (
                "freehold_inference_overhead_duration",
                "What of the time until an answer variants did not take",
                &self.overhead,
            ),
            (
                "freehold_replay_dispatch_lag",
                "How much later than intended replays sent requests",
                &self.lag,
            ),
            (
                "freehold_replay_response_duration",
                "Time from when a replayed request was intended until its answer",
                &self.response,
            ),
        ];
        for (name, help, family) in histograms {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        let help = "Requests of replays by what became of them";
        registry.register("freehold_replay_requests", help, self.replayed.clone());
        let counters = [
            ("Invocations", "Requests to an endpoint, in SageMaker's words", &self.invocations),
            ("Invocation4XXErrors", "Those answered with a status from 400", &self.refused),
            ("Invocation5XXErrors", "Those answered with a status from 500", &self.failed),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        let help = "How long models took, in microseconds";
        registry.register("ModelLatency", help, self.model_latency.clone());
        let help = "What of the time until an answer models did not take, in microseconds";
        registry.register("OverheadLatency", help, self.overhead_latency.clone());
    }

    /// The series of a variant.
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Arc<Meters> {
        let of = Of::from(endpoint);
        let mut known = self.known.lock();
        Arc::clone(known.entry(of).or_insert_with_key(|of| Arc::new(self.made(of))))
    }

    /// The series of replays to a variant.
    pub(crate) fn replays(&self, endpoint: &Endpoint) -> Arc<Replays> {
        let made = |of: &Of| {
            let outcome = |outcome: Outcome| {
                let labels = Replayed::of(of, outcome);
                self.replayed.get_or_create(&labels).clone()
            };
            Arc::new(Replays {
                outcomes: Outcome::ALL.map(outcome),
                lag: self.lag.get_or_create(of).clone(),
                response: self.response.get_or_create(of).clone(),
            })
        };
        let mut known = self.known_replays.lock();
        Arc::clone(known.entry(Of::from(endpoint)).or_insert_with_key(made))
    }

    fn made(&self, of: &Of) -> Meters {
        let named = Named::of(of);
        Meters {
            service: self.service.get_or_create(of).clone(),
            overhead: self.overhead.get_or_create(of).clone(),
            invocations: self.invocations.get_or_create(&named).clone(),
            refused: self.refused.get_or_create(&named).clone(),
            failed: self.failed.get_or_create(&named).clone(),
            model_latency: self.model_latency.get_or_create(&named).clone(),
            overhead_latency: self.overhead_latency.get_or_create(&named).clone(),
        }
    }

    /// Forgets variants that are no more, which these routes say by account, name and variant.
    pub(crate) fn keep(&self, is_there: impl Fn(&str, &str, &str) -> bool) {
        self.known.lock().retain(|of, _| {
            let stays = is_there(&of.account, &of.endpoint, &of.variant);
            if !stays {
                self.forget(of);
            }
            stays
        });
        self.known_replays.lock().retain(|of, _| {
            let stays = is_there(&of.account, &of.endpoint, &of.variant);
            if !stays {
                self.forget_replays(of);
            }
            stays
        });
    }

    fn forget(&self, of: &Of) {
        let named = Named::of(of);
        for family in [&self.service, &self.overhead] {
            family.remove(of);
        }
        for family in [&self.invocations, &self.refused, &self.failed] {
            family.remove(&named);
        }
        for family in [&self.model_latency, &self.overhead_latency] {
            family.remove(&named);
        }
    }

    fn forget_replays(&self, of: &Of) {
        for family in [&self.lag, &self.response] {
            family.remove(of);
        }
        for outcome in Outcome::ALL {
            self.replayed.remove(&Replayed::of(of, outcome));
        }
    }
}

impl From<&Endpoint> for Of {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            account: endpoint.account_name.to_string(),
            endpoint: endpoint.name.to_string(),
            variant: endpoint.variant.to_string(),
        }
    }
}

impl Named {
    fn of(of: &Of) -> Self {
        let Of { account, endpoint, variant } = of.clone();
        Self { account, EndpointName: endpoint, VariantName: variant }
    }
}

impl Replayed {
    fn of(of: &Of, outcome: Outcome) -> Self {
        let Of { account, endpoint, variant } = of.clone();
        Self { account, endpoint, variant, outcome: outcome.word() }
    }
}

impl Meters {
    /// Counts a request that was answered: how long that took, and how long of it the variant.
    pub(crate) fn answered(&self, ns: u64, service_us: u64) {
        let own_ns = service_us.saturating_mul(1_000).min(ns);
        let overhead_ns = ns - own_ns;
        self.invocations.inc();
        self.service.observe(seconds(own_ns));
        self.overhead.observe(seconds(overhead_ns));
        self.model_latency.observe(seconds(own_ns) * 1e6);
        self.overhead_latency.observe(seconds(overhead_ns) * 1e6);
    }

    /// Counts a request that was refused, or that failed.
    pub(crate) fn ended_badly(&self, is_refused: bool) {
        self.invocations.inc();
        let counter = if is_refused { &self.refused } else { &self.failed };
        counter.inc();
    }
}

impl Replays {
    /// Counts a request of a replay.
    pub(crate) fn count(&self, record: &Record) {
        self.outcomes[record.outcome as usize].inc();
        if let Some(lag_ns) = record.lag_ns() {
            self.lag.observe(seconds(lag_ns));
        }
        if let Some(response_ns) = record.response_ns() {
            self.response.observe(seconds(response_ns));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "histograms count floats")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn told(endpoints: &Endpoints) -> String {
        let mut registry = Registry::default();
        endpoints.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn latencies_are_parts_of_the_time_until_an_answer_and_series_end_with_their_variant() {
        let endpoints = Endpoints::default();
        let of = |variant: &str| Of {
            account: "acme".to_owned(),
            endpoint: "risk".to_owned(),
            variant: variant.to_owned(),
        };
        for variant in ["main", "next"] {
            let meters = endpoints.made(&of(variant));
            // What a variant tells is never longer than what is seen of it.
            meters.answered(3_000_000, 1_000);
            meters.answered(1_000_000, 5_000);
            meters.ended_badly(true);
            meters.ended_badly(false);
            endpoints.known.lock().insert(of(variant), Arc::new(meters));
        }
        let text = told(&endpoints);
        let labels = "{account=\"acme\",EndpointName=\"risk\",VariantName=\"main\"}";
        for line in [
            format!("Invocations_total{labels} 4"),
            format!("Invocation4XXErrors_total{labels} 1"),
            format!("Invocation5XXErrors_total{labels} 1"),
            format!("ModelLatency_sum{labels} 2000.0"),
            format!("OverheadLatency_sum{labels} 2000.0"),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
        assert!(!text.contains("freehold_replay_requests_total{"), "nothing was replayed");
        endpoints.keep(|_, _, variant| variant == "next");
        let text = told(&endpoints);
        assert!(!text.contains("main") && text.contains("next"), "{text}");
    }
}
