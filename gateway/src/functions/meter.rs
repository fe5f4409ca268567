//! Meters: what a call is counted as, when it is over.
//!
//! Always true: a call that ran is counted once; one whose answer was not read to its end counts as
//! a fault of the time until then.

use std::sync::Arc;

use api::internal::functions::Called;
use api::usage::Consumption;
use types::FunctionId;
use workflow::Clock;

use super::Function;
use super::allowances::Taken;
use super::concurrency::Turn;
use super::links;
use super::metrics::UnderWay;
use super::traces::Trace;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::usage::{FunctionUse, Usage};

/// A call that runs, and what it holds until it is over.
pub(super) struct Meter {
    usage: Arc<Usage>,
    metrics: Arc<Metrics>,
    clock: Clock,
    function: Arc<Function>,
    of: FunctionUse,
    memory_mib: u32,
    /// Whose log tells of it, and as which request.
    log: Option<(FunctionId, String)>,
    trace: Option<Trace>,
    began_us: u64,
    counted: bool,
    _held: (Taken, Option<Turn>, UnderWay),
}

/// What a call is counted by.
pub(super) struct Counted {
    pub(super) function: Arc<Function>,
    pub(super) of: FunctionUse,
    pub(super) memory_mib: u32,
    pub(super) log: Option<(FunctionId, String)>,
    /// Where a collector is told of it.
    pub(super) trace: Option<Trace>,
}

impl Meter {
    /// A call that was taken over by a host.
    pub(super) fn new(
        hub: &Hub,
        counted: Counted,
        began_us: u64,
        (mut taken, turn, under_way): (Taken, Option<Turn>, UnderWay),
    ) -> Self {
        taken.ran();
        let Counted { function, of, memory_mib, log, trace } = counted;
        Self {
            usage: Arc::clone(&hub.usage),
            metrics: Arc::clone(&hub.metrics),
            clock: hub.clock.clone(),
            function,
            of,
            memory_mib,
            log,
            trace,
            began_us,
            counted: false,
            _held: (taken, turn, under_way),
        }
    }

    /// Counts it, the first time it is said to be over.
    pub(super) fn ended(&mut self, called: &Called) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        self.metrics.functions.called(&self.function, called);
        self.usage.count_function(self.of, &consumption(called, self.memory_mib));
        if let Some((link, id)) = &self.log {
            self.usage.log_link(*link, self.clock.now_ms(), links::report(id, called));
        }
        if let Some(trace) = self.trace.take() {
            trace.end(called, self.clock.now_us());
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.counted {
            return;
        }
        let duration_us = self.clock.now_us().saturating_sub(self.began_us);
        self.ended(&Called {
            error: Some("Sandbox.Abandoned".to_owned()),
            duration_us,
            ..Called::default()
        });
    }
}

/// What a call came to.
fn consumption(called: &Called, memory_mib: u32) -> Consumption {
    let duration_ms = called.duration_us.div_ceil(1_000);
    let error = called.error.as_deref();
    // The function's own errors have its name before them; the rest happened to it.
    let failed = error.is_some_and(|kind| kind.starts_with("Function."));
    Consumption {
        calls: 1,
        failures: u64::from(failed),
        faults: u64::from(error.is_some() && !failed),
        duration_ms,
        memory_mib_ms: duration_ms.saturating_mul(u64::from(memory_mib)),
    }
}
