//! What an endpoint did since this gateway started: counts and times, as the statistics extension
//! of the protocol asks for them.
//!
//! A request tells the rows of the batch it was part of, not which batch that was; its share of the
//! execution is its rows by the batch's rows. Sums of shares are whole when every request of a
//! batch was counted.
//!
//! Always true: nothing here ever goes down. Absent on purpose: who called (see usage).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::metrics::endpoints::Meters;

/// Most batch sizes told apart; a worker that names more is counted under its largest.
const BATCH_SIZES_MAX: usize = 256;

/// The counts and times of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    counts: Mutex<Counts>,
    /// What operators watch, found once.
    meters: OnceLock<Arc<Meters>>,
}

/// A count, and the nanoseconds it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duration {
    /// How often.
    pub count: u64,
    /// How long in all, in nanoseconds.
    pub ns: u64,
}

impl Duration {
    fn add(&mut self, ns: u64) {
        self.count += 1;
        self.ns = self.ns.saturating_add(ns);
    }
}

/// Where the time of one answered request went, over all stages, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Rows of the request.
    pub rows: u32,
    /// Rows of the batch that the request was part of in the first stage.
    pub batch_rows: u32,
    /// Waiting for a batch and for the engine.
    pub queue_ns: u64,
    /// Making the engine's input.
    pub compute_input_ns: u64,
    /// Running the engine.
    pub compute_infer_ns: u64,
    /// Splitting the engine's output.
    pub compute_output_ns: u64,
}

#[derive(Debug, Default)]
struct Counts {
    last_ms: u64,
    rows: u64,
    success: Duration,
    fail: Duration,
    queue_ns: u64,
    compute_input_ns: u64,
    compute_infer_ns: u64,
    compute_output_ns: u64,
    batches: BTreeMap<u32, Shares>,
}

/// Sums over the requests in batches of one size, each weighted by its rows.
#[derive(Debug, Default)]
struct Shares {
    rows: u64,
    compute_input_ns: u128,
    compute_infer_ns: u128,
    compute_output_ns: u128,
}

/// The statistics at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// When the last request was answered, in milliseconds since 1970; 0 before the first.
    pub last_ms: u64,
    /// Rows answered.
    pub inferences: u64,
    /// Batches run.
    pub executions: u64,
    /// Requests answered, from arrival to answer.
    pub success: Duration,
    /// Requests that failed.
    pub fail: Duration,
    /// Waiting.
    pub queue: Duration,
    /// Making the engine's input.
    pub compute_input: Duration,
    /// Running the engine.
    pub compute_infer: Duration,
    /// Splitting the engine's output.
    pub compute_output: Duration,
    /// By the rows of a batch, smallest first.
    pub batches: Vec<Batch>,
}

/// What was run in batches of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Rows of the batch.
    pub rows: u32,
    /// Making the engine's input.
    pub compute_input: Duration,
    /// Running the engine.
    pub compute_infer: Duration,
    /// Splitting the engine's output.
    pub compute_output: Duration,
}

impl Statistics {
    /// What operators watch of it, found the first time it is asked for.
    pub(crate) fn meters(&self, find: impl FnOnce() -> Arc<Meters>) -> &Meters {
        self.meters.get_or_init(find)
    }

    /// Counts an answered request, that took `ns` in all and ended at `now_ms`.
    pub(crate) fn succeeded(&self, times: &Times, ns: u64, now_ms: u64) {
        let rows = times.rows.max(1);
        let batch_rows = times.batch_rows.max(rows);
        let mut counts = self.counts.lock();
        let counts = &mut *counts;
        counts.last_ms = counts.last_ms.max(now_ms);
        counts.rows += u64::from(rows);
        counts.success.add(ns);
        counts.queue_ns = counts.queue_ns.saturating_add(times.queue_ns);
        counts.compute_input_ns = counts.compute_input_ns.saturating_add(times.compute_input_ns);
        counts.compute_infer_ns = counts.compute_infer_ns.saturating_add(times.compute_infer_ns);
        counts.compute_output_ns = counts.compute_output_ns.saturating_add(times.compute_output_ns);
        let full = counts.batches.len() >= BATCH_SIZES_MAX;
        let size = match counts.batches.last_key_value() {
            Some((&last, _)) if full && !counts.batches.contains_key(&batch_rows) => last,
            _ => batch_rows,
        };
        let shares = counts.batches.entry(size).or_default();
        shares.rows += u64::from(rows);
        shares.compute_input_ns += u128::from(times.compute_input_ns) * u128::from(rows);
        shares.compute_infer_ns += u128::from(times.compute_infer_ns) * u128::from(rows);
        shares.compute_output_ns += u128::from(times.compute_output_ns) * u128::from(rows);
    }

    /// Counts a request that failed after `ns`.
    pub(crate) fn failed(&self, ns: u64) {
        self.counts.lock().fail.add(ns);
    }

    /// The statistics now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let counts = self.counts.lock();
        let batches: Vec<_> = counts.batches.iter().map(|(&rows, it)| batch(rows, it)).collect();
        let of = |ns| Duration { count: counts.success.count, ns };
        Snapshot {
            last_ms: counts.last_ms,
            inferences: counts.rows,
            executions: batches.iter().map(|batch| batch.compute_infer.count).sum(),
            success: counts.success,
            fail: counts.fail,
            queue: of(counts.queue_ns),
            compute_input: of(counts.compute_input_ns),
            compute_infer: of(counts.compute_infer_ns),
            compute_output: of(counts.compute_output_ns),
            batches,
        }
    }
}

fn batch(rows: u32, shares: &Shares) -> Batch {
    let count = shares.rows.div_ceil(u64::from(rows));
    let of = |weighted: u128| Duration {
        count,
        ns: u64::try_from(weighted / u128::from(rows)).unwrap_or(u64::MAX),
    };
    Batch {
        rows,
        compute_input: of(shares.compute_input_ns),
        compute_infer: of(shares.compute_infer_ns),
        compute_output: of(shares.compute_output_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rows: u32, batch_rows: u32) -> Times {
        Times { rows, batch_rows, compute_infer_ns: 100, queue_ns: 7, ..Times::default() }
    }

    #[test]
    fn a_batch_of_several_requests_is_one_execution() {
        let statistics = Statistics::default();
        for rows in [1, 3] {
            statistics.succeeded(&times(rows, 4), 500, 9);
        }
        statistics.succeeded(&times(1, 1), 500, 10);
        statistics.failed(50);
        let snapshot = statistics.snapshot();
        assert_eq!((snapshot.inferences, snapshot.executions, snapshot.last_ms), (5, 2, 10));
        assert_eq!(snapshot.success, Duration { count: 3, ns: 1_500 });
        assert_eq!(snapshot.fail, Duration { count: 1, ns: 50 });
        assert_eq!(snapshot.queue, Duration { count: 3, ns: 21 });
        let infer: Vec<_> = snapshot.batches.iter().map(|b| (b.rows, b.compute_infer)).collect();
        let one = Duration { count: 1, ns: 100 };
        assert_eq!(infer, [(1, one), (4, one)]);
    }

    #[test]
    fn a_worker_that_names_endless_batch_sizes_is_bounded() {
        let statistics = Statistics::default();
        for rows in 1..1_000 {
            statistics.succeeded(&times(1, rows), 1, 1);
        }
        assert!(statistics.snapshot().batches.len() <= BATCH_SIZES_MAX);
    }
}
