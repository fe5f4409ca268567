use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn of(pairs: &[(u8, u8)]) -> Classes {
    let mut classes = Classes::default();
    for (right, predicted) in pairs {
        classes.learn(&right.to_string(), &predicted.to_string());
    }
    classes
}

fn sorted(classes: &Classes) -> Vec<(String, String, u64)> {
    let owned = |(right, predicted, count): (&str, &str, u64)| {
        (right.to_owned(), predicted.to_owned(), count)
    };
    let mut cells: Vec<_> = classes.iter().map(owned).collect();
    cells.sort();
    cells
}

fn near(told: Option<f64>, exact: f64) -> bool {
    told.is_some_and(|told| (told - exact).abs() < 1e-12)
}

proptest! {
    /// Everything told is what counting by hand comes to.
    #[test]
    fn counts_are_those_of_counting_by_hand(pairs in vec((0..5_u8, 0..5_u8), 0..200)) {
        let classes = of(&pairs);
        let count = |wanted: &dyn Fn(u8, u8) -> bool| {
            pairs.iter().filter(|(right, predicted)| wanted(*right, *predicted)).count() as u64
        };
        prop_assert_eq!(classes.events(), pairs.len() as u64);
        prop_assert_eq!(classes.right(), count(&|right, predicted| right == predicted));
        for class in 0..5 {
            let found = classes.found(&class.to_string());
            let both = count(&|right, predicted| right == class && predicted == class);
            prop_assert_eq!(found.both, both);
            prop_assert_eq!(found.predicted, count(&|_, predicted| predicted == class));
            prop_assert_eq!(found.right, count(&|right, _| right == class));
        }
    }

    /// Parts come to the whole, however they are divided.
    #[test]
    fn to_merge_is_to_have_counted_all(parts in vec(vec((0..6_u8, 0..6_u8), 0..40), 0..5)) {
        let mut merged = Classes::default();
        for part in &parts {
            merged.merge(&of(part));
        }
        prop_assert_eq!(sorted(&merged), sorted(&of(&parts.concat())));
        prop_assert_eq!(merged.right(), of(&parts.concat()).right());
    }
}

/// Classes beyond the limit are told as one, and are right where they were predicted, as any other.
#[test]
fn what_is_right_is_counted_of_however_many_classes() {
    let mut classes = Classes::default();
    for number in 0..CLASSES_MAX + 50 {
        classes.learn(&number.to_string(), &number.to_string());
        classes.learn(&number.to_string(), "0");
    }
    assert_eq!(classes.words().len(), CLASSES_MAX);
    assert_eq!((classes.events(), classes.right()), (612, 307));
    assert!(classes.iter().any(|cell| cell == (OTHERS, OTHERS, 50)));
}

#[test]
fn a_table_of_two_classes_is_as_in_a_textbook() {
    let mut classes = Classes::default();
    for (right, predicted, count) in
        [("yes", "yes", 40), ("yes", "no", 10), ("no", "yes", 20), ("no", "no", 30)]
    {
        (0..count).for_each(|_| classes.learn(right, predicted));
    }
    assert!(near(classes.accuracy(), 0.7));
    let yes = classes.found("yes");
    assert!(near(yes.precision(), 40.0 / 60.0) && near(yes.recall(), 0.8));
    assert!(near(yes.f1(), 80.0 / 110.0));
    assert!(near(classes.macro_f1(), f64::midpoint(80.0 / 110.0, 60.0 / 90.0)));
    // By chance they agree on 0.6 * 0.5 + 0.4 * 0.5 of all.
    assert!(near(classes.kappa(), 0.4));
}

/// What is not predicted counts against its class, and is none itself, whatever words there are.
#[test]
fn what_is_not_predicted_is_wrong_and_no_class() {
    let mut part = of(&[(1, 1), (2, 2), (2, 1)]);
    let known = part.macro_f1();
    part.learn_unpredicted("2", 0);
    assert_eq!(part.macro_f1(), known);
    part.learn_unpredicted("2", 2);
    part.learn_unpredicted(UNPREDICTED, 1);
    let mut classes = of(&[]);
    classes.merge(&part);
    assert_eq!((classes.events(), classes.right()), (6, 2));
    assert_eq!(classes.words(), ["1", "2", UNPREDICTED]);
    assert_eq!(classes.unpredicted(|right| right == "2"), 2);
    assert_eq!(classes.found(UNPREDICTED), Found { both: 0, predicted: 0, right: 1 });
    assert!(near(classes.found("2").recall(), 0.25));
    // Of the two classes that were predicted: 2 / 3 and 2 / 5; of the third none was found.
    let mut two = of(&[(1, 1), (2, 2), (2, 1)]);
    two.learn_unpredicted("2", 2);
    assert!(near(two.macro_f1(), f64::midpoint(2.0 / 3.0, 2.0 / 5.0)));
}

#[test]
fn nothing_is_told_of_nothing() {
    let nothing = Classes::default();
    let told = [nothing.accuracy(), nothing.macro_f1(), nothing.kappa(), nothing.found("a").f1()];
    assert_eq!(told, [None; 4]);
}
