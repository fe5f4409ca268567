//! Idempotency: however often a call is made, it is done once and answered alike.

use proptest::collection::vec;
use proptest::prelude::*;

use store::idempotency::{
    Begun, LOST_AFTER_MS, idempotency_abandon, idempotency_begin, idempotency_finish,
    idempotency_trim,
};

use crate::harness::{House, make_account, property, wait};

both! {
    /// Of calls that race with one key, one is to be done.
    one_of_many_is_done;
    /// A key that was used for another request is refused.
    another_request_is_refused;
    /// A call that was lost may be begun again, an answered one never.
    a_lost_call_may_be_begun_again;
    /// Whatever happens between, a call that was answered is answered the same for ever.
    one_call_has_one_answer;
}

async fn one_of_many_is_done(house: House) {
    let account = make_account(&house.store, 1).await;
    let call = async |_| write!(house.store, idempotency_begin(account, "key", "print", 10));
    let begun = futures::future::join_all((0..6).map(call)).await;
    let begun: Vec<Begun> = begun.into_iter().map(Result::unwrap).collect();
    let count = |wanted| begun.iter().filter(|one| **one == wanted).count();
    assert_eq!((count(Begun::New), count(Begun::InProgress)), (1, 5), "{begun:?}");
}

async fn another_request_is_refused(house: House) {
    let account = make_account(&house.store, 1).await;
    let other = make_account(&house.store, 2).await;
    let begin = async |account, print: &str, now_ms| {
        write!(house.store, idempotency_begin(account, "key", print, now_ms)).unwrap()
    };
    assert_eq!(begin(account, "print", 10).await, Begun::New);
    assert_eq!(begin(account, "other", 10).await, Begun::Mismatch);
    assert_eq!(begin(account, "other", 20 + LOST_AFTER_MS).await, Begun::Mismatch);
    assert_eq!(begin(other, "other", 10).await, Begun::New);
    assert_eq!(write!(house.store, idempotency_trim(11)).unwrap(), 2);
    assert_eq!(begin(account, "other", 30).await, Begun::New);
}

async fn a_lost_call_may_be_begun_again(house: House) {
    let account = make_account(&house.store, 1).await;
    let begin = async |now_ms| {
        write!(house.store, idempotency_begin(account, "key", "print", now_ms)).unwrap()
    };
    assert_eq!(begin(10).await, Begun::New);
    assert_eq!(begin(10 + LOST_AFTER_MS).await, Begun::InProgress);
    assert_eq!(begin(11 + LOST_AFTER_MS).await, Begun::New);
    assert_eq!(begin(12 + LOST_AFTER_MS).await, Begun::InProgress);
    write!(house.store, idempotency_finish(account, "key", 201, "made")).unwrap();
    let answer = Begun::Done { status: 201, body: "made".to_owned() };
    assert_eq!(begin(99 * LOST_AFTER_MS).await, answer);
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Finish(u16),
    Abandon,
    Pass,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Begin),
        1 => (200..300_u16).prop_map(Step::Finish),
        1 => Just(Step::Abandon),
        1 => Just(Step::Pass),
    ];
    vec(step, 1..20)
}

async fn one_call_has_one_answer(house: House) {
    let account = make_account(&house.store, 1).await;
    let (store, now_ms, case) =
        (&house.store, std::cell::Cell::new(0_u64), std::cell::Cell::new(0_u32));
    property(16, steps(), |steps| {
        case.set(case.get() + 1);
        let key = format!("key-{}", case.get());
        // What is stored of the call: nothing, that it was begun and when, or its answer.
        let (mut begun_at_ms, mut answer) = (None, None);
        for step in steps {
            now_ms.set(now_ms.get() + 1);
            let at_ms = now_ms.get();
            match step {
                Step::Begin => {
                    let got = wait(async {
                        write!(store, idempotency_begin(account, &key, "print", at_ms))
                    });
                    let lost = |begun_at_ms: u64| begun_at_ms + LOST_AFTER_MS < at_ms;
                    let wanted = match (answer, begun_at_ms) {
                        (Some(status), _) => Begun::Done { status, body: "body".to_owned() },
                        (None, Some(begun_at_ms)) if !lost(begun_at_ms) => Begun::InProgress,
                        (None, _) => Begun::New,
                    };
                    if wanted == Begun::New {
                        begun_at_ms = Some(at_ms);
                    }
                    prop_assert_eq!(got.unwrap(), wanted);
                }
                Step::Finish(status) => {
                    wait(async {
                        write!(store, idempotency_finish(account, &key, status, "body"))
                    })
                    .unwrap();
                    if begun_at_ms.is_some() {
                        answer.get_or_insert(status);
                    }
                }
                Step::Abandon => {
                    wait(async { write!(store, idempotency_abandon(account, &key)) }).unwrap();
                    if answer.is_none() {
                        begun_at_ms = None;
                    }
                }
                Step::Pass => now_ms.set(now_ms.get() + LOST_AFTER_MS),
            }
        }
        Ok(())
    })
    .await;
}
