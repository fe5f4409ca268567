//! Triggers, their firings, notices and what they look at: one of several acts, once.

use serde_json::json;

use store::Error;
use store::endpoints::accuracies::{AccuracyRow, accuracies_list, accuracies_trim, accuracy_put};
use store::endpoints::notices::{
    NoticeKind, NoticeRow, NoticeState, notice_fetch, notice_insert, notice_renew, notice_settle,
    notices_list, notices_next_due, notices_take,
};
use store::endpoints::slices::{SliceRow, slice_put, slices_list, slices_trim};
use store::endpoints::triggers::{
    FiringRow, TriggerRow, TriggerState, firing_insert, firing_next, firing_of_run, firing_tell,
    firings_list, trigger_change, trigger_delete, trigger_insert, triggers_list,
    triggers_list_live, triggers_watched,
};
use store::endpoints::{endpoint_delete, endpoint_insert, endpoint_remove};
use store::runs::{
    FollowsRow, RunReport, RunRow, RunState, run_after, run_fetch, run_gate_later, run_gated,
    run_insert, run_judge_later, run_judged, run_report, run_stop, runs_list_live, runs_lose,
    runs_prune, runs_under_way, runs_ungated, runs_unjudged,
};
use store::streams::{
    StreamRow, stream_delete, stream_insert, streams_list_removed, streams_removed_trim,
};
use types::{AccountId, EndpointId, EventId, RunId, StreamId};

use crate::harness::{House, make_account, name, uuid};
use crate::running::endpoint;

async fn begin(house: &House) -> EndpointId {
    let account = make_account(&house.store, 1).await;
    let row = endpoint(account, 1);
    write!(house.store, endpoint_insert(&row)).unwrap();
    row.id
}

fn trigger(endpoint_id: EndpointId, text: &str) -> TriggerRow {
    TriggerRow {
        endpoint_id,
        name: name(text),
        spec: json!({ "a": 1 }),
        live: true,
        state: TriggerState::Armed,
        changes: 0,
        modes_number: 3,
        firing: 0,
        created_by: "acme".to_owned(),
        created_at_ms: 7,
    }
}

fn run(endpoint_id: EndpointId, number: u128) -> RunRow {
    RunRow {
        id: RunId::new(uuid(number)),
        account_id: AccountId::new(uuid(1)),
        endpoint_id,
        stream_id: StreamId::new(uuid(1)),
        spec: json!({}),
        state: RunState::Waiting,
        stop_wanted: false,
        gateway: None,
        progress: None,
        outcome: None,
        error: None,
        created_at_ms: 5,
        ended_at_ms: None,
        follows: None,
    }
}

fn firing(endpoint_id: EndpointId, number: u64, run: Option<u128>) -> FiringRow {
    FiringRow {
        endpoint_id,
        number,
        trigger: name("slow"),
        run_id: run.map(|run| RunId::new(uuid(run))),
        at_ms: 10 * number,
        told: json!({ "saw": number }),
    }
}

fn notice(endpoint_id: EndpointId, number: u128) -> NoticeRow {
    NoticeRow {
        id: EventId::new(uuid(number)),
        endpoint_id,
        firing: 1,
        place: u32::try_from(number).unwrap(),
        kind: NoticeKind::Webhook,
        recipient: "https://example.org".to_owned(),
        subject: "slow".to_owned(),
        payload: "{}".to_owned(),
        state: NoticeState::Waiting,
        attempts: 0,
        failures: 0,
        due_at_ms: 100,
        accepted_at_ms: 100,
        error: None,
    }
}

async fn of_several_that_saw_it_one_acts(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    let row = trigger(id, "slow");
    write!(store, trigger_insert(&row)).unwrap();
    let again = write!(store, trigger_insert(&row)).unwrap_err();
    assert!(matches!(again, Error::Unique { .. }), "{again:?}");
    write!(store, trigger_insert(&TriggerRow { live: false, ..trigger(id, "worse") })).unwrap();
    assert_eq!(read!(store, triggers_list(id)).unwrap()[0], row);
    assert_eq!(read!(store, triggers_watched()).unwrap().into_iter().collect::<Vec<_>>(), [id]);
    let live = read!(store, triggers_list_live()).unwrap();
    assert!(live.iter().all(|row| row.live && row.endpoint_id == id), "{live:?}");
    for state in TriggerState::ALL {
        let seen = read!(store, triggers_list(id)).unwrap()[0].clone();
        let next = TriggerRow { state: *state, modes_number: 4, firing: 2, ..seen.clone() };
        assert!(write!(store, trigger_change(&next)).unwrap());
        assert!(!write!(store, trigger_change(&next)).unwrap(), "another was quicker");
        let stored = read!(store, triggers_list(id)).unwrap()[0].clone();
        assert_eq!(stored, TriggerRow { changes: seen.changes + 1, ..next });
    }
    assert!(write!(store, trigger_delete(id, &name("slow"))).unwrap());
    assert!(!write!(store, trigger_delete(id, &name("slow"))).unwrap());
    assert!(read!(store, triggers_watched()).unwrap().is_empty());
}

