use proptest::prelude::*;
use types::SagaId;
use uuid::Uuid;

use super::*;

const STEPS: [&str; 3] = ["one", "two", "three"];

fn record(phase: Phase, step: u32, attempts: u32) -> Record {
    let error =
        (phase != Phase::Forward).then(|| problem(STEPS[0], "broken", "it broke".to_owned()));
    Record {
        id: SagaId::new(Uuid::from_u128(7)),
        kind: "test".to_owned(),
        subject: "nothing".to_owned(),
        state: serde_json::Value::Null,
        step,
        phase,
        attempts,
        started_at_ms: 0,
        due_at_ms: 1_000,
        owner: Some("me".to_owned()),
        error,
        generation: 4,
    }
}

fn events() -> [Event; 5] {
    [
        Event::Done,
        Event::Wait { retry_after_ms: 50 },
        Event::Transient { message: "hiccup".to_owned() },
        Event::Permanent { code: "broken", message: "it broke".to_owned() },
        Event::Cancelled,
    ]
}

#[test]
fn the_whole_table() {
    let limits = Limits { attempts_max: 2, undo_attempts_max: 2, ..Limits::default() };
    let mut table = String::new();
    for phase in Phase::ALL {
        for (step, attempts) in [(0, 0), (1, 0), (2, 0), (1, 1)] {
            for event in events() {
                let from = record(phase, step, attempts);
                let Some(next) = after(&from, &event, &STEPS, &limits, 1_000) else { continue };
                let event = format!("{event:?}");
                let event = event.split([' ', '{']).next().unwrap_or_default();
                let code = next.error.map(|problem| problem.code).unwrap_or_default();
                let line = format!(
                    "{phase} {step} tried {attempts} --{event}--> {} {} tried {} in {} ms {code}",
                    next.phase,
                    next.step,
                    next.attempts,
                    next.due_at_ms - 1_000,
                );
                table += line.trim_end();
                table += "\n";
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_old_saga_is_undone_instead_of_waiting_or_trying_again() {
    let limits = Limits { age_ms_max: 500, ..Limits::default() };
    for event in events() {
        let next = after(&record(Phase::Forward, 1, 0), &event, &STEPS, &limits, 1_000).unwrap();
        let old = matches!(event, Event::Wait { .. } | Event::Transient { .. });
        assert_eq!(next.error.is_some_and(|problem| problem.code == TOO_OLD), old, "{event:?}");
        assert_eq!(next.phase == Phase::Forward, event == Event::Done, "{event:?}");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Done),
        2 => (0..1_000_u64).prop_map(|retry_after_ms| Event::Wait { retry_after_ms }),
        2 => Just(Event::Transient { message: "hiccup".to_owned() }),
        1 => Just(Event::Permanent { code: "broken", message: "it broke".to_owned() }),
        1 => Just(Event::Cancelled),
    ]
}

proptest! {
    /// Whatever happens, a record moves lawfully: generations count, ends are final, what failed
    /// is due later, a reason stands with every undo, and no step is undone that was not reached.
    #[test]
    fn a_record_moves_lawfully(
        happenings in prop::collection::vec((any_event(), 0..9_999_u64), 1..80),
    ) {
        let mut now = record(Phase::Forward, 0, 0);
        let (mut now_ms, mut reached) = (1_000, 0);
        for (event, gap_ms) in happenings {
            now_ms += gap_ms;
            let Some(next) = after(&now, &event, &STEPS, &Limits::default(), now_ms) else {
                let refused = matches!(event, Event::Wait { .. } | Event::Cancelled);
                prop_assert!(now.phase.ended() || refused && now.phase != Phase::Forward);
                continue;
            };
            prop_assert_eq!(next.generation, now.generation + 1);
            prop_assert_eq!(&next.owner, &None);
            prop_assert!(next.due_at_ms >= now_ms);
            if next.phase == now.phase && next.step == now.step {
                prop_assert!(next.due_at_ms > now_ms);
            }
            reached = reached.max(next.step);
            prop_assert!(next.step <= reached);
            if next.phase != Phase::Forward && next.phase != Phase::Done {
                prop_assert!(next.error.is_some());
                prop_assert!(next.step <= now.step);
            }
            now = next;
        }
    }

    /// Undoing always ends, however a saga was going, once its undos work.
    #[test]
    fn undoing_ends_with_the_first_step(step in 0..3_u32, stuck: bool) {
        let phase = if stuck { Phase::Stuck } else { Phase::Undoing };
        let mut now = record(phase, step, 3);
        for left in (0..=step).rev() {
            prop_assert!(!now.phase.ended());
            prop_assert_eq!(now.step, left);
            now = after(&now, &Event::Done, &STEPS, &Limits::default(), 1_000).unwrap();
        }
        prop_assert_eq!(now.phase, Phase::Undone);
    }
}
