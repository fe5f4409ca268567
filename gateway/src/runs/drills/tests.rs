use api::runs::{DrillKind, DrillState, Load, RunDrill};
use uuid::Uuid;

use super::*;

const S: u64 = 1_000_000_000;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn spec(variants: &[&str], drills: &[(u64, Option<&str>)]) -> RunSpec {
    let drill = |(at_ms, variant): &(u64, Option<&str>)| RunDrill {
        what: DrillKind::Kill,
        at_ms: *at_ms,
        variant: variant.map(name),
    };
    RunSpec {
        endpoint: name("risk"),
        variants: variants.iter().map(|it| name(it)).collect(),
        rule: None,
        stream: name("sales"),
        selection: api::streams::SelectionQuery::default(),
        group_by: Vec::new(),
        load: Load::AsRecorded,
        for_ms: None,
        catch_up: api::runs::CatchUp::Burst,
        in_flight_max: None,
        timeout_ms: Some(2_000),
        seed: None,
        judged: api::runs::Judged::default(),
        drills: drills.iter().map(drill).collect(),
        drill_production: false,
    }
}

fn done(at_s: u64, ready_s: Option<u64>) -> Stands {
    let instance = InstanceId::new(Uuid::from_u128(1));
    let (asked_ns, dead_ns) = (at_s * S, at_s * S + 1_000);
    Stands::Done { instance, asked_ns, dead_ns, ready_ns: ready_s.map(|s| s * S) }
}

fn noted(drills: &Drills, at: usize, stands: Stands) -> Note {
    let note = Note { due: drills.due[at].clone(), stands };
    drills.book.lock().notes.push(note.clone());
    note
}

#[test]
fn each_variant_is_drilled_once_at_a_time_however_often_it_is_in_the_run() {
    let spec = spec(&["next", "main", "next"], &[(60, None), (30, Some("next")), (60, None)]);
    let told: Vec<(u64, String)> =
        due(&spec).into_iter().map(|due| (due.at_ms, due.variant.to_string())).collect();
    let wanted = [(30, "next"), (60, "main"), (60, "next")];
    assert_eq!(told, wanted.map(|(at_ms, name)| (at_ms, name.to_owned())));
}

#[test]
fn what_was_asked_for_when_the_gateway_ended_is_not_asked_for_again_and_no_zero() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&["next"], &[(10, None), (20, None)]);
    let drills = Drills::open(folder.path().into(), &spec, 5 * S).unwrap();
    assert!(drills.book.lock().gaps.is_empty());
    let instance = InstanceId::new(Uuid::from_u128(1));
    noted(&drills, 0, Stands::Asked { instance, asked_ns: 7 * S });
    let text = serde_json::to_vec(&*drills.book.lock()).unwrap();
    write(&folder.path().join(BOOK), &text).unwrap();

    let drills = Drills::open(folder.path().into(), &spec, 9 * S).unwrap();
    assert_eq!(drills.book.lock().gaps, [Gap { known_ns: 0, on_ns: 9 * S }]);
    let told = drills.outcomes_of_none();
    assert_eq!((told[0].state, told[1].state), (DrillState::Missed, DrillState::Missed));
    assert!(told[0].why.as_ref().unwrap().contains("the gateway ended"), "{told:?}");
    assert_eq!(told[1].why.as_deref(), Some("the run was over before"));
    assert!(told.iter().all(|it| it.recovery_us.is_none() && it.failed.is_none()), "{told:?}");
    // It stays noted, so that its time, which has passed, does not have it done.
    assert!(drills.book.lock().notes.iter().any(|note| note.due == drills.due[0]));
}

impl Drills {
    /// Of a run of one variant without records.
    fn outcomes_of_none(&self) -> Vec<DrillOutcome> {
        std::fs::create_dir_all(self.folder.within(RECORDS).path).unwrap();
        self.outcomes(&[name("next")]).swap_remove(0)
    }
}