async fn firings_are_numbered_and_the_newest_are_kept(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    for number in 1..=5 {
        assert_eq!(read!(store, firing_next(id)).unwrap(), number);
        write!(store, firing_insert(&firing(id, number, None), 3)).unwrap();
    }
    let numbers = |rows: Vec<FiringRow>| rows.iter().map(|row| row.number).collect::<Vec<_>>();
    assert_eq!(numbers(read!(store, firings_list(id, None, 9)).unwrap()), [5, 4, 3]);
    assert_eq!(numbers(read!(store, firings_list(id, Some(5), 1)).unwrap()), [4]);
    write!(store, firing_tell((id, 4), &json!({ "did": "it" }))).unwrap();
    let told = read!(store, firings_list(id, Some(5), 1)).unwrap();
    assert_eq!(told, [FiringRow { told: json!({ "did": "it" }), ..firing(id, 4, None) }]);
    // One run, one firing of a trigger.
    write!(store, firing_insert(&firing(id, 6, Some(1)), 3)).unwrap();
    let twice = write!(store, firing_insert(&firing(id, 7, Some(1)), 3)).unwrap_err();
    assert!(matches!(twice, Error::Unique { .. }), "{twice:?}");
    let run = |number: u128| RunId::new(uuid(number));
    let of_run =
        async |number| read!(store, firing_of_run((id, &name("slow")), run(number))).unwrap();
    assert!(of_run(1).await.is_some() && of_run(2).await.is_none());
}

async fn a_notice_is_told_by_one_until_it_is_settled(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    for (number, kind) in (1..).zip(NoticeKind::ALL) {
        write!(store, notice_insert(&NoticeRow { kind: *kind, ..notice(id, number) })).unwrap();
    }
    assert_eq!(read!(store, notices_next_due()).unwrap(), Some(100));
    assert!(write!(store, notices_take((99, 160), 9)).unwrap().is_empty());
    let taken = write!(store, notices_take((100, 160), 9)).unwrap();
    let state = NoticeState::Running;
    let running = NoticeRow { state, attempts: 1, due_at_ms: 160, ..notice(id, 1) };
    assert_eq!((taken.len(), &taken[0].0, taken[0].2.as_str()), (2, &running, "account-1"));
    assert!(write!(store, notices_take((100, 160), 9)).unwrap().is_empty());
    // Kept, it is not lost; whoever has it no longer changes nothing.
    write!(store, notice_renew((running.id, 1), 200)).unwrap();
    let taken = write!(store, notices_take((160, 220), 9)).unwrap();
    assert_eq!(taken.iter().map(|it| it.0.place).collect::<Vec<_>>(), [2]);
    let told = NoticeRow { state: NoticeState::Told, ..running.clone() };
    write!(store, notice_settle(&NoticeRow { attempts: 7, ..told.clone() })).unwrap();
    assert_eq!(read!(store, notice_fetch(running.id)).unwrap().state, NoticeState::Running);
    for state in [NoticeState::Waiting, NoticeState::Told] {
        let taken = write!(store, notices_take((200, 230), 1)).unwrap().remove(0).0;
        let error = Some("503".to_owned());
        let row = NoticeRow { state, failures: 1, due_at_ms: 150, error, ..taken };
        write!(store, notice_settle(&row)).unwrap();
        assert_eq!(read!(store, notice_fetch(row.id)).unwrap(), row);
    }
    assert_eq!(read!(store, notices_next_due()).unwrap(), Some(220));
    assert_eq!(read!(store, notices_list(id, (1, 1))).unwrap().len(), 2);
    assert!(read!(store, notices_list(id, (2, 9))).unwrap().is_empty());
}

async fn slices_lie_beside_each_other(house: House) {
    let (store, id) = (&house.store, EndpointId::new(uuid(1)));
    let slice = |width_ms: u64, from_ms: u64, requests: u64| SliceRow {
        endpoint_id: id,
        width_ms,
        from_ms,
        requests,
        failures: 1,
        times: json!({ "max": requests }),
    };
    for row in [slice(10, 0, 1), slice(10, 20, 2), slice(10, 20, 3), slice(50, 0, 4)] {
        write!(store, slice_put(&row)).unwrap();
    }
    let listed = read!(store, slices_list((id, 10), 0)).unwrap();
    assert_eq!(listed, [slice(10, 0, 1), slice(10, 20, 3)]);
    assert_eq!(read!(store, slices_list((id, 10), 1)).unwrap().len(), 1);
    assert_eq!(write!(store, slices_trim(10, 20)).unwrap(), 1);
    assert_eq!(read!(store, slices_list((id, 50), 0)).unwrap().len(), 1);
}

