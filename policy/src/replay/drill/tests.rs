use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const S: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const ASKED: u64 = 1_000 * S;

fn kill() -> Kill {
    Kill {
        asked_ns: ASKED,
        dead_ns: ASKED + 10 * MS,
        ready_ns: Some(ASKED + 900 * MS),
        until: Until::End,
    }
}

/// A request by milliseconds from the kill on.
fn request(sent_ms: u64, took_ms: u64, fate: Fate) -> Request {
    let sent_ns = ASKED + sent_ms * MS;
    Request { sent_ns, done_ns: sent_ns + took_ms * MS, fate }
}

/// One every tenth of a second, of which these failed.
fn steady(seconds: u64, bad: impl Fn(u64) -> bool) -> Vec<Request> {
    let fate = |at_ms| if bad(at_ms) { Fate::Failed } else { Fate::Good };
    (0..seconds * 10).map(|tenth| request(tenth * 100, 5, fate(tenth * 100))).collect()
}

#[test]
fn it_is_well_with_the_first_request_after_which_none_goes_badly() {
    let told = recovery(kill(), &steady(10, |ms| ms <= 1_200));
    assert_eq!((told.bad, told.unanswered), (13, 0));
    assert_eq!((told.first_bad_ns, told.first_good_ns), (Some(5 * MS), Some(1_305 * MS)));
    assert_eq!(told.well_ns, Ok(1_300 * MS));
}

#[test]
fn what_waits_for_the_instance_is_well_only_once_it_is_ready() {
    let told = recovery(kill(), &steady(10, |_| false));
    assert_eq!((told.bad, told.first_bad_ns, told.first_good_ns), (0, None, Some(105 * MS)));
    assert_eq!(told.well_ns, Ok(900 * MS));
}

#[test]
fn one_good_answer_among_bad_ones_is_no_end_of_it() {
    let told = recovery(kill(), &steady(20, |ms| ms != 1_000 && ms < 4_000));
    assert_eq!((told.bad, told.first_good_ns, told.well_ns), (39, Some(1_005 * MS), Ok(4 * S)));
    // What goes badly when it has been well for long is not the drill's.
    let told = recovery(kill(), &steady(20, |ms| ms < 1_000 || ms == 9_000));
    assert_eq!((told.bad, told.well_ns), (10, Ok(S)));
}

#[test]
fn what_was_under_way_is_the_drills_and_what_was_over_is_not() {
    let before = |sent_before_ms: u64, took_ms: u64| Request {
        sent_ns: ASKED - sent_before_ms * MS,
        done_ns: ASKED - sent_before_ms * MS + took_ms * MS,
        fate: Fate::Unanswered,
    };
    let mut requests = steady(10, |_| false);
    requests.extend([before(50, 60), before(500, 30_500), before(50, 40)]);
    let told = recovery(kill(), &requests);
    assert_eq!((told.bad, told.unanswered, told.first_bad_ns), (2, 2, Some(10 * MS)));
    assert_eq!(told.well_ns, Ok(900 * MS));
}

#[test]
fn what_is_not_known_is_said_and_is_no_zero() {
    let known = |kill: Kill, requests: &[Request]| recovery(kill, requests).well_ns;
    let never = Kill { ready_ns: None, ..kill() };
    assert_eq!(known(never, &steady(10, |_| false)), Err(Unknown::NotReady));
    assert_eq!(known(kill(), &[]), Err(Unknown::NoneGood));
    assert_eq!(known(kill(), &steady(10, |_| true)), Err(Unknown::NoneGood));
    assert_eq!(known(kill(), &steady(3, |ms| ms < 1_000)), Err(Unknown::Ended));
    let (soon, late) = (ASKED + 3 * S, ASKED + 5 * S);
    let drilled = |at_ns| Kill { until: Until::Drill { at_ns }, ..kill() };
    assert_eq!(known(drilled(soon), &steady(10, |ms| ms < 1_000)), Err(Unknown::Drilled));
    assert_eq!(known(drilled(late), &steady(10, |ms| ms < 1_000 || ms > 5_000)), Ok(S));
    let gap = |at_ns| Kill { until: Until::Gap { at_ns }, ..kill() };
    assert_eq!(known(gap(soon), &steady(10, |ms| ms < 1_000)), Err(Unknown::Gap));
    assert_eq!(known(gap(late), &steady(10, |ms| ms < 1_000)), Ok(S));
}

