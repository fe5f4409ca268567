use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

prop_compose! {
    fn settings()(
        rows_max in 0..40_u32,
        delay_us_max in prop_oneof![Just(0), 1..5_000_u64],
        queue_rows_max in 1..200_u32,
    ) -> Settings {
        Settings { rows_max, delay_us_max, queue_rows_max }
    }
}

fn rows() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..3_u32, 1 => 0..12_u32]
}

fn budgets_us() -> impl Strategy<Value = u64> {
    prop_oneof![1..5_000_u64, 1..20_000_u64, Just(u64::MAX)]
}

prop_compose! {
    /// A queue in the order of arrival, which is looked at shortly before or after [`NOW_US`], some
    /// of it expired then.
    fn queues()(
        requests in vec((0..400_u64, rows(), 0..3_u64, budgets_us()), 0..20),
        before_us in 0..2_000_u64,
    ) -> Vec<Waiting> {
        let mut arrived_us = NOW_US - before_us;
        let arrive = |(number, (gap_us, rows, shape_key, budget_us))| {
            arrived_us += gap_us;
            let deadline_us = arrived_us.saturating_add(budget_us);
            Waiting { number, rows, shape_key, arrived_us, deadline_us }
        };
        (0..).zip(requests).map(arrive).collect()
    }
}

const NOW_US: u64 = 10_000;

fn find(queue: &[Waiting], number: u64) -> Waiting {
    *queue.iter().find(|one| one.number == number).unwrap()
}

fn alive(queue: &[Waiting], now_us: u64) -> Vec<Waiting> {
    queue.iter().filter(|one| one.deadline_us > now_us).copied().collect()
}

