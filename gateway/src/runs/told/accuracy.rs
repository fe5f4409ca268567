//! How right variants are, as it is told.
//!
//! Always true: what is not known is absent; tables are cut to what a reader has a use for; what was cut,
//! and what was not predicted, is in the table of pairs, and no class of its own.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use api::runs::{
    Accuracy as Told, AccuracyEstimate, Auc, CalibrationBin, ClassAccuracy, ConfusionCell, Pairs,
    RunCalibration,
};
use events::replay::accuracy::{Accuracy, Agreement};
use policy::accuracy::{Calibration, Classes, Scores, classes};

/// Most classes that are told one by one.
const CLASSES_TOLD_MAX: usize = 20;
/// With what confidence intervals hold, in parts per million.
const CONFIDENCE_PPM: u32 = 950_000;

/// How right a variant is.
pub(in crate::runs) fn of(counted: &Accuracy) -> Told {
    let all = &counted.classes();
    let events = all.events();
    let positive = counted.terms().positive();
    let found = all.found(positive);
    // What is predicted of nobody is no true negative.
    let unpredicted = all.unpredicted(|right| right != positive);
    let (classes, confusion) = tables(all);
    let scores = &counted.calibration;
    // Numbers that are no chances at all, or only some of them, say nothing about chances.
    let are_chances = scores.refused() == 0;
    let estimated = counted.estimate.by(scores).filter(|_| are_chances);
    Told {
        true_positives: found.both,
        false_positives: found.predicted - found.both,
        true_negatives: (events + found.both)
            .saturating_sub(found.predicted + found.right + unpredicted),
        unpredicted_negatives: unpredicted,
        false_negatives: found.right - found.both,
        unlabelled: counted.unlabelled,
        unread: counted.unread,
        unanswered: counted.unanswered,
        right: (events > 0).then(|| all.right()),
        classes,
        confusion,
        macro_f1_ppm: all.macro_f1().map(ppm),
        auc: auc(&counted.scores),
        calibration: calibration(scores).filter(|_| are_chances),
        estimate: estimated.map(|it| AccuracyEstimate {
            events: it.events,
            accuracy_ppm: ppm(it.accuracy),
            labelled: it.labelled,
        }),
    }
}

/// How the first variant and another one agree.
pub(in crate::runs) fn pairs(counted: &Agreement) -> Pairs {
    let (counts, pairs) = (&counted.counts, &counted.counts.pairs);
    let (both, same) = (counted.classes.events(), counted.classes.right());
    let wrong = pairs.candidate_only + pairs.incumbent_only + counts.both_wrong;
    Pairs {
        same,
        differ: both - same,
        both_right: pairs.events.saturating_sub(wrong),
        first_right: pairs.incumbent_only,
        other_right: pairs.candidate_only,
        both_wrong: counts.both_wrong,
        left_out: counts.one + counts.neither + counts.alone + (counts.both - both),
    }
}

/// Each class, and which was predicted where which one was right; the largest ones.
fn tables(all: &Classes) -> (Vec<ClassAccuracy>, Vec<ConfusionCell>) {
    let mut words: Vec<&str> = all.words().iter().map(String::as_str).collect();
    words.sort_by_key(|word| (Reverse(all.found(word).right), *word));
    words.truncate(CLASSES_TOLD_MAX);
    let shown = |word: &str| {
        let is_told = words.contains(&word) || word == classes::UNPREDICTED;
        if is_told { word } else { classes::OTHERS }.to_owned()
    };
    let mut cells: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (right, predicted, events) in all.iter() {
        *cells.entry((shown(right), shown(predicted))).or_default() += events;
    }
    let class = |word: &&str| {
        let found = all.found(word);
        let (events, predicted, right) = (found.right, found.predicted, found.both);
        ClassAccuracy { class: (*word).to_owned(), events, predicted, right }
    };
    let told = words.iter().map(class).collect();
    let cell = |((right, predicted), events)| ConfusionCell { right, predicted, events };
    (told, cells.into_iter().map(cell).collect())
}

fn auc(scores: &Scores) -> Option<Auc> {
    let area = scores.area(CONFIDENCE_PPM)?;
    Some(Auc {
        value_ppm: ppm(area.value),
        lower_ppm: area.between.map(|(lower, _)| ppm(lower)),
        upper_ppm: area.between.map(|(_, upper)| ppm(upper)),
        positives: area.positives,
        negatives: area.negatives,
    })
}

fn calibration(counted: &Calibration) -> Option<RunCalibration> {
    let bin = |bin: &policy::accuracy::calibration::Bin| CalibrationBin {
        events: bin.events,
        score_ppm: bin.chance().map(ppm),
        came_ppm: bin.rate().map(ppm),
    };
    Some(RunCalibration {
        events: counted.events(),
        error_ppm: ppm(counted.error()?),
        brier_ppm: ppm(counted.brier()?),
        bins: counted.bins().iter().map(bin).collect(),
    })
}

/// A part of a whole in millionths, to the nearest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between nothing and the whole, and rounded on purpose"
)]
fn ppm(part: f64) -> u64 {
    (part.clamp(0.0, 1.0) * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables come to all events, however many classes there are.
    #[test]
    fn tables_are_cut_and_come_to_the_same() {
        let mut all = Classes::default();
        for class in 0..40_u64 {
            for event in 0..=class {
                let predicted = if event % 3 == 0 { class } else { (class + 1) % 40 };
                all.learn(&class.to_string(), &predicted.to_string());
            }
        }
        let predicted = all.events();
        all.learn_unpredicted("39", 3);
        let (told, cells) = tables(&all);
        assert_eq!(told.len(), CLASSES_TOLD_MAX);
        assert_eq!((told[0].class.as_str(), told[0].events), ("39", 43));
        let sum = |of: &dyn Fn(&ConfusionCell) -> bool| {
            cells.iter().filter(|cell| of(cell)).map(|cell| cell.events).sum::<u64>()
        };
        assert_eq!(sum(&|_| true), predicted + 3);
        assert_eq!(sum(&|cell| cell.predicted == classes::UNPREDICTED), 3);
        for class in &told {
            assert_eq!(sum(&|cell| cell.right == class.class), class.events);
            assert_eq!(sum(&|cell| cell.predicted == class.class), class.predicted);
        }
        let others = |word: &str| word == classes::OTHERS;
        let told: u64 = told.iter().map(|class| class.events).sum();
        assert_eq!(told + sum(&|cell| others(&cell.right)), predicted + 3);
    }

    /// What one variant predicted of nothing is no class, and makes no mean of classes worse.
    #[test]
    fn what_is_not_predicted_is_no_class() {
        let mut all = Classes::default();
        all.learn("cat", "cat");
        all.learn("dog", "dog");
        let mean = all.macro_f1();
        all.learn_unpredicted("dog", 1);
        let (told, _) = tables(&all);
        assert_eq!(told.iter().map(|it| it.class.as_str()).collect::<Vec<_>>(), ["dog", "cat"]);
        // The one that was missed is missed, and nothing else: 1 and 2 / 3.
        assert_eq!((mean, all.macro_f1()), (Some(1.0), Some(f64::midpoint(1.0, 2.0 / 3.0))));
    }

    #[test]
    fn parts_are_millionths() {
        assert_eq!(
            [0.0, 0.5, 1.0, 1.5, 0.123_456_7].map(ppm),
            [0, 500_000, 1_000_000, 1_000_000, 123_457]
        );
    }
}
