use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A function that fails what has one of these in it, or names the first of them.
#[derive(Clone, Debug)]
struct Function {
    poison: BTreeSet<usize>,
    names: bool,
    /// Calls that do not reach it, by their places among all; others do.
    missed: BTreeSet<u32>,
    /// Most events that a call carries.
    most: usize,
}

impl Function {
    fn call(&self, number: u32, events: &Range<usize>) -> Ended {
        let bad = self.poison.range(events.clone()).next();
        match bad {
            _ if self.missed.contains(&number) => Ended::Missed,
            _ if events.len() > self.most => Ended::TooLarge,
            None => Ended::Took,
            Some(at) if self.names => Ended::TookUntil(*at),
            Some(_) => Ended::Failed,
        }
    }
}

/// What became of each event, in the order in which that was settled.
#[derive(Debug, Default)]
struct Course {
    taken: BTreeSet<usize>,
    given_up: BTreeSet<usize>,
    calls: u32,
    ended_ms: u64,
}

/// Works a batch to its end, and checks what is always true on the way.
fn work(settings: &Settings, accepted_ms: Vec<u64>, function: &Function) -> Course {
    let count = accepted_ms.len();
    let mut work = Work::new(accepted_ms);
    let (mut course, mut now_ms) = (Course::default(), 1_000_000);
    loop {
        let done = work.done();
        assert_eq!(done, course.taken.len() + course.given_up.len(), "one after the other");
        match work.next(settings, now_ms) {
            Step::Done => break,
            Step::Wait(until_ms) => {
                assert!(until_ms > now_ms && until_ms - now_ms <= PAUSE_MS_MAX);
                now_ms = until_ms;
            }
            Step::Call(events) => {
                assert!(events.start == done && !events.is_empty() && events.end <= count);
                course.calls += 1;
                let ended = function.call(course.calls, &events);
                work.ended(ended, settings, (now_ms, 7));
                course.taken.extend(events.start..work.done());
            }
            Step::GiveUp(events, _) => {
                assert!(events.start == done && !events.is_empty() && events.end <= count);
                work.given_up(&events);
                course.given_up.extend(events);
            }
        }
    }
    course.ended_ms = now_ms;
    assert_eq!(course.taken.len() + course.given_up.len(), count, "every event, and once");
    assert!(course.taken.is_disjoint(&course.given_up));
    course
}

fn function(count: usize) -> impl Strategy<Value = Function> {
    let poison = prop::collection::btree_set(0..count, 0..4);
    let missed = prop::collection::btree_set(1_u32..40, 0..10);
    (poison, any::<bool>(), missed, 1_usize..80)
        .prop_map(|(poison, names, missed, most)| Function { poison, names, missed, most })
}

fn settings(retries: Option<u32>, bisect: bool) -> Settings {
    let settings = Settings::new(BATCH, 0).unwrap().giving_up(retries, None).unwrap();
    settings.bisecting(bisect)
}

