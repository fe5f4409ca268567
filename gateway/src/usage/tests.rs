use super::*;

const WELL: &str = "OK";

#[test]
fn a_report_that_was_not_taken_is_sent_again_unchanged() {
    let usage = Usage::new("here".to_owned());
    assert_eq!((usage.due(), usage.next_report()), (0, None));
    let endpoint = EndpointId::new(uuid::Uuid::from_u128(1));
    usage.count((endpoint, None), (false, false));
    usage.count((endpoint, None), (true, true));
    let first = usage.next_report().unwrap();
    assert_eq!((first.counts[0].aside, first.counts[0].aside_failures), (1, 1));
    assert_eq!((first.number, first.counts[0].requests, first.counts[0].failures), (1, 2, 1));
    assert_eq!(usage.due(), 1);
    usage.count((endpoint, None), (false, false));
    assert_eq!(usage.next_report(), Some(first));
    assert_eq!(usage.due(), 2);
    usage.taken(1);
    let second = usage.next_report().unwrap();
    assert_eq!((second.number, second.counts[0].requests), (2, 1));
    usage.taken(1);
    assert_eq!(usage.next_report(), Some(second));
    usage.taken(2);
    assert_eq!(usage.next_report(), None);
}

fn fed(number: usize, result: &str) -> SourceCount {
    SourceCount {
        source: SourceId::new(uuid::Uuid::from_u128(number as u128)),
        delivered: 1,
        filtered: 0,
        given_up: 0,
        next_event: 2,
        result: result.to_owned(),
    }
}

/// Sends all reports to a control that refuses what has this in its words; what it took, and what
/// was let go.
fn send(usage: &Usage, bad: &str) -> (Vec<UsageReport>, Vec<UsageReport>) {
    let (mut taken, mut lost) = (Vec::<UsageReport>::new(), Vec::new());
    while let Some(report) = usage.next_report() {
        assert!(bytes(&report) <= REPORT_BYTES_MAX);
        assert!(usage.due() > 0, "what waits is due");
        if report.sources.iter().any(|it| it.result == bad) {
            if let Refused::LetGo(part) = usage.refused(report.number) {
                lost.push(*part);
            }
            continue;
        }
        usage.taken(report.number);
        assert!(taken.last().is_none_or(|last| last.number < report.number));
        taken.push(report);
    }
    assert_eq!(usage.due(), 0);
    (taken, lost)
}

#[test]
fn an_entry_that_control_refuses_keeps_no_other_back() {
    let usage = Usage::new("here".to_owned());
    for number in 0..300 {
        let endpoint = EndpointId::new(uuid::Uuid::from_u128(number as u128));
        usage.count((endpoint, None), (false, false));
        usage.watch(endpoint, false, 1_500);
        usage.count_captured(endpoint, Fate::Kept);
        usage.count_source(fed(number, if number == 77 { "bad" } else { WELL }));
    }
    let (taken, lost) = send(&usage, "bad");
    let count = |of: fn(&UsageReport) -> usize| taken.iter().map(of).sum::<usize>();
    let all = [
        count(|it| it.counts.len()),
        count(|it| it.live.len()),
        count(|it| it.captures.len()),
        count(|it| it.sources.len()),
    ];
    assert_eq!(all, [300, 300, 300, 299], "each but the one, and once");
    let [lost] = lost.as_slice() else { panic!("{lost:?}") };
    assert_eq!((halves::count(lost), &lost.sources[..]), (1, &[fed(77, "bad")][..]));
    // A stale answer changes nothing.
    assert_eq!(usage.refused(1), Refused::Parted);
}

/// A control of another release may take none of it for a while.
#[test]
fn what_is_billed_is_never_let_go() {
    let usage = Usage::new("here".to_owned());
    let endpoint = EndpointId::new(uuid::Uuid::from_u128(1));
    usage.count((endpoint, None), (false, false));
    usage.count_captured(endpoint, Fate::Kept);
    let whole = usage.next_report().unwrap();
    assert_eq!(usage.refused(whole.number), Refused::Parted);
    let billed = usage.next_report().unwrap();
    assert_eq!((billed.counts.len(), halves::count(&billed)), (1, 1));
    for is_first in [true, false] {
        assert_eq!(usage.refused(billed.number), Refused::Kept { is_first });
        assert_eq!(usage.next_report().as_ref(), Some(&billed), "unchanged");
    }
    usage.taken(billed.number);
    let rest = usage.next_report().unwrap();
    assert_eq!((rest.captures.len(), halves::count(&rest)), (1, 1));
    assert!(matches!(usage.refused(rest.number), Refused::LetGo(_)));
    assert_eq!((usage.due(), usage.next_report()), (0, None));
}

#[test]
fn no_report_is_larger_than_control_reads() {
    let usage = Usage::new("here".to_owned());
    // Such words do not arise any more; were they to, they would go all the same.
    for number in 0..24 {
        usage.count_source(fed(number, &"\u{1}".repeat(128 << 10)));
    }
    let (taken, lost) = send(&usage, "none");
    assert!(taken.len() > 1 && lost.is_empty(), "{}", taken.len());
    assert_eq!(taken.iter().map(|it| it.sources.len()).sum::<usize>(), 24);
}

#[test]
fn what_is_watched_is_told_whole_and_in_parts() {
    let usage = Usage::new("here".to_owned());
    let endpoint = |number: usize| EndpointId::new(uuid::Uuid::from_u128(number as u128));
    for number in 0..=LIVE_MAX {
        usage.watch(endpoint(number), number == 0, 1_500);
        usage.watch(endpoint(number), false, 20_000);
    }
    assert_eq!(usage.due(), 2);
    let first = usage.next_report().unwrap();
    assert_eq!((first.live.len(), first.live[0].requests, first.live[0].failures), (256, 2, 1));
    let told = &first.live[0];
    assert_eq!((told.sum_us, told.max_us, told.buckets.len()), (21_500, 20_000, 2));
    usage.taken(1);
    let second = usage.next_report().unwrap();
    assert_eq!((second.live.len(), second.live[0].failures), (1, 0));
    usage.taken(2);
    assert_eq!((usage.due(), usage.next_report()), (0, None));
}
