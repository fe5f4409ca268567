//! Whether data at hand can be given to an item.

use types::{Format, ItemKind};

use super::Candidate;
use crate::linking::{self, Mismatch};

/// How data at hand fits what an item takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The formats are equal.
    Equal,
    /// The data has all that the item takes, and more.
    Covered {
        /// How many of its columns or tensors are left over, or stand at another place.
        left_over: usize,
    },
    /// The item does not say what it takes.
    Unknown,
    /// The data lacks something.
    Differs {
        /// How the formats differ, the data's being the first; never empty.
        mismatches: Vec<Mismatch>,
    },
}

/// The format that data at hand is compared with: what a data set holds, what others take.
pub(super) fn wanted_format(candidate: &Candidate) -> Option<&Format> {
    let Candidate { kind, input, output, .. } = candidate;
    match kind {
        ItemKind::Dataset => output.as_ref().or(input.as_ref()),
        _ => input.as_ref(),
    }
}

/// How `data` fits an item that takes `format`.
///
/// A table covers a table whose columns it has in any place, by name and type; tensors likewise.
/// JSON of any schema takes any JSON.
pub fn fit(data: &Format, format: Option<&Format>) -> Fit {
    let Some(format) = format else { return Fit::Unknown };
    let Err(mismatches) = linking::equal(data, format) else { return Fit::Equal };
    match left_over(data, format) {
        Some(left_over) => Fit::Covered { left_over },
        None => Fit::Differs { mismatches },
    }
}

/// How much of the data an item does not use; none where the data lacks something.
fn left_over(data: &Format, format: &Format) -> Option<usize> {
    match (data, format) {
        (Format::Table { columns: have }, Format::Table { columns: want }) => {
            let covers = want.iter().all(|column| have.contains(column));
            covers.then(|| have.len().saturating_sub(want.len()))
        }
        (Format::Tensors { tensors: have }, Format::Tensors { tensors: want }) => {
            let takes = |want: &types::TensorSpec| {
                have.iter().any(|have| have.name == want.name && admits(want, have))
            };
            want.iter().all(takes).then(|| have.len().saturating_sub(want.len()))
        }
        (Format::Json { .. }, Format::Json { schema: None }) => Some(0),
        _ => None,
    }
}

/// Whether every tensor of one specification may stand where another is wanted.
fn admits(want: &types::TensorSpec, have: &types::TensorSpec) -> bool {
    want.datatype == have.datatype
        && want.shape.len() == have.shape.len()
        && want.shape.iter().zip(&have.shape).all(|(want, have)| *want < 0 || want == have)
}