proptest! {
    /// Whatever fails however, each event is taken or given up, in order, and it ends.
    #[test]
    fn every_event_is_taken_or_given_up_in_order(
        (count, function) in (1_usize..60).prop_flat_map(|count| (Just(count), function(count))),
        retries in 0_u32..4,
        bisect: bool,
    ) {
        let course = work(&settings(Some(retries), bisect), vec![0; count], &function);
        prop_assert!(function.poison.is_subset(&course.given_up));
        // Where what fails can be told apart, nothing good is lost with it.
        if bisect || function.names {
            prop_assert_eq!(&course.given_up, &function.poison);
        }
    }

    /// What the function never fails is taken, however often nothing is free, and in one call.
    #[test]
    fn what_is_missed_is_no_try(count in 1_usize..60, missed in 0_u32..30) {
        let missed: BTreeSet<u32> = (1..=missed).collect();
        let (poison, tries) = (BTreeSet::new(), missed.len());
        let function = Function { poison, names: false, missed, most: usize::MAX };
        let course = work(&settings(Some(0), true), vec![0; count], &function);
        prop_assert!(course.given_up.is_empty());
        prop_assert_eq!(course.calls as usize, tries + 1);
    }

    /// What is more than a call carries is called in parts, at once and without a failure; where one
    /// event is too much alone, it is given up as any that fails.
    #[test]
    fn what_is_too_large_is_called_in_parts(count in 1_usize..60, most in 0_usize..20) {
        let (poison, missed) = (BTreeSet::new(), BTreeSet::new());
        let function = Function { poison, names: false, missed, most };
        let course = work(&settings(Some(0), false), vec![0; count], &function);
        prop_assert_eq!(course.given_up.len(), if most == 0 { count } else { 0 });
        prop_assert!(most == 0 || course.ended_ms == 1_000_000, "nothing waits");
        prop_assert!(course.calls as usize <= 2 * count);
    }

    /// A poisonous event that is alone is tried once and as often again as was asked for.
    #[test]
    fn retries_are_counted(retries in 0_u32..20) {
        let poison = BTreeSet::from([0]);
        let function = Function { poison, names: false, missed: BTreeSet::new(), most: usize::MAX };
        let course = work(&settings(Some(retries), true), vec![0], &function);
        prop_assert_eq!(course.calls, retries + 1);
    }

    /// Events that are too old go, whatever else: also where retries are for ever.
    #[test]
    fn nothing_is_tried_beyond_its_age(count in 1_usize..40, old in 0_usize..40) {
        let settings = settings(None, false).giving_up(None, Some(AGE_MS_MIN)).unwrap();
        let accepted = (0..count).map(|place| if place < old { 0 } else { 1_000_000 });
        let poison = (0..count).collect();
        let function = Function { poison, names: false, missed: BTreeSet::new(), most: usize::MAX };
        let course = work(&settings, accepted.collect(), &function);
        prop_assert_eq!(course.given_up.len(), count);
        prop_assert!(course.ended_ms <= 1_000_000 + AGE_MS_MIN + PAUSE_MS_MAX);
        prop_assert_eq!(course.calls == 0, old >= count);
    }

    #[test]
    fn a_batch_waits_for_its_window_and_no_longer(
        events in 1_u32..200,
        batch in 1_u32..200,
        window_ms in 0_u64..WINDOW_MS_MAX,
        waited_ms in 0_u64..2 * WINDOW_MS_MAX,
        full: bool,
    ) {
        let settings = Settings::new(batch, window_ms).unwrap();
        let gathered = Gathered { events, full, since_ms: 5 };
        let called = gather(&gathered, &settings, 5 + waited_ms);
        let due = full || events >= batch || waited_ms >= window_ms;
        let wait = Gather::Wait(Some(window_ms.saturating_sub(waited_ms)));
        prop_assert_eq!(called, if due { Gather::Call } else { wait });
    }
}

#[test]
fn nothing_is_no_batch() {
    let settings = Settings::new(1, 0).unwrap();
    let nothing = Gathered { events: 0, full: false, since_ms: 0 };
    assert_eq!(gather(&nothing, &settings, u64::MAX), Gather::Wait(None));
    assert_eq!(Work::new(vec![]).next(&settings, 0), Step::Done);
}

#[test]
fn settings_have_limits() {
    assert!(Settings::new(0, 0).is_err() && Settings::new(BATCH_MAX + 1, 0).is_err());
    assert!(Settings::new(1, WINDOW_MS_MAX + 1).is_err());
    let settings = Settings::new(BATCH_MAX, WINDOW_MS_MAX).unwrap();
    assert!(settings.giving_up(Some(RETRIES_MAX + 1), None).is_err());
    for age_ms in [0, AGE_MS_MIN - 1, AGE_MS_MAX + 1] {
        assert!(settings.giving_up(None, Some(age_ms)).is_err());
    }
    assert!(settings.giving_up(Some(RETRIES_MAX), Some(AGE_MS_MAX)).is_ok());
}
