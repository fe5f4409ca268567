use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const BYTES_PER_ROW: u64 = 1_000;

/// Runs a queue that never ends; gives how many rows each run had.
fn run(costs: &mut Costs, rows_max: u32, times: usize, ns_per_row: &[u64]) -> Vec<u32> {
    let one = |_| {
        let rows = costs.rows_max(rows_max);
        let ns = u64::from(rows) * ns_per_row[class_of(rows)];
        costs.ran(rows, u64::from(rows) * BYTES_PER_ROW, ns);
        rows
    };
    (0..times).map(one).collect()
}

/// Enough runs to know every class of up to 64 rows: 3 runs of 7 classes, in one run of 16.
const LEARNING: usize = 16 * 7 * 3 + 16;
/// Enough to notice that the machine has changed: 3 of the latest 5 runs of each of 7 classes.
const NOTICING: usize = 64 * 7 * 3 + 64;

/// What a row costs in each class, in nanoseconds.
fn ns_per_row() -> impl Strategy<Value = Vec<u64>> {
    vec(1_000..100_000_u64, CLASSES)
}

/// How many of the runs cost more than the cheapest class by more than the tolerance.
fn dear(runs: &[u32], rows_max: u32, ns_per_row: &[u64]) -> usize {
    let cheapest = ns_per_row[..=class_of(rows_max)].iter().min().unwrap();
    // The cost is rounded down to a part of a byte's.
    let enough = |rows| (ns_per_row[class_of(rows)] - 1) * 32 <= cheapest * 33;
    runs.iter().filter(|&&rows| !enough(rows)).count()
}

proptest! {
    /// The limit is at least one row, and never above the producer's.
    #[test]
    fn the_limit_keeps_to_the_producers(
        runs in vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..200),
        rows_max: u32,
    ) {
        let mut costs = Costs::default();
        for (rows, bytes, ns) in runs {
            costs.ran(rows, bytes, ns);
            prop_assert!((1..=rows_max.max(1)).contains(&costs.rows_max(rows_max)));
        }
    }

    /// With work for any size: once every class is known, all runs but the trials are of a size
    /// that costs about as little as the cheapest, whatever the sizes cost.
    #[test]
    fn the_cheapest_size_is_found(ns_per_row in ns_per_row(), rows_max in 1..=64_u32) {
        let mut costs = Costs::default();
        run(&mut costs, rows_max, LEARNING, &ns_per_row);
        let runs = run(&mut costs, rows_max, 640, &ns_per_row);
        prop_assert!(dear(&runs, rows_max, &ns_per_row) <= 10);
    }

    /// The same after the costs have changed.
    #[test]
    fn a_change_is_noticed(
        before in ns_per_row(),
        after in ns_per_row(),
        rows_max in 1..=64_u32,
    ) {
        let mut costs = Costs::default();
        run(&mut costs, rows_max, LEARNING, &before);
        run(&mut costs, rows_max, NOTICING, &after);
        let runs = run(&mut costs, rows_max, 640, &after);
        prop_assert!(dear(&runs, rows_max, &after) <= 10);
    }

    /// Runs that are no larger than what waits tell nothing of larger ones: these stay allowed
    /// where the largest that was measured is about as cheap as any.
    #[test]
    fn what_is_not_measured_does_not_lower_the_limit(waiting in 1..=64_u32, runs in 0..500_usize) {
        let mut costs = Costs::default();
        for _ in 0..runs {
            let rows = costs.rows_max(64).min(waiting);
            costs.ran(rows, u64::from(rows) * BYTES_PER_ROW, 5_000 + u64::from(rows) * 1_000);
        }
        if !costs.runs.is_multiple_of(TRIAL_UNKNOWN) {
            prop_assert_eq!(costs.rows_max(64), 64);
        }
    }
}

#[test]
fn a_slow_run_now_and_then_changes_nothing() {
    let mut costs = Costs::default();
    let cheaper_together = [1_000, 1_000, 1_000, 900];
    run(&mut costs, 8, LEARNING, &cheaper_together);
    for _ in 0..2 {
        costs.ran(8, 8 * BYTES_PER_ROW, 1_000_000);
    }
    assert_eq!(best(&costs.classes[..=class_of(8)]), class_of(8));
}

#[test]
fn classes_end_at_powers_of_two() {
    let classes = [0, 1, 2, 3, 4, 5, 8, 9, u32::MAX].map(class_of);
    assert_eq!(classes, [0, 0, 1, 2, 2, 3, 3, 4, 32]);
}
