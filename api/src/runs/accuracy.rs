//! How right a variant of a run is, and how it agrees with another.

use serde::{Deserialize, Serialize};

/// Predictions held against labels; each event counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accuracy {
    /// Of the positive class: predicted and so.
    pub true_positives: u64,
    pub false_positives: u64,
    pub true_negatives: u64,
    pub false_negatives: u64,
    /// Events of another class that have a label and no prediction: they are wrong. Those of the
    /// positive class are false negatives.
    #[serde(default)]
    pub unpredicted_negatives: u64,
    /// Predictions of events without a label.
    pub unlabelled: u64,
    /// Answers in which no prediction was found.
    pub unread: u64,
    /// Events that had no good answer.
    pub unanswered: u64,
    /// Predictions that were right, of whatever class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<u64>,
    /// By class, those with the most events first, at most 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassAccuracy>,
    /// Which of these classes was predicted where which one was right; what is missing was never. While
    /// a run goes on it is not told of more than five classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<ConfusionCell>,
    /// The mean F1 of all classes, each with the same weight, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1_ppm: Option<u64>,
    /// How well scores tell the positive class from others, where predictions are scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<Auc>,
    /// Whether scores are chances, where all of them are between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<RunCalibration>,
    /// What the accuracy of predictions without a label is by their scores: an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<AccuracyEstimate>,
}

/// How one class is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClassAccuracy {
    /// The class; `(others)` is all that are not told one by one.
    pub class: String,
    /// Events of which it was right.
    pub events: u64,
    /// Events of which it was predicted.
    pub predicted: u64,
    /// Those of which it was both.
    pub right: u64,
}

/// How often one class was predicted where another one, or the same, was right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConfusionCell {
    /// The label.
    pub right: String,
    pub predicted: String,
    pub events: u64,
}

/// The area under the curve: how often an event of the positive class has the higher score of two
/// drawn at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Auc {
    /// What it is of these events, in millionths.
    pub value_ppm: u64,
    /// Between which it lies with a confidence of 95 %; absent where there are too few events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_ppm: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_ppm: Option<u64>,
    /// Events of the class, and of others.
    pub positives: u64,
    pub negatives: u64,
}

/// Whether events with a score come as often as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunCalibration {
    pub events: u64,
    /// The mean distance of scores from how often events came, by tenths, in millionths: the expected
    /// calibration error.
    pub error_ppm: u64,
    /// The mean of squared errors, in millionths: the score of Brier.
    pub brier_ppm: u64,
    /// Scores by tenths, from 0 on.
    pub bins: Vec<CalibrationBin>,
}

/// Scores of one tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CalibrationBin {
    pub events: u64,
    /// Their mean, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_ppm: Option<u64>,
    /// How often they came, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_ppm: Option<u64>,
}

/// What is estimated without labels. It is wrong where scores do not mean any more what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccuracyEstimate {
    /// Predictions without a label.
    pub events: u64,
    /// The part of them that is right, in millionths.
    pub accuracy_ppm: u64,
    /// Labelled events by which scores were corrected; with none they are believed.
    pub labelled: u64,
}

impl Accuracy {
    /// Events with a label; what was not predicted of them is wrong.
    pub const fn judged(&self) -> u64 {
        self.true_positives
            + self.false_positives
            + self.true_negatives
            + self.false_negatives
            + self.unpredicted_negatives
    }

    /// The part of them that was right, in millionths; none where there are none.
    pub fn accuracy_ppm(&self) -> Option<u64> {
        let right = self.right.unwrap_or(self.true_positives + self.true_negatives);
        part_ppm(right, self.judged())
    }

    /// Of what was said to be positive, the part that was, in millionths.
    pub fn precision_ppm(&self) -> Option<u64> {
        part_ppm(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Of what was positive, the part that was said to be, in millionths.
    pub fn recall_ppm(&self) -> Option<u64> {
        part_ppm(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The harmonic mean of both, in millionths.
    pub fn f1_ppm(&self) -> Option<u64> {
        let twice = self.true_positives.saturating_mul(2);
        part_ppm(twice, twice + self.false_positives + self.false_negatives)
    }
}

impl ClassAccuracy {
    /// Of what was said to be of it, the part that was, in millionths.
    pub fn precision_ppm(&self) -> Option<u64> {
        part_ppm(self.right, self.predicted)
    }

    /// Of what was of it, the part that was said to be, in millionths.
    pub fn recall_ppm(&self) -> Option<u64> {
        part_ppm(self.right, self.events)
    }

    /// The harmonic mean of both, in millionths.
    pub fn f1_ppm(&self) -> Option<u64> {
        part_ppm(self.right.saturating_mul(2), self.predicted.saturating_add(self.events))
    }
}

pub(super) fn part_ppm(part: u64, whole: u64) -> Option<u64> {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    (whole > 0).then(|| u64::try_from(ppm).unwrap_or(u64::MAX))
}

/// The same events answered by two variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pairs {
    /// They said the same.
    pub same: u64,
    /// They did not.
    pub differ: u64,
    pub both_right: u64,
    pub first_right: u64,
    pub other_right: u64,
    pub both_wrong: u64,
    /// One of them said nothing, or was not sent.
    pub left_out: u64,
}
