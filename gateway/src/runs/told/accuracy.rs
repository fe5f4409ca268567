//! How right variants are, as it is told.
//!
//! Always true: what is not known is absent; tables are cut to what a reader has a use for, and what
//! was cut is one class more.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use api::runs::{
    Accuracy as Told, AccuracyEstimate, Auc, CalibrationBin, ClassAccuracy, ConfusionCell, Pairs,
    RunCalibration,
};
use events::replay::accuracy::{Accuracy, Agreement, UNPREDICTED};
use policy::accuracy::{Calibration, Classes, Scores, classes};

/// Most classes that are told one by one.
const CLASSES_TOLD_MAX: usize = 20;
/// With what confidence intervals hold, in parts per million.
const CONFIDENCE_PPM: u32 = 950_000;

/// How right a variant is.
pub(in crate::runs) fn of(counted: &Accuracy) -> Told {
    let all = &counted.classes;
    let events = all.events();
    let positive = counted.terms().positive();
    let found = all.found(positive);
    // What is predicted of nobody is no true negative.
    let unpredicted = all
        .iter()
        .filter(|(right, predicted, _)| *right != positive && *predicted == UNPREDICTED)
        .map(|(.., events)| events)
        .sum::<u64>();
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
    let shown = |word: &str| match words.iter().find(|known| **known == word) {
        Some(known) => (*known).to_owned(),
        None => classes::OTHERS.to_owned(),
    };
    let mut cells: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut others = ClassAccuracy { class: classes::OTHERS.to_owned(), ..Default::default() };
    for (right, predicted, events) in all.iter() {
        let (right_shown, predicted_shown) = (shown(right), shown(predicted));
        if right_shown == others.class {
            others.events += events;
            others.right += if right == predicted { events } else { 0 };
        }
        others.predicted += if predicted_shown == others.class { events } else { 0 };
        *cells.entry((right_shown, predicted_shown)).or_default() += events;
    }
    let class = |word: &&str| {
        let found = all.found(word);
        let (events, predicted, right) = (found.right, found.predicted, found.both);
        ClassAccuracy { class: (*word).to_owned(), events, predicted, right }
    };
    let mut told: Vec<ClassAccuracy> = words.iter().map(class).collect();
    if others.events + others.predicted > 0 {
        told.push(others);
    }
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
        let (told, cells) = tables(&all);
        assert_eq!(told.len(), CLASSES_TOLD_MAX + 1);
        let sum = |of: fn(&ClassAccuracy) -> u64| told.iter().map(of).sum::<u64>();
        assert_eq!(sum(|it| it.events), all.events());
        assert_eq!(sum(|it| it.predicted), all.events());
        assert_eq!(sum(|it| it.right), all.right());
        assert_eq!(cells.iter().map(|cell| cell.events).sum::<u64>(), all.events());
        assert_eq!((told[0].class.as_str(), told[0].events), ("39", 40));
    }

    #[test]
    fn parts_are_millionths() {
        assert_eq!(
            [0.0, 0.5, 1.0, 1.5, 0.123_456_7].map(ppm),
            [0, 500_000, 1_000_000, 1_000_000, 123_457]
        );
    }
}
