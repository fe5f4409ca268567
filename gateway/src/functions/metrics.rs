//! Metrics of functions, under OpenTelemetry's names for functions as a service.
//!
//! Always true: series are those of functions in the routes; of one that is removed, none is kept.
//! Absent on purpose: what a call was about, who called. Source: OpenTelemetry's semantic
//! conventions for `faas.*`; what they have no name for begins with `freehold`.

use std::collections::BTreeSet;

use api::internal::functions::Called;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Function;

/// Upper bounds in seconds: few, since each function has series of its own.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
/// Upper bounds of memory in bytes: the sizes that are usual.
const BYTES: [f64; 8] = [
    33_554_432.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
    536_870_912.0,
    1_073_741_824.0,
    2_147_483_648.0,
    10_737_418_240.0,
];
/// How errors of deadlines begin.
const TIMED_OUT: &str = "Sandbox.Timedout";

/// Whose series it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Of {
    account: String,
    faas_name: String,
}

/// A part of starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics of all functions.
#[derive(Debug)]
pub(crate) struct Functions {
    invocations: Family<Of, Counter>,
    errors: Family<Of, Counter>,
    timeouts: Family<Of, Counter>,
    coldstarts: Family<Of, Counter>,
    throttles: Family<Of, Counter>,
    under_way: Family<Of, Gauge>,
    invoke: Histograms<Of>,
    init: Histograms<Of>,
    queue: Histograms<Of>,
    memory: Histograms<Of>,
    /// Not by function: five parts of each would be too many series.
    start: Histograms<Part>,
    /// Those that have series.
    known: Mutex<BTreeSet<Of>>,
}

impl Default for Functions {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let bytes: fn() -> Histogram = || Histogram::new(BYTES);
        Self {
            invocations: Family::default(),
            errors: Family::default(),
            timeouts: Family::default(),
            coldstarts: Family::default(),
            throttles: Family::default(),
            under_way: Family::default(),
            invoke: Family::new_with_constructor(seconds),
            init: Family::new_with_constructor(seconds),
            queue: Family::new_with_constructor(seconds),
            memory: Family::new_with_constructor(bytes),
            start: Family::new_with_constructor(seconds),
            known: Mutex::default(),
        }
    }
}

/// A call under way; counted until dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Functions {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let counters = [
            ("faas_invocations", "Calls that were run well", &self.invocations),
            ("faas_errors", "Calls that failed", &self.errors),
            ("faas_timeouts", "Calls that took too long", &self.timeouts),
            ("faas_coldstarts", "Calls that waited for a start of their own", &self.coldstarts),
            ("freehold_faas_throttles", "Calls that were refused for now", &self.throttles),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        let help = "Calls that wait or run";
        registry.register("freehold_faas_active_invocations", help, self.under_way.clone());
        let histograms = [
            ("faas_invoke_duration", "How long handlers took", Unit::Seconds, &self.invoke),
            ("faas_init_duration", "How long programs took to begin", Unit::Seconds, &self.init),
            ("freehold_faas_queue_duration", "How long calls waited", Unit::Seconds, &self.queue),
            ("faas_mem_usage", "The most memory of an instance so far", Unit::Bytes, &self.memory),
        ];
        for (name, help, unit, family) in histograms {
            registry.register_with_unit(name, help, unit, family.clone());
        }
        let help = "Where the time of starts went";
        let start = self.start.clone();
        registry.register_with_unit("freehold_faas_start_duration", help, Unit::Seconds, start);
    }

    /// Counts a call that is given to a host.
    pub(crate) fn begin(&self, function: &Function) -> UnderWay {
        let gauge = self.under_way.get_or_create(&self.of(function)).clone();
        gauge.inc();
        UnderWay(gauge)
    }

    /// Counts a call that was run.
    pub(crate) fn called(&self, function: &Function, called: &Called) {
        let of = self.of(function);
        match &called.error {
            None => self.invocations.get_or_create(&of).inc(),
            Some(_) => self.errors.get_or_create(&of).inc(),
        };
        if called.error.as_deref() == Some(TIMED_OUT) {
            self.timeouts.get_or_create(&of).inc();
        }
        self.invoke.get_or_create(&of).observe(seconds(called.duration_us));
        self.queue.get_or_create(&of).observe(seconds(called.waited_us));
        if called.memory_peak_bytes > 0 {
            self.memory.get_or_create(&of).observe(bytes(called.memory_peak_bytes));
        }
        if let Some(start) = called.start {
            self.coldstarts.get_or_create(&of).inc();
            self.init.get_or_create(&of).observe(seconds(start.init_us));
            for (part, us) in start.explained(called.waited_us) {
                self.start.get_or_create(&Part { part }).observe(seconds(us));
            }
        }
    }

    /// Counts a call that was refused because enough others run or wait.
    pub(crate) fn throttled(&self, function: &Function) {
        self.throttles.get_or_create(&self.of(function)).inc();
    }

    /// Forgets those that are no more, which these routes say by account and name.
    pub(crate) fn keep(&self, is_there: impl Fn(&str, &str) -> bool) {
        self.known.lock().retain(|of| {
            let stays = is_there(&of.account, &of.faas_name);
            if !stays {
                self.forget(of);
            }
            stays
        });
    }

    fn forget(&self, of: &Of) {
        let counters =
            [&self.invocations, &self.errors, &self.timeouts, &self.coldstarts, &self.throttles];
        for family in counters {
            family.remove(of);
        }
        for family in [&self.invoke, &self.init, &self.queue, &self.memory] {
            family.remove(of);
        }
        self.under_way.remove(of);
    }

    /// The labels of a function, which is known from now on.
    fn of(&self, function: &Function) -> Of {
        let account = function.account_name().to_string();
        let of = Of { account, faas_name: function.told.name.to_string() };
        let mut known = self.known.lock();
        if !known.contains(&of) {
            known.insert(of.clone());
        }
        of
    }
}

