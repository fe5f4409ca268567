use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::record::tests::record;
use super::*;

/// What both predicted, and what was right.
type Case = (Option<u8>, Option<u8>, u8);

/// A record of a variant, with what it predicted and what was right, as runs write them: whatever
/// became of a send, it has its label.
fn said(number: u64, variant: u16, class: Option<&str>, label: Option<&str>) -> Record {
    let outcome = if class.is_some() { Outcome::Ok } else { Outcome::Timeout };
    let mut record = record(number, outcome);
    (record.variant, record.class) = (variant, class.map(Arc::from));
    record.label = label.map(Arc::from);
    record.answer_crc = class.map(|class| crc32fast::hash(class.as_bytes()));
    record
}

#[test]
fn copies_are_no_evidence_and_what_has_no_answer_is_wrong_where_there_is_a_label() {
    let mut accuracy = Accuracy::new(Arc::new(Terms::new(Some(0.5), Some("yes"))));
    let mut scored = said(0, 0, Some("yes"), Some("yes"));
    scored.score = Some(0.75);
    accuracy.add(&scored);
    scored.copy = 1;
    accuracy.add(&scored);
    accuracy.add(&said(1, 0, Some("yes"), Some("no")));
    accuracy.add(&said(2, 0, Some("yes"), None));
    accuracy.add(&said(3, 0, None, None));
    accuracy.add(&record(4, Outcome::Dropped));
    let mut empty = said(5, 0, None, Some("yes"));
    empty.outcome = Outcome::Ok;
    accuracy.add(&empty);
    accuracy.add(&said(6, 0, None, Some("no")));
    let told = (accuracy.events, accuracy.unlabelled, accuracy.unanswered, accuracy.unread);
    assert_eq!(told, (4, 1, 2, 1));
    let classes = accuracy.classes();
    assert_eq!((classes.events(), classes.right()), (4, 1));
    assert_eq!(classes.words(), ["yes", "not yes"], "what is not predicted is no class");
    assert_eq!(classes.unpredicted(|right| right == "yes"), 1);
    assert_eq!(classes.unpredicted(|_| true), 2);
    assert_eq!(accuracy.scores.events(), (1, 0));
    assert_eq!(accuracy.calibration.brier(), Some(0.0625));
}

proptest! {
    /// In whatever order answers come, also before it is known that there are scores, and however they
    /// are divided, they come to the same.
    #[test]
    fn the_order_of_answers_changes_nothing(
        answers in vec((prop::option::of(0..4_u8), 0..4_u8), 0..12),
        at in any::<prop::sample::Index>(),
        seeds in vec(any::<u64>(), 12),
        positive in prop::option::of(prop_oneof![Just("1"), Just("2"), Just("true")]),
    ) {
        let records: Vec<Record> = (0..).zip(&answers).map(|(number, (score, label))| {
            let label = ["0", "1", "true", "false"][usize::from(*label)];
            let class = score.map(|score| score.to_string());
            let mut one = said(number, 0, class.as_deref(), Some(label));
            one.score = score.map(f64::from);
            one
        }).collect();
        let terms = Arc::new(Terms::new(None, positive));
        let told = |records: &[Record]| {
            let mut accuracy = Accuracy::new(Arc::clone(&terms));
            for record in records {
                accuracy.add(record);
            }
            accuracy
        };
        let cells = |accuracy: &Accuracy| {
            let classes = accuracy.classes();
            let cell = |(right, predicted, events): (&str, &str, u64)| {
                (right.to_owned(), predicted.to_owned(), events)
            };
            let mut cells: Vec<_> = classes.iter().map(cell).collect();
            cells.sort();
            (cells, accuracy.events, classes.right())
        };
        let whole = cells(&told(&records));
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|record| seeds[usize::try_from(record.number).unwrap()]);
        prop_assert_eq!(&cells(&told(&shuffled)), &whole);
        let (first, second) = records.split_at(at.index(records.len() + 1));
        let mut merged = told(first);
        merged.merge(&told(second));
        prop_assert_eq!(&cells(&merged), &whole);
    }

    /// In whatever order records come, pairs are those of the same event, and nothing waits.
    #[test]
    fn pairs_are_those_of_the_same_event(
        events in vec((prop::option::of(0..3_u8), prop::option::of(0..3_u8), 0..3_u8), 0..60),
        seeds in vec(any::<u64>(), 120),
    ) {
        let mut records = Vec::new();
        for (number, (one, other, label)) in (0..).zip(&events) {
            let word = |class: &Option<u8>| class.map(|class| class.to_string());
            let label = label.to_string();
            records.push(said(number, 2, word(one).as_deref(), Some(&label)));
            records.push(said(number, 5, word(other).as_deref(), Some(&label)));
        }
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|at| seeds[*at]);
        let mut agreement = Agreement::new(2, 5, Arc::new(Terms::new(Some(0.5), None)));
        for at in order {
            agreement.add(&records[at]);
        }
        prop_assert!(agreement.waiting.is_empty());
        let count = |wanted: &dyn Fn(&Case) -> bool| {
            events.iter().filter(|event| wanted(event)).count() as u64
        };
        let counts = agreement.counts;
        prop_assert_eq!(counts.both, count(&|event| event.0.is_some() && event.1.is_some()));
        prop_assert_eq!(counts.same_bodies, count(&|event| event.0.is_some() && event.0 == event.1));
        prop_assert_eq!(counts.neither, count(&|event| event.0.is_none() && event.1.is_none()));
        let wrong = |class: Option<u8>, label: u8| class != Some(label);
        let only = |first: bool, second: bool| first && !second;
        prop_assert_eq!(
            counts.pairs.candidate_only,
            count(&|(one, other, label)| only(wrong(*other, *label), wrong(*one, *label)))
        );
        let both = |one: bool, other: bool| one && other;
        prop_assert_eq!(
            counts.both_wrong,
            count(&|(one, other, label)| both(wrong(*one, *label), wrong(*other, *label)))
        );
        prop_assert_eq!(
            counts.pairs.incumbent_only,
            count(&|(one, other, label)| only(wrong(*one, *label), wrong(*other, *label)))
        );
    }
}