proptest! {
    /// Exactly the requests past their deadline are refused, and none of them runs.
    #[test]
    fn the_expired_are_refused_and_never_run(
        queue in queues(),
        busy: bool,
        settings in settings(),
    ) {
        let decided = decide(&queue, NOW_US, busy, &settings);
        let expired: Vec<_> =
            queue.iter().filter(|one| one.deadline_us <= NOW_US).map(|one| one.number).collect();
        prop_assert_eq!(&decided.expired, &expired);
        if let Decision::Run { numbers } = decided.decision {
            prop_assert!(numbers.iter().all(|number| !expired.contains(number)));
        }
    }

    /// A batch has one shape, keeps to the limit unless it is a single request, is led by the
    /// oldest, and leaves out nobody of its shape who came before its last member.
    #[test]
    fn a_batch_is_the_oldest_of_one_shape(queue in queues(), settings in settings()) {
        let Decision::Run { numbers } = decide(&queue, NOW_US, false, &settings).decision else {
            return Ok(());
        };
        let alive = alive(&queue, NOW_US);
        prop_assert_eq!(numbers[0], alive[0].number);
        let key = alive[0].shape_key;
        let of_shape: Vec<_> =
            alive.iter().filter(|one| one.shape_key == key).map(|one| one.number).collect();
        prop_assert_eq!(&numbers[..], &of_shape[..numbers.len()]);
        let rows: u32 = numbers.iter().map(|number| find(&queue, *number).rows.max(1)).sum();
        prop_assert!(rows <= settings.rows_max.max(1) || numbers.len() == 1);
    }

    /// A busy engine runs nothing, and an idle one with requests never sleeps for ever.
    #[test]
    fn a_free_engine_with_work_always_has_a_next_time(
        queue in queues(),
        busy: bool,
        settings in settings(),
    ) {
        let alive = alive(&queue, NOW_US);
        match decide(&queue, NOW_US, busy, &settings).decision {
            Decision::Run { numbers } => prop_assert!(!busy && !numbers.is_empty()),
            Decision::WaitUntil { us } => prop_assert!(us > NOW_US && !alive.is_empty()),
            Decision::Idle => prop_assert!(
                alive.is_empty() || busy && alive.iter().all(|one| one.deadline_us == u64::MAX)
            ),
        }
    }

    /// Waking at the time promised brings a run or a refusal; waking before it brings neither.
    #[test]
    fn the_promised_time_is_exact(queue in queues(), settings in settings()) {
        let Decision::WaitUntil { us } = decide(&queue, NOW_US, false, &settings).decision else {
            return Ok(());
        };
        let then = decide(&queue, us, false, &settings);
        let expired_now = decide(&queue, NOW_US, false, &settings).expired.len();
        let runs = matches!(then.decision, Decision::Run { .. });
        prop_assert!(runs || then.expired.len() > expired_now);
        let just_before = decide(&queue, us - 1, false, &settings);
        let runs_early = matches!(just_before.decision, Decision::Run { .. });
        prop_assert!(!runs_early);
        prop_assert_eq!(just_before.expired.len(), expired_now);
    }

    /// Served by a free engine at the times promised, every request that is alive runs once, before
    /// half of its time or its delay is over, whichever comes first, plus the batches before it.
    #[test]
    fn nobody_starves(queue in queues(), settings in settings()) {
        let mut left = queue.clone();
        let mut now_us = queue.last().map_or(0, |last| last.arrived_us);
        let mut served = BTreeSet::new();
        while !left.is_empty() {
            let decided = decide(&left, now_us, false, &settings);
            for number in &decided.expired {
                prop_assert!(served.insert(*number));
            }
            left.retain(|one| !decided.expired.contains(&one.number));
            match decided.decision {
                Decision::Run { numbers } => {
                    for number in &numbers {
                        prop_assert!(served.insert(*number));
                    }
                    left.retain(|one| !numbers.contains(&one.number));
                }
                Decision::WaitUntil { us } => {
                    prop_assert!(us > now_us);
                    now_us = us;
                }
                Decision::Idle => prop_assert!(left.is_empty()),
            }
        }
        prop_assert_eq!(served.len(), queue.len());
    }

    /// A lone request of a free engine is held for its delay or half of its time, no longer.
    #[test]
    fn half_of_the_time_is_left_for_the_run(budget_us in 2..20_000_u64, settings in settings()) {
        let deadline_us = 5 + budget_us;
        let one = Waiting { number: 7, rows: 1, shape_key: 0, arrived_us: 5, deadline_us };
        let held_us = match decide(&[one], 5, false, &settings).decision {
            Decision::WaitUntil { us } => us - 5,
            _ => 0,
        };
        prop_assert!(held_us <= settings.delay_us_max.min(budget_us / 2));
    }

    /// Admission keeps the queue within its limit, except for one request that finds it empty.
    #[test]
    fn the_queue_keeps_to_its_limit(requests in vec(0..50_u32, 0..50), settings in settings()) {
        let mut waiting_rows: u32 = 0;
        for rows in requests {
            if admit(waiting_rows, rows, &settings).is_ok() {
                prop_assert!(
                    waiting_rows == 0 || waiting_rows + rows.max(1) <= settings.queue_rows_max
                );
                waiting_rows += rows.max(1);
            } else {
                prop_assert!(waiting_rows + rows.max(1) > settings.queue_rows_max);
            }
        }
    }
}

#[test]
fn a_full_batch_does_not_wait() {
    let settings = Settings { rows_max: 4, delay_us_max: 1_000, queue_rows_max: 100 };
    let request = |number, rows, shape_key| Waiting {
        number,
        rows,
        shape_key,
        arrived_us: 0,
        deadline_us: u64::MAX,
    };
    let queue = [request(1, 2, 0), request(2, 1, 9), request(3, 2, 0), request(4, 1, 0)];
    let run = |numbers: &[u64]| Decision::Run { numbers: numbers.to_vec() };
    assert_eq!(decide(&queue, 0, false, &settings).decision, run(&[1, 3]));
    assert_eq!(
        decide(&queue[..2], 0, false, &settings).decision,
        Decision::WaitUntil { us: 1_000 }
    );
    assert_eq!(decide(&queue[..2], 1_000, false, &settings).decision, run(&[1]));
    assert_eq!(decide(&queue, 0, true, &settings).decision, Decision::Idle);
    assert_eq!(decide(&[], 0, false, &settings).decision, Decision::Idle);
    let too_long_to_join = [request(1, 3, 0), request(2, 3, 0)];
    assert_eq!(decide(&too_long_to_join, 0, false, &settings).decision, run(&[1]));
    let alone = [request(1, 40, 0), request(2, 1, 0)];
    assert_eq!(decide(&alone, 0, false, &settings).decision, run(&[1]));
}
