use proptest::prelude::*;

use super::*;

#[test]
fn ids_grow_strictly_even_when_time_stands_still() {
    let (clock, handle) = Clock::manual(1_700_000_000_000);
    let mut last = clock.uuid();
    for round in 0..20_000 {
        if round % 9_000 == 0 {
            handle.advance_ms(3);
        }
        let id = clock.uuid();
        assert!(id > last);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        last = id;
    }
}

#[test]
fn an_id_tells_the_time_it_was_made_at() {
    let (clock, _handle) = Clock::manual(1_700_000_000_123);
    let (seconds, nanos) = clock.uuid().get_timestamp().unwrap().to_unix();
    assert_eq!((seconds, nanos / 1_000_000), (1_700_000_000, 123));
}

#[test]
fn two_manual_clocks_from_one_start_are_the_same_clock() {
    let ((one, _), (two, _)) = (Clock::manual(5), Clock::manual(5));
    assert_eq!(one.uuid(), two.uuid());
    assert_eq!(one.random::<32>(), two.random::<32>());
    assert_ne!(one.random::<32>(), one.random::<32>());
}

#[test]
fn the_system_clock_tells_calendar_time_and_never_goes_back() {
    let clock = Clock::system();
    assert!(clock.now_ms() > 1_700_000_000_000);
    assert!(clock.now_us() / 1_000 >= clock.now_ms() - 60_000);
    let mut last = clock.now_us();
    for _ in 0..1_000 {
        let now = clock.now_us();
        assert!(now >= last);
        last = now;
    }
}

#[tokio::test]
async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
    let (clock, handle) = Clock::manual(1_000);
    let mut nap = std::pin::pin!(clock.sleep_ms(50));
    assert!(futures::poll!(&mut nap).is_pending());
    assert_eq!(handle.next_wake_ms(), Some(1_050));
    handle.advance_ms(49);
    assert!(futures::poll!(&mut nap).is_pending());
    handle.advance_ms(1);
    nap.await;
    assert_eq!((handle.sleepers(), clock.now_ms()), (0, 1_050));
}

#[tokio::test]
async fn a_dropped_sleeper_is_forgotten() {
    let (clock, handle) = Clock::manual(0);
    {
        let mut nap = std::pin::pin!(clock.sleep_ms(50));
        assert!(futures::poll!(&mut nap).is_pending());
        assert_eq!(handle.sleepers(), 1);
    }
    assert_eq!(handle.sleepers(), 0);
}

#[tokio::test]
async fn time_that_passes_wakes_a_timer_at_each_of_its_ticks() {
    let (clock, handle) = Clock::manual(0);
    let ticks = Arc::new(Mutex::new(Vec::new()));
    let tasks = crate::Tasks::new();
    let (own, seen) = (clock.clone(), Arc::clone(&ticks));
    tasks.spawn("ticker", async move {
        loop {
            own.sleep_ms(10).await;
            seen.lock().push(own.now_ms());
        }
    });
    handle.pass_ms(35).await;
    assert_eq!(*ticks.lock(), [10, 20, 30]);
    assert_eq!(clock.now_ms(), 35);
    assert_eq!(tasks.stop(0).await.len(), 1);
}

#[tokio::test]
async fn work_past_its_limit_is_dropped() {
    let (clock, handle) = Clock::manual(0);
    assert_eq!(clock.within_ms(5, async { 7 }).await, Ok(7));
    let late = clock.within_ms(5, std::future::pending::<()>());
    let (late, ()) = tokio::join!(late, handle.pass_ms(5));
    assert_eq!(late, Err(Elapsed { limit_ms: 5 }));
}

proptest! {
    /// Whatever the machine's clock does, the next id is larger than the last.
    #[test]
    fn a_clock_set_back_never_sets_ids_back(
        times_ms in proptest::collection::vec((0..50_u64, 0..0x0800_u16), 1..300),
    ) {
        let mut last = LastId::default();
        let mut before = (0, 0);
        for (now_ms, start) in times_ms {
            last.step(now_ms, start);
            prop_assert!((last.ms, last.counter) > before);
            prop_assert!(last.ms >= now_ms && last.counter <= 0x0fff);
            before = (last.ms, last.counter);
        }
    }
}