/// A score speaks for one class of two, whatever its text is; a word for itself, unless one class is
/// named.
#[test]
fn predictions_and_labels_are_told_in_the_same_terms() {
    let words = Terms::new(Some(0.5), None);
    let fraud = Terms::new(Some(0.9), Some("fraud"));
    let right = |terms: &Terms, score, class, label| terms.is_right(score, class, label);
    assert_eq!(right(&words, Some(0.5), Some("0.5"), "true"), Some(true));
    assert_eq!(right(&words, Some(0.4), Some("0.4"), "0"), Some(true));
    assert_eq!(right(&words, None, Some("cat"), "dog"), Some(false));
    assert_eq!(right(&words, None, Some("cat"), "cat"), Some(true));
    assert_eq!(right(&words, None, None, "cat"), None);
    assert_eq!(right(&fraud, Some(0.5), None, "fraud"), Some(false));
    assert_eq!(right(&fraud, None, Some("fine"), "legal"), Some(true));
    assert_eq!(fraud.predicted(Some(0.1), None), Some("not fraud"));
    assert_eq!(words.predicted(Some(0.1), None), Some("false"));
    // Tables write truth in several ways, and models number classes.
    for label in ["true", "True", "TRUE", "1"] {
        assert_eq!(right(&words, Some(0.9), None, label), Some(true), "{label}");
    }
    let second = Terms::new(None, Some("2"));
    assert_eq!(right(&second, Some(1.0), Some("1"), "2"), Some(false));
    assert_eq!(right(&second, Some(1.0), Some("1"), "0"), Some(true));
    assert_eq!(right(&second, Some(2.0), Some("2"), "2"), Some(true));
    // A class that is a number is that number, however it is written.
    for (score, class, label) in
        [(Some(2.0), "2.0", "2"), (None, "2.0", "2"), (Some(2.0), "2", "2.0"), (None, "2", " 2")]
    {
        assert_eq!(right(&second, score, Some(class), label), Some(true), "{class} {label}");
        assert_eq!(right(&second, Some(3.0), Some("3"), label), Some(false), "{label}");
    }
    let word = Terms::new(None, Some("nan"));
    assert_eq!(right(&word, None, Some("nan"), "nan"), Some(true));
    assert_eq!(right(&word, None, Some("inf"), "nan"), Some(false));
    let chance = Terms::new(Some(0.5), Some("2"));
    assert_eq!(right(&chance, Some(1.0), Some("1"), "2"), Some(true));
}

#[test]
fn scores_without_a_label_are_estimated_by_those_that_have_one() {
    let mut accuracy = Accuracy::new(Arc::new(Terms::new(Some(0.5), None)));
    for number in 0..2_000 {
        let mut scored = said(number, 0, Some("0.9"), (number < 1_000).then_some("true"));
        scored.score = Some(0.9);
        accuracy.add(&scored);
    }
    assert_eq!((accuracy.events, accuracy.unlabelled), (1_000, 1_000));
    let told = accuracy.estimate.by(&accuracy.calibration).unwrap();
    assert_eq!((told.events, told.labelled), (1_000, 1_000));
    assert!(told.accuracy > 0.99, "{told:?}");
}

#[test]
fn what_was_not_sent_speaks_against_nobody() {
    let mut agreement = Agreement::new(0, 1, Arc::new(Terms::new(Some(0.5), None)));
    agreement.add(&said(1, 0, Some("yes"), Some("yes")));
    agreement.add(&Record { variant: 1, ..record(1, Outcome::Dropped) });
    assert_eq!((agreement.counts.alone, agreement.counts.pairs.events), (1, 0));
    agreement.add(&said(2, 0, Some("yes"), Some("yes")));
    agreement.add(&Record { variant: 1, ..record(2, Outcome::Timeout) });
    assert_eq!((agreement.counts.one, agreement.counts.pairs.candidate_only), (1, 1));
}

#[test]
fn what_waits_for_a_record_that_never_comes_is_bounded() {
    let mut agreement = Agreement::new(0, 1, Arc::new(Terms::new(Some(0.5), None)));
    for number in 0..WAITING_MAX as u64 + 5 {
        agreement.add(&said(number, 0, Some("yes"), None));
    }
    assert_eq!((agreement.waiting.len(), agreement.counts.alone), (WAITING_MAX, 5));
}