async fn what_was_counted_last_is_kept_of_each_window(house: House) {
    let (store, id) = (&house.store, EndpointId::new(uuid(1)));
    let row = |window_ms: u64, terms: &str, counted_at_ms: u64| AccuracyRow {
        endpoint_id: id,
        window_ms,
        terms: terms.to_owned(),
        counted_at_ms,
        told: json!({ "labelled": counted_at_ms }),
    };
    for told in [row(60, "a", 5), row(60, "a", 7), row(60, "a", 6), row(60, "b", 4)] {
        write!(store, accuracy_put(&told)).unwrap();
    }
    write!(store, accuracy_put(&row(10, "a", 7))).unwrap();
    let kept = [row(10, "a", 7), row(60, "a", 7), row(60, "b", 4)];
    assert_eq!(read!(store, accuracies_list(id)).unwrap(), kept);
    assert!(read!(store, accuracies_list(EndpointId::new(uuid(2)))).unwrap().is_empty());
    assert_eq!(write!(store, accuracies_trim(7)).unwrap(), 1);
    let left: Vec<u64> =
        read!(store, accuracies_list(id)).unwrap().iter().map(|it| it.counted_at_ms).collect();
    assert_eq!(left, [7, 7]);
}

async fn a_run_is_judged_where_a_trigger_was_there(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    let made = run(id, 1);
    write!(store, run_insert(&made)).unwrap();
    let none = async || read!(store, runs_unjudged(60, 9)).unwrap().is_empty();
    let replay = TriggerRow { live: false, created_at_ms: 50, ..trigger(id, "worse") };
    write!(store, trigger_insert(&replay)).unwrap();
    write!(store, trigger_insert(&trigger(id, "slow"))).unwrap();
    assert!(none().await, "it has not ended");
    let ended = RunReport {
        state: RunState::Succeeded,
        progress: None,
        outcome: Some(json!({})),
        error: None,
    };
    let early = run(id, 2);
    write!(store, run_insert(&early)).unwrap();
    write!(store, run_report(early.id, "g", &ended, 49)).unwrap();
    assert!(none().await, "it had ended before the trigger was there");
    write!(store, run_report(made.id, "g", &ended, 50)).unwrap();
    assert_eq!(read!(store, runs_unjudged(60, 9)).unwrap()[0].id, made.id);
    write!(store, run_judge_later(made.id, 61)).unwrap();
    assert!(none().await, "it is not its turn");
    write!(store, run_judge_later(made.id, 60)).unwrap();
    assert!(!none().await);
    write!(store, run_judged(made.id)).unwrap();
    assert!(none().await);
}

async fn a_run_is_lost_once_nothing_was_told_of_it_for_long(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    let runs = [1, 2, 3, 4].map(|number| run(id, number));
    for run in &runs {
        write!(store, run_insert(run)).unwrap();
    }
    let goes_on =
        RunReport { state: RunState::Running, progress: None, outcome: None, error: None };
    // The first is waiting still, the second is told of, the third is not, nor one that is to stop.
    for (run, at_ms) in runs[1..].iter().zip([101, 100, 100]) {
        assert!(write!(store, run_report(run.id, "g", &goes_on, at_ms)).unwrap());
    }
    write!(store, run_stop(runs[3].id, 100)).unwrap();
    assert_eq!(write!(store, runs_lose(100, "silence", 200)).unwrap(), 0);
    assert_eq!(write!(store, runs_lose(101, "silence", 200)).unwrap(), 2);
    assert_eq!(write!(store, runs_lose(101, "silence", 300)).unwrap(), 0);
    let mut states = Vec::new();
    for run in &runs {
        let run = read!(store, run_fetch(run.id)).unwrap();
        states.push((run.state, run.error.is_some(), run.ended_at_ms));
    }
    let lost = |state| (state, true, Some(200));
    let goes_on_still = (RunState::Running, false, None);
    assert_eq!(states[0], (RunState::Waiting, false, None));
    assert_eq!(states[1..], [goes_on_still, lost(RunState::Failed), lost(RunState::Stopped)]);
    assert!(!write!(store, run_report(runs[2].id, "g", &goes_on, 300)).unwrap(), "it is over");
    // A gate is asked about each that has ended, once.
    let ungated = async |ended_ms, now_ms| {
        let rows = read!(store, runs_ungated((ended_ms, now_ms), 9)).unwrap();
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ungated(199, 300).await, []);
    assert_eq!(ungated(200, 300).await, [runs[2].id, runs[3].id]);
    write!(store, run_gated(runs[2].id)).unwrap();
    write!(store, run_judge_later(runs[3].id, 999)).unwrap();
    write!(store, run_gate_later(runs[3].id, 301)).unwrap();
    assert_eq!(ungated(200, 300).await, []);
    assert_eq!(ungated(200, 301).await, [runs[3].id]);
    assert_eq!(write!(store, runs_prune(200)).unwrap(), 0);
    assert_eq!(write!(store, runs_prune(201)).unwrap(), 2);
}

