use proptest::prelude::*;

use types::functions::CONCURRENCY_MAX;

use super::*;

fn several(calls: u32) -> Concurrency {
    Concurrency::try_from(calls).unwrap()
}

/// Places of the instances that are being made.
fn coming(has: &Instances) -> u32 {
    has.starting * has.concurrency.get()
}

prop_compose! {
    fn instances()(
        concurrency in 1..=CONCURRENCY_MAX,
        places in 0..3_u32,
        busy in 0..20_u32,
        starting in 0..20_u32,
        waiting in 0..40_u32,
        call_us in proptest::option::of(0..10_000_000_u64),
        start_us in proptest::option::of(0..1_000_000_u64),
        full_us in 0..1_000_000_u64,
    ) -> Instances {
        let concurrency = several(concurrency);
        Instances { concurrency, places, busy, starting, waiting, call_us, start_us, full_us }
    }
}

prop_compose! {
    fn limits()(instances_max in 0..30_u32, room in 0..10_u32, waiting_max in 0..40_u32) -> Limits {
        Limits { instances_max, room, waiting_max }
    }
}

proptest! {
    /// A place is used; without one nothing is.
    #[test]
    fn a_place_is_used_at_once(has in instances(), limits in limits()) {
        prop_assert_eq!(dispatch(&has, &limits) == Dispatch::Use, has.places > 0);
    }

    /// A call goes to an instance that has a place, and none that has one has more calls.
    #[test]
    fn the_fullest_with_a_place_is_used(
        calls in proptest::collection::vec(0..5_u32, 0..8),
        most in 1..5_u32,
    ) {
        let open: Vec<u32> = calls.iter().copied().filter(|calls| *calls < most).collect();
        let used = fullest(calls.iter().copied(), several(most)).map(|at| calls[at]);
        prop_assert_eq!(used, open.iter().copied().max());
    }

    /// No limit is passed, and no more is made than is waited for.
    #[test]
    fn limits_are_kept(has in instances(), limits in limits()) {
        match dispatch(&has, &limits) {
            Dispatch::Make => {
                prop_assert!(has.busy + has.starting < limits.instances_max && limits.room > 0);
                prop_assert!(coming(&has) <= has.waiting);
            }
            Dispatch::Wait => {
                prop_assert!(has.waiting < limits.waiting_max);
                prop_assert!(has.busy + has.starting > 0);
            }
            Dispatch::Use | Dispatch::Throttled | Dispatch::Full => {}
        }
    }

    /// Whoever comes back when told finds that those who waited have run, or has waited for a minute;
    /// and nobody is told to come back at once.
    #[test]
    fn a_refused_call_comes_back_when_those_before_it_have_run(has in instances()) {
        let wait_ms = retry_ms(&has);
        prop_assert!((RETRY_MS_MIN..=RETRY_MS_MAX).contains(&wait_ms));
        let work_us = u128::from(has.call_us.unwrap_or(0)) * u128::from(has.waiting);
        let places = (has.busy + has.starting).max(1) * has.concurrency.get();
        let done_us = u128::from(wait_ms) * 1_000 * u128::from(places);
        prop_assert!(done_us >= work_us || wait_ms == RETRY_MS_MAX, "{wait_ms}");
        let fewer = Instances { waiting: has.waiting / 2, ..has };
        prop_assert!(retry_ms(&fewer) <= wait_ms);
    }

    /// A call is refused only where it can neither wait nor have an instance made for it.
    #[test]
    fn nothing_is_refused_without_need(has in instances(), limits in limits()) {
        let refused = matches!(dispatch(&has, &limits), Dispatch::Throttled | Dispatch::Full);
        let may_wait = has.waiting < limits.waiting_max && has.busy + has.starting > 0;
        let room = has.busy + has.starting < limits.instances_max && limits.room > 0;
        let may_make = room && coming(&has) <= has.waiting;
        prop_assert_eq!(refused, has.places == 0 && !may_wait && !may_make);
    }

    /// A burst on a function that has nothing makes as many instances as its calls fill, up to the
    /// limit, and lets the others wait.
    #[test]
    fn a_burst_makes_what_it_needs(
        calls in 1..60_u32,
        most in 1..9_u32,
        instances_max in 0..30_u32,
        room in 0..10_u32,
    ) {
        let limits = Limits { instances_max, room, waiting_max: 60 };
        let mut has = Instances { concurrency: several(most), ..Instances::default() };
        let mut left = limits;
        let mut made = 0;
        for _ in 0..calls {
            match dispatch(&has, &left) {
                Dispatch::Make => {
                    has.starting += 1;
                    has.waiting += 1;
                    left.room -= 1;
                    made += 1;
                }
                Dispatch::Wait => has.waiting += 1,
                Dispatch::Use => prop_assert!(false, "nothing has a place"),
                Dispatch::Throttled | Dispatch::Full => {}
            }
        }
        let filled = calls.div_ceil(most);
        prop_assert_eq!(made, filled.min(limits.instances_max).min(limits.room));
    }

    /// The longer calls take, and the longer no place was free, the sooner another instance is made;
    /// the longer a start takes, the later.
    #[test]
    fn longer_calls_make_more_and_longer_starts_fewer(
        has in instances(),
        limits in limits(),
        more_us in 0..10_000_000_u64,
    ) {
        let makes = |has: &Instances| dispatch(has, &limits) == Dispatch::Make;
        let slower = Instances { call_us: has.call_us.map(|us| us + more_us), ..has };
        let colder = Instances { start_us: has.start_us.map(|us| us + more_us), ..has };
        let fuller = Instances { full_us: has.full_us + more_us, ..has };
        prop_assert!(!makes(&has) || makes(&slower) && makes(&fuller));
        prop_assert!(!makes(&colder) || makes(&has));
    }
}

#[test]
fn a_short_wait_is_better_than_a_long_start() {
    let limits = Limits { instances_max: 10, room: 10, waiting_max: 100 };
    let has =
        Instances { busy: 2, call_us: Some(2_000), start_us: Some(20_000), ..Instances::default() };
    assert_eq!(dispatch(&has, &limits), Dispatch::Wait);
    assert_eq!(dispatch(&Instances { waiting: 30, ..has }, &limits), Dispatch::Make);
    assert_eq!(dispatch(&Instances { call_us: Some(90_000), ..has }, &limits), Dispatch::Make);
    // For as long as a start takes every call has had to wait.
    assert_eq!(dispatch(&Instances { full_us: 10_000, ..has }, &limits), Dispatch::Wait);
    assert_eq!(dispatch(&Instances { full_us: 20_000, ..has }, &limits), Dispatch::Make);
    let full = Limits { room: 0, waiting_max: 0, ..limits };
    assert_eq!(dispatch(&has, &full), Dispatch::Full);
    assert_eq!(dispatch(&has, &Limits { instances_max: 2, ..full }), Dispatch::Throttled);
}