/// The definition, word by word: each request is tried.
fn by_definition(kill: Kill, requests: &[Request]) -> Option<u64> {
    let last_ns = requests.iter().map(|it| it.sent_ns).max()?;
    let until_ns = match kill.until {
        Until::End => last_ns,
        Until::Drill { at_ns } | Until::Gap { at_ns } => last_ns.min(at_ns),
    };
    let bads = |from_ns: u64, until_ns: u64| {
        let of_it = requests.iter().filter(|it| it.fate != Fate::Good);
        of_it
            .filter(|it| it.done_ns >= kill.asked_ns)
            .any(|it| (from_ns..until_ns).contains(&it.sent_ns.max(kill.asked_ns)))
    };
    let ready_ns = kill.ready_ns?.max(kill.dead_ns);
    let goods = requests.iter().filter(|it| it.fate == Fate::Good && it.sent_ns >= ready_ns);
    let well = goods
        .map(|it| it.sent_ns)
        .filter(|ns| ns + CALM_NS <= until_ns && !bads(*ns, ns + CALM_NS));
    well.min().map(|ns| ns - kill.asked_ns)
}

prop_compose! {
    fn requests()(
        all in vec((0..25_000_u64, 0..8_000_u64, 0..12_u8), 0..120),
        last in 0..30_000_u64,
    ) -> Vec<Request> {
        let fate = |number| match number { 0 => Fate::Failed, 1 => Fate::Unanswered, _ => Fate::Good };
        let sent = |(from, took, number)| {
            let sent_ns = ASKED - 5 * S + from * MS;
            Request { sent_ns, done_ns: sent_ns + took * MS, fate: fate(number) }
        };
        all.into_iter().map(sent).chain([request(last, 1, Fate::Good)]).collect()
    }
}

prop_compose! {
    fn kills()(dead in 0..500_u64, ready in 0..8_000_u64, kind in 0..4_u8, at in 0..20_000_u64) -> Kill {
        let at_ns = ASKED + at * MS;
        Kill {
            asked_ns: ASKED,
            dead_ns: ASKED + dead * MS,
            ready_ns: (kind != 3).then_some(ASKED + ready * MS),
            until: match kind { 0 => Until::Drill { at_ns }, 1 => Until::Gap { at_ns }, _ => Until::End },
        }
    }
}

proptest! {
    /// What is told in two looks is what the definition says.
    #[test]
    fn it_is_what_is_defined(kill in kills(), requests in requests()) {
        let told = recovery(kill, &requests);
        prop_assert_eq!(told.well_ns.ok(), by_definition(kill, &requests));
    }

    /// Answers come in any order.
    #[test]
    fn the_order_changes_nothing(kill in kills(), requests in requests(), turn in 0..120_usize) {
        let told = recovery(kill, &requests);
        let mut other: Vec<Request> = requests.iter().rev().copied().collect();
        let turn = turn.min(other.len());
        other.rotate_left(turn);
        prop_assert_eq!(recovery(kill, &other), told);
    }

    /// Every request that goes badly is counted once at most, and none that does not.
    #[test]
    fn what_it_caused_went_badly(kill in kills(), requests in requests()) {
        let told = recovery(kill, &requests);
        let until_ns = told.well_ns.map_or(u64::MAX, |ns| kill.asked_ns + ns);
        let cut_ns = match kill.until {
            Until::End => u64::MAX,
            Until::Drill { at_ns } | Until::Gap { at_ns } => at_ns,
        };
        let of_it = |it: &&Request| {
            it.fate != Fate::Good && it.done_ns >= kill.asked_ns && it.sent_ns < cut_ns.min(until_ns)
        };
        let bad: Vec<&Request> = requests.iter().filter(of_it).collect();
        prop_assert_eq!(told.bad, bad.len() as u64);
        let unanswered = bad.iter().filter(|it| it.fate == Fate::Unanswered).count();
        prop_assert_eq!(told.unanswered, unanswered as u64);
        let first = bad.iter().map(|it| it.done_ns - kill.asked_ns).min();
        prop_assert_eq!(told.first_bad_ns, first);
    }

    /// To be ready later is never to be well earlier.
    #[test]
    fn later_ready_is_no_sooner_well(requests in requests(), ready in 0..8_000_u64, more in 0..4_000_u64) {
        let of = |ms| Kill { ready_ns: Some(ASKED + ms * MS), ..kill() };
        let (soon, late) = (recovery(of(ready), &requests), recovery(of(ready + more), &requests));
        if let (Ok(soon), Ok(late)) = (soon.well_ns, late.well_ns) {
            prop_assert!(soon <= late);
        }
    }
}