async fn a_removed_stream_is_told_of_for_a_while(house: House) {
    let (store, account_id) = (&house.store, make_account(&house.store, 1).await);
    let stream = |number: u128| StreamRow {
        id: StreamId::new(uuid(number)),
        account_id,
        name: name(&format!("stream-{number}")),
        spec: json!({}),
        gateway: None,
        encrypted: None,
        generation: 1,
        created_at_ms: 1,
    };
    for number in [1, 2] {
        write!(store, stream_insert(&stream(number))).unwrap();
    }
    for at_ms in [10, 20] {
        write!(store, stream_delete(stream(1).id, at_ms)).unwrap();
    }
    assert_eq!(read!(store, streams_list_removed()).unwrap(), [stream(1).id]);
    assert_eq!(write!(store, streams_removed_trim(10)).unwrap(), 0);
    assert_eq!(write!(store, streams_removed_trim(11)).unwrap(), 1);
    assert_eq!(read!(store, streams_list_removed()).unwrap(), []);
}

async fn a_run_that_follows_waits_for_the_end_of_the_one_before(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    let first = run(id, 1);
    let after = |number: u128, before: u128| {
        let run_id = RunId::new(uuid(before));
        let follows = FollowsRow { run_id, trigger: name("slow"), changes: 2 };
        RunRow { follows: Some(follows), ..run(id, number) }
    };
    write!(store, run_insert(&first)).unwrap();
    write!(store, run_insert(&after(2, 1))).unwrap();
    let branch = write!(store, run_insert(&after(3, 1))).unwrap_err();
    assert!(matches!(branch, Error::Unique { .. }), "{branch:?}");
    let next = after(2, 1).id;
    assert_eq!(read!(store, run_fetch(next)).unwrap(), after(2, 1));
    let after_of = async |id: RunId| read!(store, run_after(id)).unwrap();
    assert_eq!((after_of(first.id).await, after_of(next).await), (Some(next), None));
    let ids = |rows: Vec<RunRow>| rows.into_iter().map(|it| it.id).collect::<Vec<_>>();
    let under_way = async |limit: u32| ids(read!(store, runs_under_way(id, limit)).unwrap());
    let live = async || ids(read!(store, runs_list_live()).unwrap());
    assert_eq!((under_way(9).await, under_way(1).await), (vec![first.id, next], vec![first.id]));
    assert_eq!(live().await, [first.id]);
    let began = RunReport { state: RunState::Running, progress: None, outcome: None, error: None };
    write!(store, run_report(first.id, "g", &began, 49)).unwrap();
    write!(store, run_stop(first.id, 50)).unwrap();
    assert_eq!((under_way(9).await, live().await), (vec![next], vec![first.id]));
    // The one between ends before it began: the last one waits for the first all the same.
    let last = after(3, 2);
    write!(store, run_insert(&last)).unwrap();
    write!(store, run_stop(next, 50)).unwrap();
    assert_eq!((under_way(9).await, live().await), (vec![last.id], vec![first.id]));
    let stopped = RunReport { state: RunState::Stopped, ..began };
    write!(store, run_report(first.id, "g", &stopped, 51)).unwrap();
    assert_eq!(live().await, [last.id]);
}

async fn all_goes_with_its_endpoint(house: House) {
    let (store, id) = (&house.store, begin(&house).await);
    write!(store, trigger_insert(&trigger(id, "slow"))).unwrap();
    write!(store, firing_insert(&firing(id, 1, None), 3)).unwrap();
    write!(store, notice_insert(&notice(id, 1))).unwrap();
    write!(store, endpoint_delete(id)).unwrap();
    write!(store, endpoint_remove(id)).unwrap();
    assert!(read!(store, triggers_list(id)).unwrap().is_empty());
    assert!(read!(store, firings_list(id, None, 9)).unwrap().is_empty());
    assert_eq!(read!(store, notices_next_due()).unwrap(), None);
}

both! {
    of_several_that_saw_it_one_acts;
    firings_are_numbered_and_the_newest_are_kept;
    a_notice_is_told_by_one_until_it_is_settled;
    slices_lie_beside_each_other;
    /// Of each window there is what was counted last, whatever came last.
    what_was_counted_last_is_kept_of_each_window;
    a_run_is_judged_where_a_trigger_was_there;
    a_run_is_lost_once_nothing_was_told_of_it_for_long;
    a_removed_stream_is_told_of_for_a_while;
    a_run_that_follows_waits_for_the_end_of_the_one_before;
    all_goes_with_its_endpoint;
}