#[expect(clippy::cast_precision_loss, reason = "histograms count floats")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "histograms count floats")]
fn bytes(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use api::internal::functions::{FunctionRoute, StartTimes};
    use prometheus_client::encoding::text::encode;
    use types::{AccountId, FunctionId};
    use uuid::Uuid;

    use super::*;

    fn function(name: &str) -> Function {
        let told = FunctionRoute {
            function: FunctionId::new(Uuid::from_u128(1)),
            account: AccountId::new(Uuid::from_u128(7)),
            account_name: "acme".parse().unwrap(),
            name: name.parse().unwrap(),
            versions: [].into(),
            aliases: [].into(),
            concurrency_max: None,
            permissions: Vec::new(),
            link: None,
            sizing: None,
            urls: vec![],
        };
        Function::build(told, None)
    }

    fn called(error: Option<&str>, start: Option<StartTimes>) -> Called {
        Called {
            error: error.map(str::to_owned),
            media_type: None,
            duration_us: 2_000_000,
            waited_us: 30_000,
            start,
            memory_peak_bytes: 40 << 20,
            log_tail: None,
            stale_ms: None,
            ..Called::default()
        }
    }

    /// The lines of one function, but for buckets.
    fn told(functions: &Functions, name: &str) -> Vec<String> {
        let mut registry = Registry::default();
        functions.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let mark = format!("{{account=\"acme\",faas_name=\"{name}\"}}");
        text.lines()
            .filter(|line| line.contains(&mark))
            .map(|line| line.replace(&mark, ""))
            .collect()
    }

    #[test]
    fn a_function_has_the_series_that_operators_know_until_it_is_gone() {
        let functions = Functions::default();
        let (one, other) = (function("one"), function("other"));
        let start = StartTimes { code_us: 1, sandbox_us: 2, init_us: 9_000, dependencies_us: 0 };
        functions.called(&one, &called(None, Some(start)));
        functions.called(&one, &called(Some("Function.KeyError"), None));
        functions.called(&one, &called(Some("Sandbox.Timedout"), None));
        functions.throttled(&one);
        let under_way = functions.begin(&one);
        functions.called(&other, &called(None, None));
        let seen = told(&functions, "one");
        for line in [
            "faas_invocations_total 1",
            "faas_errors_total 2",
            "faas_timeouts_total 1",
            "faas_coldstarts_total 1",
            "freehold_faas_throttles_total 1",
            "freehold_faas_active_invocations 1",
            "faas_invoke_duration_seconds_count 3",
            "faas_invoke_duration_seconds_sum 6.0",
            "faas_init_duration_seconds_sum 0.009",
            "freehold_faas_queue_duration_seconds_count 3",
            "faas_mem_usage_bytes_count 3",
        ] {
            assert!(seen.contains(&line.to_owned()), "{line}: {seen:#?}");
        }
        drop(under_way);
        let idle = "freehold_faas_active_invocations 0".to_owned();
        assert!(told(&functions, "one").contains(&idle));
        functions.keep(|account, name| (account, name) == ("acme", "other"));
        assert_eq!(told(&functions, "one"), Vec::<String>::new());
        assert!(!told(&functions, "other").is_empty());
    }

    #[test]
    fn the_parts_of_a_start_are_the_whole_of_its_wait() {
        let start = StartTimes { code_us: 1, sandbox_us: 2, init_us: 3, dependencies_us: 4 };
        for waited_us in [10, 11, 1_000_000] {
            let sum: u64 = start.explained(waited_us).iter().map(|(_, us)| us).sum();
            assert_eq!(sum, waited_us);
        }
        // It had begun before the call came.
        assert!(start.explained(5).contains(&("scheduling", 0)));
    }
}