#[test]
fn where_records_cannot_be_read_what_is_noted_is_told_without_figures() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&["next"], &[(10, None), (20, None)]);
    let drills = Drills::open(folder.path().into(), &spec, 0).unwrap();
    noted(&drills, 0, done(10, Some(11)));
    let told = drills.outcomes(&[name("next")]).swap_remove(0);
    assert_eq!((told[0].state, told[1].state), (DrillState::Done, DrillState::Missed));
    assert_eq!(told[0].why.as_deref(), Some("the records of the run could not be read"));
    assert!(told[0].ready_us.is_some() && told[0].failed.is_none(), "{told:?}");
    assert_eq!(told[1].why.as_deref(), Some("the run was over before"));
}

#[test]
fn a_drill_is_known_up_to_the_next_one_and_to_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&["next", "main"], &[(10, None), (20, None)]);
    let drills = Drills::open(folder.path().into(), &spec, 0).unwrap();
    // In the order of time, then of names: main, next, main, next.
    let first = noted(&drills, 1, done(10, Some(11)));
    noted(&drills, 0, done(12, None));
    let until = |note: &Note| drills.kill_of(&drills.book.lock().clone(), note).unwrap().until;
    assert_eq!(until(&first), Until::End, "another variant's drill is nothing to it");
    noted(&drills, 3, done(40, None));
    assert_eq!(until(&first), Until::Drill { at_ns: 40 * S });
    // What was under way when records stopped is not known: answers may take two seconds.
    drills.book.lock().gaps.push(Gap { known_ns: 30 * S, on_ns: 35 * S });
    assert_eq!(until(&first), Until::Gap { at_ns: 28 * S });
    // Records may have stopped before the drill, and the gateway after it.
    drills.book.lock().gaps = vec![Gap { known_ns: 9 * S, on_ns: 35 * S }];
    assert_eq!(until(&first), Until::Gap { at_ns: 7 * S });
    drills.book.lock().gaps = vec![Gap { known_ns: 3 * S, on_ns: 5 * S }];
    assert_eq!(until(&first), Until::Drill { at_ns: 40 * S }, "that gap was before it");
}

#[test]
fn what_went_badly_in_a_gap_is_not_told_as_nothing() {
    let told = |until| {
        let kill = Kill { asked_ns: 10 * S, dead_ns: 10 * S, ready_ns: Some(11 * S), until };
        measured(DrillOutcome::default(), Some(Losses::new(kill).search()))
    };
    let gap = told(Until::Gap { at_ns: 8 * S });
    assert_eq!((gap.failed, gap.unanswered, gap.recovery_us), (None, None, None));
    assert!(gap.why.unwrap().contains("stood still"));
    let end = told(Until::End);
    assert_eq!((end.failed, end.unanswered, end.recovery_us), (Some(0), Some(0), None));
}

#[test]
fn what_is_refused_for_its_own_sake_is_neither_good_nor_bad() {
    let record = |outcome, status| Record {
        number: 0,
        sequence: 1,
        copy: 0,
        variant: 3,
        stratum: 0,
        region: "".into(),
        group: "".into(),
        happened_ns: None,
        offset_ns: 0,
        intended_ns: 5,
        sent_ns: Some(6),
        first_ns: None,
        done_ns: 9,
        service_us: None,
        took: events::replay::record::Took::default(),
        status,
        outcome,
        bytes_out: 0,
        bytes_in: 0,
        answer_crc: None,
        score: None,
        class: None,
        label: None,
        right: None,
    };
    let fate = |outcome, status| request(&record(outcome, status)).map(|(_, it)| it.fate);
    assert_eq!(fate(Outcome::Ok, Some(200)), Some(Fate::Good));
    assert_eq!(fate(Outcome::ServerError, Some(503)), Some(Fate::Failed));
    assert_eq!(fate(Outcome::ClientError, Some(429)), Some(Fate::Failed));
    assert_eq!(fate(Outcome::ClientError, Some(400)), None);
    for outcome in [Outcome::Timeout, Outcome::Refused, Outcome::Reset, Outcome::Invalid] {
        assert_eq!(fate(outcome, None), Some(Fate::Unanswered), "{outcome:?}");
    }
    for outcome in [Outcome::Dropped, Outcome::Skipped] {
        assert_eq!(fate(outcome, None), None, "{outcome:?}");
    }
    let told = request(&record(Outcome::Ok, Some(200))).unwrap();
    assert_eq!((told.0, told.1.sent_ns, told.1.done_ns), (3, 6, 9));
}
